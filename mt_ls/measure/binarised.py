"""A folder of binarised data: its manifest and hash, the files of its splits, and the subwords of its dictionaries."""

from __future__ import annotations

import contextlib
import io
import json
import traceback
from pathlib import Path
from typing import Any

from ..records import sha256_of
from ..terminal import first_line
from .protocol import MeasureError

UNITS = {"sentencepiece": "spm", "subword_nmt": "bpe", "none": "word"}
"""The unit of a record, by the name of its subwords in fairseq's ``--post-process``."""


def read_manifest(data: Path) -> dict[str, Any]:
    """The manifest that `data_prep` writes; empty for other data."""
    path = data / "manifest.json"
    if not path.exists():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(manifest[key], str) and manifest[key] for key in ("corpus", "hash")):
            raise ValueError("no corpus or no hash")
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(f"{path}: not a manifest ({error}); make the data again: python -m data_prep") from None
    return manifest


def sizes(manifest: dict[str, Any]) -> tuple[int | None, int | None]:
    """The fields ``pairs`` and ``vocabulary`` of a `Model`: of data that are prepared in several sizes, else None."""
    if "pairs" not in manifest:
        return None, None
    return manifest["pairs"], manifest.get("settings", {}).get("vocab_size")


def split_hash(data: Path, split: str) -> str:
    """The hash of the dictionaries and the files of a split, by which data without a manifest is known."""
    return sha256_of(*sorted([*data.glob("dict.*.txt"), *data.glob(f"{split}.*")]))


def load_split(task: Any, split: str, data: Path) -> None:
    """Load a split of a folder into a task of fairseq, where its data set does not shuffle.

    Raises MeasureError for files that are missing, empty or cut, and for a split without references.
    """
    _check_files(data, split)
    _load(task, split, data)
    dataset = task.datasets[split]
    if getattr(dataset, "tgt", split) is None:
        raise MeasureError(f"{data}: split {split}: no references, only sources")
    # In every set but test fairseq shuffles sentences of equal length, differently in each process.
    dataset.shuffle = False
    return dataset


def _check_files(data: Path, split: str) -> None:
    files = set(data.glob(f"{split}.*-*.*"))
    for file in sorted(files):
        other = file.with_suffix({".idx": ".bin", ".bin": ".idx"}.get(file.suffix, file.suffix))
        if other not in files:
            raise MeasureError(f"{data}: {other.name} is missing, which belongs to {file.name}: copy it there, too")
    if any(file.suffix == ".bin" and file.stat().st_size == 0 for file in files):
        raise MeasureError(f"{data}: the split {split!r} has no sentence")


def _load(task: Any, split: str, data: Path) -> None:
    """Load a split, whose last sentence is read to find files that are cut."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # half of a data set complains when it ends
            try:
                task.load_dataset(split)
                task.datasets[split][len(task.datasets[split]) - 1]
            except Exception as error:
                traceback.clear_frames(error.__traceback__)
                raise
    except FileNotFoundError:
        names = sorted({file.name.split(".")[0] for file in data.glob("*.*-*.*.idx")} - {split})
        raise MeasureError(f"{data}: no split {split!r}; it has {', '.join(names) or 'none'}") from None
    except Exception as error:  # fairseq raises any
        raise MeasureError(
            f"{data}: the files of split {split!r} cannot be read ({first_line(error)}): copy or make them again"
        ) from None


def subword_scheme(dictionary: Any) -> str:
    """The name of a dictionary's subwords in fairseq's ``--post-process``.

    "sentencepiece" where pieces begin with "▁", "subword_nmt" where they end with "@@", "none" for whole words.
    """
    symbols = dictionary.symbols[dictionary.nspecial :]
    if any(symbol.startswith("▁") for symbol in symbols):
        return "sentencepiece"
    return "subword_nmt" if any(symbol.endswith("@@") for symbol in symbols) else "none"
