"""The numbers of conformance.json against their definitions and other libraries, and the command's findings."""

import numpy as np
import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from torch.nn import functional

from mt_ls.smoothing import conformance
from mt_ls.smoothing.conformance import CONVENTIONS, check, main
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.smoothing.logits import smoothed_cross_entropy


def distribution(convention, n_classes, target, alpha, padding):
    """The targets q (K,) by the definitions of the paper (section 1.1), fairseq PR 3182, and JoeyNMT's XentLoss."""
    q = np.zeros(n_classes)
    if convention == "paper":
        q += alpha / n_classes
        q[target] += 1 - alpha
        return q
    q += alpha / (n_classes - (2 if convention == "joeynmt" else 1))
    q[target] = 1 - alpha
    if convention == "joeynmt":
        q[padding] = 0
    return q


@pytest.mark.parametrize("case", conformance.cases(), ids=lambda case: case.name)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_numbers_are_those_of_the_definitions(case, convention):
    expected = case.expected[convention]
    for batch, loss, gradients in zip(case.batches, expected.losses, expected.gradients, strict=True):
        total = 0.0
        for logits, target, gradient in zip(np.array(batch.logits), batch.targets, gradients, strict=True):
            if target == case.ignore_index:
                assert not any(gradient)
                continue
            log_p = logits - np.log(np.exp(logits).sum())
            q = distribution(convention, len(logits), target, case.label_smoothing, case.ignore_index)
            entropy = -(q[q > 0] * np.log(q[q > 0])).sum() if convention in ("tensor2tensor", "joeynmt") else 0.0
            total += -(q * log_p).sum() - entropy
            assert gradient == pytest.approx(np.exp(log_p) - q, abs=1e-8)
        assert loss == pytest.approx(total, abs=1e-8)


def of_fairseq(logits, targets, label_smoothing, ignore_index):
    log_p = functional.log_softmax(logits, dim=-1)
    return label_smoothed_nll_loss(log_p, targets, label_smoothing, ignore_index, reduce=True)[0]


def divergence(share):
    """Kullback-Leibler's, summed, of targets with alpha over K - ``share`` classes: JoeyNMT (2), tensor2tensor (1)."""

    def loss(logits, targets, label_smoothing, ignore_index):
        n_classes = logits.shape[1]
        q = torch.full_like(logits, label_smoothing / (n_classes - share))
        q.scatter_(1, targets.unsqueeze(1), 1 - label_smoothing)
        if share == 2:
            q[:, ignore_index] = 0
        q[targets == ignore_index] = 0
        return functional.kl_div(functional.log_softmax(logits, dim=-1), q, reduction="sum")

    return loss


def ours(logits, targets, label_smoothing, ignore_index):
    of = smoothed_cross_entropy(logits, targets, Smoothing(amount=label_smoothing))
    return of.loss[targets != ignore_index].sum()


def torch_sum(logits, targets, label_smoothing, ignore_index):
    return functional.cross_entropy(
        logits, targets, label_smoothing=label_smoothing, ignore_index=ignore_index, reduction="sum"
    )


def padded_mean(logits, targets, label_smoothing, ignore_index):
    return torch_sum(logits, targets, label_smoothing, ignore_index) / len(targets)


@pytest.mark.parametrize(
    ("loss", "convention", "reduction"),
    [
        (functional.cross_entropy, "paper", "mean over the tokens"),
        (torch_sum, "paper", "sum"),
        (ours, "paper", "sum"),
        (of_fairseq, "fairseq", "sum"),
        (divergence(1), "tensor2tensor", "sum"),
        (divergence(2), "joeynmt", "sum"),
        (padded_mean, "paper", "mean over tokens and padding"),
    ],
)
def test_a_loss_is_named_after_its_convention(loss, convention, reduction):
    finding = check(loss)
    assert (finding.convention, finding.reduction, finding.gradient_alone) == (convention, reduction, False)
    assert finding.is_conforming == (loss is not padded_mean)
    assert (finding.factor is None) == (reduction == "sum")


def test_no_convention_and_a_gradient_alone():
    """Smoothing of the wrong amount, and a loss with a constant added to it."""
    other = check(lambda logits, targets, label_smoothing, ignore_index: torch_sum(logits, targets, 0.5, ignore_index))
    assert not other.is_conforming and other.lines() == [
        "follows none of the conventions: paper, fairseq, tensor2tensor, joeynmt"
    ]
    shifted = check(lambda *arguments, **options: torch_sum(*arguments, **options) + 3)
    assert shifted.convention == "paper" and shifted.gradient_alone and "another one" in shifted.lines()[0]


def inflating(logits, targets, label_smoothing, ignore_index, num_items_in_batch=None):
    """The fault of transformers' issue 46731: it is told the tokens of the update, and divides by its batch's own."""
    return functional.cross_entropy(logits, targets, label_smoothing=label_smoothing, ignore_index=ignore_index)


def accumulating(logits, targets, label_smoothing, ignore_index, num_items_in_batch=None):
    total = torch_sum(logits, targets, label_smoothing, ignore_index)
    return total / (num_items_in_batch or (targets != ignore_index).sum())


def test_a_loss_that_inflates_accumulated_gradients_is_found():
    wrong, right = check(inflating), check(accumulating)
    assert not wrong.is_conforming and wrong.factor > 1.5 and "accumulation: " in wrong.lines()[-1]
    assert right.is_conforming and right.factor is None and len(right.lines()) == 2


def test_the_command_prints_the_finding(capsys, tmp_path, monkeypatch):
    assert main(["torch.nn.functional:cross_entropy"]) == 0
    assert capsys.readouterr().out.startswith("paper: ")
    (tmp_path / "my_loss.py").write_text(
        "def zero(logits, targets, label_smoothing, ignore_index):\n    return 0 * logits.sum()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["my_loss:zero"]) == 1
    assert "follows none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torch", "name a function as MODULE:FUNCTION"),
        ("no_such_module:f", "cannot be imported (No module named"),
        ("torch.nn.functional:no_such", "cannot be imported"),
        ("torch.nn.functional:relu", "cannot be called"),
        ("math:pi", "cannot be called"),
    ],
)
def test_what_is_no_loss_is_one_line(name, reason, capsys):
    assert main([name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mt_ls.smoothing.conformance: error: ") and reason in error and error.count("\n") == 1
