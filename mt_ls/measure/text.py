"""python -m mt_ls.measure_text FOLDER --records FILE: beam ECE and BLEU of translations without their model.

FOLDER holds the translations of any system:

    hypotheses.txt    one detokenised sentence a line
    references.txt    their references, one a line
    tokens.jsonl      one JSON line a generated token, in order:
                      {"sentence": 0, "token": "▁Haus", "probability": 0.83}

Sentences count from 0. Tokens are any subwords that spell the hypothesis; spaces and their marks (▁, Ġ, @@) do not
matter. The token </s>, if it is there, is the end of the sentence. As references come without subwords, words are
judged: a word's probability is the product of those of the tokens that begin in it. Without logits there is no other
temperature, and no forced ECE.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..calibration.alignment import align
from ..calibration.bins import Bins
from ..calibration.generated import JudgedTokens
from ..calibration.scores import Scorer
from ..records.record import Measurement, RecordError, append, code_hash, read, sha256_of, versions, written_whole

END = "</s>"
_MARKS = str.maketrans("", "", "▁Ġ")


class Word(NamedTuple):
    """A word of a hypothesis (or `END`) and its probability."""

    text: str
    probability: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one folder; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.measure_text", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=Path, required=True, help="JSON lines file to append to")
    parser.add_argument("--split", default="test", help="name of the set of sentences")
    options = parser.parse_args(arguments)
    try:
        record, arrays = measure(options.folder, options.split)
        known = read(options.records) if options.records.exists() else []
        if record.key() not in {other.key() for other in known}:
            with written_whole(options.records.with_name(record.arrays or "")) as path, open(path, "wb") as file:
                np.savez_compressed(file, **arrays)
            append(options.records, record)
    except (RecordError, OSError) as error:
        print(f"mt_ls.measure_text: error: {error}", file=sys.stderr)
        return 2
    bleu = record.bleu["score"] if record.bleu else math.nan
    print(
        f"{record.run}: {record.n_sentences} sentences, {record.bins.n} words judged, BLEU {bleu:.1f}, "
        f"confidence {record.confidence:.3f}, right {record.accuracy:.3f}, beam ECE {record.bins.ece():.4f}"
    )
    return 0


def measure(folder: Path, split: str) -> tuple[Measurement, dict[str, Any]]:
    """The record of a folder, and its arrays of each sentence. Raises RecordError, with file and line."""
    files = [folder / name for name in ("hypotheses.txt", "references.txt", "tokens.jsonl")]
    hypotheses, references = map(_lines, files[:2])
    if len(hypotheses) != len(references):
        raise RecordError(f"{files[1]}: {len(references)} lines for {len(hypotheses)} of {files[0].name}")
    words = _words(files[2], hypotheses)
    scorer = Scorer()
    statistics = [scorer.statistics(*pair) for pair in zip(hypotheses, references, strict=True)]
    judged = _judged(words, references)
    classes = judged.sums(len(words))
    bins = {name: Bins.from_sums(sums.sum(0)) for name, sums in classes.items()}
    others, references_hash = bins["others"], sha256_of(files[1])
    record = Measurement(
        run=folder.resolve().name,
        mode="beam",
        split=split,
        temperature=1.0,
        bins=others,
        bins_by_class=bins,
        n_tokens=sum(map(len, words)),
        n_left_out=judged.n_left_out,
        n_sentences=len(hypotheses),
        n_sentences_in_set=len(hypotheses),
        accuracy=others.accuracy,
        confidence=others.mean_confidence,
        unit="word",
        sha={"data": references_hash, "checkpoint": sha256_of(files[0], files[2]), "code": code_hash()},
        versions=versions("sacrebleu", "numpy"),
        corpus=f"references {references_hash[:8]}",
        **scorer.scores({name: np.sum([s[name] for s in statistics], axis=0) for name in statistics[0]}),
    )
    record = dataclasses.replace(record, arrays=f"text_{split}_{record.sha['checkpoint'][:8]}.npz")
    return record, {
        "sentence_bins": classes["others"].numpy().astype("f4"),
        "sentence_bleu": np.stack([s["bleu"] for s in statistics]).astype("i4"),
        "text": np.frombuffer("".join(f"{line}\n" for line in hypotheses).encode(), "u1"),
    }


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise RecordError(f"{path}: holds no sentence")
    return lines


def _words(path: Path, hypotheses: list[str]) -> list[list[Word]]:
    """The words of each hypothesis with their probabilities."""
    tokens: list[list[Word]] = [[] for _ in hypotheses]
    for number, line in enumerate(_lines(path), start=1):
        try:
            sentence, token = _token(line)
            tokens[sentence].append(token)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            wanted = '{"sentence": 0, "token": "text", "probability": 0.5}'
            raise RecordError(f"{path}:{number}: not a token as {wanted} ({error})") from None
    found = []
    for sentence, (text, own) in enumerate(zip(hypotheses, tokens, strict=True)):
        joined = _joined(text, own)
        if joined is None:
            raise RecordError(
                f"{path}: the tokens of sentence {sentence} do not spell line {sentence + 1} of hypotheses.txt"
            )
        found.append(joined)
    return found


def _token(line: str) -> tuple[int, Word]:
    fields = json.loads(line)
    sentence, text, probability = fields["sentence"], fields["token"], fields["probability"]
    if type(sentence) is not int or sentence < 0:
        raise ValueError(f"no sentence {sentence!r}")
    if type(probability) not in (int, float) or not 0 <= probability <= 1:
        raise ValueError(f"probability {probability!r} is no number in [0, 1]")
    return sentence, Word(text if text == END else text.translate(_MARKS).removesuffix("@@").strip(), probability)


def _joined(text: str, tokens: list[Word]) -> list[Word] | None:
    """The words of ``text``, each with the product over the tokens that begin in it, and its end if there is one; None
    if the tokens spell another text."""
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
    # A word inside a token that began before it has no probability of its own: that token's word has it.
    return [Word(word, math.prod(own)) for word, own in zip(words, factors, strict=True)] + end


def _judged(words: list[list[Word]], references: list[str]) -> JudgedTokens:
    probability, hit, kept, end, sentence = [], [], [], [], []
    for index, (own, reference) in enumerate(zip(words, references, strict=True)):
        spelled = [word.text for word in own if word.text != END]
        flags = align(spelled, reference.split())
        probability += [word.probability for word in own]
        hit += flags.hit[: len(own)]
        kept += flags.kept[: len(own)]
        end += [False] * len(spelled) + [True] * (len(own) - len(spelled))
        sentence += [index] * len(own)
    return JudgedTokens(torch.tensor(probability, dtype=torch.float64), *map(torch.tensor, (hit, kept, end, sentence)))


if __name__ == "__main__":
    sys.exit(main())
