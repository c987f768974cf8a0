"""python -m mt_ls.measure DATA --path CKPT --gen-subset test --temperatures 0.9 1.0 1.1 --records FILE

Calibration and translation quality of any fairseq translation checkpoint, trained with any criterion and task.

Forced mode: one teacher-forced pass gives NLL, accuracy, Brier and the bins of ECE at every temperature, and once
more at the temperature fitted on half of ``--fit-subset``. Beam mode: a search at each temperature, scored by
sacrebleu on detokenised text, with beam ECE. Every measurement is one line of FILE; lines that are there are not
measured again. ``torchrun --nproc-per-node N -m mt_ls.measure ...`` shares the work, with the same records.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # fairseq chats while it is imported
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")

from ..calibration.bins import Bins
from ..calibration.temperature import check_temperature
from ..records.record import Measurement, RecordError, read, versions, written_whole
from ..records.spool import write
from .activations import measure_penultimate
from .beam import References, measure_beam
from .fairseq_model import Checkpoint, MeasureError
from .forced import ForcedPass, measure_forced
from .search import exact_search
from .workers import rank


def main(arguments=None) -> int:
    """Measure one checkpoint; 0, or 2 with one line on stderr."""
    options = _options(arguments)
    try:
        for temperature in options.temperatures:
            check_temperature(temperature)
        model = Checkpoint(options)
        measure(model, options)
        if not model.workers.is_first:
            return 0
        print(summary([record for record in read(options.records) if model.made(record, options.gen_subset)]))
    except (MeasureError, RecordError, ValueError, OSError) as error:
        if rank() > 0:  # the first of the workers says it
            return 2
        print(f"mt_ls.measure: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _options(arguments):
    parser = argparse.ArgumentParser(prog="python -m mt_ls.measure", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("data", help="binarised data folder")
    add("--path", required=True, help="checkpoint")
    add("--gen-subset", default="test", help="split to report on")
    add("--fit-subset", default="valid", help="split on half of which the temperature is fitted, or none")
    add("--temperatures", type=float, nargs="+", default=[1.0])
    add("--modes", nargs="+", choices=("forced", "beam"), default=["forced", "beam"])
    add("--pieces", nargs=3, help="of the target: only the activations before these tokens, as in the paper's Figure 7")
    add("--beam", type=int, default=5)
    add("--lenpen", type=float, default=1.0)
    add("--max-tokens", type=int, default=4000, help="target tokens a batch: memory and speed only")
    add("--batch-size", type=int, help="sentences a batch, if fewer: memory and speed only")
    add("--records", required=True, help="JSON lines file to append to")
    add(
        "--search",
        choices=("auto", "fairseq"),
        default="auto",
        help="auto: CTranslate2's where it is installed and finds fairseq's hypotheses",
    )
    add("--run", help="name of the run (default: the folder above the checkpoint)")
    add("--cpu", action="store_true")
    return parser.parse_args(arguments)


def measure(model: Checkpoint, options: argparse.Namespace) -> None:
    """Append every measurement that the options ask for and the records do not hold yet."""
    known = read(options.records) if Path(options.records).exists() else []
    done = {record.key() for record in known}
    n = len(model.dataset(options.gen_subset))
    template = Measurement(
        **model.fields,
        mode="forced",
        split=options.gen_subset,
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=n,
        n_sentences_in_set=n,
    )
    if options.pieces:
        looked = replace(template, mode="penultimate")
        if looked.key() not in done and model.workers.is_first:
            measure_penultimate(model, looked, options.pieces, Path(options.records))
        return
    forced = ForcedPass(model, options.gen_subset)
    fitted = None
    if options.fit_subset != "none":
        fitted = model.workers.from_first(lambda: _fitted(model, forced, options))
    temperatures = sorted({*options.temperatures, 1.0} | ({fitted} if fitted else set()))
    template = replace(template, fitted_temperature=fitted, fitted_on=None if fitted is None else options.fit_subset)
    beam = replace(template, mode="beam", beam=options.beam, lenpen=options.lenpen)
    planned = [replace(kind, temperature=t) for kind in (template, beam) for t in temperatures]
    planned = [record for record in planned if record.mode in options.modes and record.key() not in done]
    folder = Path(options.records).parent
    forced_ones = [record for record in planned if record.mode == "forced"]
    if forced_ones:
        for record, arrays in measure_forced(forced, forced_ones, folder):
            write(options.records, record, arrays)
    searches = [record for record in planned if record.mode == "beam"]
    if searches:
        _measure_searches(model, options, searches, folder)


def _measure_searches(model: Checkpoint, options: argparse.Namespace, planned: list[Measurement], folder: Path) -> None:
    search, reason = exact_search(model, options.gen_subset, options.beam, options.lenpen, options.search)
    if reason and model.workers.is_first:
        print(f"mt_ls.measure: fairseq's search, not CTranslate2's: {reason}", file=sys.stderr)
    references = References(model, options.gen_subset)
    for plan in planned:
        plan = replace(plan, versions=plan.versions | versions(search.name))
        for record, arrays in measure_beam(model, search, references, plan, folder):
            write(options.records, record, arrays)


def _fitted(model: Checkpoint, forced: ForcedPass, options: argparse.Namespace) -> float:
    """The temperature fitted on the fit split, kept beside the records: a resumed run does not fit again."""
    file = Path(options.records).with_name("fitted_temperature.json")
    key = f"{model.fields['sha']['checkpoint'][:16]}-{model.fields['sha']['data'][:16]}-{options.fit_subset}-even"
    try:
        known = json.loads(file.read_text()) if file.exists() else {}
        if not all(isinstance(value, float) and value > 0 for value in known.values()):
            raise ValueError("it holds more than temperatures")
    except (ValueError, AttributeError) as error:
        raise MeasureError(f"{file}: not what was fitted ({error}): delete it, and it is fitted again") from None
    if key not in known:
        own = options.fit_subset == forced.split and model.workers.n == 1
        on = forced if own else ForcedPass(model, options.fit_subset, shared=False)
        known[key] = round(on.fit_temperature(), 4)
        with written_whole(file) as path:
            path.write_text(json.dumps(known, indent=1) + "\n")
    return known[key]


def summary(records: list[Measurement]) -> str:
    """The measurements of one checkpoint on one split, a line each; then its beam ECE by token class at T = 1."""
    first = records[0]
    lines = [
        f"{first.run} on {first.split}: {first.n_sentences} of {first.n_sentences_in_set} sentences",
        "mode          T   tokens    NLL  accuracy  confidence     ECE   BLEU",
    ]
    for record in sorted(records, key=lambda record: (record.mode != "forced", record.temperature)):
        mark = "*" if record.temperature == record.fitted_temperature else " "
        nll = "" if record.nll is None else f"{record.nll:.3f}"
        bleu = "" if record.bleu is None else f"{record.bleu['score']:.1f}"
        lines.append(
            f"{record.mode:8}{record.temperature:6.2f}{mark}{record.n_tokens:9}{nll:>7}{record.accuracy:10.3f}"
            f"{record.confidence:12.3f}{record.bins.ece():8.4f}{bleu:>7}"
        )
    lines.append("* fitted by likelihood; a beam ECE leaves out EOS and shifted tokens")
    for record in records:
        if record.temperature == 1.0 and record.bins_by_class:
            classes = [f"{name} {bins.ece():.4f} ({bins.n})" for name, bins in record.bins_by_class.items()]
            lines.append(f"beam ECE by token class (tokens) at T = 1: {', '.join(classes)}")
            lines.append(f"shifted tokens, in no class: {record.n_left_out}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
