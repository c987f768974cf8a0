"""Edit distances of many token sequences to one reference, by the rule of sacrebleu's TER. Arrays of numpy.

The rule is that of tercom: an insertion, a deletion and a substitution cost 1 each, and only cells near the diagonal of
the matrix are reached (`_window`). sacrebleu fills the matrix cell by cell in Python; here a row of all sequences is
filled at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from sacrebleu.metrics import lib_ter

_FAR = np.int32(1 << 20)
"""The cost of a cell that is not reached."""


def edit_distances(hypotheses: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The distances (K,) of ``hypotheses`` (K, N), token ids, to ``reference`` (M,)."""
    *_, last = _rows(hypotheses, reference)
    return last[:, -1]


def edits(hypothesis: np.ndarray, reference: np.ndarray) -> tuple[int, str]:
    """The distance of a hypothesis (N,) to a reference (M,), token ids, and the edits that rewrite the hypothesis.

    One letter each, from the first to the last: " " keeps a token, "s" substitutes, "d" deletes, "i" inserts. Among
    rewritings of one distance it is sacrebleu's: from the end, the first possible of " " or "s", "d" and "i".
    """
    costs = np.concatenate([*_rows(hypothesis[None], reference)])
    i, j = len(hypothesis), len(reference)
    backwards = []
    while i or j:
        same = bool(i and j and hypothesis[i - 1] == reference[j - 1])
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (not same):
            backwards.append(" " if same else "s")
            i, j = i - 1, j - 1
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            backwards.append("d")
            i -= 1
        else:
            backwards.append("i")
            j -= 1
    return int(costs[-1, -1]), "".join(reversed(backwards))


def _rows(hypotheses: np.ndarray, reference: np.ndarray) -> Iterator[np.ndarray]:
    """The rows (K, M + 1) of the matrices of costs, one before the first token and one after each."""
    n, m = hypotheses.shape[1], len(reference)
    places = np.arange(m + 1, dtype=np.int32)
    row = np.broadcast_to(places, (len(hypotheses), m + 1))
    yield row
    differ = hypotheses[:, :, None] != reference
    for i in range(1, n + 1):
        low, high = _window(i, n, m)
        first = max(low, 1)
        costs = row[:, low:high] + 1  # deletions
        reached = costs[:, first - low :]
        np.minimum(reached, row[:, first - 1 : high - 1] + differ[:, i - 1, first - 1 : high - 1], out=reached)
        # An insertion costs 1 more than the cell before: so the least of all cells before, and the steps from there.
        costs -= places[low:high]
        np.minimum.accumulate(costs, axis=1, out=costs)
        costs += places[low:high]
        row = costs
        if high - low <= m:
            row = np.full((len(hypotheses), m + 1), _FAR)
            row[:, low:high] = costs
        yield row


def _window(i: int, n: int, m: int) -> tuple[int, int]:
    """The first cell of row i of n that is reached, and the one after the last, of m + 1."""
    ratio = m / n
    width = lib_ter._BEAM_WIDTH
    if width < ratio / 2:
        width = math.ceil(ratio / 2 + width)
    middle = math.floor(i * ratio)
    return max(0, middle - width), m + 1 if i == n else min(m + 1, middle + width)


def token_ids(*sequences: Sequence[str]) -> list[np.ndarray]:
    """Sequences of texts as ids, equal where the texts are."""
    ids: dict[str, int] = {}
    return [np.array([ids.setdefault(text, len(ids)) for text in sequence], dtype=np.int32) for sequence in sequences]
