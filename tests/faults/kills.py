"""kill -9 at random moments of a whole recipe: the same command again ends with what a run never killed has."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from trees import fresh, start_recipe

from mt_ls.records.record import read

RECIPE = "synthetic/run.sh"
_STAGES = {"== training": "training", "== measuring": "measuring", "== reporting": "reporting"}


class Finished:
    """What a recipe left: data hashes, records without their times, and the report."""

    def __init__(self, tree: Path) -> None:
        manifests = tree.glob("data-bin/*/manifest.json")
        self.data = {path.parent.name: json.loads(path.read_text())["hash"] for path in manifests}
        self.records = {
            path.parent.name: sorted(dataclasses.replace(record, seconds=None).to_json() for record in read(path))
            for path in tree.glob("runs/*/records.jsonl")
        }
        self.report = {path.parent.name: path.read_text() for path in tree.glob("out/*/report.html")}

    def differs_from(self, other: Finished) -> list[str]:
        """What is not the same, in words; of records the fields."""
        found = [name for name in ("data", "report") if getattr(self, name) != getattr(other, name)]
        for run in self.records.keys() | other.records.keys():
            ours, theirs = self.records.get(run, []), other.records.get(run, [])
            if len(ours) != len(theirs):
                found.append(f"{len(ours)} records of {run}, not {len(theirs)}")
            for one, another in zip(map(json.loads, ours), map(json.loads, theirs), strict=False):
                fields = [name for name in one.keys() | another.keys() if one.get(name) != another.get(name)]
                found += [f"{name} of {one['signature']}" for name in sorted(fields)[:3]]
        return found


def undisturbed(source: Path, folder: Path, **environment: str) -> tuple[Path, float]:
    """(copy of a tree, in which the recipe has run to its end, seconds that it took)."""
    tree = fresh(source, folder)
    start = time.perf_counter()
    with open(folder / "recipe.log", "w") as log:
        status = start_recipe(tree, RECIPE, log=log, SCALE="smoke", **environment).wait()
    if status:
        raise RuntimeError(f"the recipe itself fails: see {folder / 'recipe.log'}")
    return tree, time.perf_counter() - start


def killed(
    source: Path, folder: Path, kills: int, longest: float, rng: random.Random, **environment: Any
) -> tuple[Path, Counter]:
    """(copy of a tree, in which the recipe was killed up to ``kills`` times and then has run to its end, kills by
    stage). No part between two kills is longer than ``longest`` seconds."""
    tree = fresh(source, folder)
    stages: Counter[str] = Counter()
    while True:
        with open(folder / "recipe.log", "w") as log:
            process = start_recipe(tree, RECIPE, log=log, SCALE="smoke", **environment)
            try:
                status = process.wait(timeout=rng.uniform(0, longest) if stages.total() < kills else None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                stages[_stage(folder / "recipe.log")] += 1
                continue
        if status:
            raise RuntimeError(f"after {stages.total()} kills the recipe fails: see {folder / 'recipe.log'}")
        return tree, stages


def _stage(log: Path) -> str:
    told = re.findall("|".join(_STAGES), log.read_text())
    return _STAGES[told[-1]] if told else "preparing data"
