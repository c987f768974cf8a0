"""The translation task with calibration hooks in beam search.

Annotations stay old style here: fairseq's dataclasses are read at run time and know no ``X | None``.
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from ..calibration.bins import Bins
from ..calibration.generated import JudgedTokens
from ..calibration.temperature import check_temperature
from ..records.record import written_whole
from .dropout import hasten_dropout
from .hypotheses import encoder_states, judge, token_probabilities
from .stopping import STOP

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
    which fairseq may drop the last batch; and, with ``--calibration-records FILE``, writes one line a hypothesis.
    ``update`` is the number of updates before the one at hand."""

    update = 0

    def __init__(self, cfg, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        self._lines: dict[int, list[dict[str, Any]]] = {}
        self._best: list[JudgedTokens] = []
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

    def build_model(self, cfg, from_checkpoint=False):
        """The stock model, whose dropout draws the same masks in less time."""
        model = super().build_model(cfg, from_checkpoint)
        hasten_dropout(model)
        return model

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """The stock step; what it logs says whether this worker was asked to stop (see `Stop`)."""
        TranslationWithCalibrationTask.update = update_num
        loss, sample_size, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        return loss, sample_size, {**log, **STOP.logged()}

    def reduce_metrics(self, logging_outputs, criterion):
        """The stock metrics of all workers; stops where any of them was asked to."""
        super().reduce_metrics(logging_outputs, criterion)
        STOP.seen(logging_outputs)

    def build_generator(self, models, args, *rest, **kwargs):
        """The stock generator; its temperature is the one the recorded probabilities are at."""
        check_temperature(getattr(args, "temperature", 1.0))
        self._nbest = getattr(args, "nbest", 1)
        return super().build_generator(models, args, *rest, **kwargs)

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """The stock hypotheses; records them on the way when asked to."""
        if not self.cfg.calibration_records:
            return super().inference_step(generator, models, sample, prefix_tokens, constraints)
        with encoder_states(generator) as encoded:
            hypotheses = super().inference_step(generator, models, sample, prefix_tokens, constraints)
        kept = [ranked[: self._nbest] for ranked in hypotheses]
        temperature = getattr(generator, "temperature", 1.0)
        statistics = token_probabilities(models, sample, kept, temperature, encoded)
        self._record(sample, kept, statistics, temperature)
        return hypotheses

    def _record(self, sample, hypotheses, statistics, temperature) -> None:
        for row, sentence in enumerate(sample["id"].tolist()):
            self._lines[sentence] = []
            for rank, (hypothesis, values) in enumerate(zip(hypotheses[row], statistics[row], strict=True)):
                ids = hypothesis["tokens"].cpu()
                line = {"id": sentence, "rank": rank, "temperature": temperature}
                line["tokens"] = [self.tgt_dict[token] for token in ids.tolist()]
                line |= {name: value.tolist() for name, value in values._asdict().items()}
                if sample.get("target") is not None:
                    hit, unmoved = judge(self.tgt_dict, ids, sample["target"][row])
                    line |= {"hit": hit.tolist(), "kept": unmoved.tolist()}
                    if rank == 0:
                        eos = ids == self.tgt_dict.eos()
                        self._best.append(JudgedTokens(values.probability, hit, unmoved, eos, torch.zeros_like(ids)))
                self._lines[sentence].append(line)
        if len(self._lines) == self._n_expected:
            self._finish()

    def _finish(self) -> None:
        with written_whole(self.cfg.calibration_records) as path, open(path, "w", encoding="utf-8") as file:
            for sentence in sorted(self._lines):
                for line in self._lines[sentence]:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        logger.info(f"calibration of {len(self._lines)} sentences written to {self.cfg.calibration_records}")
        if self._best:
            judged = JudgedTokens(*map(torch.cat, zip(*self._best, strict=True)))
            for name, sums in judged.sums(1).items():
                bins = Bins.from_sums(sums[0])
                logger.info(
                    f"beam ECE of {name}: {bins.ece():.4f} (tokens {bins.n}, confidence "
                    f"{bins.mean_confidence:.4f}, right {bins.accuracy:.4f})"
                )
            logger.info(f"tokens left out of beam ECE (shifted): {judged.n_left_out}")
        self._lines, self._best = {}, []
