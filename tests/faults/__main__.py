"""bash tests/faults.sh [--quick]: kills, faults and malformed inputs, with counts; status 1 if anything was lost."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = map(str, (Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[1]))
logging.disable(logging.WARNING)

import torch  # noqa: E402
from faults import injected, kills, malformed  # noqa: E402
from trees import copy_of_the_tree  # noqa: E402

N_KILLS = 3
"""Kills in each stage, of the full form."""


def main() -> int:
    """Run the campaigns and print the counts."""
    parser = argparse.ArgumentParser(prog="bash tests/faults.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short form: a minute on two free cores")
    parser.add_argument("--reference", type=Path, help="a tree in which the recipe has run, for the quick form")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mt_ls faults ") as name:
        folder = Path(name)
        if options.quick:
            lost, tree = _quick_kills(folder, options.reference)
        else:
            lost, tree = _random_kills(folder, options.seed)
        n_lost = _show(lost)
        n_lost += _show(_faults(folder, tree, options.quick))
        n_lost += _show(_inputs(folder, tree, options.quick))
    _row("lost", n_lost, f"{time.perf_counter() - start:.0f} s")
    return 1 if n_lost else 0


def _show(lost: list[str]) -> int:
    """Print what was lost; how much."""
    for line in lost:
        print(f"LOST: {line:.1000}", flush=True)
    return len(lost)


def _row(what: str, n: int, note: str = "") -> None:
    print(f"{what:56}{n:6}   {note}".rstrip(), flush=True)


def _random_kills(folder: Path, seed: int) -> tuple[list[str], Path]:
    """(What was lost, the tree of an undisturbed run.) `N_KILLS` kills in each stage, at random moments."""
    rng = random.Random(seed)
    source = copy_of_the_tree(folder / "source")
    reference, seconds = kills.undisturbed(source, folder / "undisturbed", kills.STAGES)
    came: Counter[str] = Counter()
    lost: list[str] = []
    rounds = 0
    while (wanted := [stage for stage in kills.STAGES if came[stage.name] < N_KILLS]) and rounds < 2 * N_KILLS:
        plans = kills.at_random(wanted, seconds, rng)
        tree, stages = kills.killed(source, folder / f"killed {rounds}", plans)
        came, rounds = came + stages, rounds + 1
        for stage in wanted:
            if stage.name not in stages:  # it ended before its kill: here it does not last so long
                seconds[stage.name] /= 2
        lost += _differences(stages, kills.Results(tree), kills.Results(reference))
    _kill_rows(came, f"{rounds} runs of {kills.RECIPE}")
    lost += [f"no {N_KILLS} kills came while {stage.name}, only {came[stage.name]}" for stage in wanted]
    return lost + _kills_in_half_precision(source, folder, rng), reference


def _kills_in_half_precision(source: Path, folder: Path, rng: random.Random) -> list[str]:
    stages = (kills.HALF_STAGE,)
    if not torch.cuda.is_available():
        _row(f"not tried: kills while {kills.HALF_STAGE.name}", 0, "needs a GPU")
        return []
    reference, seconds = kills.undisturbed(source, folder / "undisturbed in half precision", stages, **kills.HALF)
    came: Counter[str] = Counter()
    lost = []
    for number in range(N_KILLS):
        place = folder / f"killed in half precision {number}"
        tree, of_stage = kills.killed(source, place, kills.at_random(stages, seconds, rng), **kills.HALF)
        came += of_stage
        if not kills.Results(tree).is_as_whole_as(kills.Results(reference)):
            lost.append(f"killed {dict(of_stage)} times in half precision, it is not as whole as a run never killed")
    _kill_rows(came, "compared by what is there, not by numbers")
    return lost


def _quick_kills(folder: Path, reference: Path | None) -> tuple[list[str], Path]:
    """(What was lost, the tree of an undisturbed run.) Two kills at events of one run.

    Of ``reference``, a tree in which the recipe has run with further alphas, the killed run is compared alone.
    """
    source = copy_of_the_tree(folder / "source")
    run = kills.RUN if reference else "*"
    data = reference / kills.DATA if reference else None
    if reference is None:
        reference, _ = kills.undisturbed(source, folder / "undisturbed", ())
    plans = [kills.Plan(stage, 0.0) for stage in kills.QUICK]
    tree, stages = kills.killed(source, folder / "killed", plans, data)
    _kill_rows(stages, f"1 run of {kills.RECIPE}")
    return _differences(stages, kills.Results(tree, run), kills.Results(reference, run)), reference


def _differences(stages: Counter[str], killed: kills.Results, undisturbed: kills.Results) -> list[str]:
    names = killed.differences(undisturbed)
    return [f"killed {dict(stages)} times, it differs from a run never killed: {', '.join(names)}"] if names else []


def _kill_rows(stages: Counter[str], note: str) -> None:
    for stage in (*kills.STAGES, kills.HALF_STAGE):
        if stage.name in stages:
            _row(f"survived: kill -9 while {stage.name}", stages[stage.name])
    _row("kills survived", stages.total(), note)


def _faults(folder: Path, tree: Path, quick: bool) -> list[str]:
    lost = []
    for number, (name, inject) in enumerate(injected.FAULTS.items()):
        if quick and name not in injected.QUICK:
            continue
        place = folder / f"fault {number}"
        place.mkdir()
        try:
            inject(tree, place)
            _row(f"survived: {name}", 1)
        except injected.Skipped as reason:
            _row(f"not tried: {name}", 0, str(reason))
        except Exception as error:
            lost.append(f"{name}: {error}")
    return lost


def _inputs(folder: Path, tree: Path, quick: bool) -> list[str]:
    campaign = malformed.Campaign(folder / "malformed")
    campaign.folder.mkdir()
    data, checkpoint = tree / kills.DATA, tree / injected.CHECKPOINT
    share = 5 if quick else 1
    malformed.corpora(campaign, 90 // share)
    malformed.manifests(campaign, 40 // share, data, checkpoint)
    malformed.records(campaign, 150 // share, tree / kills.RUN)
    malformed.checkpoints(campaign, 60 // share, data, checkpoint)
    malformed.translations(campaign, 60 // share)
    malformed.command_lines(campaign, 100 // share, data, checkpoint)
    note = ", ".join(f"{n} {what}" for what, n in campaign.tried.items())
    _row("malformed inputs refused in one line", campaign.tried.total() - len(campaign.failures), note)
    return campaign.failures


if __name__ == "__main__":
    sys.exit(main())
