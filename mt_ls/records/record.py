"""A measurement and its one line of JSON: the only thing that analysis reads.

A line is written whole or not at all: an append first removes the torn line that a killed run may have left, and
readers skip one. ECE is never stored: it is a view of the bins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.metadata
import json
import math
import os
import subprocess
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calibration.bins import Bins


class RecordError(ValueError):
    """A records file that cannot be read, or a record that cannot be written; the message names line or run."""


@dataclass(frozen=True)
class Measurement:
    """One model on one split in one mode at one temperature. A field that was not measured is None, and absent
    from the line. ``nll`` is in nats a token, ``bins`` hold sums, ``seconds`` are wall-clock."""

    run: str
    mode: str  # forced | beam | penultimate | images | information
    split: str
    temperature: float
    bins: Bins
    n_tokens: int
    n_sentences: int
    n_sentences_in_set: int
    sha: dict[str, str]  # data, checkpoint, code
    versions: dict[str, str]
    corpus: str | None = None
    alpha: float | None = None
    convention: str | None = None
    seed: int | None = None
    updates: int | None = None
    precision: str | None = None  # of training, where it was not float32 and this is known
    network: str | None = None
    teacher: dict[str, Any] | None = None  # run, network, alpha, temperature, beta, gamma, checkpoint
    gamma: float | None = None  # mean probability on wrong classes, times K / (K - 1)
    mutual_information: dict[str, Any] | None = None  # nats; of the input's index and a difference of two logits
    geometry: dict[str, Any] | None = None  # of penultimate activations and templates, a number each
    beam: int | None = None
    lenpen: float | None = None
    n_left_out: int | None = None
    nll: float | None = None
    perplexity: float | None = None
    accuracy: float | None = None
    confidence: float | None = None
    brier: float | None = None
    bins_equal_mass: Bins | None = None
    bins_by_class: dict[str, Bins] | None = None
    bleu: dict[str, Any] | None = None
    bleu_uncased: dict[str, Any] | None = None
    chrf: dict[str, Any] | None = None
    ter: dict[str, Any] | None = None
    length_ratio: float | None = None
    fitted_temperature: float | None = None
    fitted_on: str | None = None  # the split; of its sentences (counted from 0) the even ones, the others report
    arrays: str | None = None  # the .npz beside the records
    seconds: float | None = None
    device: str | None = None
    unit: str = "spm"

    @property
    def signature(self) -> str:
        """What an ECE from this record needs to travel with, sacrebleu's way."""
        hit = "ter" if self.mode == "beam" else "argmax"
        alpha = "" if self.alpha is None else f"a:{self.alpha:.2f}{self.convention}"
        beam = "" if self.beam is None else f"b:{self.beam}"
        seed = "" if self.seed is None else f"s:{self.seed}"
        parts = [
            "ECE",
            f"mode:{self.mode}",
            f"hit:{hit}",
            f"unit:{self.unit}",
            f"split:{self.split}",
            f"bins:{len(self.bins.count)}w",
            f"T:{self.temperature:.2f}",
            beam,
            alpha,
            f"n:{self.bins.n}",
            seed,
            f"ck:{self.sha['checkpoint'][:8]}",
            f"data:{self.sha['data'][:8]}",
            f"code:{self.sha['code'][:7]}",
            f"v:{self.versions['mt_ls']}",
        ]
        return "|".join(part for part in parts if part)

    def key(self) -> tuple[Any, ...]:
        """What makes two measurements the same work: used to go on where a killed run stopped."""
        sha = (self.sha["checkpoint"], self.sha["data"])
        return (*sha, self.split, self.mode, round(self.temperature, 6), self.beam, self.lenpen)

    def to_json(self) -> str:
        """One line, without its newline. Raises RecordError for a number that is not finite."""
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Bins):
                value = value.to_json()
            elif field.name == "bins_by_class" and value is not None:
                value = {name: bins.to_json() for name, bins in value.items()}
            if value is not None:
                fields[field.name] = value
        try:
            return json.dumps({**fields, "signature": self.signature}, ensure_ascii=False, allow_nan=False)
        except ValueError:
            infinite = [name for name, value in fields.items() if _not_finite(value)]
            raise RecordError(
                f"{self.run}: not finite on {self.split} at T = {self.temperature:g}: {', '.join(infinite)}; the "
                "model's outputs are of no use, as after a training that diverged: look at its loss, and train it again"
            ) from None

    @classmethod
    def from_json(cls, line: str) -> Measurement:
        """The inverse of `to_json`. Raises RecordError for what is not a record."""
        try:
            fields = json.loads(line)
            fields.pop("signature", None)
            for name in {"bins", "bins_equal_mass"} & fields.keys():
                fields[name] = Bins.from_json(fields[name])
            if "bins_by_class" in fields:
                by_class = fields["bins_by_class"].items()
                fields["bins_by_class"] = {name: Bins.from_json(bins) for name, bins in by_class}
            record = cls(**fields)
            record.check()
            return record
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"not a record ({error})") from None

    def check(self) -> None:
        """Raises ValueError, with the field's name, for a value of another kind than its own, and for one that no
        measurement gives."""
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise ValueError(f"{name} is {value!r:.40}")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} is {value}")
        if self.temperature <= 0 or min(self.n_tokens, self.n_sentences, self.n_sentences_in_set) < 0:
            raise ValueError("a temperature is greater than 0, a count is not negative")
        named = {"data", "checkpoint", "code"} <= self.sha.keys() and "mt_ls" in self.versions
        if not named or not all(isinstance(text, str) for text in (*self.sha.values(), *self.versions.values())):
            raise ValueError("sha needs data, checkpoint and code, versions needs mt_ls")
        for score in (self.bleu, self.bleu_uncased, self.chrf, self.ter):
            if score is not None and not isinstance(score.get("score"), int | float):
                raise ValueError(f"a score has no number: {score!r:.40}")
        if self.arrays is not None and Path(self.arrays).name != self.arrays:
            raise ValueError(f"arrays is {self.arrays!r:.40}, not the name of a file beside the records")


def _kinds(annotation: Any) -> tuple[type, ...]:
    """The types that an annotation such as ``dict[str, Any] | None`` allows; a whole number is a float too."""
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    kinds = tuple(typing.get_origin(part) or part for part in parts)
    return (*kinds, int) if float in kinds else kinds


_KINDS = {name: _kinds(kind) for name, kind in typing.get_type_hints(Measurement).items()}


def _not_finite(value: Any) -> bool:
    """Whether a value of JSON holds a number that JSON has not."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_not_finite, inside)) or (isinstance(value, float) and not math.isfinite(value))


def append(path: str | Path, measurement: Measurement) -> None:
    """Append one whole line, safe against other writers and against a kill: a torn last line goes first."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (measurement.to_json() + "\n").encode()
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> list[Measurement]:
    """Every record of a file, in order. A torn last line is skipped; raises RecordError (file and line) for
    any other that is no record."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    records = []
    whole = text[: text.rfind("\n") + 1]
    for number, line in enumerate(whole.split("\n")[:-1], start=1):
        try:
            records.append(Measurement.from_json(line))
        except RecordError as error:
            raise RecordError(f"{path}:{number}: {error}") from None
    return records


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to it when the block ends well, removed when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def sha256_of(*paths: str | Path) -> str:
    """Hex SHA-256 of the contents of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def code_hash() -> str:
    """The commit of the checkout that this package runs from, with "+dirty" if tracked files differ; where there
    is no git, a hash of the package's own sources."""
    package = Path(__file__).parent
    git = ["git", "-C", str(package)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no"], **_QUIET)
        return commit.stdout.strip() + ("+dirty" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return sha256_of(*sorted(package.glob("*.py")))


_QUIET: dict[str, Any] = {"check": True, "capture_output": True, "text": True}


def versions(*distributions: str) -> dict[str, str]:
    """Installed versions, {name: version}; a distribution that is not installed is absent. Ours is always there."""
    from .. import __version__

    found = {"mt_ls": __version__}
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
