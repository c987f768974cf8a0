"""The folder of a system's translations: hypotheses, references, and the words of each hypothesis with probabilities.

What the files hold is in the help of `mt_ls.measure.text`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import NamedTuple

from ..records import RecordError, code_hash, sha256_of
from .forced_text import FORCED, read_forced
from .score_check import END, Sentence, Token
from .token_files import lines_of, read_tokens, token_file

FILES = ("hypotheses.txt", "references.txt", "tokens.jsonl")
"""The files of a folder of translations; in place of the last one those of `token_files`."""
_MARKS = str.maketrans("", "", "▁Ġ")


class System(NamedTuple):
    """The translations of a system: ``hypotheses``, their ``references``, the ``tokens`` and ``words`` of each
    hypothesis with their probabilities, and the ``sha`` of a record."""

    folder: Path
    hypotheses: list[str]
    references: list[str]
    tokens: list[Sentence]
    words: list[list[Token]]
    sha: dict[str, str]


def read_system(folder: Path) -> System:
    """The translations in a folder. Raises RecordError, with file and line, for input other than the help
    of `mt_ls.measure.text` says."""
    paths = [*(folder / name for name in FILES[:2]), token_file(folder)]
    hypotheses, references = map(lines_of, paths[:2])
    if len(hypotheses) != len(references):
        raise RecordError(f"{paths[1]}: {len(references)} lines for {len(hypotheses)} of {FILES[0]}")
    if not any(line.split() for line in references):
        raise RecordError(f"{paths[1]}: holds no word")
    tokens = read_tokens(paths[2], len(hypotheses))
    words = _words(paths[2], hypotheses, tokens)
    if not any(word.text != END for own in words for word in own):
        raise RecordError(f"{paths[0]}: holds no word")
    data = hashlib.sha256("".join(f"{line}\n" for line in references).encode()).hexdigest()
    forced = folder / FORCED
    if forced.exists():
        read_forced(forced, len(hypotheses))
        paths.append(forced)
    sha = {"data": data, "checkpoint": sha256_of(paths[0], *paths[2:]), "code": code_hash()}
    return System(folder, hypotheses, references, tokens, words, sha)


def _words(path: Path, hypotheses: list[str], tokens: list[Sentence]) -> list[list[Token]]:
    """The words of each hypothesis with their probabilities."""
    words = []
    for sentence, (text, own) in enumerate(zip(hypotheses, tokens, strict=True)):
        joined = _joined(text, own.tokens)
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
    spelled = [(_letters(token.text), token.probability) for token in tokens if token.text != END]
    if "".join(letters for letters, _ in spelled) != "".join(text.split()) or len(end) > 1:
        return None
    words = text.split()
    owner = [index for index, word in enumerate(words) for _ in word]
    factors: list[list[float]] = [[] for _ in words]
    place = 0
    for letters, probability in spelled:
        if owner:
            factors[owner[min(place, len(owner) - 1)]].append(probability)
        place += len(letters)
    # A word in which no token begins has probability 1: the token that reaches into it counts in an earlier word.
    return [Token(word, math.prod(own)) for word, own in zip(words, factors, strict=True)] + end


def _letters(token: str) -> str:
    """A token without spaces and the marks of subwords."""
    return "".join(token.translate(_MARKS).removesuffix("@@").split())
