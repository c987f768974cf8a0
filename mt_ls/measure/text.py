"""python -m mt_ls.measure_text FOLDER --records FILE

Beam ECE and BLEU of translations of any system, without its model. FOLDER holds

    hypotheses.txt    one detokenised sentence a line
    references.txt    their references, one a line
    tokens.jsonl      one JSON line a generated token, those of a sentence in their order:
                      {"sentence": 0, "token": "▁Haus", "probability": 0.83}

In place of tokens.jsonl it may hold what a system writes: generate*.txt (fairseq-generate without --post-process),
marian*.txt (marian-decoder --n-best --word-scores) or *.confidences.tsv (silnlp). Where such a file scores sentences,
they must follow from the probabilities of the tokens: a file whose probabilities belong to other tokens is refused.

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
import hashlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from msgspec.structs import replace

from ..calibration.alignment import align
from ..calibration.bins import Bins
from ..calibration.generated import GeneratedTokens
from ..calibration.scores import Scorer
from ..calibration.selective import SCORES
from ..calibration.smooth_ece import smooth_ece
from ..records import Model, Record, RecordError, append, code_hash, read, sha256_of, versions
from ..records.items import item_writers
from .forced_text import FORCED, measured_forced, read_forced
from .names import printable
from .paths import check_output, check_split
from .protocol import MeasureError
from .token_files import END, Token, lines_of, read_tokens, token_file

FILES = ("hypotheses.txt", "references.txt", "tokens.jsonl")
"""The files of a folder of translations; in place of the last one those of `token_files`."""


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
    options = parser.parse_args(arguments)
    try:
        check_split(options.split)
        check_output(options.records)
        record = measure(read_system(options.folder), options.split, options.records)
    except (MeasureError, ValueError, OSError) as error:
        print(f"mt_ls.measure_text: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    bleu = record.bleu["score"] if record.bleu else math.nan
    print(
        f"{record.run}: {record.n_sentences} sentences, {record.bins.n} words, BLEU {bleu:.1f}, "
        f"confidence {record.confidence:.3f}, accuracy {record.accuracy:.3f}, beam ECE {record.bins.ece():.4f}"
    )
    return 0


class System(NamedTuple):
    """The translations of a system: ``hypotheses``, their ``references``, the ``words`` of each hypothesis with their
    probabilities, and the ``sha`` of a record."""

    folder: Path
    hypotheses: list[str]
    references: list[str]
    words: list[list[Token]]
    sha: dict[str, str]


def read_system(folder: Path) -> System:
    """The translations in a folder. Raises RecordError, with file and line, for input other than the module's text
    says."""
    paths = [*(folder / name for name in FILES[:2]), token_file(folder)]
    hypotheses, references = map(lines_of, paths[:2])
    if len(hypotheses) != len(references):
        raise RecordError(f"{paths[1]}: {len(references)} lines for {len(hypotheses)} of {FILES[0]}")
    if not any(line.split() for line in references):
        raise RecordError(f"{paths[1]}: holds no word")
    words = _words(paths[2], hypotheses)
    if not any(word.text != END for own in words for word in own):
        raise RecordError(f"{paths[0]}: holds no word")
    data = hashlib.sha256("".join(f"{line}\n" for line in references).encode()).hexdigest()
    forced = folder / FORCED
    if forced.exists():
        read_forced(forced, len(hypotheses))
        paths.append(forced)
    sha = {"data": data, "checkpoint": sha256_of(paths[0], *paths[2:]), "code": code_hash()}
    return System(folder, hypotheses, references, words, sha)


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
    record = replace(
        planned,
        bins=others,
        bins_by_class=bins,
        n_tokens=sum(map(len, system.words)),
        n_left_out=tokens.n_left_out,
        accuracy=others.accuracy,
        confidence=others.mean_confidence,
        smooth_ece=smooth_ece(Bins.from_sums(tokens.fine_sums())),
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


def _words(path: Path, hypotheses: list[str]) -> list[list[Token]]:
    """The words of each hypothesis with their probabilities."""
    words = []
    tokens = read_tokens(path, len(hypotheses))
    for sentence, (text, own) in enumerate(zip(hypotheses, tokens, strict=True)):
        joined = _joined(text, own)
        if joined is None:
            raise RecordError(
                f"{path}: the tokens of sentence {sentence} do not spell line {sentence + 1} of {FILES[0]}"
            )
        words.append(joined)
    return words


def _joined(text: str, tokens: list[Token]) -> list[Token] | None:
    """The words of ``text``, each with the product over the tokens that begin in it, and its `END` if there is one.

    None if the tokens spell another text.
    """
    end = [token for token in tokens if token.text == END]
    spelled = [token for token in tokens if token.text != END]
    if "".join("".join(token.text.split()) for token in spelled) != "".join(text.split()) or len(end) > 1:
        return None
    words = text.split()
    owner = [index for index, word in enumerate(words) for _ in word]
    factors: list[list[float]] = [[] for _ in words]
    place = 0
    for token in spelled:
        if owner:
            factors[owner[min(place, len(owner) - 1)]].append(token.probability)
        place += len("".join(token.text.split()))
    # A word in which no token begins has probability 1: the token that reaches into it counts in an earlier word.
    return [Token(word, math.prod(own)) for word, own in zip(words, factors, strict=True)] + end


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
