"""The criterion against fairseq's, its unigram smoothing, and its bins over batches and workers."""

import copy
import math
import re
from argparse import Namespace

import pytest
import torch
from commands import MODEL, module, run
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper
from fairseq.logging import metrics
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from torch import distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from mt_ls.calibration.bins import Bins
from mt_ls.plugin import criterion as criterion_module
from mt_ls.plugin.criterion import LabelSmoothedCrossEntropyWithCalibration


def _criterion(task, **options):
    return LabelSmoothedCrossEntropyWithCalibration(task, False, 0.1, report_accuracy=True, **options)


@pytest.mark.parametrize("prefix", [0, 2])
@pytest.mark.parametrize("projects", [True, False])
def test_fairseq_convention_is_the_stock_criterion(loaded, prefix, projects, monkeypatch):
    """Whether the criterion projects the hidden states itself, or takes the log-probabilities of a model."""
    (model,), task, sample = loaded
    if not projects:
        monkeypatch.setattr(criterion_module, "output_projection", lambda model: None)
    stock = LabelSmoothedCrossEntropyCriterion(task, False, 0.1, ignore_prefix_size=prefix, report_accuracy=True)
    criterion = _criterion(task, smoothing_convention="fairseq", ignore_prefix_size=prefix)
    stock_loss, stock_size, stock_log = stock(model, sample)
    loss, size, log = criterion(model, sample)
    torch.testing.assert_close(loss, stock_loss)
    assert size == stock_size
    for key, value in stock_log.items():
        assert float(log[key]) == pytest.approx(float(value), rel=1e-5), key
    stock_gradient = torch.autograd.grad(stock_loss, model.decoder.embed_tokens.weight)[0]
    gradient = torch.autograd.grad(loss, model.decoder.embed_tokens.weight)[0]
    torch.testing.assert_close(gradient, stock_gradient, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("projects", [True, False])
def test_unigram_smoothing_is_a_cross_entropy_with_the_training_targets_frequencies(loaded, projects, monkeypatch):
    """The frequencies here come from the sentences of the training set, one at a time."""
    (model,), task, sample = loaded
    if not projects:
        monkeypatch.setattr(criterion_module, "output_projection", lambda model: None)
    task.load_dataset("train")
    train, n_classes = task.datasets["train"], len(task.target_dictionary)
    tokens = torch.cat([train[i]["target"] for i in range(len(train))])
    frequencies = torch.bincount(tokens, minlength=n_classes) / len(tokens)
    criterion = _criterion(task, smoothing_kind="unigram")
    loss, _, log = criterion(model, sample)
    real = sample["target"] != task.target_dictionary.pad()
    target = sample["target"][real]
    q = 0.9 * functional.one_hot(target, n_classes) + 0.1 * frequencies
    logits = model(**sample["net_input"])[0][real]
    expected = functional.cross_entropy(logits, q, reduction="sum")
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(log["nll_loss"], functional.cross_entropy(logits, target, reduction="sum").detach())
    gradients = [torch.autograd.grad(value, model.decoder.embed_tokens.weight)[0] for value in (loss, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-2)
    assert abs(loss - _criterion(task)(model, sample)[0]) > 1, "the uniform prior has another loss"


def test_the_prior_keeps_its_precision_in_a_model_of_half_precision(loaded):
    """The trainer converts the criterion with the model; frequencies in bfloat16 would not sum to 1."""
    (trained,), task, sample = loaded
    exact = _criterion(task, smoothing_kind="unigram")(trained, sample)[0]
    criterion = _criterion(task, smoothing_kind="unigram").to(torch.bfloat16)
    loss, _, _ = criterion(copy.deepcopy(trained).to(torch.bfloat16), sample)
    torch.testing.assert_close(loss.float(), exact, rtol=0.02, atol=0)
    assert criterion._prior.dtype == torch.float32


def test_unigram_smoothing_without_a_training_set_fails_at_the_start(loaded):
    _, task, _ = loaded
    with pytest.raises(ValueError, match=r"unigram smoothing needs the training targets, and .* has no dev\.en-de\.de"):
        _criterion(task, smoothing_kind="unigram", train_subset="dev")


def test_an_adaptive_softmax_is_smoothed_as_the_stock_criterion_does_it(loaded, caplog):
    (model,), task, sample = loaded
    settings = copy.deepcopy(model.cfg)
    settings.adaptive_softmax_cutoff, settings.share_all_embeddings = [20, 40], False
    settings.share_decoder_input_output_embed = settings.decoder.share_input_output_embed = False
    adaptive = TransformerModelBase.build_model(TransformerConfig.from_namespace(settings), task).eval()
    assert adaptive.decoder.adaptive_softmax is not None
    stock_loss, _, stock_log = LabelSmoothedCrossEntropyCriterion(task, False, 0.1)(adaptive, sample)
    criterion = _criterion(task, smoothing_convention="fairseq")
    with caplog.at_level("INFO"):
        loss, _, log = criterion(adaptive, sample)
        criterion(adaptive, sample)
    assert caplog.text.count("TransformerModelBase does its last step itself") == 1
    torch.testing.assert_close(loss, stock_loss)
    assert float(log["nll_loss"]) == pytest.approx(float(stock_log["nll_loss"]), rel=1e-5)


def test_unreduced_loss_is_zero_at_padding(loaded):
    (model,), task, sample = loaded
    loss, _, _ = _criterion(task)(model, sample, reduce=False)
    total, _, _ = _criterion(task)(model, sample)
    torch.testing.assert_close(loss.sum(), total)
    assert not loss[sample["target"].reshape(-1) == task.target_dictionary.pad()].any()


def test_logged_ece_is_that_of_all_real_tokens_however_they_are_batched(loaded):
    (model,), task, sample = loaded
    criterion = _criterion(task)
    dataset = task.datasets["test"]
    target = sample["target"]
    real = target != task.target_dictionary.pad()
    with torch.no_grad():
        p = model(**sample["net_input"])[0][real].softmax(-1)
        chunks = [dataset.collater([dataset[i] for i in range(k, min(k + 10, 211))]) for k in range(0, 211, 10)]
        logs = [criterion(model, chunk)[2] for chunk in chunks]
    expected = Bins.of(p.max(-1).values.clamp(max=1), p.argmax(-1) == target[real])
    assert expected.n == sample["ntokens"]
    with metrics.aggregate() as at_once:
        criterion.reduce_metrics(logs)
    with metrics.aggregate() as accumulated:
        for log in logs:
            criterion.reduce_metrics([log])
    for values in (at_once.get_smoothed_values(), accumulated.get_smoothed_values()):
        assert values["ece"] == pytest.approx(expected.ece(), abs=1e-4)
        assert values["confidence"] == pytest.approx(expected.mean_confidence, abs=1e-4)
        assert values["accuracy"] == pytest.approx(100 * expected.accuracy, abs=1e-3)
        assert values["nll_loss"] == pytest.approx(
            -p.gather(1, target[real].unsqueeze(1)).log().mean().item() / math.log(2), abs=1e-3
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing_convention": "torch"}, "unknown smoothing convention 'torch'"),
        ({"label_smoothing": 1.5}, "label smoothing must lie in"),
        ({"smoothing_kind": "bigram"}, "unknown kind of smoothing 'bigram'"),
        ({"smoothing_kind": "unigram", "smoothing_convention": "fairseq"}, "for uniform smoothing only"),
        ({"smoothing_kind": "unigram"}, "unigram smoothing needs a translation task"),
        ({"projection_products": "int8"}, "unknown precision of products 'int8'"),
    ],
)
def test_bad_settings_fail_at_the_start(options, message):
    task = Namespace(target_dictionary=Namespace(pad=lambda: 1))
    with pytest.raises(ValueError, match=message):
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
    """Over two accumulated batches, as by the stock criterion, for every wrapper and kind of embedding."""
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
    criterion = _criterion(task, smoothing_convention="fairseq")
    for batch in batches:
        criterion(wrapped, batch)[0].backward()
    if backend == "legacy_ddp":
        wrapped.all_reduce_grads()
    assert ("decoder.output_projection.weight" in expected) != shared
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-2, msg=name)


def test_mixed_precision_leaves_loss_and_gradients_close_to_those_in_float32(loaded):
    (model,), task, sample = loaded
    criterion = _criterion(task)
    exact = criterion(model, sample)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = criterion(model, sample)[0]
    weight = model.decoder.output_projection.weight
    gradients = [torch.autograd.grad(value, weight)[0] for value in (loss, exact)]
    torch.testing.assert_close(loss, exact, rtol=0.01, atol=0)
    assert gradients[0].dtype == torch.float32 and (gradients[0] - gradients[1]).norm() < 0.05 * gradients[1].norm()


@pytest.mark.slow
def test_two_workers_log_what_one_worker_that_accumulates_logs(data, tmp_path):
    """Without dropout, whose masks are different in each worker; each worker reads the unigram prior itself."""

    def logged(name, workers, *options):
        size = ("--dropout", "0", "--max-tokens", "600", "--max-update", "24", "--no-epoch-checkpoints")
        own = ("--smoothing-kind", "unigram", "--save-dir", tmp_path / name)
        process = run(module("mt_ls.train", data, *MODEL, *size, *own, *options, workers=workers))
        assert process.returncode == 0, process.stderr
        keys = "loss|nll_loss|ece|confidence|token_accuracy|num_updates"
        lines = [line for line in process.stdout.splitlines() if " | epoch " in line]
        return [re.findall(rf"\b({keys}) ([\d.]+)", line) for line in lines]

    two, accumulated = logged("two", 2), logged("accumulated", 1, "--update-freq", "2")
    assert two == accumulated and len(two) == 4  # two epochs, each with a validation
