"""--faster: the same training as fairseq's. Here the parts for a GPU run on a CPU too."""

import math

import numpy as np
import pytest
import torch
from commands import MODEL

from mt_ls.plugin import attention, optimizer, precision, task, trainer
from mt_ls.plugin import train as plugin_command
from mt_ls.plugin.faster import NAMES, parse_names
from mt_ls.plugin.stopping import Stop

STOCK = ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"]
OURS = ["--smoothing-convention", "fairseq"]
FLOAT_NOISE = 1e-4
"""Of a parameter after eleven updates."""


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Run the parts for a GPU on this machine's CPU."""
    monkeypatch.setattr(trainer.Trainer, "on_gpu", lambda self: True)
    monkeypatch.setattr(attention, "_is_fused", lambda module, tokens: module.training)


def _distance(state, other):
    """The greatest difference of a parameter between two checkpoints."""
    assert state["model"].keys() == other["model"].keys()
    return max(float((state["model"][name] - other["model"][name]).abs().max()) for name in state["model"])


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--adam-eps", "1e-3", "--weight-decay", "0.01"],
        ["--left-pad-target", "--left-pad-source"],
        ["--update-freq", "2", "--encoder-normalize-before", "--decoder-normalize-before"],
        ["--arch", "transformer_iwslt_de_en", "--decoder-layers", "2", "--encoder-layers", "2", "--max-update", "4"],
    ],
)
def test_all_parts_together_train_what_fairseq_trains(train, as_on_a_gpu, more):
    """The log's lines to its last digits, and the parameters to float noise, with dropout from the same seed."""
    values, state = train("ours", *OURS, *more)
    expected, stock = train("stock", *STOCK, *more)
    np.testing.assert_allclose(values, expected, rtol=0, atol=2e-3)
    assert 0 < _distance(state, stock) < FLOAT_NOISE


def test_the_noise_allowed_is_less_than_another_place_of_epsilon_makes(train, as_on_a_gpu, monkeypatch):
    more = ["--adam-eps", "1e-3"]
    _, stock = train("stock", *STOCK, *more)
    monkeypatch.setattr(optimizer, "_eps_after_correction", lambda eps, beta2, step: eps)
    _, torchs = train("torch", *OURS, *more)
    assert _distance(torchs, stock) > 10 * FLOAT_NOISE


def test_on_a_cpu_the_numbers_are_equal(train):
    """Kept batches over several epochs, and dropout; nothing else is on."""
    more = [*OURS, "--max-tokens", "3000", "--max-update", "20"]
    values, state = train("all", *more)
    expected, none = train("none", *more, "--faster", "none")
    assert values == expected and len([line for line in values if line]) > 6
    assert _distance(state, none) == 0


@pytest.mark.parametrize(("first", "then"), [("all", "none"), ("none", "all")])
def test_a_checkpoint_is_gone_on_from_with_and_without_the_parts(train, as_on_a_gpu, first, then):
    _, whole = train("whole", *OURS, "--faster", "none")
    _, half = train("run", *OURS, "--faster", first, "--max-update", "6")
    _, state = train("run", *OURS, "--faster", then)
    assert _distance(state, whole) < FLOAT_NOISE
    names = [sorted(values) for values in half["last_optimizer_state"]["state"].values()]
    assert names and all(of == ["exp_avg", "exp_avg_sq", "step"] for of in names)
    assert all(values["step"] == 6 for values in half["last_optimizer_state"]["state"].values())
    assert half["optimizer_history"][-1]["optimizer_name"] == "FairseqAdam"


@pytest.mark.parametrize(
    "options",
    [
        ["--fp16"],
        ["--fp16", "--fp16-init-scale", "33554432"],  # the first updates overflow, and are left out
        ["--bf16"],
        ["--memory-efficient-fp16"],
    ],
    ids=" ".join,
)
def test_half_precision_trains_as_fairseq_does(train, as_on_a_gpu, monkeypatch, options):
    """A CPU has half precision, too slow to train in. Losses within their rounding, and the same overflows."""
    monkeypatch.setattr(precision, "_HALF", ())  # the option is refused on a CPU
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)  # the index of a CPU
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    options = [*options, "--optimizer", "adam", "--dropout", "0"]
    values, state = train("ours", *OURS, *options)
    expected, other = train("none", *OURS, *options, "--faster", "none")
    losses, others = ([line[:3] for line in lines] for lines in (values, expected))
    np.testing.assert_allclose(losses, others, rtol=2e-2)
    ours, fairseqs = (one["last_optimizer_state"].get("loss_scale") for one in (state, other))
    assert ours == fairseqs and _distance(state, other) < 0.05


def test_a_signal_is_seen_after_the_update_it_comes_in(train, as_on_a_gpu, monkeypatch):
    """The log is asked at once then, whatever its interval."""
    read, copied = [], trainer._on_the_host
    monkeypatch.setattr(trainer, "_on_the_host", lambda updates: read.append(len(updates)) or copied(updates))
    stop = Stop()
    stop.asked = True
    for module in (trainer, task):
        monkeypatch.setattr(module, "STOP", stop)
    train("run", *OURS, "--log-interval", "100")
    assert read[:11] == [1] * 11 and stop.agreed


def test_losses_are_read_when_the_log_prints_them(train, as_on_a_gpu, monkeypatch):
    read, copied = [], trainer._on_the_host
    monkeypatch.setattr(
        trainer, "_on_the_host", lambda updates: read.append([u.number for u in updates]) or copied(updates)
    )
    train("run", *OURS)
    assert [numbers for numbers in read if numbers] == [[1], [2, 3], [4, 5, 6], [7, 8, 9], [10, 11]]


@pytest.mark.parametrize("more", [[], ["--save-interval-updates", "1"]])
def test_a_loss_that_is_not_finite_is_found_late_and_named_and_not_saved(train, as_on_a_gpu, tmp_path, more):
    with pytest.raises(trainer.NotFiniteError, match=r"^update 2: the loss or its gradient is not finite$"):
        train("run", *OURS, "--lr", "1e30", "--lr-scheduler", "fixed", "--log-interval", "100", *more)
    saved = [torch.load(path, weights_only=True)["model"] for path in (tmp_path / "run").glob("*.pt")]
    assert bool(saved) == bool(more)
    assert all(torch.isfinite(values).all() for model in saved for values in model.values())


def test_the_command_names_the_update_that_was_found_late(tmp_path):
    assert plugin_command._reason(trainer.NotFiniteError(17), tmp_path).startswith(
        "update 17: the loss or its gradient"
    )


def test_validation_sees_the_log_of_all_updates_before_it(train, as_on_a_gpu, monkeypatch):
    pending, stock = [], trainer.stock.Trainer.begin_valid_epoch
    monkeypatch.setattr(
        trainer.stock.Trainer,
        "begin_valid_epoch",
        lambda self, epoch: pending.append(len(self._pending)) or stock(self, epoch),
    )
    train("run", *OURS, "--validate-interval-updates", "4")
    assert pending == [0, 0, 0]


@pytest.mark.parametrize(
    ("value", "names"),
    [("all", set(NAMES)), ("none", set()), ("adam", {"adam"}), ("log, batches", {"log", "batches"})],
)
def test_names_are_chosen_by_commas(value, names):
    assert parse_names(value) == names


def test_an_unknown_name_is_one_line(data, tmp_path, capsys):
    arguments = [option for option in MODEL if option not in ("--user-dir", "mt_ls")]
    arguments += ["--max-tokens", "600", "--save-dir", str(tmp_path), "--faster", "adam,speed"]
    assert plugin_command.main([str(data), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.train: error: --faster knows no 'speed': choose all, none, or of adam, attention,")


def test_another_task_has_the_stock_trainer(train, as_on_a_gpu, monkeypatch):
    monkeypatch.setattr(trainer, "hasten_optimizer", lambda _, names: pytest.fail("hastened") if names else None)
    monkeypatch.setattr(trainer, "keep_batches", lambda *_: pytest.fail("kept"))
    values, _ = train("stock", *STOCK)
    assert len(values) == 4 and all(math.isfinite(value) for line in values for value in line)
