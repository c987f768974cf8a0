"""python -m mt_ls.audit DATA-BIN CHECKPOINT [MORE] --out DIR
       python -m mt_ls.audit SOURCES REFERENCES [FIT_SOURCES FIT_REFERENCES] --hf MODEL [--hf MORE] --out DIR
       python -m mt_ls.audit FOLDER [MORE] --out DIR

Measure fairseq checkpoints on binarised data, models of Hugging Face on text files, in place of both also folders of
CTranslate2 (see python -m mt_ls.measure --help), or translations of any systems in folders (see python -m
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import torch

from ..records import read
from . import text
from .devices import device_and_pool
from .loading import check_model, on_binarised, on_texts
from .names import distinct_names, slugs
from .paths import check_data, check_output, check_split
from .plan import Plan, check, measure
from .protocol import BatchLimits, MeasureError, TranslationModel
from .sanity import check_sample
from .text_pairs import read_texts
from .translations import FILES, System, read_system

TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5)


class Audited(NamedTuple):
    """A model of an audit: the path and the name that the user gave it, and the file of its records."""

    path: Path
    name: str
    records: Path


Load = Callable[[Audited, torch.device], TranslationModel]
"""What loads a model of an audit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the models, print the names of their folders in DIR, and return 0, or 2 after one line on stderr."""
    options = _options(arguments)
    try:
        load, paths = _forms(options)
        names = distinct_names(paths)
        folders = slugs(names)
        audited = [
            Audited(path, name, options.out / folder / "records.jsonl")
            for path, name, folder in zip(paths, names, folders, strict=True)
        ]
        for model in audited:
            check_output(model.records)
        if load is None:
            _audit_texts(audited, _split_of_texts(options), options.out)
        else:
            _audit_models(load, audited, _plans(options), options.out, options.cpu)
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
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="data and checkpoints, or text files for models with --hf, or folders of translations",
    )
    add("--hf", action="append", type=Path, metavar="MODEL", help="folder of a Hugging Face model, or name on the hub")
    add("--source-language", metavar="CODE", help="of Hugging Face models of several languages, as eng_Latn")
    add("--target-language", metavar="CODE", help="of Hugging Face models of several languages, as deu_Latn")
    add("--out", required=True, type=Path, metavar="DIR", help="folder of the audit")
    add("--splits", nargs="+", default=["test"], help="splits to report on (default: test)")
    add("--fit-subset", metavar="SPLIT", help="split that chooses temperatures, measured too (default: valid)")
    add("--temperatures", type=float, nargs="+", metavar="T", help=f"default: {' '.join(map(str, TEMPERATURES))}")
    add("--beam", type=int, help="hypotheses that the search keeps (default: 5)")
    add("--cpu", action="store_true", help="do not use a GPU")
    return parser.parse_args(arguments)


def _forms(options: argparse.Namespace) -> tuple[Load | None, list[Path]]:
    """What loads the models, and their paths; None and the folders of translations. Raises MeasureError otherwise."""
    for path in options.paths:
        if not path.exists():
            raise MeasureError(f"{path}: no such file or folder")
    if options.hf:
        return _loader_of_huggingface(options), options.hf
    if options.source_language or options.target_language:
        raise MeasureError("--source-language and --target-language are for models with --hf")
    first, *others = options.paths
    if any((first / name).exists() for name in FILES):
        for path in others:
            if not path.is_dir():
                raise MeasureError(f"{path}: a file, where a folder of translations belongs, as {first} is one")
        return None, options.paths
    if first.is_file():
        raise MeasureError(f"{first}: a file: name the folder of the binarised data first, and then its checkpoints")
    if not any(first.glob("dict.*.txt")):
        raise MeasureError(f"{first}: holds neither translations ({', '.join(FILES)}) nor binarised data (dict.*)")
    check_data(first)
    for path in others:
        check_model(path)
    if not others:
        raise MeasureError(f"{first} is binarised data, and no checkpoint is named")
    return _loader_of_checkpoints(first), others


def _loader_of_checkpoints(data: Path) -> Load:
    return lambda audited, device: on_binarised(audited.path, data, BatchLimits(), device, audited.name)


def _loader_of_huggingface(options: argparse.Namespace) -> Load:
    texts = read_texts(options.paths)
    languages = (options.source_language, options.target_language)
    return lambda audited, device: on_texts(str(audited.path), texts, languages, BatchLimits(), device, audited.name)


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


def _audit_models(load: Load, audited: Sequence[Audited], plans: Sequence[Plan], out: Path, cpu: bool) -> None:
    _say(f"checking {len(audited)} model{'s' * (len(audited) > 1)}")
    with device_and_pool(cpu, searches=True) as (device, pool):
        for model in audited:
            _check_model(load, model, plans, device)
            gc.collect()  # one network at a time: parts of a measurement hold each other, and the network
        with _only_here(out):
            steps = (f"{number} of {len(audited) * len(plans)}" for number in itertools.count(1))
            for model in audited:
                _measure_model(load, model, plans, device, pool, steps)
                gc.collect()


def _check_model(load: Load, audited: Audited, plans: Sequence[Plan], device: torch.device) -> None:
    """Raise MeasureError where the model cannot be measured as planned, or the folder holds other records."""
    model = load(audited, device)
    try:
        for plan in plans:
            check(model, plan)
            _check_records(audited, plan.split, model.provenance(plan.split).sha, plan.fit_split, plan.beam)
        for plan in plans:
            check_sample(model, plan.split)
    except MeasureError as error:
        named = "" if str(error).startswith(str(audited.path)) else f"{audited.path}: "
        raise MeasureError(f"{named}{error}") from None


def _measure_model(
    load: Load,
    audited: Audited,
    plans: Sequence[Plan],
    device: torch.device,
    pool: Executor | None,
    steps: Iterator[str],
) -> None:
    model = load(audited, device)
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
    systems = [read_system(model.path) for model in audited]
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


def _check_references(first: System, system: System) -> None:
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
