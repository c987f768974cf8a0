"""Text files in the tokens of a tokenizer of Hugging Face, as `TranslationData`."""

from __future__ import annotations

import sys
from typing import Any

import torch

from ..terminal import first_line
from .data import DataIdentity
from .protocol import MeasureError
from .text_pairs import Pairs, Texts


class HuggingFaceData:
    """``texts`` in the tokens of the model ``name``, a folder or a name on the hub; see `TranslationData`.

    ``languages`` are the codes of source and target for a tokenizer of several languages. Raises MeasureError for a
    tokenizer that cannot be loaded, or not without languages.
    """

    def __init__(self, name: str, texts: Texts, languages: tuple[str | None, str | None] = (None, None)) -> None:
        self.name = name
        self.tokenizer = _load(name)
        self._texts = texts
        self._encoded: dict[str, tuple[list[list[int]], list[list[int]]]] = {}
        _set_languages(self.tokenizer, name, languages)
        self.eos: int = self.tokenizer.eos_token_id
        empty = self._labels([""])[0]
        n = empty.index(self.eos) if self.eos in empty else len(empty)
        # What the tokenizer puts before every target, as the language of NLLB, M2M and mBART-50.
        self.prefix, self._end = empty[:n], empty[n:]
        # The decoder's first token, where the tokenizer chooses it: mBART puts the language behind EOS.
        self.start: int | None = self._end[-1] if len(self._end) > 1 else None

    def identity(self, split: str) -> DataIdentity:
        """See `TranslationData`."""
        self._pairs(split)
        return DataIdentity(self._texts.corpus, self._texts.sha, "subword")

    def n_sentences(self, split: str) -> int:
        """See `TranslationData`."""
        return len(self._pairs(split).sources)

    def lengths(self, split: str) -> list[int]:
        """See `TranslationData`."""
        sources, targets = self._ids(split)
        added = len(self.prefix) + 1
        return [max(len(source), len(target) + added) for source, target in zip(sources, targets, strict=True)]

    def source(self, split: str, sentence: int) -> list[int]:
        """Return the token ids of a source, as the model reads them."""
        return self._ids(split)[0][sentence]

    def target(self, split: str, sentence: int) -> list[int]:
        """See `TranslationData`."""
        return self._ids(split)[1][sentence]

    def references(self, split: str) -> list[str]:
        """See `TranslationData`: the lines of the file."""
        return self._pairs(split).references

    def text_of(self, ids: torch.Tensor) -> str:
        """See `TranslationData`."""
        return self.tokenizer.decode(ids.tolist(), skip_special_tokens=True)

    def token_id(self, token: str) -> int | None:
        """See `TranslationData`."""
        number = self.tokenizer.convert_tokens_to_ids(token)  # of languages, too, which are not in get_vocab()
        return None if number == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token else number

    def token(self, number: int) -> str:
        """See `TranslationData`."""
        return self.tokenizer.convert_ids_to_tokens(number)

    def source_tokens(self, split: str, sentence: int) -> list[str]:
        """See `TranslationData`."""
        return self.tokenizer.convert_ids_to_tokens(self.source(split, sentence))

    def _pairs(self, split: str) -> Pairs:
        if split not in self._texts.splits:
            raise MeasureError(f"no split {split!r}: the text files are {' and '.join(sorted(self._texts.splits))}")
        return self._texts.splits[split]

    def _ids(self, split: str) -> tuple[list[list[int]], list[list[int]]]:
        """The token ids of a split: of sources as the model reads them, of targets without prefix and EOS."""
        if split not in self._encoded:
            pairs = self._pairs(split)
            first, last = len(self.prefix), len(self._end)
            targets = [labels[first : len(labels) - last] for labels in self._labels(pairs.references)]
            self._encoded[split] = self.tokenizer(pairs.sources)["input_ids"], targets
        return self._encoded[split]

    def _labels(self, references: list[str]) -> list[list[int]]:
        return self.tokenizer(text_target=references)["input_ids"]


def quiet_transformers() -> Any:
    """Return the package, without its warnings and bars."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        # A build for another torch, as fairseq's requirements bring beside one for the CPU: transformers would fail.
        sys.modules["torchaudio"] = None  # type: ignore[assignment]
    import transformers

    transformers.utils.is_torchaudio_available.cache_clear()  # fairseq may have made it look before

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def _load(name: str) -> Any:
    transformers = quiet_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    except Exception as error:  # the files may hold anything
        raise MeasureError(f"{name}: its tokenizer cannot be loaded: {first_line(error)}") from None
    for token in ("eos", "pad"):
        if getattr(tokenizer, f"{token}_token_id") is None:
            raise MeasureError(f"{name}: its tokenizer has no {token.upper()} token")
    return tokenizer


def _set_languages(tokenizer: Any, name: str, languages: tuple[str | None, str | None]) -> None:
    """Set the languages of a tokenizer of several. Raises MeasureError for codes that it does not know or need."""
    if not hasattr(tokenizer, "tgt_lang"):
        if any(languages):
            raise MeasureError(f"{name}: its tokenizer takes no language: leave out --source- and --target-language")
        return
    for side, option, code in zip(("src_lang", "tgt_lang"), ("source", "target"), languages, strict=True):
        if code is None:
            raise MeasureError(f"{name}: translates between several languages: name one with --{option}-language")
        try:
            setattr(tokenizer, side, code)
            text = {"text" if side == "src_lang" else "text_target": "a"}
            known = tokenizer.unk_token_id not in tokenizer(**text)["input_ids"][:1]
        except KeyError:
            known = False
        if not known:
            raise MeasureError(f"{name}: its tokenizer has no language {code!r} (--{option}-language)")
