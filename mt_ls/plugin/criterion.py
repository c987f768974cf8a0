"""fairseq's criterion: label-smoothed cross entropy that shows calibration in the training log.

The loss itself is in `mt_ls.smoothing`. Annotations are old style here: fairseq reads dataclasses at run time and knows
no ``X | None``.
"""

import logging
import math
from dataclasses import dataclass, field
from typing import Any, Optional, cast

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from ..calibration.bins import Bins
from ..calibration.sums import bin_sums
from ..smoothing.hidden import linear_smoothed_cross_entropy
from ..smoothing.kinds import CONVENTIONS, KINDS, Convention, Kind, Smoothing
from ..smoothing.logits import SmoothedLoss, smoothed_cross_entropy
from ..smoothing.prior import prior_of
from ..smoothing.products import PRODUCTS, check_products
from .option_errors import option_errors
from .projection import output_projection
from .target_counts import target_counts

NAME = "label_smoothed_cross_entropy_with_calibration"

logger = logging.getLogger(__name__)


@dataclass
class LabelSmoothedCrossEntropyWithCalibrationConfig(FairseqDataclass):
    """The criterion's options; the first three have the meaning of fairseq's ``label_smoothed_cross_entropy``."""

    label_smoothing: float = field(
        default=0.0, metadata={"help": "probability taken from the target token and given to the prior, in [0, 1)"}
    )
    report_accuracy: bool = field(default=False, metadata={"help": "log accuracy (in percent), n_correct and total"})
    ignore_prefix_size: int = field(default=0, metadata={"help": "leave out the first N target positions"})
    smoothing_kind: ChoiceEnum(KINDS) = field(  # type: ignore[valid-type]
        default="uniform",
        metadata={"help": "prior over the tokens: uniform, or unigram (token frequencies of the training targets)"},
    )
    smoothing_convention: ChoiceEnum(CONVENTIONS) = field(  # type: ignore[valid-type]
        default="paper",
        metadata={"help": "paper: alpha/K on every token; fairseq: epsilon/(K-1) on the wrong ones"},
    )
    projection_products: ChoiceEnum(PRODUCTS) = field(  # type: ignore[valid-type]
        default="float32",
        metadata={"help": "matrix products of the output projection on a CPU; bfloat16 where the CPU has it"},
    )
    # Without help text these are other groups' options, of the same names.
    sentence_avg: bool = II("optimization.sentence_avg")
    train_subset: str = II("dataset.train_subset")


def check_options(options: Any) -> None:
    """Raise ValueError for a smoothing or products that options of the command line cannot have."""
    _smoothing(options.smoothing_kind, options.label_smoothing, options.smoothing_convention)
    check_products(str(options.projection_products))


def _smoothing(kind: Any, amount: float, convention: Any) -> Smoothing:
    # fairseq gives choices as strings or as members of an Enum.
    return Smoothing(cast(Kind, str(kind)), amount, cast(Convention, str(convention)))


@register_criterion(NAME, dataclass=LabelSmoothedCrossEntropyWithCalibrationConfig)
class LabelSmoothedCrossEntropyWithCalibration(FairseqCriterion):
    """Label-smoothed cross entropy of every target token; PAD never counts.

    The log has ``loss`` and ``nll_loss`` in fairseq's units (base 2, a token), and ``ece``, ``confidence`` and
    ``token_accuracy`` (teacher forced, 15 equal-width bins). Raises `OptionError` for a bad option, and for unigram
    smoothing without the training targets (see `target_counts`).
    """

    def __init__(
        self,
        task,
        sentence_avg,
        label_smoothing,
        smoothing_convention="paper",
        ignore_prefix_size=0,
        report_accuracy=False,
        projection_products="float32",
        smoothing_kind="uniform",
        train_subset="train",
    ):
        super().__init__(task)
        self.sentence_avg = sentence_avg
        self.ignore_prefix_size = ignore_prefix_size
        self.report_accuracy = report_accuracy
        with option_errors():
            self.smoothing = _smoothing(smoothing_kind, label_smoothing, smoothing_convention)
            self.products = check_products(str(projection_products))
            counts = target_counts(task, train_subset) if self.smoothing.kind == "unigram" else None
        # Not a buffer: the trainer would round it to the precision of the model.
        self._prior: Optional[torch.Tensor] = prior_of(self.smoothing, counts)
        self._explained = False

    def forward(self, model, sample, reduce=True):
        """Return loss, sample size and logging output.

        The loss is the sum over tokens in nats, or with ``reduce=False`` that of each position (B * T,), zero at PAD.
        """
        target = model.get_targets(sample, None)[:, self.ignore_prefix_size :].reshape(-1)
        total, rows = self._loss(model, sample, target)
        real = target.ne(self.padding_idx)
        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        logging_output = {
            "loss": total.detach(),
            "nll_loss": rows.nll.sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["target"].size(0),
            "sample_size": sample_size,
            "calibration": bin_sums(rows.confidence, rows.hit, where=real),
        }
        if rows.entropy is not None:
            logging_output["entropy"] = rows.entropy.sum()
        if self.report_accuracy:
            logging_output["n_correct"] = rows.hit.sum()
            logging_output["total"] = real.sum()
        return total if reduce else rows.loss, sample_size, logging_output

    def _loss(self, model, sample, target) -> tuple[torch.Tensor, SmoothedLoss]:
        """Sum of the loss, and the loss and statistics of each position, zero at PAD.

        Where the model's last step is one matrix, the criterion takes hidden states and does that step itself. Any
        other model gives its log-probabilities.
        """
        if self._prior is not None:
            self._prior = self._prior.to(target.device)
        weight = output_projection(model)
        if weight is None:
            self._explain_once(
                f"{type(model).__name__} does its last step itself: loss and calibration from its log-"
                "probabilities, in more time and memory"
            )
            log_p = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
            log_p = self._positions(log_p)
            rows = smoothed_cross_entropy(log_p, target, self.smoothing, self._prior, self.padding_idx)
            return rows.loss.sum(), rows
        hidden = self._positions(model(**sample["net_input"], features_only=True)[0])
        return linear_smoothed_cross_entropy(
            hidden, weight, target, self.smoothing, self._prior, self.products, self.padding_idx
        )

    def _explain_once(self, message: str) -> None:
        if not self._explained:
            logger.info(message)
        self._explained = True

    def _positions(self, output) -> torch.Tensor:
        """The rows (B * T, ...) of ``output`` (B, T, ...), without the prefix."""
        return output[:, self.ignore_prefix_size :].flatten(0, 1)

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log the sums over batches, accumulation steps and workers."""

        def total_of(key):
            return sum(log.get(key, 0) for log in logging_outputs)

        sample_size, ntokens = total_of("sample_size"), total_of("ntokens")
        metrics.log_scalar("loss", total_of("loss") / sample_size / math.log(2), sample_size, round=3)
        metrics.log_scalar("nll_loss", total_of("nll_loss") / ntokens / math.log(2), ntokens, round=3)
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))
        if "entropy" in logging_outputs[0]:
            metrics.log_scalar("entropy", total_of("entropy") / ntokens, ntokens, round=4)

        sums = total_of("calibration")
        if isinstance(sums, torch.Tensor):
            # The leading underscore keeps the array out of the printed log; the meter holds its sums.
            metrics.log_scalar_sum("_calibration", sums.cpu().numpy())
            metrics.log_derived("ece", lambda meters: round(_bins(meters).ece(), 4))
            metrics.log_derived("confidence", lambda meters: round(_bins(meters).mean_confidence, 4))
            metrics.log_derived("token_accuracy", lambda meters: round(_bins(meters).accuracy, 4))
        total = utils.item(total_of("total"))
        if total > 0:
            metrics.log_scalar("total", total)
            metrics.log_scalar("n_correct", utils.item(total_of("n_correct")))
            metrics.log_derived(
                "accuracy", lambda meters: round(meters["n_correct"].sum * 100.0 / meters["total"].sum, 3)
            )

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: bins add up over workers as losses do."""
        return True


def _bins(meters) -> Bins:
    return Bins.from_sums(meters["_calibration"].sum)
