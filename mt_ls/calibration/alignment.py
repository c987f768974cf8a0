"""Hits of generated tokens, from the alignment of translation edit rate (TER).

The protocol is that of Wang et al. 2020 ("On the Inference Calibration of NMT") and their code InfECE. A token is a hit
if TER aligns it with an equal reference token. It is a miss if the alignment deletes a reference token just before it:
there the hypothesis lacks a token. A token inside a shifted block is a correct word in the wrong place. It is neither a
hit nor a miss, is left out, and is counted. Shifts and alignment are those of sacrebleu, which follow tercom.

The end of sentence is a last token of both sides. It is a miss exactly when the reference continues where the
hypothesis ends. InfECE drops it; this project counts it as a class of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sacrebleu.metrics import lib_ter

from .edit_distance import edit_distances, edits, token_ids


class Alignment(NamedTuple):
    """Flags of the tokens of a hypothesis, in order: whether each is a ``hit``, and ``kept`` in its place by TER."""

    hit: list[bool]
    kept: list[bool]


class _Token(str):
    """A token with its position in the hypothesis: shifting moves the object, and equality is that of the text."""

    position: int


def _with_positions(hypothesis: Sequence[str]) -> list[Any]:
    tokens = []
    for position, text in enumerate(hypothesis):
        token = _Token(text)
        token.position = position
        tokens.append(token)
    return tokens


def align(hypothesis: Sequence[str], reference: Sequence[str]) -> Alignment:
    """Return the flags of the tokens of a hypothesis and, as the last one, of its end of sentence.

    Neither argument holds the end of sentence.
    """
    tokens = _with_positions(hypothesis)
    shifted_order = _shift_blocks(tokens, list(reference))
    kept = _unmoved([token.position for token in shifted_order])

    _, rewriting = edits(*token_ids([*shifted_order, _END], [*reference, _END]))
    # The edits rewrite the hypothesis into the reference. After the flip "i" is a superfluous token of the hypothesis,
    # "d" a token of the reference that it lacks.
    operations = lib_ter._flip_trace(rewriting)
    positions = [token.position for token in shifted_order] + [len(tokens)]
    hit = [False] * len(positions)
    place = 0
    previous = ""
    for operation in operations:
        if operation != "d":
            hit[positions[place]] = operation == " " and previous != "d"
            place += 1
        previous = operation
    return Alignment(hit, [*kept, True])


_END = "\0end"  # cannot occur in a text token


def align_ids(hypothesis: Sequence[int], reference: Sequence[int], eos: int) -> Alignment:
    """Return the flags of the token ids of a hypothesis.

    ``hypothesis`` ends with ``eos``, unless its search reached a length limit; ``reference`` does not.
    """
    body = hypothesis[:-1] if hypothesis[-1] == eos else hypothesis
    hit, kept = align([str(token) for token in body], [str(token) for token in reference])
    return Alignment(hit[: len(hypothesis)], kept[: len(hypothesis)])


def _shift_blocks(tokens: list[Any], reference: list[str]) -> list[Any]:
    """The hypothesis after the block shifts of TER, as in sacrebleu's ``translation_edit_rate``."""
    if not reference:
        return tokens
    checked = 0
    while True:
        gain, shifted, checked = _best_shift(tokens, reference, checked)
        if checked >= lib_ter._MAX_SHIFT_CANDIDATES or gain <= 0:
            return tokens
        tokens = shifted


def _best_shift(tokens: list[Any], reference: list[str], checked: int) -> tuple[int, list[Any], int]:
    """sacrebleu's ``_shift``, whose candidates are all measured at once: a first call collects them, and a second one
    ranks them by their distances."""
    before = edits(*token_ids(tokens, reference))
    candidates: list[list[Any]] = []

    def collect(words: list[Any]) -> tuple[int, str]:
        candidates.append(words)
        return before

    nothing_gained = lib_ter._shift(tokens, reference, collect, checked)
    if len(candidates) == 1:  # the tokens as they are
        return nothing_gained
    *batch, reference_ids = token_ids(*candidates, reference)
    distances = iter(edit_distances(np.stack(batch), reference_ids).tolist())
    return lib_ter._shift(tokens, reference, lambda words: (next(distances), before[1]), checked)


def _unmoved(order: list[int]) -> list[bool]:
    """A flag of each position: whether it is in the longest increasing subsequence of the shifted order.

    A shift moves a block over its neighbours. The positions outside the subsequence are those that moved.
    """
    best: list[list[int]] = []  # best[k]: an increasing subsequence of k + 1 positions, its last one the least possible
    for position in order:
        k = sum(chain[-1] < position for chain in best)
        chain = [*best[k - 1], position] if k else [position]
        best[k : k + 1] = [chain]
    longest = set(best[-1]) if best else set()
    return [position in longest for position in range(len(order))]
