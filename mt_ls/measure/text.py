"""python -m mt_ls.measure_text FOLDER --records FILE

Beam ECE and BLEU of translations of any system, without its model. FOLDER holds

    hypotheses.txt    one detokenised sentence a line
    references.txt    their references, one a line
    tokens.jsonl      one JSON line a generated token, those of a sentence in their order:
                      {"sentence": 0, "token": "▁Haus", "probability": 0.83}

In place of tokens.jsonl it may hold what a system writes: generate*.txt (fairseq-generate without --post-process),
marian*.txt (marian-decoder --n-best --word-scores) or *.confidences.tsv (silnlp). Such a file scores sentences: scores
that do not follow from the probabilities of the tokens are refused, in a line that names the fault. With the model that
wrote the translations (--path or --hf, and --sources) a sample of 48 sentences is scored again, token by token.

With forced.jsonl in the folder, forced mode is measured too. It has one line a token of a reference, with its NLL in
nats, the greatest probability at that step, and whether it is the token's:
{"sentence": 0, "nll": 0.51, "confidence": 0.6, "hit": true}

Sentences count from 0. Tokens are any subwords that spell the hypothesis; spaces and the marks of subwords (▁, Ġ, @@)
are ignored. A token </s> is the end of its sentence. Hits are those of words, because references come without
subwords: the probability of a word is the product over the tokens that begin in it. Other temperatures need a model's
logits. Files are UTF-8, with or without a byte order mark.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace

from ..calibration.alignment import align
from ..calibration.bins import Bins
from ..calibration.generated import GeneratedTokens
from ..calibration.scores import Scorer
from ..calibration.selective import SCORES, TOKEN_SCORES
from ..calibration.smooth_ece import smooth_ece
from ..calibration.token_risk import TokenRisk, uncertainty_of
from ..records import Model, Record, append, read, versions
from ..records.items import item_writers
from .devices import device_and_pool
from .forced_text import FORCED, measured_forced
from .loading import on_binarised, on_texts
from .names import printable
from .paths import check_output, check_split
from .protocol import BatchLimits, MeasureError
from .rescoring import rescored
from .score_check import END, Token, check_against_model
from .text_pairs import Pairs, Texts
from .token_files import lines_of
from .translations import System, read_system


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a folder; return 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.measure_text",
        description=str(__doc__).split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="hypotheses.txt, references.txt and tokens.jsonl")
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", help="JSON lines file to append to")
    parser.add_argument("--split", default="test", help="name of the set of sentences (default: test)")
    model = parser.add_argument_group("a sample of the translations is scored again by the model that wrote them")
    model.add_argument("--path", type=Path, metavar="CKPT", help="its fairseq checkpoint, or a folder of CTranslate2")
    model.add_argument("--hf", metavar="MODEL", help="or its Hugging Face model, by folder or name on the hub")
    model.add_argument("--sources", type=Path, help="what was translated: binarised data for --path, text for --hf")
    model.add_argument("--source-language", metavar="CODE", help="of a Hugging Face model of several languages")
    model.add_argument("--target-language", metavar="CODE", help="of a Hugging Face model of several languages")
    options = parser.parse_args(arguments)
    try:
        check_split(options.split)
        check_output(options.records)
        _check_options(options)
        system = read_system(options.folder)
        if options.sources:
            print(f"mt_ls.measure_text: {_checked_by_model(system, options)}", file=sys.stderr)
        record = measure(system, options.split, options.records)
    except (MeasureError, ValueError, OSError) as error:
        print(f"mt_ls.measure_text: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    bleu = record.bleu["score"] if record.bleu else math.nan
    print(
        f"{record.run}: {record.n_sentences} sentences, {record.bins.n} words, BLEU {bleu:.1f}, "
        f"confidence {record.confidence:.3f}, accuracy {record.accuracy:.3f}, beam ECE {record.bins.ece():.4f}"
    )
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Raise MeasureError for a model without the sources, and for sources without the model."""
    named = [name for name in ("path", "hf") if getattr(options, name)]
    if len(named) > 1:
        raise MeasureError("--path and --hf name two models: name the one that wrote the translations")
    if named and not options.sources:
        raise MeasureError(f"--{named[0]} needs --sources: what the model translated")
    if options.sources and not named:
        raise MeasureError("--sources needs the model that translated them: --path or --hf")
    if (options.source_language or options.target_language) and not options.hf:
        raise MeasureError("--source-language and --target-language are for a model with --hf")


def _checked_by_model(system: System, options: argparse.Namespace) -> str:
    """One line on the agreement of the model with a sample. Raises MeasureError and RecordError otherwise."""
    with device_and_pool(cpu=False, searches=False) as (device, _):
        if options.hf:
            languages = (options.source_language, options.target_language)
            pairs = {options.split: Pairs(lines_of(options.sources), system.references)}
            model = on_texts(options.hf, Texts(pairs, "", ""), languages, BatchLimits(), device, None)
        else:
            model = on_binarised(options.path, options.sources, BatchLimits(), device, None)
        by_model = rescored(model, options.split, system.tokens)
    return f"of {len(by_model)} sentences {check_against_model(str(options.folder), system.tokens, by_model)}"


def measure(system: System, split: str, records: Path, run: str | None = None) -> Record:
    """Return the record of a system's translations, and measure what the file ``records`` lacks: it is appended there,
    with its items.

    ``run`` names the run of a new record, by default the folder's name. Raises RecordError as `read_forced` does.
    """
    planned = planned_record(system, split, run or printable(system.folder.resolve().name))
    known = {record.key: record for record in (read(records) if records.exists() else ())}
    forced = system.folder / FORCED
    of_forced = replace(planned, mode="forced", unit="subword")
    new = [] if planned.key in known else [measured(system, planned)]
    if forced.exists() and of_forced.key not in known:
        new.append(measured_forced(forced, of_forced))
    for record, items in new:
        with item_writers(records, [record]) as (writer,):
            writer.append(**items)
        append(records, replace(record, items=f"{record.name}.parquet"))
    return known[planned.key] if planned.key in known else new[0][0]


def planned_record(system: System, split: str, run: str) -> Record:
    """The record of a system without measured numbers."""
    n = len(system.hypotheses)
    return Record(
        run=run,
        model=Model(corpus=f"references {system.sha['data'][:8]}"),
        mode="beam",
        split=split,
        temperature=1.0,
        bins=Bins.zeros(),
        n_tokens=0,
        n_sentences=n,
        n_sentences_in_set=n,
        unit="word",
        sha=system.sha,
        versions=versions("sacrebleu", "numpy"),
    )


def measured(system: System, planned: Record) -> tuple[Record, dict[str, Any]]:
    """Return the planned record with its numbers, and the columns of its items (see `ItemsWriter.append`)."""
    scorer = Scorer()
    statistics = [scorer.statistics(*pair) for pair in zip(system.hypotheses, system.references, strict=True)]
    tokens = _aligned(system.words, system.references)
    sums = tokens.sums(len(system.words))
    bins = {name: Bins.from_sums(part.sum(0)) for name, part in sums.items()}
    others = bins["others"]
    risk = TokenRisk()
    # Of a word the probability alone is known.
    risk.add({TOKEN_SCORES[0]: uncertainty_of(tokens.probability[tokens.others])}, tokens.hit[tokens.others])
    record = replace(
        planned,
        bins=others,
        bins_by_class=bins,
        n_tokens=sum(map(len, system.words)),
        n_left_out=tokens.n_left_out,
        accuracy=others.accuracy,
        confidence=others.mean_confidence,
        smooth_ece=smooth_ece(Bins.from_sums(tokens.fine_sums())),
        token_naurc=risk.normalised_areas(),
        **scorer.scores({name: np.sum([s[name] for s in statistics], axis=0) for name in statistics[0]}),
    )
    return record, {
        "bins": sums["others"].numpy().astype("f4"),
        "bleu": np.stack([s["bleu"] for s in statistics]).astype("i4"),
        "text": system.hypotheses,
        "scores": np.array([_scores(own) for own in system.words], dtype="f4"),
        "chrf": np.array([scorer.chrf(s) for s in statistics]),
    }


def _scores(words: list[Token]) -> list[float]:
    """The scores of a sentence: of its words' probabilities alone, since logits are not known."""
    probabilities = [max(word.probability, sys.float_info.min) for word in words] or [math.nan]
    known = (sum(map(math.log, probabilities)) / len(probabilities), min(probabilities))
    return [*known, *[math.nan] * (len(SCORES) - len(known))]


def _aligned(words: list[list[Token]], references: list[str]) -> GeneratedTokens:
    """The words of all hypotheses with their hits."""
    probability, hit, kept, end, sentence = [], [], [], [], []
    for index, (own, reference) in enumerate(zip(words, references, strict=True)):
        spelled = [word.text for word in own if word.text != END]
        flags = align(spelled, reference.split())
        probability += [word.probability for word in own]
        hit += flags.hit[: len(own)]
        kept += flags.kept[: len(own)]
        end += [False] * len(spelled) + [True] * (len(own) - len(spelled))
        sentence += [index] * len(own)
    return GeneratedTokens(
        probability=torch.tensor(probability, dtype=torch.float64),
        hit=torch.tensor(hit, dtype=torch.bool),
        kept=torch.tensor(kept, dtype=torch.bool),
        eos=torch.tensor(end, dtype=torch.bool),
        sentence=torch.tensor(sentence, dtype=torch.long),
    )


if __name__ == "__main__":
    sys.exit(main())
