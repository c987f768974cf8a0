"""A sequence-to-sequence model of Hugging Face's `transformers` on text files, as a `TranslationModel`.

Its own forward pass gives the logits, so that any architecture of ``AutoModelForSeq2SeqLM`` is measured as it is, with
the bias of its last layer. The prefix of a target is given to the model, and is no prediction. Each failure is a
MeasureError of one line.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..records import Model, code_hash, versions
from ..terminal import first_line
from ..weights import weights_hash
from .huggingface_data import HuggingFaceData, quiet_transformers
from .logits_model import LogitsModel
from .names import printable
from .protocol import BatchLimits, MeasureError, Provenance, Search
from .text_pairs import Texts

_STEP_LOGITS = {"cpu": 2**22, "cuda": 2**28}
"""A step of a search computes about so many logits: of more, a CPU spends half of the time on new memory."""
_LEAST_SENTENCES = 8
"""Sentences of a step whatever the vocabulary: each step reads all weights."""
_LONGEST = 200
"""The limit of a hypothesis in tokens, as fairseq has it, where the model has positions for so many."""


class HuggingFaceModel(LogitsModel):
    """The model ``name`` of a hub, or of a folder, on ``texts``; see `TranslationModel`.

    ``languages`` are those of `HuggingFaceData`. ``run`` names the run in the records, by default the end of ``name``.
    Raises MeasureError for a model that cannot be loaded, or does not go with its tokenizer.
    """

    most_tokens = 4000

    def __init__(
        self,
        name: str,
        texts: Texts,
        languages: tuple[str | None, str | None] = (None, None),
        limits: BatchLimits | None = None,
        device: torch.device | None = None,
        run: str | None = None,
    ) -> None:
        super().__init__(limits)
        self.device = device or torch.device("cpu")
        self.network = _load(name).eval().to(self.device)
        self.data = self._data = HuggingFaceData(name, texts, languages)
        self.n_classes = self.network.get_output_embeddings().weight.shape[0]
        self.eos = self._data.eos
        self.pad: int = self._data.tokenizer.pad_token_id
        self._run = run or printable(Path(name).name)
        self._code = code_hash()
        self._weights = weights_hash(self.network.state_dict())
        _check_prefix(self.network, self._data)

    def provenance(self, split: str) -> Provenance:
        """See `TranslationModel`. What the training was is not known."""
        data = self.data.identity(split)
        return Provenance(
            run=self._run,
            model=Model(corpus=data.corpus, architecture=type(self.network).__name__),
            seed=None,
            updates=None,
            unit=data.unit,
            device=self.device.type,
            sha={"data": data.sha, "checkpoint": self._weights, "code": self._code},
            versions=versions("torch", "numpy", "sacrebleu", "transformers", "tokenizers", "sentencepiece"),
        )

    def padded_sources(self, split: str, sentences: list[int]) -> dict[str, torch.Tensor]:
        """Return the ids (B, L) of sources and their mask, on the device."""
        sources = [self._data.source(split, sentence) for sentence in sentences]
        mask = _padded([[1] * len(ids) for ids in sources], 0)
        return {
            "input_ids": _padded(sources, self.pad).to(self.device),
            "attention_mask": mask.to(self.device),
        }

    @property
    def given(self) -> list[int]:
        """The tokens that the decoder is given: the first one of its tokenizer or else of its configuration, and the
        prefix of a target."""
        configured = (self.network.generation_config, self.network.config)
        starts = (self._data.start, *(config.decoder_start_token_id for config in configured))
        return [next(start for start in starts if start is not None), *self.data.prefix]

    @property
    def positions(self) -> float:
        """The most tokens of a source or a target that the model has positions for."""
        return getattr(self.network.config, "max_position_embeddings", math.inf)

    @torch.no_grad()
    def logits(self, split: str, sentences: list[int], targets: list[list[int]]) -> list[torch.Tensor]:
        """See `LogitsModel`."""
        given = _padded([[*self.given, *target[:-1]] for target in targets], self.pad)
        sources = self.padded_sources(split, sentences)
        logits = self.network(**sources, decoder_input_ids=given.to(self.device), use_cache=False).logits
        first = len(self.given) - 1
        return [row[first : first + len(target)] for row, target in zip(logits, targets, strict=True)]

    def own_search(self, beam: int, lenpen: float) -> Search:
        """See `LogitsModel`: `generate`, with the restrictions that the model's generation configuration names."""
        return _Search(self, beam, lenpen)

    def check_split(self, split: str, lengths: list[int]) -> None:
        """See `LogitsModel`: for sentences beyond the model's positions, and tokens that it does not have."""
        self._check_positions(split, lengths)
        self._check_vocabulary(split)

    def _check_positions(self, split: str, lengths: list[int]) -> None:
        """Raise MeasureError if a sentence is longer than the model's positions."""
        n = sum(length > self.positions for length in lengths)
        if n:
            longest = self._data.references(split)[max(range(len(lengths)), key=lengths.__getitem__)]
            raise MeasureError(
                f"{n} of {len(lengths)} sentences of {split} are longer than the model's {self.positions} positions, "
                f"as that with the reference {longest!r:.40}: shorten or remove them"
            )

    def _check_vocabulary(self, split: str) -> None:
        """Raise MeasureError for tokens that the model does not have: a device would fail on them."""
        embedded = self.network.get_input_embeddings().weight.shape[0]
        for sentence in range(self.n_sentences(split)):
            for ids, n in (
                (self._data.source(split, sentence), embedded),
                (self.target(split, sentence), self.n_classes),
            ):
                if max(ids, default=0) >= n:
                    raise MeasureError(
                        f"{self._data.name}: its tokenizer gives a token {max(ids)}, and the model has only {n}: the "
                        "tokenizer is another model's"
                    )


class _Search:
    """The beam search of ``generate``; see `Search`. A temperature divides the logits before all else."""

    name = "transformers"
    at_once = False

    def __init__(self, model: HuggingFaceModel, beam: int, lenpen: float) -> None:
        self._model = model
        most = _STEP_LOGITS.get(model.device.type, _STEP_LOGITS["cpu"]) // (beam * model.n_classes)
        self._n_sentences = max(_LEAST_SENTENCES, most)
        self._config = copy.deepcopy(model.network.generation_config)
        self._config.update(
            num_beams=beam,
            length_penalty=lenpen,
            early_stopping=True,
            do_sample=False,
            num_return_sequences=1,
            max_new_tokens=min(_LONGEST, model.positions - len(model.given)),
            max_length=None,
            decoder_start_token_id=model.given[0],  # another one would be put before it
            forced_bos_token_id=None,  # it is given, as every target's prefix is
        )

    def best(
        self, split: str, batches: list[list[int]], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """See `Search`."""
        for number, temperature in enumerate(temperatures):
            for batch in itertools.chain.from_iterable(map(self._parts, batches)):
                given = torch.tensor([self._model.given] * len(batch), device=self._model.device)
                sources = self._model.padded_sources(split, batch)
                with _logits_divided(self._model.network, temperature), torch.no_grad():
                    sequences = self._model.network.generate(
                        **sources, decoder_input_ids=given, generation_config=self._config
                    )
                for sentence, ids in zip(batch, sequences.cpu(), strict=True):
                    yield sentence, number, self._hypothesis(ids)

    def _parts(self, batch: list[int]) -> list[list[int]]:
        """The sentences of a batch, as many in each part as suit the device."""
        return [batch[first : first + self._n_sentences] for first in range(0, len(batch), self._n_sentences)]

    def _hypothesis(self, ids: torch.Tensor) -> torch.Tensor:
        """The tokens that the model predicted, up to the first EOS."""
        ids = ids[len(self._model.given) :]
        ends = (ids == self._model.eos).nonzero()
        return ids[: int(ends[0]) + 1] if len(ends) else ids[ids != self._model.pad]


@contextlib.contextmanager
def _logits_divided(network: Any, temperature: float) -> Iterator[None]:
    """Divide the logits that a network computes. `generate` itself has temperatures for sampling only."""

    def divide(_network: Any, _inputs: Any, output: Any) -> None:
        output.logits.div_(temperature)

    hook = network.register_forward_hook(divide)
    try:
        yield
    finally:
        hook.remove()


def _padded(ids: list[list[int]], pad: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(own) for own in ids], batch_first=True, padding_value=pad)


def _load(name: str) -> Any:
    """The network of a model in float32."""
    path = Path(name)
    if path.is_file():
        raise MeasureError(f"{name}: a file, where the folder of a Hugging Face model belongs, or its name on the hub")
    if path.is_absolute() and not path.exists():
        raise MeasureError(f"{name}: no such folder")
    if path.is_dir() and not (path / "config.json").exists():
        raise MeasureError(f"{name}: no config.json, so no Hugging Face model; one is saved by save_pretrained")
    transformers = quiet_transformers()
    try:
        network, report = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # the files may hold anything
        raise MeasureError(f"{name}: cannot be loaded as a sequence-to-sequence model: {first_line(error)}") from None
    if absent := sorted({*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])}):
        raise MeasureError(f"{name}: its weights lack {absent[0]}, which would be random: take a whole copy")
    return network


def _check_prefix(network: Any, data: HuggingFaceData) -> None:
    """Raise MeasureError if the model forces a first token that its tokenizer does not put before a target."""
    forced = network.generation_config.forced_bos_token_id
    if forced is not None and data.prefix[:1] != [forced] and not hasattr(data.tokenizer, "tgt_lang"):
        raise MeasureError(
            f"{data.name}: the model begins each translation with {data.token(forced)}, and its tokenizer begins no "
            "target so: the tokenizer is another model's"
        )
