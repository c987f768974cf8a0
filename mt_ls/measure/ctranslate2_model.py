"""A folder of CTranslate2 on a CPU, whatever it was converted from and quantised to, as a `TranslationModel`.

Greedy decoding with the whole target as its prefix gives the logits of every step, which is a forced pass. The search
has no temperature, so it is one at T = 1. Each failure is a MeasureError of one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..records import Model, code_hash, sha256_of, versions
from ..terminal import first_line
from .data import TranslationData
from .logits_model import LogitsModel
from .names import printable
from .protocol import BatchLimits, MeasureError, Provenance, Search

_LONGEST = 200
"""fairseq's default limit of a hypothesis, in tokens before EOS."""


class CTranslate2Model(LogitsModel):
    """The model in the folder ``path`` on ``data`` of its tokens; see `TranslationModel`.

    Raises MeasureError for a folder that cannot be loaded, and for one that lacks the tokens of the data.
    """

    most_tokens = 2000
    searches_at_temperatures = False

    def __init__(
        self, path: Path, data: TranslationData, limits: BatchLimits | None = None, run: str | None = None
    ) -> None:
        super().__init__(limits)
        self.path = path
        self.data = data
        self.translator = _load(path)
        config = _json(path / "config.json")
        self._tokens = _vocabulary(path)
        self._ids = {token: i for i, token in enumerate(self._tokens)}
        self.n_classes = len(self._tokens)
        self.eos_token: str = config.get("eos_token", "</s>")
        self._unknown = self._ids.get(config.get("unk_token", "<unk>"), 0)
        self.eos = self._ids[self.eos_token]
        self.prefix = [data.token(number) for number in data.prefix]
        self._run = run or printable(path.resolve().name)
        self._code = code_hash()
        self._sha = sha256_of(path / "model.bin")

    def provenance(self, split: str) -> Provenance:
        """See `TranslationModel`. What the training was is not known; the type of the weights is the checkpoint's."""
        data = self.data.identity(split)
        return Provenance(
            run=self._run,
            model=Model(
                corpus=data.corpus,
                checkpoint=f"CTranslate2 {self.translator.compute_type}",
                pairs=data.pairs,
                vocabulary=data.vocabulary,
            ),
            seed=None,
            updates=None,
            unit=data.unit,
            device="cpu",
            sha={"data": data.sha, "checkpoint": self._sha, "code": self._code},
            versions=versions("torch", "numpy", "sacrebleu", "ctranslate2"),
            parts=data.parts,
        )

    def target(self, split: str, sentence: int) -> list[int]:
        """See `TranslationModel`. Ids are those of the folder's vocabulary."""
        return [self.id_of(self.data.token(number)) for number in self.data.target(split, sentence)]

    def text_of(self, ids: torch.Tensor) -> str:
        """See `TranslationModel`."""
        numbers = (self.data.token_id(self._tokens[number]) for number in ids.tolist() if number != self.eos)
        return self.data.text_of(torch.tensor([number for number in numbers if number is not None], dtype=torch.long))

    def token_id(self, token: str) -> int | None:
        """See `TranslationModel`."""
        return self._ids.get(token)

    def id_of(self, token: str) -> int:
        """Return the id of a token, or that of the unknown token."""
        return self._ids.get(token, self._unknown)

    def logits(self, split: str, sentences: list[int], targets: list[list[int]]) -> list[torch.Tensor]:
        """See `LogitsModel`."""
        given = [[*self.prefix, *(self._tokens[number] for number in target[:-1])] for target in targets]
        results = self.translator.translate_batch(
            [self.data.source_tokens(split, sentence) for sentence in sentences],
            target_prefix=given,
            beam_size=1,
            min_decoding_length=0,
            max_decoding_length=max(map(len, given)) + 1,
            max_input_length=0,
            return_logits_vocab=True,
        )
        first = len(self.prefix)
        return [
            torch.from_numpy(np.stack([np.asarray(step) for step in result.logits[0][first : first + len(target)]]))
            for result, target in zip(results, targets, strict=True)
        ]

    def own_search(self, beam: int, lenpen: float) -> Search:
        """See `LogitsModel`: of the type that the weights have."""
        return _Search(self, beam, lenpen)

    def check_split(self, split: str, lengths: list[int]) -> None:
        """See `LogitsModel`: for a prefix, or half of the target tokens, that the folder's vocabulary lacks."""
        numbers = {
            number for sentence in range(self.n_sentences(split)) for number in self.data.target(split, sentence)
        }
        tokens = {self.data.token(number) for number in numbers}
        absent = [token for token in self.prefix if token not in self._ids] or sorted(tokens - self._ids.keys())
        if (self.prefix and absent[:1] == self.prefix[:1]) or len(absent) > len(tokens) / 2:
            raise MeasureError(
                f"{self.path}: its vocabulary lacks {absent[0]!r} and other tokens of the data: it is another model's"
            )


class _Search:
    """The library's beam search; see `Search`."""

    name = "ctranslate2"
    at_once = False

    def __init__(self, model: CTranslate2Model, beam: int, lenpen: float) -> None:
        self._model = model
        self._beam = beam
        self._lenpen = lenpen

    def best(
        self, split: str, batches: list[list[int]], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """See `Search`. Raises MeasureError for a temperature other than 1."""
        if set(temperatures) != {1.0}:
            raise MeasureError("a folder of CTranslate2 is searched at T = 1 alone")
        model = self._model
        for batch in batches:
            results = model.translator.translate_batch(
                [model.data.source_tokens(split, sentence) for sentence in batch],
                target_prefix=[model.prefix] * len(batch) if model.prefix else None,
                beam_size=self._beam,
                length_penalty=self._lenpen,
                max_decoding_length=_LONGEST + len(model.prefix),
                max_input_length=0,
            )
            for sentence, result in zip(batch, results, strict=True):
                tokens = result.hypotheses[0][len(model.prefix) :]
                end = [model.eos] if len(tokens) < _LONGEST else []
                for number in range(len(temperatures)):
                    yield sentence, number, torch.tensor([*map(model.id_of, tokens), *end])


def _load(path: Path) -> Any:
    import ctranslate2

    threads = torch.get_num_threads()
    try:
        translator = ctranslate2.Translator(str(path), inter_threads=1, intra_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise MeasureError(f"{path}: CTranslate2 cannot load it: {first_line(error)}") from None
    torch.set_num_threads(threads)  # the translator has set OpenMP's threads, which torch shares
    return translator


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (ValueError, OSError) as error:
        raise MeasureError(f"{path}: cannot be read: {first_line(error)}") from None


def _vocabulary(path: Path) -> list[str]:
    """The target tokens in the order of their ids."""
    for name in ("shared_vocabulary", "target_vocabulary"):
        if (path / f"{name}.json").exists():
            return _json(path / f"{name}.json")
        if (path / f"{name}.txt").exists():  # before CTranslate2 3
            return (path / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]
    raise MeasureError(f"{path}: neither shared_vocabulary nor target_vocabulary, which the converter writes")
