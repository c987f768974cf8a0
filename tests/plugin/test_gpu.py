"""Training on a GPU in this process: the losses of fairseq in float32, no waits, and the parts one by one."""

import copy

import numpy as np
import pytest
import torch
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.optim import adam

from mt_ls.plugin import trainer
from mt_ls.plugin.attention import hasten_attention
from mt_ls.plugin.optimizer import FP16Optimizer, FusedAdam

pytestmark = pytest.mark.gpu

OURS = ["--smoothing-convention", "fairseq"]
STOCK = ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"]


@pytest.mark.parametrize(
    "options",
    [
        ["--bf16"],
        ["--fp16"],
        ["--fp16", "--fp16-init-scale", "33554432"],  # the first updates overflow
        ["--memory-efficient-bf16"],
        ["--memory-efficient-fp16"],
    ],
    ids=" ".join,
)
def test_half_precision_trains_as_fairseq_does(train, options):
    values, _ = train("ours", *OURS, *options, device=None)
    expected, _ = train("none", *OURS, *options, "--faster", "none", device=None)
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
