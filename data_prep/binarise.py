"""A data folder: text, its SentencePiece model, fairseq's binary files, and the manifest.

Text is read and written line by line, so that memory does not grow with it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from . import DataError, subwords
from .corpora import LANGUAGES, Splits

PART = 1_000_000
"""Sentences of train that fairseq-preprocess gets at a time, since it keeps some bytes of each in memory; fairseq-train
joins the parts."""
SAMPLE = 500_000
"""Pairs of train that SentencePiece gets at most, since it keeps them in memory: every k-th pair of a longer set."""


def write_text(folder: Path, splits: Splits) -> dict[str, int]:
    """Write ``text/<split>.<language>`` and return the number of pairs of each split."""
    (folder / "text").mkdir()
    counts = {}
    for split, pairs in splits.items():
        counts[split] = 0
        with _text(folder, split, "en", "w") as source, _text(folder, split, "de", "w") as target:
            for pair in tqdm(pairs, desc=f"text of {split}", unit="pair", disable=None):
                counts[split] += 1
                source.write(pair[0] + "\n")
                target.write(pair[1] + "\n")
    return counts


def build(
    folder: Path, counts: dict[str, int], description: dict[str, Any], whole: Path | None = None
) -> dict[str, Any]:
    """Complete a data folder that has its text, and return the manifest: ``description``, counts, hash and versions.

    Subwords and dictionary are those of train; or of the train in the folder ``whole``, of which train is a part and
    which is removed. Raises DataError where SentencePiece or fairseq-preprocess fails.
    """
    settings = description["settings"]
    sentences = _sample(whole or folder)
    subwords.train(sentences, settings["vocab_size"], folder / "spm.model", settings["model_type"])
    n_parts = _encode(folder, counts, whole)
    _preprocess(folder, counts, n_parts)
    if whole is not None:
        shutil.rmtree(whole)
    manifest = _manifest(folder, counts, description)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _text(folder: Path, split: str, language: str, mode: str = "r") -> Any:
    return open(folder / "text" / f"{split}.{language}", mode, encoding="utf-8", newline="\n")


def _lines(folder: Path, split: str, language: str) -> Iterator[str]:
    with _text(folder, split, language) as file:
        yield from (line.removesuffix("\n") for line in file)


def _sample(folder: Path) -> Iterator[str]:
    """The sentences of every k-th pair of train, the two languages in turn."""
    n = sum(1 for _ in _lines(folder, "train", LANGUAGES[0]))
    pairs = zip(*(_lines(folder, "train", language) for language in LANGUAGES), strict=True)
    for pair in itertools.islice(pairs, 0, None, -(-n // SAMPLE)):
        yield from pair


def _encode(folder: Path, counts: dict[str, int], whole: Path | None) -> int:
    """Write the pieces of each split, train in parts of `PART` lines, and return the number of parts.

    The pieces of the train that the dictionary is of, where it is none of the parts, are ``all.en`` and ``all.de``.
    """
    pieces_folder = folder / "pieces"
    pieces_folder.mkdir()
    n_parts = -(-counts["train"] // PART)
    for split, language in tqdm(
        itertools.product(counts, LANGUAGES), desc="encoding", unit="file", total=2 * len(counts), disable=None
    ):
        pieces = subwords.encode(_lines(folder, split, language), folder / "spm.model")
        for part in range(n_parts if split == "train" else 1):
            path = pieces_folder / f"{split}{part or ''}.{language}"
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(line + "\n" for line in itertools.islice(pieces, PART))
    for language in LANGUAGES if whole is not None or n_parts > 1 else ():
        with open(pieces_folder / f"all.{language}", "wb") as file:
            if whole is not None:
                pieces = subwords.encode(_lines(whole, "train", language), folder / "spm.model")
                file.writelines(line.encode() + b"\n" for line in pieces)
            else:
                for part in range(n_parts):
                    with open(pieces_folder / f"train{part or ''}.{language}", "rb") as of_part:
                        shutil.copyfileobj(of_part, file)
    return n_parts


def _preprocess(folder: Path, counts: dict[str, int], n_parts: int) -> None:
    """Turn the pieces into fairseq's binary files, train, train1, ... with one dictionary, and remove them."""
    pieces = folder / "pieces"
    # The files do not depend on the number of workers. For a small set, starting workers takes longer than the work.
    workers = f"--workers={(os.cpu_count() or 1) if n_parts > 1 else 1}"
    others = [split for split in counts if split not in ("train", "valid")]
    held_out = [f"--validpref={pieces}/valid", f"--testpref={','.join(f'{pieces}/{split}' for split in others)}"]
    dictionary = []
    if (pieces / f"all.{LANGUAGES[0]}").exists():
        _run_preprocess(folder, f"--trainpref={pieces}/all", "--dict-only", workers)
        dictionary = [f"--srcdict={folder}/dict.{LANGUAGES[0]}.txt"]
    for part in tqdm(range(n_parts), desc="binarising", unit="part", disable=True if n_parts == 1 else None):
        aside, options = pieces / str(part), [] if part else held_out
        _run_preprocess(aside, f"--trainpref={pieces}/train{part or ''}", *dictionary, workers, *options)
        # fairseq-preprocess writes further test sets as test1, test2, ...
        names = {"train": f"train{part or ''}"} | {f"test{i or ''}": split for i, split in enumerate(others)}
        for file in aside.iterdir():
            stem, _, rest = file.name.partition(".")
            file.rename(folder / f"{names.get(stem, stem)}.{rest}")
    shutil.rmtree(pieces)
    (folder / "preprocess.log").unlink(missing_ok=True)


def _run_preprocess(out: Path, *options: str) -> None:
    """Run fairseq-preprocess into ``out``. Raises DataError with its last line where it fails."""
    source, target = LANGUAGES
    command = [
        sys.executable,
        "-m",
        "fairseq_cli.preprocess",
        "--source-lang",
        source,
        "--target-lang",
        target,
        "--destdir",
        str(out),
        "--joined-dictionary",
        *options,
    ]
    print("data_prep: fairseq-preprocess", file=sys.stderr)
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise DataError(f"fairseq-preprocess failed: {(result.stderr.strip().splitlines() or ['no reason'])[-1]}")


def _manifest(folder: Path, counts: dict[str, int], description: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a data folder. Its hash is of the text, the SentencePiece model and the dictionary."""
    digest = hashlib.sha256()
    for path in (*sorted((folder / "text").iterdir()), folder / "spm.model", folder / "dict.de.txt"):
        digest.update(path.name.encode() + b"\0")
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return {
        **description,
        "languages": list(LANGUAGES),
        "counts": counts,
        "subwords": "spm.model",
        "hash": digest.hexdigest(),
        "versions": {n: importlib.metadata.version(n) for n in ("sentencepiece", "numpy", "torch")},
    }
