"""The criterion against fairseq's stock one, and its bins over batches and workers."""

import copy
import math
from argparse import Namespace

import numpy as np
import pytest
import torch
from conftest import command, logged, run, train_command
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper
from fairseq.logging import metrics
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from mt_ls.calibration.bins import Bins
from mt_ls.plugin import criterion


def _ours(task, **options):
    from mt_ls.plugin.criterion import LabelSmoothedCrossEntropyWithCalibration

    return LabelSmoothedCrossEntropyWithCalibration(task, False, 0.1, report_accuracy=True, **options)


@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("projects", [True, False])
def test_fairseq_convention_is_the_stock_criterion(loaded, prefix, projects, monkeypatch):
    """Whether the criterion projects the features itself, or takes the logits of a model it does not know."""
    (model,), task, sample = loaded
    if not projects:
        monkeypatch.setattr(criterion, "output_projection", lambda model: None)
    stock = LabelSmoothedCrossEntropyCriterion(task, False, 0.1, ignore_prefix_size=prefix, report_accuracy=True)
    ours = _ours(task, smoothing_convention="fairseq", ignore_prefix_size=prefix)
    their_loss, their_size, theirs = stock(model, sample)
    loss, size, found = ours(model, sample)
    torch.testing.assert_close(loss, their_loss)
    assert size == their_size
    for key, value in theirs.items():
        assert float(found[key]) == pytest.approx(float(value), rel=1e-5), key
    their_gradient = torch.autograd.grad(their_loss, model.decoder.embed_tokens.weight)[0]
    gradient = torch.autograd.grad(loss, model.decoder.embed_tokens.weight)[0]
    torch.testing.assert_close(gradient, their_gradient, rtol=1e-3, atol=1e-2)


def test_an_adaptive_softmax_is_smoothed_as_the_stock_criterion_does_it(loaded, caplog):
    (model,), task, sample = loaded
    settings = copy.deepcopy(model.cfg)
    settings.adaptive_softmax_cutoff, settings.share_all_embeddings = [20, 40], False
    settings.share_decoder_input_output_embed = settings.decoder.share_input_output_embed = False
    adaptive = TransformerModelBase.build_model(TransformerConfig.from_namespace(settings), task).eval()
    assert adaptive.decoder.adaptive_softmax is not None
    their_loss, _, theirs = LabelSmoothedCrossEntropyCriterion(task, False, 0.1)(adaptive, sample)
    ours = _ours(task, smoothing_convention="fairseq")
    with caplog.at_level("INFO"):
        loss, _, found = ours(adaptive, sample)
        ours(adaptive, sample)
    assert caplog.text.count("TransformerModelBase does its last step itself") == 1
    torch.testing.assert_close(loss, their_loss)
    assert float(found["nll_loss"]) == pytest.approx(float(theirs["nll_loss"]), rel=1e-5)


def test_unreduced_loss_is_zero_at_padding(loaded):
    (model,), task, sample = loaded
    loss, _, _ = _ours(task)(model, sample, reduce=False)
    total, _, _ = _ours(task)(model, sample)
    torch.testing.assert_close(loss.sum(), total)
    assert not loss[sample["target"].reshape(-1) == task.target_dictionary.pad()].any()


def test_logged_ece_is_that_of_all_real_tokens_however_they_are_batched(loaded):
    (model,), task, sample = loaded
    criterion = _ours(task)
    dataset = task.datasets["test"]
    target = sample["target"]
    real = target != task.target_dictionary.pad()
    with torch.no_grad():
        p = model(**sample["net_input"])[0][real].softmax(-1)
        chunks = [dataset.collater([dataset[i] for i in range(k, min(k + 10, 211))]) for k in range(0, 211, 10)]
        logs = [criterion(model, chunk)[2] for chunk in chunks]
    expected = Bins.of(p.max(-1).values.clamp(max=1), p.argmax(-1) == target[real])
    assert expected.n == sample["ntokens"]
    with metrics.aggregate() as one:
        criterion.reduce_metrics(logs)
    with metrics.aggregate() as accumulated:
        for log in logs:
            criterion.reduce_metrics([log])
    for found in (one.get_smoothed_values(), accumulated.get_smoothed_values()):
        assert found["ece"] == pytest.approx(expected.ece(), abs=1e-4)
        assert found["confidence"] == pytest.approx(expected.mean_confidence, abs=1e-4)
        assert found["accuracy"] == pytest.approx(100 * expected.accuracy, abs=1e-3)
        assert found["nll_loss"] == pytest.approx(
            -p.gather(1, target[real].unsqueeze(1)).log().mean().item() / math.log(2), abs=1e-3
        )


@pytest.mark.parametrize("options", [{"smoothing_convention": "torch"}, {"label_smoothing": 1.5}])
def test_bad_settings_fail_at_the_start(options):
    from mt_ls.plugin.criterion import LabelSmoothedCrossEntropyWithCalibration

    task = Namespace(target_dictionary=Namespace(pad=lambda: 1))
    with pytest.raises(ValueError, match="smoothing"):
        LabelSmoothedCrossEntropyWithCalibration(task, False, **{"label_smoothing": 0.1, **options})


@pytest.fixture
def alone():
    """A process group of one."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield distributed.group.WORLD
    distributed.destroy_process_group()


def _wrapped(model, backend, group):
    """As fairseq wraps it for a ``--ddp-backend``."""
    wrappers = {
        "none": lambda: model,
        "pytorch_ddp": lambda: DistributedDataParallel(model),
        "pytorch_ddp, find_unused_parameters": lambda: DistributedDataParallel(model, find_unused_parameters=True),
        "legacy_ddp": lambda: LegacyDistributedDataParallel(model, group),
    }
    return wrappers[backend]() if backend == "none" else ModuleProxyWrapper(wrappers[backend]())


@pytest.mark.parametrize("backend", ["none", "legacy_ddp", "pytorch_ddp", "pytorch_ddp, find_unused_parameters"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_gradient_reaches_the_weight_of_the_projection_once(loaded, alone, backend, shared):
    """Over two accumulated batches, by the stock criterion and by ours, for every wrapper and kind of embedding."""
    (trained,), task, _ = loaded
    model = copy.deepcopy(trained)
    if not shared:
        model.decoder.output_projection.weight = torch.nn.Parameter(model.decoder.embed_tokens.weight.detach().clone())
    dataset = task.datasets["test"]
    batches = [dataset.collater([dataset[i] for i in range(start, start + 20)]) for start in (0, 20)]
    stock = LabelSmoothedCrossEntropyCriterion(task, False, 0.1)
    for batch in batches:
        stock(model, batch)[0].backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    wrapped = _wrapped(model, backend, alone)
    ours = _ours(task, smoothing_convention="fairseq")
    for batch in batches:
        ours(wrapped, batch)[0].backward()
    if backend == "legacy_ddp":
        wrapped.all_reduce_grads()
    assert ("decoder.output_projection.weight" in expected) != shared
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-2, msg=name)


def test_mixed_precision_leaves_loss_and_gradients_close_to_those_in_float32(loaded):
    (model,), task, sample = loaded
    ours = _ours(task)
    exact = ours(model, sample)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = ours(model, sample)[0]
    weight = model.decoder.output_projection.weight
    gradients = [torch.autograd.grad(value, weight)[0] for value in (loss, exact)]
    torch.testing.assert_close(loss, exact, rtol=0.01, atol=0)
    assert gradients[0].dtype == torch.float32 and (gradients[0] - gradients[1]).norm() < 0.05 * gradients[1].norm()


@pytest.mark.slow
def test_two_workers_log_what_one_process_does(data, tmp_path):
    """gloo on a CPU against one process that accumulates two batches; no dropout, so all that differs is the split. The
    two end as `mt_ls.train` does: the stock command leaves gloo's threads to the interpreter, whose end they may abort.
    """
    size = ["--max-tokens", "600", "--max-update", "6", "--dropout", "0", "--no-save"]
    one = run(train_command(data, tmp_path / "one", *size, "--update-freq", "2"))
    _, *worker = train_command(data, tmp_path / "two", *size)
    two = run(command("torchrun", "--nproc_per_node", "2", "-m", "mt_ls.train", *worker))
    assert one.returncode == two.returncode == 0, two.stderr[-2000:]
    for key in ("ece", "confidence", "token_accuracy", "nll_loss"):
        ours, theirs = (logged("".join(x.stdout.split("begin validation")[1:]), key) for x in (one, two))
        assert ours == pytest.approx(theirs, abs=2e-4), key
    assert np.isfinite(ours)
