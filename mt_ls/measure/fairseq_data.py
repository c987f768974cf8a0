"""A folder of binarised data with its dictionaries, as `TranslationData`."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data.data_utils import infer_language_pair
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from .binarised import UNITS, load_split, read_manifest, sizes, split_hash, subword_scheme
from .data import DataIdentity
from .names import printable
from .protocol import MeasureError


class FairseqData:
    """The folder ``path`` with the dictionaries and data sets of a translation ``task``; see `TranslationData`."""

    def __init__(self, path: Path, task: Any) -> None:
        self.path = path
        self.task = task
        self.source_dictionary = task.source_dictionary
        self.target_dictionary = task.target_dictionary
        self.eos: int = self.target_dictionary.eos()
        self.pad: int = self.target_dictionary.pad()
        self.prefix: list[int] = []
        self._subwords = subword_scheme(self.target_dictionary)
        self._manifest = read_manifest(path)
        self._decoded: dict[str, list[str]] = {}

    def identity(self, split: str) -> DataIdentity:
        """See `TranslationData`. Data without a manifest is known by its dictionaries and the files of the split."""
        pairs, vocabulary = sizes(self._manifest)
        return DataIdentity(
            corpus=self._manifest.get("corpus") or printable(Path(os.path.abspath(self.path)).name),
            sha=self._manifest.get("hash") or split_hash(self.path, split),
            unit=UNITS[self._subwords],
            parts=self._manifest.get("parts", {}).get(split),
            pairs=pairs,
            vocabulary=vocabulary,
        )

    def n_sentences(self, split: str) -> int:
        """See `TranslationData`."""
        return len(self.dataset(split))

    def lengths(self, split: str) -> list[int]:
        """See `TranslationData`."""
        return self.dataset(split).num_tokens_vec(np.arange(self.n_sentences(split))).tolist()

    def target(self, split: str, sentence: int) -> list[int]:
        """See `TranslationData`."""
        ids = self.dataset(split)[sentence]["target"].tolist()
        return [token for token in ids if token not in (self.pad, self.eos)]

    def text_of(self, ids: torch.Tensor) -> str:
        """See `TranslationData`."""
        return self.target_dictionary.string(ids, self._subwords, escape_unk=True)

    def references(self, split: str) -> list[str]:
        """See `TranslationData`: the file text/SPLIT.LANGUAGE beside the data, or else the decoded targets."""
        n = self.n_sentences(split)
        path = self.path / "text" / f"{split}.{self.task.cfg.target_lang}"
        if path.exists():
            try:
                lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            except (OSError, UnicodeDecodeError) as error:
                raise MeasureError(f"{path}: cannot be read: {error}") from None
            if len(lines) != n:
                raise MeasureError(f"{path}: {len(lines)} lines, but the split has {n} sentences")
            return lines
        if split not in self._decoded:
            self._decoded[split] = [self.text_of(torch.tensor(self.target(split, sentence))) for sentence in range(n)]
        return self._decoded[split]

    def token_id(self, token: str) -> int | None:
        """See `TranslationData`."""
        return self.target_dictionary.index(token) if token in self.target_dictionary else None

    def token(self, number: int) -> str:
        """See `TranslationData`."""
        return self.target_dictionary[number]

    def source_tokens(self, split: str, sentence: int) -> list[str]:
        """See `TranslationData`: without EOS, which CTranslate2 adds for a model of fairseq."""
        special = (self.source_dictionary.pad(), self.source_dictionary.eos())
        ids = self.dataset(split)[sentence]["source"].tolist()
        return [self.source_dictionary[token] for token in ids if token not in special]

    def collated(self, split: str, sentences: list[int]) -> dict[str, Any]:
        """Return fairseq's batch of these sentences, on the CPU. A sentence may occur several times."""
        dataset = self.dataset(split)
        items = {sentence: dataset[sentence] for sentence in dict.fromkeys(sentences)}
        sample = dataset.collater([items[sentence] for sentence in sentences])
        sides = (
            (sample["net_input"]["src_tokens"], self.source_dictionary),
            (sample["target"], self.target_dictionary),
        )
        for ids, dictionary in sides:
            greatest, n = int(ids.max()), len(dictionary)
            if greatest >= n:  # the embedding of such a token would be an error of the device
                raise MeasureError(
                    f"{self.path}: split {split} has a token {greatest}, and a dictionary only {n}: the dictionary is "
                    "another one than that of the data"
                )
        return sample

    def dataset(self, split: str) -> Any:
        """Return fairseq's data set of a split."""
        if split not in self.task.datasets:
            load_split(self.task, split, self.path)
        return self.task.datasets[split]


def read_data(path: Path) -> FairseqData:
    """Return the data of a folder without a checkpoint. Raises MeasureError for a folder that names no languages."""
    source, target = infer_language_pair(str(path))
    if source is None or target is None:
        raise MeasureError(f"{path}: no file SPLIT.SOURCE-TARGET.LANGUAGE.idx names a pair of languages")
    cfg = TranslationConfig(
        data=str(path),
        source_lang=source,
        target_lang=target,
        # Defaults of fairseq's commands, to which the class only refers.
        dataset_impl=None,
        required_seq_len_multiple=1,
        train_subset="train",
    )
    return FairseqData(path, TranslationTask.setup_task(cfg))
