"""The translation task: every sentence counts, beam search can record probabilities, and a signal can stop it.

Annotations are old style here: fairseq reads dataclasses at run time and knows no ``X | None``.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Optional

from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from ..calibration.temperature import check_temperature
from . import faster
from .dropout import hasten_dropout
from .hypotheses import encoder_states, token_probabilities
from .option_errors import option_errors
from .recording import HypothesisFile
from .stopping import STOP

NAME = "translation_with_calibration"


@dataclass
class TranslationWithCalibrationConfig(TranslationConfig):
    """The options of fairseq's translation task, and two more."""

    calibration_records: Optional[str] = field(
        default=None,
        metadata={"help": "write probabilities and entropy of every generated token to this file (JSON lines)"},
    )
    faster: str = field(default="all", metadata={"help": faster.HELP})


@register_task(NAME, dataclass=TranslationWithCalibrationConfig)
class TranslationWithCalibrationTask(TranslationTask):
    """fairseq's translation task, with the same hypotheses.

    It iterates over every sentence of every set but train, where fairseq drops the remainder of a last batch. With
    ``--calibration-records FILE`` it writes a `HypothesisFile`. ``update`` is the number of updates before the current
    one. Raises `OptionError` for an unknown name in ``--faster``.
    """

    update = 0

    def __init__(self, cfg, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        with option_errors():
            self._faster = faster.names_of(self)
        self._n_typed = 0
        self._ids_of_typed: deque = deque()

    def get_batch_iterator(self, dataset, *args, **kwargs):
        """fairseq's iterator; only a pass over ``train`` may drop the remainder of a last batch.

        A training that resumes in a later ``epoch`` has the batches of one that was never interrupted, which fairseq
        draws for the epoch that a process begins with.
        """
        if dataset is not self.datasets.get("train"):
            kwargs["required_batch_size_multiple"] = 1
        cached = self.dataset_to_epoch_iter.get(dataset)
        epoch = max(kwargs.pop("epoch", 1), 1)
        iterator = super().get_batch_iterator(dataset, *args, epoch=1, **kwargs)
        if iterator is not cached:
            dataset.set_epoch(epoch)
            iterator.epoch = epoch
        if self.cfg.calibration_records and any(dataset is of_a_split for of_a_split in self.datasets.values()):
            batches = list(iterator.frozen_batches)[kwargs.get("shard_id", 0) :: kwargs.get("num_shards", 1)]
            n_sentences = sum(len(batch) for batch in batches)
            self._file = HypothesisFile(self.cfg.calibration_records, self.tgt_dict, n_sentences)
        elif self.cfg.calibration_records:
            self._number_typed(iterator)
        return iterator

    def _number_typed(self, iterator):
        """Number the sentences of fairseq-interactive over all of its buffers, each of which has an iterator.

        It keeps the ids of a batch to itself, but searches the batches in the order in which they are collated here.
        """
        if not self._n_typed:
            self._file = HypothesisFile(self.cfg.calibration_records, self.tgt_dict)
        first, collate = self._n_typed, iterator.collate_fn
        self._n_typed += len(iterator.dataset)

        def collate_and_number(examples):
            batch = collate(examples)
            self._ids_of_typed.append(batch["id"] + first)
            return batch

        iterator.collate_fn = collate_and_number

    def build_model(self, cfg, from_checkpoint=False):
        """The stock model; its dropout draws the same masks in less time."""
        model = super().build_model(cfg, from_checkpoint)
        if "dropout" in self._faster:
            hasten_dropout(model)
        return model

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """The stock step; its log says whether a signal has asked this worker to stop (see `Stop`)."""
        TranslationWithCalibrationTask.update = update_num
        loss, sample_size, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        return loss, sample_size, {**log, **STOP.logged()}

    def reduce_metrics(self, logging_outputs, criterion):
        """The stock metrics of all workers; they stop if a signal has asked any of them."""
        super().reduce_metrics(logging_outputs, criterion)
        STOP.seen(logging_outputs)

    def build_generator(self, models, args, *rest, **kwargs):
        """The stock generator. Raises `OptionError` for a temperature that is not > 0."""
        with option_errors():
            check_temperature(getattr(args, "temperature", 1.0))
        self._nbest = getattr(args, "nbest", 1)
        return super().build_generator(models, args, *rest, **kwargs)

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """The stock hypotheses, recorded on request with their probabilities at the generator's temperature."""
        if not self.cfg.calibration_records:
            return super().inference_step(generator, models, sample, prefix_tokens, constraints)
        with encoder_states(generator) as encoded:
            hypotheses = super().inference_step(generator, models, sample, prefix_tokens, constraints)
        best = [ranked[: self._nbest] for ranked in hypotheses]
        temperature = getattr(generator, "temperature", 1.0)
        if "id" not in sample:
            sample = {**sample, "id": self._ids_of_typed.popleft()}
        self._file.add(sample, best, token_probabilities(models, sample, best, temperature, encoded), temperature)
        return hypotheses
