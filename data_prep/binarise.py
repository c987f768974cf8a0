"""Text, subwords, fairseq's binary files and the manifest, built aside and moved into place when whole."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from . import DataError, subwords
from .corpora import LANGUAGES, Splits
from .sources import built_whole


def build(out: Path, splits: Splits, description: dict[str, Any]) -> dict[str, Any]:
    """Write the data folder ``out``, whole, and return its manifest."""
    with built_whole(out) as aside:
        (aside / "text").mkdir()
        for split, pairs in splits.items():
            for side, language in enumerate(LANGUAGES):
                text = "".join(pair[side] + "\n" for pair in pairs)
                (aside / "text" / f"{split}.{language}").write_text(text, encoding="utf-8")
        settings = description["settings"]
        subwords.train(splits["train"], settings["vocab_size"], aside / "spm.model", settings["model_type"])
        _encode(aside, splits)
        _preprocess(aside)
        manifest = _manifest(aside, splits, description)
        (aside / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _encode(folder: Path, splits: Splits) -> None:
    (folder / "pieces").mkdir()
    jobs = [(split, side) for split in splits for side in range(2)]
    for split, side in tqdm(jobs, desc="encoding", unit="file", disable=None):
        lines = subwords.encode([pair[side] for pair in splits[split]], folder / "spm.model")
        path = folder / "pieces" / f"{split}.{LANGUAGES[side]}"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _preprocess(folder: Path) -> None:
    source, target = LANGUAGES
    prefixes = [f"--{split}pref={folder}/pieces/{split}" for split in ("train", "valid", "test")]
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--source-lang", source, "--target-lang", target,
               *prefixes, "--destdir", str(folder), "--joined-dictionary", "--workers", "1"]  # fmt: skip
    print("data_prep: fairseq-preprocess", file=sys.stderr)
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise DataError(f"fairseq-preprocess failed: {(result.stderr.strip().splitlines() or ['no reason'])[-1]}")
    shutil.rmtree(folder / "pieces")
    (folder / "preprocess.log").unlink(missing_ok=True)


def _manifest(folder: Path, splits: Splits, description: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256()
    content = [*sorted((folder / "text").iterdir()), folder / "spm.model", folder / "dict.de.txt"]
    for path in content:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return {
        **description,
        "languages": list(LANGUAGES),
        "counts": {split: len(pairs) for split, pairs in splits.items()},
        "subwords": "spm.model",
        "hash": digest.hexdigest(),
        "versions": {n: importlib.metadata.version(n) for n in ("sentencepiece", "numpy", "torch")},
    }
