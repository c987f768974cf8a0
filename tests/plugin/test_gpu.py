"""Training on a GPU: half precision through the real commands, the same losses in float32, and no waits."""

import copy
import json

import numpy as np
import pytest
import torch
from commands import MODEL, command, module, run
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.optim import adam

from mt_ls.plugin import trainer
from mt_ls.plugin.attention import hasten_attention
from mt_ls.plugin.optimizer import FP16Optimizer, FusedAdam
from mt_ls.records import read

pytestmark = pytest.mark.gpu

OURS = ["--smoothing-convention", "fairseq"]
STOCK = ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"]
ON_A_GPU = [option for option in MODEL if option != "--cpu"]


def _commanded(data, folder, option, updates):
    """The finished process of ``python -m mt_ls.train`` in half precision."""
    size = ["--max-tokens", "600", "--max-update", updates, "--no-epoch-checkpoints", "--save-dir", folder]
    return run(module("mt_ls.train", data, *ON_A_GPU, *size, option))


@pytest.fixture(scope="module", params=["--bf16", "--fp16"])
def half(request, data, tmp_path_factory):
    """(Option, checkpoint) of six updates in half precision."""
    folder = tmp_path_factory.mktemp(request.param.strip("-"))
    finished = _commanded(data, folder / "checkpoints", request.param, 6)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return request.param, folder / "checkpoints" / "checkpoint_last.pt"


def test_half_precision_trains_and_goes_on(half, data):
    option, checkpoint = half
    finished = _commanded(data, checkpoint.parent, option, 12)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "@ 6 updates" in finished.stdout
    state = torch.load(checkpoint, weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 12
    assert state["optimizer_history"][-1]["optimizer_name"] == "FP16Optimizer"
    assert all(torch.isfinite(values).all() for values in state["model"].values())


def test_half_precision_validates(half, data):
    option, checkpoint = half
    options = ["--user-dir", "mt_ls", "--task", "translation_with_calibration", "--path", checkpoint]
    options += ["--valid-subset", "test", "--batch-size", "50", "--log-format", "json"]
    options += ["--fp16"] if option == "--fp16" else []
    finished = run(command("fairseq-validate", data, *options))
    assert finished.returncode == 0, finished.stderr[-2000:]
    (line,) = [line for line in (finished.stdout + finished.stderr).splitlines() if "test_ece" in line]
    values = json.loads(line[line.index("{") :])
    assert 0 < float(values["test_ece"]) < 1 and values["test_bsz"] == "211"


def test_half_precision_is_measured(half, data, tmp_path):
    option, checkpoint = half
    options = ["--path", checkpoint, "--records", tmp_path / "records.jsonl", "--temperatures", "1.0"]
    finished = run(module("mt_ls.measure", data, *options))
    assert finished.returncode == 0, finished.stderr[-2000:]
    record = next(record for record in read(tmp_path / "records.jsonl") if record.mode == "forced")
    assert record.n_sentences == 211 and 0 < record.nll < 20
    assert record.model.precision == option.strip("-")


@pytest.mark.parametrize("option", ["--memory-efficient-bf16", "--memory-efficient-fp16"])
def test_memory_efficient_half_precision_trains_as_fairseq_does(train, option):
    values, _ = train("ours", *OURS, option, device=None)
    expected, _ = train("none", *OURS, option, "--faster", "none", device=None)
    np.testing.assert_allclose([line[:3] for line in values], [line[:3] for line in expected], rtol=2e-2)


@pytest.mark.parametrize("more", [[], ["--adam-eps", "1e-3"], ["--update-freq", "2", "--dropout", "0.3"]])
def test_in_float32_the_losses_are_those_of_fairseq(train, more):
    """With dropout, from the same seed: with all parts, with none, and of the stock criterion and task."""
    values, state = train("ours", *OURS, *more, device=None)
    for name, options in (("none", [*OURS, "--faster", "none"]), ("stock", STOCK)):
        expected, other = train(name, *options, *more, device=None)
        np.testing.assert_allclose(values, expected, rtol=0, atol=2e-3)
        for parameter, tensor in other["model"].items():
            torch.testing.assert_close(state["model"][parameter], tensor, rtol=1e-3, atol=1e-3, msg=parameter)


@pytest.mark.parametrize("option", [None, "--bf16"])
def test_an_update_waits_for_nothing(train, monkeypatch, option):
    """torch raises an error for every wait; the first updates, and those that the log prints, may wait."""
    stock = trainer.Trainer.train_step

    def train_step(self, samples, raise_oom=False):
        number = self.get_num_updates()
        strict = 2 <= number < 10
        torch.cuda.set_sync_debug_mode("error" if strict else "default")
        try:
            return stock(self, samples, raise_oom)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(trainer.Trainer, "train_step", train_step)
    train("run", "--log-interval", "100", *([option] if option else []), device=None)


def test_a_loss_that_is_not_finite_names_its_update(data, tmp_path):
    options = ["--max-tokens", "600", "--max-update", "20", "--lr", "1e30", "--lr-scheduler", "fixed"]
    finished = run(module("mt_ls.train", data, *ON_A_GPU, *options, "--save-dir", tmp_path))
    assert finished.returncode == 1
    assert "error: update 2: the loss or its gradient is not finite" in finished.stderr
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2), (torch.float16, 1e-2)])
def test_fused_attention_has_the_numbers_of_fairseq(loaded, ragged, dtype, tolerance):
    """Hidden states and gradients at the real tokens of a batch with padding, relative to their size."""
    (trained,), task, _ = loaded
    dataset = task.datasets["test"]
    sample = trainer.stock.utils.move_to_cuda(dataset.collater([dataset[i] for i in range(50)]))
    real = sample["target"] != task.target_dictionary.pad()
    settings = copy.deepcopy(trained.cfg)
    settings.dropout = 0.0
    results = []
    for fused in (False, True):
        model = TransformerModelBase.build_model(TransformerConfig.from_namespace(settings), task)
        model.load_state_dict(trained.state_dict())
        model = model.cuda().to(dtype).train()
        assert not fused or hasten_attention(model)
        hidden = model(**sample["net_input"], features_only=True)[0][real]
        hidden.float().square().sum().backward()
        gradient = torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])
        results.append((hidden.detach().float(), gradient))
    for expected, found in zip(*results, strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_fused_update_is_fairseqs(dtype):
    shapes, settings = [(300, 20), (20,), ()], {"lr": 0.01, "betas": (0.9, 0.98), "eps": 1e-3, "weight_decay": 0.01}
    pairs = []
    for kind in (adam.Adam, FusedAdam):
        torch.manual_seed(1)
        parameters = [torch.nn.Parameter(torch.randn(shape, device="cuda").to(dtype)) for shape in shapes]
        optimizer = kind(parameters, **settings)
        for _ in range(8):
            for p in parameters:
                p.grad = torch.randn(p.shape, device="cuda").to(dtype) * 1e-2
            optimizer.step()
        pairs.append(parameters)
    for p, q in zip(*pairs, strict=True):
        torch.testing.assert_close(q, p, rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=1e-6)


def test_the_copies_of_half_precision_are_the_faster_ones(train, monkeypatch):
    """The trainer finds fairseq's optimizers on a GPU and turns them into ours."""
    seen, stock = [], trainer.hasten_optimizer

    def hasten(optimizer, names):
        stock(optimizer, names)
        seen.append((type(optimizer), type(optimizer.optimizer)))

    monkeypatch.setattr(trainer, "hasten_optimizer", hasten)
    train("run", "--fp16", "--max-update", "2", device=None)
    assert seen[-1] == (FP16Optimizer, FusedAdam)
