"""python -m mt_ls.audit DATA-BIN CHECKPOINT [MORE] --out DIR
       python -m mt_ls.audit FOLDER [MORE] --out DIR

Measure fairseq checkpoints on binarised data, or translations of any systems in folders (see python -m
mt_ls.measure_text --help), for a report on each of them. All arguments are checked before the first measurement.

The records of each model are in a folder of DIR, whose names are printed. A model has the name that you gave it: the
end of its path, as far as it differs from the others'. The same command goes on where it stopped, and measures nothing
twice. ``recipes/audit.sh`` calls this command and writes the report.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import itertools
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ..records import read
from . import text
from .devices import device_and_pool
from .names import distinct_names, slugs
from .paths import check_checkpoint, check_data, check_output, check_split
from .plan import Plan, check, measure
from .protocol import MeasureError
from .sanity import check_sample

if TYPE_CHECKING:
    from .fairseq_model import FairseqModel

TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5)


class Audited(NamedTuple):
    """A model of an audit: the path and the name that the user gave it, and the file of its records."""

    path: Path
    name: str
    records: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the models, print the names of their folders in DIR, and return 0, or 2 after one line on stderr."""
    options = _options(arguments)
    try:
        data, paths = _forms(options.paths)
        names = distinct_names(paths)
        folders = slugs(names)
        audited = [
            Audited(path, name, options.out / folder / "records.jsonl")
            for path, name, folder in zip(paths, names, folders, strict=True)
        ]
        for model in audited:
            check_output(model.records)
        if data is None:
            _audit_texts(audited, _split_of_texts(options), options.out)
        else:
            _audit_checkpoints(data, audited, _plans(options), options.out, options.cpu)
    except (MeasureError, ValueError, OSError) as error:
        print(f"mt_ls.audit: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print("\n".join(folders))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    usage, description = str(__doc__).split("\n\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.audit",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="data and checkpoints, or folders of translations")
    add("--out", required=True, type=Path, metavar="DIR", help="folder of the audit")
    add("--splits", nargs="+", default=["test"], help="splits to report on (default: test)")
    add("--fit-subset", metavar="SPLIT", help="split that chooses temperatures, measured too (default: valid)")
    add("--temperatures", type=float, nargs="+", metavar="T", help=f"default: {' '.join(map(str, TEMPERATURES))}")
    add("--beam", type=int, help="hypotheses that the search keeps (default: 5)")
    add("--cpu", action="store_true", help="do not use a GPU")
    return parser.parse_args(arguments)


def _forms(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """The data and the checkpoints, or None and the folders of translations. Raises MeasureError for anything else."""
    for path in paths:
        if not path.exists():
            raise MeasureError(f"{path}: no such file or folder")
    first, *others = paths
    if any((first / name).exists() for name in text.FILES):
        for path in others:
            if not path.is_dir():
                raise MeasureError(f"{path}: a file, where a folder of translations belongs, as {first} is one")
        return None, list(paths)
    if first.is_file():
        raise MeasureError(f"{first}: a file: name the folder of the binarised data first, and then its checkpoints")
    if not any(first.glob("dict.*.txt")):
        raise MeasureError(f"{first}: holds neither translations ({', '.join(text.FILES)}) nor binarised data (dict.*)")
    check_data(first)
    for path in others:
        check_checkpoint(path)
    if not others:
        raise MeasureError(f"{first} is binarised data, and no checkpoint is named")
    return first, others


def _plans(options: argparse.Namespace) -> list[Plan]:
    """The plans of each checkpoint: the split that temperatures are fitted on, and those to report on."""
    fit = options.fit_subset or "valid"
    reported = [split for split in dict.fromkeys(options.splits) if split != fit]
    if not reported:
        raise MeasureError(
            f"temperatures are fitted on {fit}: name another split to report on, or fit on another with --fit-subset "
            "(FIT=...)"
        )
    if "train" in reported:
        raise MeasureError("no report is on train, which the models learnt from: name another split to report on")
    temperatures = tuple(options.temperatures or TEMPERATURES)
    beam = 5 if options.beam is None else options.beam
    return [Plan(split=split, temperatures=temperatures, fit_split=fit, beam=beam) for split in (fit, *reported)]


def _audit_checkpoints(data: Path, audited: Sequence[Audited], plans: Sequence[Plan], out: Path, cpu: bool) -> None:
    _say(f"checking {len(audited)} checkpoint{'s' * (len(audited) > 1)}")
    with device_and_pool(cpu, searches=True) as (device, pool):
        for model in audited:
            _check_checkpoint(model, data, plans, device)
            gc.collect()  # one network at a time: parts of a measurement hold each other, and the network
        with _only_here(out):
            steps = (f"{number} of {len(audited) * len(plans)}" for number in itertools.count(1))
            for model in audited:
                _measure_checkpoint(model, data, plans, device, pool, steps)
                gc.collect()


def _loaded(audited: Audited, data: Path, device: torch.device) -> FairseqModel:
    from .fairseq_model import FairseqModel  # fairseq takes seconds, and an audit of texts does not need it

    return FairseqModel(audited.path, data, device=device, run=audited.name)


def _check_checkpoint(audited: Audited, data: Path, plans: Sequence[Plan], device: torch.device) -> None:
    """Raise MeasureError where the checkpoint cannot be measured as planned, or the folder holds other records."""
    model = _loaded(audited, data, device)
    try:
        for plan in plans:
            check(model, plan)
            _check_records(audited, plan.split, model.provenance(plan.split).sha, plan.fit_split, plan.beam)
        for plan in plans:
            check_sample(model, plan.split)
    except MeasureError as error:
        raise MeasureError(f"{audited.path}: {error}") from None


def _measure_checkpoint(
    audited: Audited,
    data: Path,
    plans: Sequence[Plan],
    device: torch.device,
    pool: Executor | None,
    steps: Iterator[str],
) -> None:
    model = _loaded(audited, data, device)
    for plan in plans:
        _say(f"{next(steps)}: {audited.name} on {plan.split}")
        measure(model, plan, audited.records, pool=pool)


def _split_of_texts(options: argparse.Namespace) -> str:
    """The name of the set that folders of translations are of. Raises MeasureError for options that need a model."""
    needing = ("fit_subset", "temperatures", "beam")
    named = [f"--{name.replace('_', '-')}" for name in needing if getattr(options, name) is not None]
    if named:
        raise MeasureError(f"{', '.join(named)}: translations have one search at T = 1, and no model: leave it out")
    if len(options.splits) > 1:
        raise MeasureError(f"--splits {' '.join(options.splits)}: folders of translations are of one set: name one")
    check_split(options.splits[0])
    return options.splits[0]


def _audit_texts(audited: Sequence[Audited], split: str, out: Path) -> None:
    _say(f"checking {len(audited)} folder{'s' * (len(audited) > 1)} of translations")
    systems = [text.read_system(model.path) for model in audited]
    for model, system in zip(audited, systems, strict=True):
        _check_references(systems[0], system)
        _check_records(model, split, system.sha)
    with _only_here(out):
        for number, (model, system) in enumerate(zip(audited, systems, strict=True), start=1):
            _say(f"{number} of {len(audited)}: {model.name}")
            text.measure(system, split, model.records, model.name)


@contextlib.contextmanager
def _only_here(out: Path) -> Iterator[None]:
    """Keep other audits out of the folder while this one measures. Raises MeasureError if another one is at work."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MeasureError(f"another audit is at work in {out}: wait for it, or name another --out (OUT)") from None
        yield


def _check_references(first: text.System, system: text.System) -> None:
    """Raise MeasureError for a system with other references than those of the first one."""
    if len(first.references) != len(system.references):
        where = f"has {len(system.references)} lines, and {first.folder} has {len(first.references)}"
    else:
        pairs = zip(first.references, system.references, strict=True)
        line = next((number for number, (one, other) in enumerate(pairs, start=1) if one != other), None)
        if line is None:
            return
        where = f"differs in line {line} from that of {first.folder}"
    raise MeasureError(
        f"{system.folder / 'references.txt'} {where}: systems are compared on the same references; audit those of "
        "others with another --out (OUT)"
    )


def _check_records(
    audited: Audited, split: str, sha: dict[str, str], fitted_on: str | None = None, beam: int | None = None
) -> None:
    """Raise MeasureError if the file of a model holds records that a report cannot show beside those to come."""
    for record in read(audited.records) if audited.records.exists() else ():
        if record.run != audited.name or record.sha["checkpoint"] != sha["checkpoint"]:
            other = "of another model"
        elif record.split == split and record.sha["data"] != sha["data"]:
            other = f"on other data of the name {split}"
        elif record.fitted_on != fitted_on:
            other = f"with temperatures that were fitted on {record.fitted_on}"
        elif record.mode == "beam" and record.beam != beam:
            other = f"of searches that keep {record.beam} hypotheses"
        else:
            continue
        raise MeasureError(f"{audited.records} holds records {other}: move it away, or name another --out (OUT)")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
