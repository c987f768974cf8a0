"""Beam mode: a search at each temperature, its translations scored, its tokens judged by TER alignment."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ..calibration.bins import Bins
from ..calibration.generated import JudgedTokens
from ..calibration.scores import Scorer, Statistics
from ..plugin.hypotheses import judge, token_probabilities
from ..records.record import Measurement
from ..records.spool import ArraySpool, spools
from .fairseq_model import Checkpoint, Window
from .search import Search

# Hypotheses whose judgement is remembered: most are the same at the next temperature.
_REMEMBERED = 2**13


class Verdict(NamedTuple):
    """A hypothesis held against its reference: its text, `judge`'s flags, and what it adds to the scores."""

    text: str
    hit: torch.Tensor
    kept: torch.Tensor
    statistics: Statistics


class Hypothesis(NamedTuple):
    """What a search found for a sentence: token ids (L,), how they were judged, and the probability of each (L,)."""

    ids: torch.Tensor
    verdict: Verdict
    probability: torch.Tensor


class References:
    """The references of a split. Each different hypothesis is held against its own once."""

    def __init__(self, model: Checkpoint, split: str) -> None:
        self._model = model
        self._dataset = model.dataset(split)
        self._text = model.references(split)
        self._scorer = Scorer()
        self.verdict = functools.lru_cache(_REMEMBERED)(self._verdict)

    def _verdict(self, sentence: int, *ids: int) -> Verdict:
        hypothesis = torch.tensor(ids)
        text = self._model.text_of(hypothesis)
        flags = judge(self._model.task.target_dictionary, hypothesis, self._dataset[sentence]["target"])
        return Verdict(text, *flags, self._scorer.statistics(text, self._text[sentence]))

    @staticmethod
    def add(total: Statistics, verdicts: list[Verdict]) -> Statistics:
        """The sum of statistics with those of more hypotheses."""
        added = {name: np.sum([v.statistics[name] for v in verdicts], axis=0) for name in verdicts[0].statistics}
        return {name: values + total.get(name, np.zeros_like(values)) for name, values in added.items()}

    def scores(self, total: Statistics) -> dict[str, Any]:
        """The scores of a record (see `Scorer.scores`)."""
        return self._scorer.scores(total)


def measure_beam(
    model: Checkpoint, search: Search, references: References, planned: Measurement, folder: Path
) -> Iterator[tuple[Measurement, ArraySpool]]:
    """The planned measurement filled in, with its arrays; for the first worker. Among the arrays are the hypotheses as
    "text" (UTF-8, a line each) and "sentence_bleu", what each adds to BLEU (see `Scorer`). The spool works in
    ``folder`` and is good until the iterator is closed."""
    start = time.perf_counter()
    keeps_tokens = planned.temperature in (1.0, planned.fitted_temperature)
    bins: dict[str, Bins] = {}
    total: Statistics = {}
    n_tokens = n_left_out = 0
    label = f"beam {planned.split} T={planned.temperature:g} ({search.name})"
    with spools(1, folder) as (spool,):
        with tqdm(total=planned.n_sentences, desc=label, unit="sentence", disable=None) as bar:
            for window in model.windows(planned.split):
                ours = _hypotheses(model, search, references, window, planned.temperature)
                bar.update(window.n)
                parts = model.workers.gather(ours)
                if not parts:
                    continue
                found = {sentence: hypothesis for part in parts for sentence, hypothesis in part.items()}
                hypotheses = [found[sentence] for sentence in window.all_in(found)]
                verdicts = [hypothesis.verdict for hypothesis in hypotheses]
                tokens = torch.cat([hypothesis.ids for hypothesis in hypotheses])
                judged = _judged(hypotheses, model.task.target_dictionary.eos())
                sums = judged.sums(window.n)
                bins = {name: bins.get(name, Bins.zeros()) + Bins.from_sums(part.sum(0)) for name, part in sums.items()}
                total = references.add(total, verdicts)
                n_tokens, n_left_out = n_tokens + len(tokens), n_left_out + judged.n_left_out
                text = "".join(verdict.text + "\n" for verdict in verdicts).encode()
                bleu = np.stack([verdict.statistics["bleu"] for verdict in verdicts])
                spool.append(
                    text=np.frombuffer(text, "u1"),
                    sentence_bins=sums["others"].numpy().astype("f4"),
                    sentence_bleu=bleu.astype("i4"),
                )
                if keeps_tokens:
                    _keep(spool, judged, tokens, window.first)
        if not model.workers.is_first:
            return
        others = bins["others"]
        yield (
            replace(
                planned,
                bins=others,
                bins_by_class=bins,
                n_tokens=n_tokens,
                n_left_out=n_left_out,
                accuracy=others.accuracy,
                confidence=others.mean_confidence,
                **references.scores(total),
                seconds=round(time.perf_counter() - start, 2),
            ),
            spool,
        )


def _hypotheses(
    model: Checkpoint, search: Search, references: References, window: Window, temperature: float
) -> dict[int, Hypothesis]:
    """What a search finds for the sentences in the window's batches, with a teacher-forced pass over it."""
    found = search.best(window, temperature)
    made = {}
    for sample in window.batches:
        sentences = sample["id"].tolist()
        statistics = token_probabilities(model.models, sample, [[{"tokens": found[s]}] for s in sentences], temperature)
        for sentence, ranked in zip(sentences, statistics, strict=True):
            ids = found[sentence]
            made[sentence] = Hypothesis(ids, references.verdict(sentence, *ids.tolist()), ranked[0].probability)
    return made


def _judged(hypotheses: list[Hypothesis], eos: int) -> JudgedTokens:
    """The tokens of a window's hypotheses, in their order."""
    verdicts = [hypothesis.verdict for hypothesis in hypotheses]
    ids = [hypothesis.ids for hypothesis in hypotheses]
    lengths = torch.tensor([len(tokens) for tokens in ids])
    return JudgedTokens(
        probability=torch.cat([hypothesis.probability for hypothesis in hypotheses]),
        hit=torch.cat([verdict.hit for verdict in verdicts]),
        kept=torch.cat([verdict.kept for verdict in verdicts]),
        eos=torch.cat(ids) == eos,
        sentence=torch.arange(len(ids)).repeat_interleave(lengths),
    )


def _keep(spool: ArraySpool, judged: JudgedTokens, tokens: torch.Tensor, first: int) -> None:
    """One value a generated token: what tables by token class and other bins need."""
    spool.append(
        confidence=judged.probability.clamp(max=1.0).numpy().astype("f4"),
        hit=judged.hit.numpy(),
        kept=judged.kept.numpy(),
        token=tokens.numpy().astype("i4"),
        sentence=(first + judged.sentence).numpy().astype("i4"),
    )
