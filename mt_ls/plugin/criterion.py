"""Label-smoothed cross entropy that shows calibration in the training log.

Annotations stay old style here: fairseq's dataclasses are read at run time and know no ``X | None``.
"""

import logging
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from ..calibration.bins import Bins, bin_sums
from ..smoothing.loss import (
    CONVENTIONS,
    PRODUCTS,
    SmoothedLoss,
    check_products,
    linear_smoothed_cross_entropy,
    paper_alpha,
    smoothed_cross_entropy,
)
from .projection import output_projection

logger = logging.getLogger(__name__)


@dataclass
class LabelSmoothedCrossEntropyWithCalibrationConfig(FairseqDataclass):
    """Options; the first three mean what they mean in fairseq's ``label_smoothed_cross_entropy``."""

    label_smoothing: float = field(
        default=0.0, metadata={"help": "mass moved from the reference token to all, in [0, 1)"}
    )
    report_accuracy: bool = field(default=False, metadata={"help": "log accuracy, n_correct and total in percent"})
    ignore_prefix_size: int = field(default=0, metadata={"help": "leave out the first N target positions"})
    smoothing_convention: ChoiceEnum(CONVENTIONS) = field(  # type: ignore[valid-type]
        default="paper",
        metadata={"help": "paper: alpha/K on every token; fairseq: epsilon/(K-1) on the wrong ones"},
    )
    projection_products: ChoiceEnum(PRODUCTS) = field(  # type: ignore[valid-type]
        default="float32",
        metadata={"help": "matrix products of the output projection on a CPU; bfloat16 where the processor has it"},
    )
    sentence_avg: bool = II("optimization.sentence_avg")


@register_criterion(
    "label_smoothed_cross_entropy_with_calibration", dataclass=LabelSmoothedCrossEntropyWithCalibrationConfig
)
class LabelSmoothedCrossEntropyWithCalibration(FairseqCriterion):
    """Logs ``loss`` and ``nll_loss`` with fairseq's meaning (base 2, sums over tokens), and from additive bins
    ``ece``, ``confidence`` and ``token_accuracy`` (teacher forced; 15 equal-width bins; PAD never counts)."""

    def __init__(
        self,
        task,
        sentence_avg,
        label_smoothing,
        smoothing_convention="paper",
        ignore_prefix_size=0,
        report_accuracy=False,
        projection_products="float32",
    ):
        super().__init__(task)
        self.convention = str(smoothing_convention)
        paper_alpha(label_smoothing, self.convention, 2)  # a bad value fails here, not at the first batch
        self.sentence_avg = sentence_avg
        self.label_smoothing = label_smoothing
        self.ignore_prefix_size = ignore_prefix_size
        self.report_accuracy = report_accuracy
        self.products = check_products(str(projection_products))
        self._said = False

    def forward(self, model, sample, reduce=True):
        """(loss, sample size, logging output): the loss is the sum over tokens in nats, or with
        ``reduce=False`` one value a position (B * T,), zero at PAD."""
        target = model.get_targets(sample, None)[:, self.ignore_prefix_size :].reshape(-1)
        real = target.ne(self.padding_idx)
        total, rows = self._loss(model, sample, target, real)
        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        logging_output = {
            "loss": rows.loss.detach().sum(),
            "nll_loss": rows.nll.sum(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["target"].size(0),
            "sample_size": sample_size,
            "calibration": bin_sums(rows.confidence, rows.hit),
        }
        if self.report_accuracy:
            logging_output["n_correct"] = int(rows.hit.sum())
            logging_output["total"] = len(rows.hit)
        if reduce:
            return total, sample_size, logging_output
        return total.new_zeros(target.shape).masked_scatter(real, rows.loss), sample_size, logging_output

    def _loss(self, model, sample, target, real) -> tuple[torch.Tensor, SmoothedLoss]:
        """The summed loss and the values of each real token. Where the model's last step is one matrix, the criterion
        does that step itself, for the real tokens only; any other model gives its log-probabilities."""
        settings = self.label_smoothing, self.convention
        projection = output_projection(model)
        if projection is None:
            self._say_once(
                f"{type(model).__name__} does its last step itself: loss and calibration from its log-"
                "probabilities, in more time and memory"
            )
            log_p = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
            rows = smoothed_cross_entropy(self._rows(log_p, real), target[real], *settings)
            return rows.loss.sum(), rows
        features = self._rows(model(**sample["net_input"], features_only=True)[0], real)
        return linear_smoothed_cross_entropy(features, projection, target[real], *settings, self.products)

    def _say_once(self, message: str) -> None:
        if not self._said:
            logger.info(message)
        self._said = True

    def _rows(self, output, real) -> torch.Tensor:
        """(B, T, ...) as one row a real token, without the prefix."""
        return output[:, self.ignore_prefix_size :].flatten(0, 1)[real]

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Add up what the batches, accumulation steps and workers logged."""

        def total_of(key):
            return sum(log.get(key, 0) for log in logging_outputs)

        sample_size, ntokens = total_of("sample_size"), total_of("ntokens")
        metrics.log_scalar("loss", total_of("loss") / sample_size / math.log(2), sample_size, round=3)
        metrics.log_scalar("nll_loss", total_of("nll_loss") / ntokens / math.log(2), ntokens, round=3)
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))

        sums = total_of("calibration")
        if isinstance(sums, torch.Tensor):
            # The leading underscore keeps the array out of the printed log; its sums live on in the meter.
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
        """Sums all: the bins add up over workers like the losses."""
        return True


def _bins(meters) -> Bins:
    return Bins.from_sums(meters["_calibration"].sum)
