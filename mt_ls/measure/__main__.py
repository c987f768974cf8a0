"""python -m mt_ls.measure DATA --path CKPT --gen-subset test --temperatures 0.9 1.0 1.1 --records FILE
       python -m mt_ls.measure SOURCES REFERENCES [FIT_SOURCES FIT_REFERENCES] --hf MODEL --records FILE

Calibration and translation quality of any fairseq translation checkpoint that predicts token after token, trained with
any criterion; or of a sequence-to-sequence model of Hugging Face, a folder or a name on the hub, on text files of one
detokenised sentence a line. The second pair of files chooses temperatures; without it the even-numbered lines do
(counted from 0), and the odd-numbered ones are reported. In place of either model a folder of CTranslate2 can be named;
it is searched at T = 1 alone, and its tokenizer's files must be in it where text files are given.

Forced mode: one teacher-forced pass gives NLL, accuracy, Brier score and the bins of ECE at every temperature, also at
the temperature that is fitted on half of ``--fit-subset``. Beam mode: a search at each temperature, scored by sacrebleu
on detokenised text, with beam ECE. Each record is a line of FILE; records that FILE holds are not measured again.
``torchrun --nproc-per-node N -m mt_ls.measure ...`` shares the work among N processes, with the same records.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..terminal import prepare, silence_libraries

if __name__ == "__main__":
    prepare("mt_ls.measure")
    silence_libraries()

import torch

from ..records import Record, RecordError, read
from .devices import device_and_pool
from .loading import on_binarised, on_texts
from .paths import check_output, check_run
from .plan import Plan, check, measure
from .protocol import BatchLimits, MeasureError, TranslationModel
from .sanity import above_uniform
from .text_pairs import read_texts
from .workers import joined, rank


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a checkpoint; return 0, or 2 after one line on stderr."""
    options = _options(arguments)
    try:
        _check_forms(options)
        plans = [_plan(options, split) for split in dict.fromkeys(options.gen_subset.split(","))]
        limits = BatchLimits(options.max_tokens, options.batch_size)
        check_output(options.records)
        if options.run is not None:
            check_run(options.run)
        with device_and_pool(options.cpu, "beam" in options.modes and not options.pieces) as (device, pool):
            if options.search_precision and device.type == "cpu":
                raise MeasureError(f"a search in {options.search_precision} needs a GPU: leave out --search-precision")
            model = _model(options, limits, device)
            workers = joined()
            for plan in plans:
                check(model, plan)
            for plan in plans:
                measure(model, plan, options.records, workers, pool)
                if workers.is_first:
                    _show(model, plan.split, options.records, options.hf or str(options.path))
    except (MeasureError, RecordError, ValueError, OSError) as error:
        if rank() == 0:  # the other workers fail for the same reason
            print(f"mt_ls.measure: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _model(options: argparse.Namespace, limits: BatchLimits, device: torch.device) -> TranslationModel:
    """The model that is named."""
    if options.hf is None:
        return on_binarised(options.path, options.data[0], limits, device, options.run)
    languages = (options.source_language, options.target_language)
    return on_texts(options.hf, read_texts(options.data), languages, limits, device, options.run)


def _check_forms(options: argparse.Namespace) -> None:
    """Raise MeasureError for options of the one kind of model with those of the other."""
    if options.hf is None:
        if len(options.data) > 1:
            raise MeasureError(f"{len(options.data)} paths for a checkpoint: name one folder of binarised data")
        if options.source_language or options.target_language:
            raise MeasureError("--source-language and --target-language are for a model with --hf")
    elif options.pieces:
        raise MeasureError("--pieces needs hidden states, which are taken from fairseq's checkpoints only")


def _plan(options: argparse.Namespace, split: str) -> Plan:
    return Plan(
        split=split,
        temperatures=tuple(options.temperatures),
        modes=tuple(options.modes),
        fit_split=None if options.fit_subset == "none" else options.fit_subset,
        beam=options.beam,
        lenpen=options.lenpen,
        own_search=options.search == "fairseq",
        search_precision=options.search_precision,
        pieces=options.pieces and tuple(options.pieces),
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    usage, description = str(__doc__).split("\n\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.measure",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", type=Path, nargs="+", metavar="DATA", help="binarised data folder, or two or four text files")
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--path", type=Path, metavar="CKPT", help="checkpoint's file, or a folder of CTranslate2")
    model.add_argument("--hf", metavar="MODEL", help="Hugging Face model: a folder or a name on the hub")
    add("--source-language", metavar="CODE", help="of a Hugging Face model of several languages, as eng_Latn")
    add("--target-language", metavar="CODE", help="of a Hugging Face model of several languages, as deu_Latn")
    add("--gen-subset", default="test", metavar="SPLITS", help="splits to report on, as valid,test (default: test)")
    add("--fit-subset", default="valid", help="split on half of which the temperature is fitted, or none")
    add("--temperatures", type=float, nargs="+", default=[1.0], help="1.0 and the fitted one are always measured")
    add("--modes", nargs="+", choices=("forced", "beam"), default=["forced", "beam"])
    add(
        "--pieces",
        nargs=3,
        metavar="TOKEN",
        help="measure only the activations before these three target tokens, as in the paper's Figure 7",
    )
    add("--beam", type=int, default=5, help="hypotheses that the search keeps (default: 5)")
    add("--lenpen", type=float, default=1.0, help="length penalty of the search (default: 1)")
    add("--max-tokens", type=int, help="most tokens a batch (default: by the device): memory and speed only")
    add("--batch-size", type=int, help="most sentences a batch: memory and speed only")
    add("--records", required=True, type=Path, metavar="FILE", help="JSON lines file to append to")
    add(
        "--search",
        choices=("auto", "fairseq"),
        default="auto",
        help="auto: CTranslate2's where it is installed and finds fairseq's hypotheses",
    )
    add(
        "--search-precision",
        choices=("fp16", "bf16"),
        help="fairseq's search in half precision, on a GPU; the probabilities of its tokens stay those in float32",
    )
    add(
        "--run",
        metavar="NAME",
        help="name of the run (default: NAME of NAME/checkpoint_last.pt and of NAME/checkpoints/checkpoint_last.pt; "
        "NAME-best, NAME-checkpoint12 and so on of files with other names)",
    )
    add("--cpu", action="store_true", help="do not use a GPU")
    return parser.parse_args(arguments)


def _show(model: TranslationModel, split: str, file: Path, name: str) -> None:
    """Print the records of the model on a split, and the warnings of them."""
    sha = model.provenance(split).sha
    records = [record for record in read(file) if record.split == split and _is_of(record, sha)]
    print(summary(records))
    _warn(name, records, model.n_classes)


def _is_of(record: Record, sha: dict[str, str]) -> bool:
    return all(record.sha[name] == sha[name] for name in ("checkpoint", "data"))


def _warn(name: str, records: Sequence[Record], n_classes: int) -> None:
    """Say on stderr where a measured NLL at T = 1 is above that of a uniform guess."""
    for record in records:
        if record.mode == "forced" and record.temperature == 1.0 and record.nll is not None:
            line = above_uniform(record.nll, n_classes, record.split)
            if line:
                print(f"mt_ls.measure: warning: {name}: {line}", file=sys.stderr)


def summary(records: Sequence[Record]) -> str:
    """The records of a checkpoint on a split, a line each, and beam ECE by token class at T = 1."""
    first = records[0]
    lines = [
        f"{first.run} on {first.split}: {first.n_sentences} of {first.n_sentences_in_set} sentences",
        "mode             T   tokens    NLL  accuracy  confidence     ECE   BLEU",
    ]
    for record in sorted(records, key=lambda record: (record.mode != "forced", record.temperature)):
        mode = " ".join(filter(None, (record.mode, record.search_precision)))
        mark = "*" if record.temperature == record.fitted_temperature else " "
        nll = "" if record.nll is None else f"{record.nll:.3f}"
        bleu = "" if record.bleu is None else f"{record.bleu['score']:.1f}"
        lines.append(
            f"{mode:11}{record.temperature:6.2f}{mark}{record.n_tokens:9}{nll:>7}{record.accuracy:10.3f}"
            f"{record.confidence:12.3f}{record.bins.ece():8.4f}{bleu:>7}".rstrip()
        )
    lines.append("* fitted by likelihood; a beam ECE leaves out EOS and shifted tokens")
    for record in records:
        if record.mode == "beam" and record.temperature == 1.0 and record.bins_by_class:
            classes = [f"{name} {bins.ece():.4f} ({bins.n})" for name, bins in record.bins_by_class.items()]
            lines.append(f"beam ECE by token class (tokens) at T = 1: {', '.join(classes)}")
            lines.append(f"shifted tokens, in no class: {record.n_left_out}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
