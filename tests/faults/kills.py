"""kill -9 at moments of a whole recipe: within each of its stages, at random or at an event.

The same command, run again, must end with the results of a run that was never killed.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from commands import kill_session, says
from pyarrow import parquet
from trees import fresh, start_recipe

from mt_ls.records import read

RECIPE = "synthetic/run.sh"
DATA = "data-bin/synthetic_smoke"
RUN = "runs/synthetic_smoke_a0.10_s1"
_LOG = "recipe.log"
_POLL = 0.01
"""Seconds between two looks at a recipe at work."""


class Stage(NamedTuple):
    """A stage of a recipe by what its tree shows: whether the stage is at work, and whether it has ended."""

    name: str
    has_begun: Callable[[Path], bool]
    has_ended: Callable[[Path], bool]


def _n_records(tree: Path, mode: str, *splits: str) -> int:
    """The number of records in a mode, which a process may be writing."""
    file = tree / RUN / "records.jsonl"
    text = file.read_text(errors="replace") if file.exists() else ""
    return sum(text.count(f'"mode": "{mode}", "split": "{split}"') for split in splits)


def _training(name: str, run: str) -> Stage:
    return Stage(
        name,
        lambda tree: says(tree / run / "train.log", "| fairseq_cli.train | {"),
        lambda tree: (tree / run / "trained").exists(),
    )


_TRAINING = _training("training", RUN)
_SEARCHING = Stage(
    "measuring beam",
    lambda tree: _n_records(tree, "forced", "valid") == 4,
    lambda tree: _n_records(tree, "beam", "valid") == 4,
)
STAGES = (
    Stage(
        "preparing data",
        lambda tree: (tree / "data-bin" / ".synthetic_smoke.lock").exists(),
        lambda tree: (tree / DATA / "manifest.json").exists(),
    ),
    _TRAINING,
    Stage(
        "measuring forced",
        lambda tree: says(tree / _LOG, f"== measuring {RUN} on valid"),
        lambda tree: _n_records(tree, "forced", "valid") == 4,
    ),
    _SEARCHING,
    Stage(
        "measuring activations",
        lambda tree: says(tree / _LOG, f"== activations of {RUN} on train"),
        lambda tree: _n_records(tree, "activations", "train", "valid") == 2,
    ),
    Stage(
        "reporting",
        lambda tree: says(tree / _LOG, "== reporting"),
        lambda tree: (tree / "out" / "synthetic_smoke" / "report.html").exists(),
    ),
)
"""The stages of the recipe, in order."""
HALF = {"PRECISION": "bf16"}
HALF_STAGE = _training("training in half precision", RUN.replace("_s1", "_bf16_s1"))
"""A stage of the recipe with `HALF`, on a GPU."""
QUICK = (
    _TRAINING._replace(has_begun=lambda tree: says(tree / RUN / "train.log", "num_updates=50")),
    _SEARCHING._replace(has_begun=lambda tree: _n_records(tree, "beam", "valid") > 0),
)
"""Those of the quick form: a training after its first checkpoint, and a search with some of its records."""


class Results:
    """The results of a recipe: hashes of data, records without their wall-clock times, items, and the report.

    Those of one run, ``runs/NAME``, come without the report.
    """

    def __init__(self, tree: Path, run: str = "*") -> None:
        runs = [tree / run] if run != "*" else sorted(tree.glob("runs/*"))
        manifests = tree.glob("data-bin/*/manifest.json")
        self.data = {path.parent.name: json.loads(path.read_text())["hash"] for path in manifests}
        self.records = {
            folder.name: sorted(
                msgspec.structs.replace(record, seconds=None).to_json() for record in read(folder / "records.jsonl")
            )
            for folder in runs
        }
        self.items = {path.name: parquet.read_table(path) for folder in runs for path in folder.glob("*.parquet")}
        reports = tree.glob("out/synthetic_smoke/report.html") if run == "*" else []  # an audit may have another
        self.report = {path.parent.name: path.read_text() for path in reports}

    def differences(self, other: Results) -> list[str]:
        """The names of the results that are not equal; of records at most three fields each."""
        names = [name for name in ("data", "report") if getattr(self, name) != getattr(other, name)]
        names += [name for name in self.items.keys() | other.items.keys() if not self._same_items(other, name)]
        for run in self.records.keys() | other.records.keys():
            records, others = self.records.get(run, []), other.records.get(run, [])
            if len(records) != len(others):
                names.append(f"{len(records)} records of {run}, not {len(others)}")
            for record, another in zip(map(json.loads, records), map(json.loads, others), strict=False):
                fields = [name for name in record.keys() | another.keys() if record.get(name) != another.get(name)]
                names += [f"{name} of {record['signature']}" for name in sorted(fields)[:3]]
        return names

    def is_as_whole_as(self, other: Results) -> bool:
        """Whether the data are equal, and records of the same modes and splits, after as many updates, are there.

        On a GPU two trainings do not end with the same numbers.
        """
        return self.data == other.data and self._work == other._work

    @property
    def _work(self) -> dict[str, Counter[tuple[Any, ...]]]:
        return {
            run: Counter((record["mode"], record["split"], record["updates"]) for record in map(json.loads, records))
            for run, records in self.records.items()
        }

    def _same_items(self, other: Results, name: str) -> bool:
        return name in self.items and name in other.items and self.items[name].equals(other.items[name])


def undisturbed(
    source: Path, folder: Path, stages: Sequence[Stage], **environment: str
) -> tuple[Path, dict[str, float]]:
    """(A copy of a tree in which the recipe has run to its end, the seconds of each of the stages by its name.)"""
    tree = fresh(source, folder)
    begun: dict[str, float] = {}
    lasted: dict[str, float] = {}
    with _started(tree, environment) as process:
        while process.poll() is None:
            now = time.perf_counter()
            for stage in stages:
                if stage.name not in begun and stage.has_begun(tree):
                    begun[stage.name] = now
                if stage.name in begun and stage.name not in lasted and stage.has_ended(tree):
                    lasted[stage.name] = now - begun[stage.name]
            time.sleep(_POLL)
    _check_end(process, tree, "the recipe itself fails")
    return tree, lasted


class Plan(NamedTuple):
    """A kill within a stage: ``pause`` seconds after it is seen at work."""

    stage: Stage
    pause: float

    def comes(self, process: subprocess.Popen[str], tree: Path) -> bool:
        """Wait for the moment of the kill. False where the stage, or the recipe, has ended before it."""
        begun: float | None = None
        while process.poll() is None:
            if begun is None and self.stage.has_begun(tree):
                begun = time.perf_counter()
            if self.stage.has_ended(tree):
                return False
            if begun is not None and time.perf_counter() - begun >= self.pause:
                return True
            time.sleep(_POLL)
        return False


def at_random(stages: Sequence[Stage], seconds: dict[str, float], rng: random.Random) -> list[Plan]:
    """A kill at a random moment of each stage, of which ``seconds`` says how long it lasts."""
    return [Plan(stage, rng.uniform(0, seconds[stage.name])) for stage in stages]


def killed(
    source: Path, folder: Path, plans: Sequence[Plan], data: Path | None = None, **environment: str
) -> tuple[Path, Counter[str]]:
    """(A copy of a tree in which the recipe was killed as planned, stage after stage, and then has run to its end, the
    number of kills in each stage.) A kill whose stage ends before it does not come. ``data`` are prepared already."""
    tree = fresh(source, folder)
    if data is not None:
        shutil.copytree(data, tree / DATA)
    kills: Counter[str] = Counter()
    left = list(plans)
    while True:
        with _started(tree, environment) as process:
            while left and not left[0].comes(process, tree):
                left.pop(0)
            if not left:
                process.wait()
                break
            kill_session(process)
            kills[left.pop(0).stage.name] += 1
    _check_end(process, tree, f"after {kills.total()} kills the recipe fails")
    return tree, kills


@contextlib.contextmanager
def _started(tree: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with open(tree / _LOG, "w") as log:
        yield start_recipe(tree, RECIPE, log=log, SCALE="smoke", ALPHAS="0.1", **environment)


def _check_end(process: subprocess.Popen[str], tree: Path, failure: str) -> None:
    if process.returncode:
        raise RuntimeError(f"{failure}: {(tree / _LOG).read_text()[-2000:]}")
