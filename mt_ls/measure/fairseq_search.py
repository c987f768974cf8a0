"""The beam search of a fairseq checkpoint's own task, at many temperatures at once on a GPU."""

from __future__ import annotations

import copy
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..plugin.ensemble import tempered
from ..plugin.finished import finish_on_the_host
from ..smoothing.chunks import chunk_rows

if TYPE_CHECKING:
    from .fairseq_model import FairseqModel

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}

Job = tuple[int, int]
"""A sentence, and the number of the temperature that it is searched at."""


class FairseqSearch:
    """See `Search`. ``precision`` "fp16" or "bf16" searches with a copy of the model in half precision.

    On a GPU a step of the search costs nearly the same for many rows as for few. So sentences at all temperatures share
    batches that are as large as their logits may be, unless the model's limits of a batch are named.
    """

    name = "fairseq"

    def __init__(self, model: FairseqModel, beam: int, lenpen: float, precision: str | None = None) -> None:
        self._model = model
        network = model.network
        self._networks = [network if precision is None else copy.deepcopy(network).to(_DTYPES[precision])]
        self._options = {"beam": beam, "lenpen": lenpen, "nbest": 1, "max_len_b": model.max_length}
        self._generator = self._build(1.0)
        self._ensemble = tempered(self._generator)
        self.at_once = model.device.type == "cuda" and not model.limits.named and self._ensemble is not None
        if self.at_once:
            finish_on_the_host(self._generator)
        self._most = max(1, chunk_rows(model.n_classes, model.device) // beam)

    def best(
        self, split: str, batches: list[list[int]], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """See `Search`. A batch that the device's memory does not hold is searched in halves."""
        numbers = range(len(temperatures))
        if self.at_once:
            waiting = _equal_parts([(s, i) for batch in batches for s in batch for i in numbers], self._most)
        else:
            waiting = [[(sentence, i) for sentence in batch] for i in numbers for batch in batches]
        while waiting:
            jobs = waiting.pop(0)
            try:
                hypotheses = self._search(split, jobs, temperatures)
            except torch.OutOfMemoryError:
                if len(jobs) == 1:
                    raise
                hypotheses = []
            if not hypotheses:  # here, and not above, the tensors of the failed search are free
                torch.cuda.empty_cache()
                waiting = [jobs[: len(jobs) // 2], jobs[len(jobs) // 2 :], *waiting]
            yield from hypotheses

    def _search(
        self, split: str, jobs: list[Job], temperatures: Sequence[float]
    ) -> list[tuple[int, int, torch.Tensor]]:
        """The best hypotheses of one batch. Without a tempered ensemble all jobs are at one temperature."""
        model = self._model
        sample = model.data.collated(split, [sentence for sentence, _ in jobs])
        numbers: dict[int, list[int]] = {}
        for sentence, number in jobs:
            numbers.setdefault(sentence, []).append(number)
        # The collater sorts a batch by length; the rows of one sentence are equal until they have a temperature.
        rows = [(sentence, numbers[sentence].pop()) for sentence in sample["id"].tolist()]
        of_rows = [temperatures[number] for _, number in rows]
        generator = self._generator
        if self._ensemble is None:
            generator = self._build(of_rows[0])
        else:
            self._ensemble.temperatures = model.on_device(torch.tensor(of_rows))
        ranked = model.task.inference_step(generator, self._networks, model.on_device(sample))
        tokens = [best["tokens"] for best, *_ in ranked]
        ids = torch.cat(tokens).cpu().split([len(of_row) for of_row in tokens])  # one transfer
        return [(*row, of_row.clone()) for row, of_row in zip(rows, ids, strict=True)]

    def _build(self, temperature: float) -> Any:
        return self._model.task.build_generator(self._networks, Namespace(**self._options, temperature=temperature))


def _equal_parts(jobs: list[Job], most: int) -> list[list[Job]]:
    """The jobs in as few parts as possible of at most ``most``, of nearly the same number."""
    n_parts = -(-len(jobs) // most)
    return [jobs[len(jobs) * i // n_parts : len(jobs) * (i + 1) // n_parts] for i in range(n_parts)]
