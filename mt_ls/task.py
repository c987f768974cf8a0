"""The translation task with calibration hooks in beam search.

Annotations stay old style here: fairseq's dataclasses are read at run time and know no ``X | None``.
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import torch
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from .alignment import align
from .calibration import Bins, bin_sums
from .generator import token_probabilities
from .records import written_whole
from .temperature import check_temperature

logger = logging.getLogger(__name__)


@dataclass
class TranslationWithCalibrationConfig(TranslationConfig):
    """fairseq's translation task and one option."""

    calibration_records: Optional[str] = field(
        default=None,
        metadata={"help": "write probabilities and entropy of every generated token to this file (JSON lines)"},
    )


@register_task("translation_with_calibration", dataclass=TranslationWithCalibrationConfig)
class TranslationWithCalibrationTask(TranslationTask):
    """Finds the hypotheses of fairseq's translation task, exactly; sees every sentence of every set but train, from
    which fairseq may drop the last batch; and, with ``--calibration-records FILE``, writes one line a hypothesis."""

    def __init__(self, cfg, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        self._lines: Dict[int, List[Dict[str, Any]]] = {}
        self._bins = {"others": Bins.zeros(), "eos": Bins.zeros()}
        self._n_left_out = 0
        self._n_expected = 0

    def get_batch_iterator(self, dataset, *args, **kwargs):
        """fairseq's iterator; only a pass over ``train`` may drop the remainder of a last batch."""
        if dataset is not self.datasets.get("train"):
            kwargs["required_batch_size_multiple"] = 1
        iterator = super().get_batch_iterator(dataset, *args, **kwargs)
        if self.cfg.calibration_records:
            shards = kwargs.get("num_shards", 1)
            batches = list(iterator.frozen_batches)[kwargs.get("shard_id", 0) :: shards]
            self._n_expected = sum(len(batch) for batch in batches)
        return iterator

    def build_generator(self, models, args, *rest, **kwargs):
        """The stock generator; its temperature is the one the recorded probabilities are at."""
        check_temperature(getattr(args, "temperature", 1.0))
        self._nbest = getattr(args, "nbest", 1)
        return super().build_generator(models, args, *rest, **kwargs)

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """The stock hypotheses; records them on the way when asked to."""
        hypotheses = super().inference_step(generator, models, sample, prefix_tokens, constraints)
        if self.cfg.calibration_records:
            self._record(models, sample, hypotheses, getattr(generator, "temperature", 1.0))
        return hypotheses

    def _record(self, models, sample, hypotheses, temperature) -> None:
        kept = [ranked[: self._nbest] for ranked in hypotheses]
        statistics = token_probabilities(models, sample, kept, temperature)
        for row, sentence in enumerate(sample["id"].tolist()):
            self._lines[sentence] = []
            for rank, (hypothesis, values) in enumerate(zip(kept[row], statistics[row], strict=True)):
                tokens = [self.tgt_dict[token] for token in hypothesis["tokens"].tolist()]
                line = {"id": sentence, "rank": rank, "temperature": temperature, "tokens": tokens}
                line |= {name: value.tolist() for name, value in values._asdict().items()}
                if sample.get("target") is not None:
                    line |= self._aligned(tokens, sample["target"][row], values.probability, rank)
                self._lines[sentence].append(line)
        if len(self._lines) == self._n_expected:
            self._finish()

    def _aligned(self, tokens, target, probability, rank) -> Dict[str, Any]:
        ended = tokens[-1] == self.tgt_dict.eos_word
        flags = align(tokens[:-1] if ended else tokens, reference_tokens(self.tgt_dict, target))
        hit, kept = flags.hit[: len(tokens)], flags.kept[: len(tokens)]
        if rank == 0:
            by_class, left_out = beam_bins([(probability, hit, kept, ended)])
            self._bins = {name: self._bins[name] + bins for name, bins in by_class.items()}
            self._n_left_out += left_out
        return {"hit": hit, "kept": kept}

    def _finish(self) -> None:
        with written_whole(self.cfg.calibration_records) as path, open(path, "w", encoding="utf-8") as file:
            for sentence in sorted(self._lines):
                for line in self._lines[sentence]:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        logger.info(f"calibration of {len(self._lines)} sentences written to {self.cfg.calibration_records}")
        for name, bins in self._bins.items():
            if bins.n:
                logger.info(
                    f"beam ECE of {name}: {bins.ece():.4f} (tokens {bins.n}, confidence "
                    f"{bins.mean_confidence:.4f}, right {bins.accuracy:.4f})"
                )
        logger.info(f"tokens left out of beam ECE (shifted): {self._n_left_out}")
        self._lines = {}
        self._bins = {name: Bins.zeros() for name in self._bins}
        self._n_left_out = 0


def reference_tokens(dictionary, target: torch.Tensor) -> List[str]:
    """The text tokens of a padded target (T,): no PAD, no EOS."""
    special = {dictionary.pad(), dictionary.eos()}
    return [dictionary[token] for token in target.tolist() if token not in special]


def beam_bins(hypotheses) -> tuple:
    """({"others": Bins, "eos": Bins}, number of tokens left out) of (probability (L,), hit, kept, whether the last
    token is EOS). Shifted tokens are left out, as InfECE does; beam ECE is that of "others"."""
    sums = {"others": torch.zeros(3, 15, dtype=torch.float64), "eos": torch.zeros(3, 15, dtype=torch.float64)}
    left_out = 0
    for probability, hit, kept, ended in hypotheses:
        probability, hit, kept = probability.clamp(max=1.0), torch.tensor(hit), torch.tensor(kept)
        body = slice(0, len(hit) - int(ended))
        keep = kept[body]
        left_out += int((~keep).sum())
        sums["others"] += bin_sums(probability[body][keep], hit[body][keep])
        if ended:
            sums["eos"] += bin_sums(probability[-1:], hit[-1:])
    return {name: Bins.from_sums(value) for name, value in sums.items()}, left_out
