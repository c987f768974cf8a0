"""The table of corpora, and the reading of their sentence pairs.

A local folder replaces the download: ``--source DIR``, or ``$MT_LS_DATA/<corpus>``. It has plain text,
``{train,valid,test}.{en,de}`` and any further test sets, or files in the hub's schema (jsonl or parquet, columns en and
de).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import DataError, home_assistant, sources, synthetic

Pair = tuple[str, str]
Splits = dict[str, Iterable[Pair]]
LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Corpus:
    """One row of the table.

    - ``source`` names the package or the hub's data set. ``revision`` and ``sha256`` (of the wheel, or of the hub's
      text) pin it; ``hub_configuration`` is the data set's configuration.
    - ``licence`` and ``size`` are for readers.
    - ``vocab_size`` and ``model_type`` are SentencePiece's.
    - ``held_out`` is the number of pairs of valid and of test, for a source without splits.
    """

    name: str
    source: str
    revision: str | None
    sha256: str | None
    licence: str
    size: str
    vocab_size: int
    held_out: int | None = None
    model_type: str = "unigram"
    hub_configuration: str | None = None


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "home_assistant",
            "homeassistant (package index)",
            "2024.3.3",
            "6e1ec2c07441d63fdcfb8acd2c4bbb6f68bc97330855784d3623d10c38fe3577",
            "Apache-2.0",
            "13 600 string pairs",
            vocab_size=4000,
            held_out=600,
        ),
        # Pinned by its text: no revision of the hub's is known here.
        Corpus(
            "multi30k",
            "bentrevett/multi30k (hub)",
            None,
            "2cf95e47fbac0f743f446c891ba6246cf266f130e148da0ec69ed3acc2319253",
            "research only: see https://github.com/multi30k/dataset",
            "29 000 / 1 014 / 1 000 captions",
            vocab_size=8000,
        ),
        # The revision is the hub's conversion of a loading script to Parquet, so that no code of the hub's runs here.
        Corpus(
            "iwslt14",
            "bbaaaa/iwslt14-de-en (hub)",
            "refs/convert/parquet",
            None,
            "CC BY-NC-ND 4.0 (TED talks)",
            "160 239 / 7 283 / 6 750 sentences",
            vocab_size=10_000,
        ),
        Corpus(
            "wmt14",
            "wmt/wmt14 (hub)",
            None,
            None,
            "see https://www.statmt.org/wmt14",
            "4.5 million / 3 000 / 3 003",
            vocab_size=32_000,
            hub_configuration="de-en",
        ),
        # The package `data_prep.debian` reads it. Its files are pinned in the table there.
        Corpus(
            "debian",
            "packages of Debian 12 (apt)",
            "bookworm",
            None,
            "free licences: the manifest has them by package",
            "221 000 / 1 500 / 1 500 pairs",
            vocab_size=8000,
        ),
        # Pieces are whole words, since the grammar knows the true probability of words.
        Corpus(
            "synthetic",
            "made by data_prep/synthetic.py",
            "1",
            None,
            "MIT",
            "2 000 / 200 / 211",
            vocab_size=100,
            model_type="word",
        ),
    )
}


class TextHash:
    """The SHA-256 of text: for each split a line with its name, then a line for each pair, with a tab in between."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def passing(self, split: str, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs of a split, each of which is hashed when it is asked for."""
        self._digest.update(f"{split}\n".encode())
        for pair in pairs:
            self._digest.update("{}\t{}\n".format(*pair).encode())
            yield pair

    def add(self, split: str, pairs: Iterable[Pair]) -> None:
        """Hash all pairs of a split."""
        for _ in self.passing(split, pairs):
            pass

    def hexdigest(self) -> str:
        """The hash of the pairs so far, as hexadecimal digits."""
        return self._digest.hexdigest()


def is_published(corpus: Corpus, source: str | None, text: str) -> bool:
    """Whether the hash ``text`` is the pinned one. True where the text is not the hub's, or has no pinned hash."""
    is_pinned = source is None and corpus.source.endswith("(hub)") and corpus.sha256
    return not is_pinned or text == corpus.sha256


def read(corpus: Corpus, source: str | None, seed: int, n: int | None = None) -> tuple[Splits, dict[str, str]]:
    """The pairs of each split, and the SHA-256 of each file that was read.

    A corpus without splits has the key "all". Pairs may be iterators, which read as they go. ``seed`` and ``n``, the
    size of train, are those of synthetic data. Raises DataError for input that is no parallel text, also while an
    iterator reads.
    """
    if source is None and corpus.name == "synthetic":
        return synthetic.splits(seed, n), {}
    if source is None and corpus.name == "home_assistant":
        return home_assistant.read(home_assistant.download(corpus.revision), corpus.sha256)
    if source is None:
        return _read_hub(corpus.source.split()[0], corpus.revision, corpus.hub_configuration), {}
    path = Path(source)
    if path.is_file() and path.suffix == ".whl":
        return home_assistant.read(path, corpus.sha256)
    if path.is_dir():
        return _read_folder(path, corpus)
    if sources.is_hub_id(source):
        return _read_hub(source, None), {}
    raise DataError(f"{source}: no such folder; --source takes a folder with text, a wheel, or a hub id")


def _read_folder(folder: Path, corpus: Corpus) -> tuple[Splits, dict[str, str]]:
    """The pairs of a local folder, as of `read`: a wheel, plain text, or files in the hub's schema."""
    wheels = sorted(folder.glob("homeassistant-*.whl"))
    if wheels:
        return home_assistant.read(wheels[0], corpus.sha256)
    plain = sorted(p for p in folder.iterdir() if p.suffix in {".en", ".de"})
    if plain:
        return _read_plain(folder, plain)
    files = sorted(p for p in folder.iterdir() if p.suffix in {".jsonl", ".json", ".parquet"})
    if not files:
        raise DataError(f"{folder}: has neither train.en and train.de nor jsonl or parquet files")
    for file in files:
        if file.stem.startswith(("test_", "test2")):  # `datasets` would join it with test
            raise DataError(f"{file}: further test sets are plain text, beside train.en and train.de: {file.stem}.en")
        if file.suffix == ".jsonl":
            _check_jsonl(file)
    return _read_hub(str(folder), None), {p.name: sources.sha256_of(p) for p in files}


def _read_plain(folder: Path, files: list[Path]) -> tuple[Splits, dict[str, str]]:
    """The pairs of plain text, as of `read`: train, valid, test, and each further test set by its name.

    fairseq joins train1, train2, ... with train, and a name with a dot is a variant of a file, such as a tokenised one.
    """
    names = {file.stem for file in files}
    stems = {split: split for split in ("train", "valid", "test")}
    if "valid" not in names and "validation" in names:
        stems["valid"] = "validation"
    further = names - {*stems.values(), "validation"}
    stems |= {name: name for name in sorted(further) if re.fullmatch(r"(?!train|all$)\w+", name)}
    for name in sorted(further - set(stems)):
        print(f"data_prep: note: {folder}/{name} is not read: no name of a test set", file=sys.stderr)
    splits: Splits = {
        split: read_parallel(folder / f"{stem}.en", folder / f"{stem}.de") for split, stem in stems.items()
    }
    return splits, {file.name: sources.sha256_of(file) for file in files if file.stem in stems.values()}


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file. Raises DataError (file and line) if it is missing, empty or not UTF-8."""
    if not path.is_file():
        raise DataError(f"{path}: missing; each split needs one file a language, for example train.en and train.de")
    if not path.stat().st_size:
        raise DataError(f"{path}: empty; it must have one sentence a line")
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8").removesuffix("\n").rstrip("\r")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}: byte {error.start + 1} is not UTF-8; convert the file, for example with iconv"
                ) from None


def read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    """The pairs of two files with one sentence a line. Raises DataError if their lengths differ."""
    source_lines, target_lines = read_lines(source), read_lines(target)
    for number, (source_line, target_line) in enumerate(itertools.zip_longest(source_lines, target_lines)):
        if source_line is None or target_line is None:
            rest = target_lines if source_line is None else source_lines
            longer = number + 1 + sum(1 for _ in rest)
            shorter, lengths = (source, (number, longer)) if source_line is None else (target, (longer, number))
            raise DataError(
                f"{shorter}:{number}: the file ends here, but {source.name} has {lengths[0]} lines and {target.name} "
                f"{lengths[1]}; both sides must be line by line translations"
            )
        yield source_line, target_line


def _check_jsonl(path: Path) -> None:
    """Raise DataError (file and line) for a row without both languages. `datasets` ends with a long traceback."""
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}); each line must be one object") from None
        for language in LANGUAGES:
            if not isinstance(row, dict) or not isinstance(row.get(language), str):
                raise DataError(f'{path}:{number}: no "{language}" text; each line needs both "en" and "de"')


def _read_hub(name: str, revision: str | None, configuration: str | None = None) -> Splits:
    """The pairs of each split of a data set, from the hub or from a local folder in its schema.

    The schema has a column for each language, or a column "translation" with both.
    """
    data = sources.load_hub(name, revision, configuration)
    splits: Splits = {}
    for split, hub_split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        if hub_split not in data:
            raise DataError(f"{name}: has no split {hub_split!r}; it has {', '.join(data)}")
        columns = data[hub_split].column_names
        for language in LANGUAGES:
            if language not in columns and "translation" not in columns:
                raise DataError(f"{name}: split {hub_split!r} has no column {language!r}")
        splits[split] = _rows(data[hub_split])
    return splits


def _rows(rows: Any) -> Iterator[Pair]:
    """The pairs of a split of `datasets`."""
    for batch in rows.iter(batch_size=1000):
        if "translation" in batch:
            yield from ((row["en"], row["de"]) for row in batch["translation"])
        else:
            yield from zip(batch["en"], batch["de"], strict=True)
