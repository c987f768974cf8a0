"""The tokens of translations with their probabilities, from the file that a system writes.

Each reader gives, for each sentence, its tokens with their probabilities, and the score of the sentence where the file
has one. A folder holds one of these files:

- ``tokens.jsonl``: ours (see `mt_ls.measure.text`).
- ``generate*.txt``: what ``fairseq-generate`` prints. Its scores have base 2. Without ``--post-process``, since the
  scores are those of pieces.
- ``marian*.txt``: ``marian-decoder --n-best --word-scores``, of a vocabulary whose tokens are separated by spaces.
- ``*.confidences.tsv``: silnlp's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..records import RecordError
from .score_check import END, Sentence, Token, check_scores

T = TypeVar("T")
PATTERNS = ("tokens.jsonl", "generate*.txt", "marian*.txt", "*.confidences.tsv")


def token_file(folder: Path) -> Path:
    """The file with the tokens in a folder, tokens.jsonl where it has none. Raises RecordError for several."""
    found = sorted({path for pattern in PATTERNS for path in folder.glob(pattern)})
    if len(found) > 1:
        raise RecordError(f"{folder}: has {' and '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else folder / PATTERNS[0]


def read_tokens(path: Path, n: int) -> list[Sentence]:
    """The tokens of each of ``n`` hypotheses. Raises RecordError, with file and line, for a file of another form, and
    as `check_scores` does."""
    read, kinds = _reader(path)
    sentences = read(path, n)
    check_scores(str(path), sentences, kinds)
    return sentences


def lines_of(path: Path) -> list[str]:
    """The lines of a file, which may have a byte order mark and the line ends of Windows. Raises RecordError."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise RecordError(f"{path}: is empty")
    return [line.removesuffix("\r") for line in lines]


def _reader(path: Path) -> tuple[Callable[[Path, int], list[Sentence]], tuple[str, ...]]:
    """What reads a file, and what the scores of its sentences are (see `check_scores`)."""
    if path.name == PATTERNS[0]:
        return _of_json, ()
    searched = ("mean", "sum")  # with a length penalty of 1, or of 0
    if path.suffix == ".tsv":
        return _of_silnlp, searched
    if path.name.startswith("generate"):
        return _of_fairseq, searched
    return _of_marian, ("sum",)


def _of_json(path: Path, n: int) -> list[Sentence]:
    sentences = [Sentence([]) for _ in range(n)]
    for number, line in enumerate(lines_of(path), start=1):
        try:
            sentence, token = _json_token(line)
        except (ValueError, KeyError, RecursionError) as error:
            wanted = '{"sentence": 0, "token": "text", "probability": 0.5}'
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise RecordError(f"{path}:{number}: not a token as {wanted} ({reason})") from None
        _place(sentences, sentence, f"{path}:{number}").tokens.append(token)
    return sentences


def _json_token(line: str) -> tuple[int, Token]:
    """The sentence of a token, and the token."""
    fields = json.loads(line)
    if type(fields) is not dict:
        raise ValueError("no JSON object")
    sentence, text, probability = fields["sentence"], fields["token"], fields["probability"]
    if type(text) is not str:
        raise ValueError(f"token {text!r:.40} is no text")
    if type(sentence) is not int or sentence < 0:
        raise ValueError(f"no sentence {sentence!r}")
    if type(probability) not in (int, float) or not 0 <= probability <= 1:
        raise ValueError(f"probability {probability!r} is no number in [0, 1]")
    return sentence, Token(text, probability)


def _of_fairseq(path: Path, n: int) -> list[Sentence]:
    """The first hypothesis of each sentence, from its H and P lines."""
    sentences: list[Sentence | None] = [None] * n
    pieces: dict[int, tuple[float, list[str]]] = {}
    for number, line in enumerate(lines_of(path), start=1):
        mark, _, rest = line.partition("-")
        if mark not in ("H", "P") or "\t" not in rest:
            continue
        where = f"{path}:{number}"
        try:
            name, *fields = rest.split("\t")
            sentence = int(name)
            if mark == "H":
                pieces.setdefault(sentence, (float(fields[0]), fields[1].split()))
                continue
            scores = [float(score) * math.log(2) for score in fields[0].split()]
            score, own = pieces[sentence]
        except (ValueError, IndexError, KeyError) as error:
            raise RecordError(f"{where}: not an H or a P line of fairseq-generate ({error})") from None
        _place(sentences, sentence, where)
        if sentences[sentence] is None:
            tokens = _paired(own, scores, where, "run fairseq-generate without --post-process")
            sentences[sentence] = Sentence(tokens, score * math.log(2))
    return _whole(sentences, path)


def _of_marian(path: Path, n: int) -> list[Sentence]:
    """The first hypothesis of each sentence of an n-best list: ``0 ||| text ||| WordScores= -0.1 ... ||| F0= -0.5``."""
    sentences: list[Sentence | None] = [None] * n
    for number, line in enumerate(lines_of(path), start=1):
        where = f"{path}:{number}"
        fields = [field.strip() for field in line.split("|||")]
        named = {field.split("= ")[0]: field.split("= ")[-1].split() for field in fields if "= " in field}
        try:
            sentence, text = int(fields[0]), fields[1]
            scores = [float(score) for score in named["WordScores"]]
            total = float(named["F0"][0])
        except (ValueError, IndexError, KeyError) as error:
            form = "id ||| text ||| WordScores= ... ||| F0= ..."
            raise RecordError(f"{where}: not a line {form} of marian-decoder ({error})") from None
        _place(sentences, sentence, where)
        if sentences[sentence] is None:
            tokens = _paired(text.split(), scores, where, "give the tokens of the vocabulary, not joined to words")
            sentences[sentence] = Sentence(tokens, total)
    return _whole(sentences, path)


def _of_silnlp(path: Path, n: int) -> list[Sentence]:
    """Two lines a sentence after two lines of heading: its number and tokens, then its score and theirs."""
    lines = lines_of(path)[2:]
    if len(lines) != 2 * n:
        raise RecordError(f"{path}: {len(lines)} lines after the heading, and {n} hypotheses need two each")
    sentences = []
    for index in range(n):
        where = f"{path}:{2 * index + 4}"
        _, *tokens = lines[2 * index].split("\t")
        try:
            score, *probabilities = map(float, lines[2 * index + 1].split("\t"))
            logs = [math.log(probability) for probability in (score, *probabilities)]
        except ValueError as error:
            raise RecordError(f"{where}: not the probabilities of a sentence and its tokens ({error})") from None
        if len(tokens) != len(probabilities):
            raise RecordError(f"{where}: {len(probabilities)} probabilities for the {len(tokens)} tokens above")
        own = zip(tokens, probabilities, strict=True)
        sentences.append(Sentence([Token(*pair) for pair in own if pair[0] != "<pad>"], logs[0]))
    return sentences


def _paired(pieces: Sequence[str], scores: Sequence[float], where: str, advice: str) -> list[Token]:
    """The tokens with their log-probabilities, of which the last may be that of the end of the sentence."""
    texts = [*pieces, END] if len(scores) == len(pieces) + 1 else [*pieces]
    if len(texts) != len(scores):
        raise RecordError(f"{where}: {len(scores)} scores for {len(pieces)} tokens: {advice}")
    if any(score > 1e-6 for score in scores):
        raise RecordError(f"{where}: a score above 0 is no log-probability")
    return [Token(text, min(math.exp(score), 1.0)) for text, score in zip(texts, scores, strict=True)]


def _place(sentences: list[T], sentence: int, where: str) -> T:
    if not 0 <= sentence < len(sentences):
        raise RecordError(
            f"{where}: no sentence {sentence}: sentences count from 0, and hypotheses.txt has {len(sentences)}"
        )
    return sentences[sentence]


def _whole(sentences: Sequence[Sentence | None], path: Path) -> list[Sentence]:
    missing = [index for index, sentence in enumerate(sentences) if sentence is None]
    if missing:
        raise RecordError(f"{path}: has no hypothesis of sentence {missing[0]}")
    return [sentence for sentence in sentences if sentence is not None]
