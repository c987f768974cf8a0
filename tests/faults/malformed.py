"""Malformed inputs of every kind through the real entry points: each must end with one line, a status that is not 0,
and no output."""

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
import analysis.publish
import analysis.report.__main__
import data_prep.__main__
import mt_ls.measure.__main__
import mt_ls.measure.text

Main = Callable[[list[str]], int]
SENTENCES = [f"the number {i} of {i * i}" for i in range(40)]


class Campaign:
    """Calls entry points with inputs that must be refused, and counts. ``wrong`` tells what was not refused well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tried: Counter[str] = Counter()
        self.wrong: list[str] = []

    def refuse(self, kind: str, main: Main, arguments: list[Any], output: Path) -> None:
        """Call ``main`` and judge what it did."""
        self.tried[kind] += 1
        told = io.StringIO()
        words = [str(argument) for argument in arguments]
        try:
            with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
                status = main(words)
        except SystemExit as end:  # argparse, after its usage
            status = end.code
        except BaseException as error:
            self.wrong.append(f"{kind}: {words}: a traceback: {type(error).__name__}: {error}")
            return
        lines = [line for line in told.getvalue().splitlines() if "error: " in line]
        if status in (0, None):
            self.wrong.append(f"{kind}: {words}: status {status}")
        elif len(lines) != 1 or "Traceback" in told.getvalue():
            self.wrong.append(f"{kind}: {words}: told {told.getvalue()!r}")
        if output.exists():
            self.wrong.append(f"{kind}: {words}: left {output}")
            shutil.rmtree(output) if output.is_dir() else output.unlink()


def corpora(campaign: Campaign, n: int) -> None:
    """Text that is no UTF-8, of unequal length, cut, or not of the schema."""
    for seed in range(n):
        rng = random.Random(seed)
        folder = campaign.folder / "corpus"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        _SPOILS[seed % len(_SPOILS)](folder, rng)
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


_SPOILS = (_not_utf8, _unequal, _missing, _cut_json, _wrong_schema, _no_parquet)


def manifests(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """A manifest that is cut, or says other than text of itself."""
    copy = campaign.folder / "spoilt data"
    shutil.copytree(data, copy)
    text = (data / "manifest.json").read_text()
    rows = json.loads(text)
    for seed in range(n):
        rng = random.Random(seed)
        changed = {**rows, rng.choice(["hash", "corpus"]): rng.choice([None, 7, "", ["x"], {"a": 1}, True])}
        cut = text[: rng.randrange(len(text) - 2)]
        (copy / "manifest.json").write_text(rng.choice([cut, json.dumps(changed), json.dumps([rows]), "7", "null"]))
        records = campaign.folder / "out" / "records.jsonl"
        campaign.refuse("manifests", mt_ls.measure.main, _measure(copy, checkpoint, records), records)


def checkpoints(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """A checkpoint that is cut, has a changed byte, or is none."""
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
        records = campaign.folder / "out" / "records.jsonl"
        campaign.refuse("checkpoints", mt_ls.measure.main, _measure(data, file, records), records)


def _measure(data: Path, checkpoint: Path, records: Path) -> list[Any]:
    return [data, "--path", checkpoint, "--records", records, "--modes", "forced", "--fit-subset", "none", "--cpu"]


def records(campaign: Campaign, n: int, published: Path) -> None:
    """Records with a field of the wrong kind, a missing field, a foreign one, or a line that is cut."""
    lines = published.read_text().splitlines()[:6]
    fields = sorted(json.loads(lines[0]).keys() - {"signature"})
    needed = ("run", "mode", "split", "temperature", "bins", "n_tokens", "n_sentences", "sha", "versions")
    junk = st.one_of(
        st.lists(st.integers(), max_size=2),
        st.binary(max_size=4).map(str),
        st.just({"x": [1]}),
        st.floats(allow_nan=False).map(lambda x: [x]),
        st.booleans().map(lambda x: {"b": x}),
    )

    @hypothesis.settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        st.integers(0, len(lines) - 1),
        st.sampled_from(fields),
        junk,
        st.sampled_from(range(5)),
        st.sampled_from(needed),
        st.randoms(use_true_random=False),
    )
    def spoil(number: int, field: str, value: Any, kind: int, need: str, rng: random.Random) -> None:
        record = json.loads(lines[number])
        if kind == 0:
            record[field] = [value]  # no field is a list
        elif kind == 1:
            record["bins"] = {**record["bins"], rng.choice(["edges", "count", "confidence", "hits"]): value}
        elif kind == 2:
            del record[need]
        elif kind == 3:
            record[f"{field}_x"] = value
        text = json.dumps(record)
        spoilt = [*lines]
        spoilt[number] = text[: rng.randrange(1, len(text))] if kind == 4 else text
        folder = campaign.folder / "records"
        folder.mkdir(exist_ok=True)
        (folder / "records.jsonl").write_text("\n".join(spoilt) + "\n")
        out = campaign.folder / "report"
        main, more = rng.choice(
            [
                (analysis.report.main, ["--out", out]),
                (analysis.publish.main, ["--out", out]),
                (analysis.claims.main, []),
            ]
        )
        campaign.refuse("records", main, [folder, *more], out)

    spoil()


def translations(campaign: Campaign, n: int) -> None:
    """Folders of hypotheses, references and tokens for `mt_ls.measure_text`, one of them spoilt."""
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
        campaign.refuse("translations", mt_ls.measure_text.main, [folder, "--records", out], out)


def command_lines(campaign: Campaign, n: int, data: Path, checkpoint: Path) -> None:
    """Options with values that are none."""
    folder = campaign.folder
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=12)
    numbers = st.one_of(
        names.filter(lambda text: not text.strip().lstrip("+-").replace("_", "").isdecimal()),
        st.sampled_from(["0", "-1", "nan", "inf", "-inf", "1e999", "''"]),
    )

    @hypothesis.settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.sampled_from(range(6)), names, numbers)
    def spoil(kind: int, name: str, number: str) -> None:
        out = folder / "nothing here"
        measured = _measure(data, checkpoint, out / "records.jsonl")
        main, arguments = [
            (data_prep.__main__.main, [name, "--out", out]),
            (data_prep.__main__.main, ["synthetic", "--out", out, f"--pairs={number}"]),
            (mt_ls.measure.main, [*measured, f"--temperatures={number}"]),
            (mt_ls.measure.main, [*measured, f"--gen-subset={name}"]),
            (analysis.report.main, [folder / "nowhere" / name, "--out", out]),
            (analysis.claims.main, [folder / "nowhere" / name, f"--{name}"]),
        ][kind]
        campaign.refuse("command lines", main, arguments, out)

    spoil()
