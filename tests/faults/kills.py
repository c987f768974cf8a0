"""kill -9 at moments of a whole recipe, chosen at random or by an event.

The same command, run again, must end with the results of a run that was never killed.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from commands import kill_session, says
from pyarrow import parquet
from trees import fresh, start_recipe

from mt_ls.records import read

RECIPE = "synthetic/run.sh"
DATA = "data-bin/synthetic_smoke"
RUN = "runs/synthetic_smoke_a0.10_s1"
QUICK = (
    lambda tree: says(tree / RUN / "train.log", "num_updates=50"),
    lambda tree: says(tree / RUN / "records.jsonl", '"mode": "beam"'),
)
"""Events of the quick form: a training after its first checkpoint, and a measurement with some of its records."""
_STAGES = {"== training": "training", "== measuring": "measuring", "== reporting": "reporting"}


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

    def _same_items(self, other: Results, name: str) -> bool:
        return name in self.items and name in other.items and self.items[name].equals(other.items[name])


def undisturbed(source: Path, folder: Path, **environment: str) -> tuple[Path, float]:
    """(A copy of a tree in which the recipe has run to its end, the seconds that it took.)"""
    tree = fresh(source, folder)
    start = time.perf_counter()
    with open(folder / "recipe.log", "w") as log:
        status = start_recipe(tree, RECIPE, log=log, SCALE="smoke", **environment).wait()
    if status:
        raise RuntimeError(f"the recipe itself fails: {(folder / 'recipe.log').read_text()[-2000:]}")
    return tree, time.perf_counter() - start


Moment = Callable[["subprocess.Popen[str]", Path], bool]
"""Returns True when a recipe at work in a tree is to be killed, False when it has ended before."""


def at_random(longest: float, rng: random.Random) -> Moment:
    """A moment at most ``longest`` seconds after the start."""

    def wait(process: subprocess.Popen[str], tree: Path) -> bool:
        try:
            process.wait(timeout=rng.uniform(0, longest))
        except subprocess.TimeoutExpired:
            return True
        return False

    return wait


def when(event: Callable[[Path], bool]) -> Moment:
    """The moment when ``event(tree)`` is true."""

    def wait(process: subprocess.Popen[str], tree: Path) -> bool:
        while process.poll() is None:
            if event(tree):
                return True
            time.sleep(0.02)
        return False

    return wait


def killed(source: Path, folder: Path, moments: Sequence[Moment], **environment: str) -> tuple[Path, Counter[str]]:
    """(A copy of a tree in which the recipe was killed at each of the moments, unless it had ended before, and then has
    run to its end, the number of kills in each stage.)"""
    tree = fresh(source, folder)
    stages: Counter[str] = Counter()
    for moment in (*moments, when(lambda tree: False)):
        with open(folder / "recipe.log", "w") as log:
            process = start_recipe(tree, RECIPE, log=log, SCALE="smoke", **environment)
            if not moment(process, tree):
                break
        kill_session(process)
        stages[_stage(folder / "recipe.log")] += 1
    if process.returncode:
        log_end = (folder / "recipe.log").read_text()[-2000:]
        raise RuntimeError(f"after {stages.total()} kills the recipe fails: {log_end}")
    return tree, stages


def _stage(log: Path) -> str:
    headings = re.findall("|".join(_STAGES), log.read_text())
    return _STAGES[headings[-1]] if headings else "preparing data"
