"""Token counts of the training targets: the prior of unigram smoothing comes from them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from fairseq.data import data_utils, indexed_dataset
from fairseq.tasks.translation import TranslationTask
from fairseq.utils import split_paths

_CHUNK_TOKENS = 2**24  # counted at a time: np.bincount takes 8 bytes of memory a token


def target_counts(task: Any, subset: str = "train") -> np.ndarray:
    """Count (K,) of each class of the target dictionary in the targets of ``subset``, as binarised, EOS included.

    All parts of the subset count (``train``, ``train1``, ...) in all folders of the task's data; the count of PAD is 0.
    The dictionary's own counts are no substitute: those of a joined dictionary include the source side. Raises
    ValueError for a task that is no translation, a subset that is not there, or tokens of another dictionary.
    """
    if not isinstance(task, TranslationTask):
        raise ValueError(f"unigram smoothing needs a translation task, not {type(task).__name__}")
    dictionary, config = task.target_dictionary, task.cfg
    counts = np.zeros(len(dictionary), dtype="i8")
    paths = [path for folder in split_paths(config.data) for path in _target_paths(folder, subset, config)]
    if not paths:
        name = f"{subset}.{config.source_lang}-{config.target_lang}.{config.target_lang}"
        raise ValueError(f"unigram smoothing needs the training targets, and {config.data} has no {name}")
    for path in paths:
        for tokens in _tokens(path, dictionary, config.dataset_impl):
            part = np.bincount(tokens, minlength=len(counts))
            if len(part) > len(counts):
                raise ValueError(f"{path} has token {len(part) - 1}, and its dictionary {len(counts)} entries")
            counts += part
    counts[dictionary.pad()] = 0
    return counts


def _target_paths(folder: str, subset: str, config: Any) -> Iterator[str]:
    """Paths of a subset's parts, as fairseq's translation task looks for them."""
    source, target = config.source_lang, config.target_lang
    for part in itertools.count():
        prefix = os.path.join(folder, f"{subset}{part or ''}")
        paths = (f"{prefix}.{source}-{target}.{target}", f"{prefix}.{target}-{source}.{target}")
        path = next((path for path in paths if indexed_dataset.dataset_exists(path, config.dataset_impl)), None)
        if path is None:
            return
        yield path


def _tokens(path: str, dictionary: Any, dataset_impl: Any) -> Iterator[np.ndarray]:
    """Token ids of a binarised file, in pieces."""
    implementation = dataset_impl or indexed_dataset.infer_dataset_impl(path)
    if implementation == "mmap":
        # The file is the ids of all sentences, one after the other.
        dtype = indexed_dataset.MMapIndexedDataset.Index(indexed_dataset.index_file_path(path)).dtype
        ids = np.memmap(indexed_dataset.data_file_path(path), dtype=dtype, mode="r")
        for start in range(0, len(ids), _CHUNK_TOKENS):
            yield ids[start : start + _CHUNK_TOKENS]
    else:
        # "cached" reads the same files as "lazy", but needs the list of sentences in advance.
        implementation = "lazy" if implementation == "cached" else implementation
        sentences = data_utils.load_indexed_dataset(path, dictionary, implementation)
        for i in range(len(sentences)):
            yield sentences[i].numpy()
