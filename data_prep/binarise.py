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


def build(folder: Path, counts: dict[str, int], description: dict[str, Any]) -> dict[str, Any]:
    """Complete a data folder that has its text, and return the manifest: ``description``, counts, hash and versions.

    Raises DataError where SentencePiece or fairseq-preprocess fails.
    """
    settings = description["settings"]
    sentences = _sample(folder, counts["train"])
    subwords.train(sentences, settings["vocab_size"], folder / "spm.model", settings["model_type"])
    n_parts = _encode(folder, counts)
    _preprocess(folder, n_parts)
    manifest = _manifest(folder, counts, description)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _text(folder: Path, split: str, language: str, mode: str = "r") -> Any:
    return open(folder / "text" / f"{split}.{language}", mode, encoding="utf-8", newline="\n")


def _lines(folder: Path, split: str, language: str) -> Iterator[str]:
    with _text(folder, split, language) as file:
        yield from (line.removesuffix("\n") for line in file)


def _sample(folder: Path, n: int) -> Iterator[str]:
    """The sentences of every k-th of the ``n`` pairs of train, the two languages in turn."""
    pairs = zip(*(_lines(folder, "train", language) for language in LANGUAGES), strict=True)
    for pair in itertools.islice(pairs, 0, None, -(-n // SAMPLE)):
        yield from pair


def _encode(folder: Path, counts: dict[str, int]) -> int:
    """Write the pieces of each split, train in parts of `PART` lines, and return the number of parts."""
    (folder / "pieces").mkdir()
    n_parts = -(-counts["train"] // PART)
    for split, language in tqdm(
        itertools.product(counts, LANGUAGES), desc="encoding", unit="file", total=2 * len(counts), disable=None
    ):
        pieces = subwords.encode(_lines(folder, split, language), folder / "spm.model")
        for part in range(n_parts if split == "train" else 1):
            path = folder / "pieces" / f"{split}{part or ''}.{language}"
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(line + "\n" for line in itertools.islice(pieces, PART))
    return n_parts


def _preprocess(folder: Path, n_parts: int) -> None:
    """Turn the pieces into fairseq's binary files, train, train1, ... with one dictionary, and remove them."""
    pieces = folder / "pieces"
    # The files do not depend on the number of workers. For a small set, starting workers takes longer than the work.
    workers = f"--workers={(os.cpu_count() or 1) if n_parts > 1 else 1}"
    held_out = [f"--{split}pref={pieces}/{split}" for split in ("valid", "test")]
    if n_parts == 1:
        _run_preprocess(folder, f"--trainpref={pieces}/train", *held_out)
    else:
        for language in LANGUAGES:
            with open(pieces / f"all.{language}", "wb") as whole:
                for part in range(n_parts):
                    with open(pieces / f"train{part or ''}.{language}", "rb") as file:
                        shutil.copyfileobj(file, whole)
        _run_preprocess(folder, f"--trainpref={pieces}/all", "--dict-only", workers)
        dictionary = f"--srcdict={folder}/dict.{LANGUAGES[0]}.txt"
        for part in tqdm(range(n_parts), desc="binarising", unit="part", disable=None):
            aside, others = pieces / str(part), [] if part else held_out
            _run_preprocess(aside, f"--trainpref={pieces}/train{part or ''}", dictionary, workers, *others)
            for binary in aside.glob("*-*.*"):
                binary.rename(folder / binary.name.replace("train.", f"train{part or ''}."))
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
