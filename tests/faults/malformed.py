"""Malformed inputs through the real entry points. Each must end with one line of error, a status that is not 0, and no
output."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

import analysis.claims.__main__
import analysis.figures.__main__
import analysis.publish
import analysis.report.__main__
import data_prep.__main__
import mt_ls.measure.__main__
import mt_ls.measure.text
from mt_ls.records import read

Main = Callable[[list[str]], int]
SENTENCES = [f"the number {i} of {i * i}" for i in range(40)]
N_RECORDS = 6
"""The length of the records file in which one line is spoilt."""


class Campaign:
    """Calls entry points with inputs that must be refused. ``tried`` counts them by what they are, and ``failures`` has
    a line for each that was not refused well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tried: Counter[str] = Counter()
        self.failures: list[str] = []

    def refuse(self, what: str, main: Main, arguments: list[Any], output: Path) -> None:
        """Call ``main``, and note a failure unless it refuses its arguments and leaves no ``output``."""
        self.tried[what] += 1
        words = [str(argument) for argument in arguments]
        try:
            status, errors = call(main, words)
        except BaseException as error:
            self.failures.append(f"{what}: {words}: a traceback: {type(error).__name__}: {error}")
            return
        lines = [line for line in errors.splitlines() if "error: " in line]
        if status in (0, None):
            self.failures.append(f"{what}: {words}: status {status}")
        elif len(lines) != 1 or "Traceback" in errors:
            self.failures.append(f"{what}: {words}: printed {errors!r}")
        if output.exists():
            self.failures.append(f"{what}: {words}: left {output}")
            shutil.rmtree(output) if output.is_dir() else output.unlink()


def _settings(n: int) -> hypothesis.settings:
    """n examples, the same ones in every run."""
    return hypothesis.settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def call(main: Main, words: list[str]) -> tuple[Any, str]:
    """(Status, text on stderr) of an entry point."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            status: Any = main(words)
        except SystemExit as end:  # of argparse, after its usage
            status = end.code
    return status, errors.getvalue()


def corpora(campaign: Campaign, n: int) -> None:
    """Text that is not UTF-8, of unequal length, cut, or of another schema."""
    for seed in range(n):
        rng = random.Random(seed)
        folder = campaign.folder / "corpus"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        _CORPUS_SPOILS[seed % len(_CORPUS_SPOILS)](folder, rng)
        out = campaign.folder / "data-bin"
        campaign.refuse("corpora", data_prep.__main__.main, ["multi30k", "--source", folder, "--out", out], out)


def _plain(folder: Path) -> None:
    for split in ("train", "valid", "test"):
        for language in ("en", "de"):
            (folder / f"{split}.{language}").write_text("".join(f"{line} {language}\n" for line in SENTENCES))


def _jsonl(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        rows = ({"en": sentence, "de": f"{sentence} de"} for sentence in SENTENCES)
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _not_utf8(folder: Path, rng: random.Random) -> None:
    _plain(folder)
    file = rng.choice(sorted(folder.iterdir()))
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] = rng.randrange(0xF8, 0x100)
    file.write_bytes(content)


def _unequal(folder: Path, rng: random.Random) -> None:
    _plain(folder)
    file = rng.choice(sorted(folder.iterdir()))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: rng.randrange(len(lines))]))


def _missing(folder: Path, rng: random.Random) -> None:
    _plain(folder)
    rng.choice(sorted(folder.iterdir())).unlink()


def _cut_json(folder: Path, rng: random.Random) -> None:
    _jsonl(folder)
    file = rng.choice(sorted(folder.iterdir()))
    lines = file.read_text().splitlines()
    i = rng.randrange(len(lines))
    lines[i] = lines[i][: rng.randrange(1, len(lines[i]))]
    file.write_text("\n".join(lines) + "\n")


def _wrong_schema(folder: Path, rng: random.Random) -> None:
    _jsonl(folder)
    file = rng.choice(sorted(folder.iterdir()))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    row = rng.choice(rows)
    row[rng.choice(["en", "de"])] = rng.choice([None, 3, 2.5, ["a"], {"a": "b"}, True])
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _no_parquet(folder: Path, rng: random.Random) -> None:
    for split in ("train", "validation", "test"):
        (folder / f"{split}.parquet").write_bytes(rng.randbytes(rng.randrange(1, 200)))


_CORPUS_SPOILS = (_not_utf8, _unequal, _missing, _cut_json, _wrong_schema, _no_parquet)


def manifests(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """A manifest that is cut, is no object, or whose hash or corpus is no text."""
    copy = campaign.folder / "spoilt data"
    shutil.copytree(data, copy)
    text = (data / "manifest.json").read_text()
    rows = json.loads(text)
    for seed in range(n):
        rng = random.Random(seed)
        changed = {**rows, rng.choice(["hash", "corpus"]): rng.choice([None, 7, "", ["x"], {"a": 1}, True])}
        cut = text[: rng.randrange(len(text) - 2)]
        (copy / "manifest.json").write_text(rng.choice([cut, json.dumps(changed), json.dumps([rows]), "7", "null"]))
        out = campaign.folder / "out" / "records.jsonl"
        campaign.refuse("manifests", mt_ls.measure.__main__.main, _measure(copy, checkpoint, out), out)


def checkpoints(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """A checkpoint that is cut, has one changed bit, or is no checkpoint."""
    content = checkpoint.read_bytes()
    with zipfile.ZipFile(checkpoint) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    size = largest.file_size - 128
    # torch pads an entry's name so that its bytes begin at a multiple of 64
    weights = content.index(largest.filename.encode(), largest.header_offset) + len(largest.filename) + 64
    file = campaign.folder / "spoilt.pt"
    for seed in range(n):
        rng = random.Random(seed)
        changed = bytearray(content)
        changed[weights + rng.randrange(size)] ^= 1 << rng.randrange(8)
        file.write_bytes(rng.choice([content[: rng.randrange(len(content) - 1)], changed, rng.randbytes(1000)]))
        out = campaign.folder / "out" / "records.jsonl"
        campaign.refuse("checkpoints", mt_ls.measure.__main__.main, _measure(data, file, out), out)


def _measure(data: Path, checkpoint: Path, out: Path) -> list[Any]:
    return [data, "--path", checkpoint, "--records", out, "--modes", "forced", "--fit-subset", "none", "--cpu"]


def records(campaign: Campaign, n: int, run: Path) -> None:
    """A records file of which one line is cut, or has a field that is missing, foreign or of a wrong value, in the
    record itself, its model or its bins. Raises RuntimeError if the file is refused before that."""
    folder = campaign.folder / "records"
    folder.mkdir()
    of_test = [record for record in read(run / "records.jsonl") if record.split == "test"][:N_RECORDS]
    for record in of_test:
        shutil.copy(run / str(record.items), folder)
    lines = [record.to_json() for record in of_test]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")
    out = campaign.folder / "report"
    readers: list[tuple[Main, list[str]]] = [
        (analysis.claims.__main__.main, [str(folder)]),
        (analysis.publish.main, [str(folder), "--out", str(out)]),
        (analysis.report.__main__.main, [str(folder), "--out", str(out)]),
    ]
    for main, arguments in readers:
        status, errors = call(main, arguments)
        if status:
            raise RuntimeError(f"sound records are refused: {errors}")
        shutil.rmtree(out, ignore_errors=True)

    @_settings(n)
    @hypothesis.given(
        st.integers(0, len(lines) - 1), st.sampled_from(_RECORD_SPOILS), _JUNK, st.randoms(use_true_random=False)
    )
    def spoil(number: int, change: Spoil, junk: Any, rng: random.Random) -> None:
        spoilt = [*lines]
        spoilt[number] = change(json.loads(lines[number]), junk, rng)
        (folder / "records.jsonl").write_text("\n".join(spoilt) + "\n")
        main, arguments = rng.choice(readers)
        campaign.refuse("records", main, arguments, out)

    spoil()


Spoil = Callable[[dict[str, Any], Any, random.Random], str]
"""Returns the line of a record after a change to it."""
_JUNK = st.one_of(
    st.lists(st.integers(), max_size=2),
    st.binary(max_size=4).map(str),
    st.just({"x": [1]}),
    st.floats(allow_nan=False).map(lambda x: [x]),
    st.booleans().map(lambda x: {"b": x}),
)
_NEEDED = ("run", "model", "mode", "split", "temperature", "bins", "n_tokens", "n_sentences", "sha", "versions")


def _wrong_field(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    record[rng.choice(sorted(record.keys() - {"signature"}))] = [junk]  # no field is a list
    return json.dumps(record)


def _wrong_bins(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    record["bins"][rng.choice(["edges", "count", "confidence", "hits"])] = junk
    return json.dumps(record)


def _missing_field(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    del record[rng.choice(_NEEDED)]
    return json.dumps(record)


def _foreign_field(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    record[f"{rng.choice(sorted(record))}_x"] = junk
    return json.dumps(record)


def _wrong_model(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    model, smoothing = record["model"], record["model"]["smoothing"]
    amount = rng.choice([-0.1, 1.0, 3, "0.1", None])
    changes: list[dict[str, Any]] = [
        {rng.choice(["corpus", "architecture", "smoothing", "teacher", "x"]): [junk]},  # no field is a list
        {"smoothing": {**smoothing, rng.choice(["kind", "convention"]): str(junk)}},
        {"smoothing": {**smoothing, "amount": amount}},
    ]
    record["model"] = {**model, **rng.choice(changes)}
    return json.dumps(record)


def _no_corpus(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    del record["model"]["corpus"]
    return json.dumps(record)


def _other_schema(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    schema = record.pop("schema")
    if rng.random() < 0.8:
        record["schema"] = rng.choice([0, 1, schema + 1, str(schema), None, junk])
    return json.dumps(record)


def _cut_line(record: dict[str, Any], junk: Any, rng: random.Random) -> str:
    text = json.dumps(record)
    return text[: rng.randrange(1, len(text))]


_RECORD_SPOILS: tuple[Spoil, ...] = (
    _wrong_field,
    _wrong_bins,
    _missing_field,
    _foreign_field,
    _wrong_model,
    _no_corpus,
    _other_schema,
    _cut_line,
)


def translations(campaign: Campaign, n: int) -> None:
    """Folders of hypotheses, references and tokens for `mt_ls.measure.text` of which one file is spoilt."""
    for seed in range(n):
        rng = random.Random(seed)
        folder = campaign.folder / "system"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        tokens = [{"sentence": i, "token": f"▁{word}", "probability": 0.5} for i in range(4) for word in ("a", "b")]
        for name in ("hypotheses.txt", "references.txt"):
            (folder / name).write_text("a b\n" * 4)
        row = rng.choice(tokens)
        row[rng.choice(list(row))] = rng.choice([None, [], {}, -1, 1.5, "x" * rng.randrange(3) + "\0", True])
        text = "".join(json.dumps(token) + "\n" for token in tokens)
        (folder / "tokens.jsonl").write_text(text)
        spoil = rng.choice(["none", "cut", "short", "bytes", "missing"])
        if spoil == "cut":
            (folder / "tokens.jsonl").write_text(text[: rng.randrange(len(text) - 1)])
        elif spoil == "short":
            (folder / "references.txt").write_text("a b\n" * rng.randrange(4))
        elif spoil == "bytes":
            (folder / "hypotheses.txt").write_bytes(b"a b\n\xff\n" * 2)
        elif spoil == "missing":
            (folder / rng.choice(["hypotheses.txt", "references.txt", "tokens.jsonl"])).unlink()
        out = campaign.folder / "out" / "records.jsonl"
        campaign.refuse("translations", mt_ls.measure.text.main, [folder, "--records", out], out)


def command_lines(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """Options with values that do not exist or are no numbers."""
    folder = campaign.folder
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=12)
    numbers = st.one_of(
        names.filter(lambda text: not text.strip().lstrip("+-").replace("_", "").isdecimal()),
        st.sampled_from(["0", "-1", "nan", "inf", "-inf", "1e999", "''"]),
    )

    @_settings(n)
    @hypothesis.given(st.sampled_from(range(7)), names, numbers)
    def spoil(number_of_command: int, name: str, number: str) -> None:
        out = folder / "nothing here"
        measure = _measure(data, checkpoint, out / "records.jsonl")
        commands: list[tuple[Main, list[Any]]] = [
            (data_prep.__main__.main, [name, "--out", out]),
            (data_prep.__main__.main, ["synthetic", "--out", out, f"--pairs={number}"]),
            (mt_ls.measure.__main__.main, [*measure, f"--temperatures={number}"]),
            (mt_ls.measure.__main__.main, [*measure, f"--gen-subset={name}"]),
            (analysis.report.__main__.main, [folder / "nowhere" / name, "--out", out]),
            (analysis.claims.__main__.main, [folder / "nowhere" / name, f"--{name}"]),
            (analysis.figures.__main__.main, [name, folder / "nowhere", "--out", out / name]),
        ]
        main, arguments = commands[number_of_command]
        campaign.refuse("command lines", main, arguments, out)

    spoil()
