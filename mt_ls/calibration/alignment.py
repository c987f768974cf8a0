"""Which tokens of a hypothesis are right, by the alignment that translation edit rate (TER) finds.

The protocol of Wang et al. 2020 ("On the Inference Calibration of NMT") and its InfECE code: a token is right if
TER aligns it with an equal reference token, and wrong if the alignment deletes a reference token just before it
(something is missing there). Tokens inside a shifted block are neither: the right word in the wrong place. They are
left out, and counted. Shifts and alignment are sacrebleu's, which follow tercom.

The end of sentence takes part as a last token of both sides. So it is wrong exactly when the reference goes on
where the hypothesis stopped. InfECE drops it; our tables show it as a class of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sacrebleu.metrics import lib_ter


class Alignment(NamedTuple):
    """One flag for each hypothesis token, the end of sentence last: ``hit`` (right), and ``kept`` (not shifted)."""

    hit: list[bool]
    kept: list[bool]


class _Token(str):
    """A token that remembers where it stood: shifting moves the object, equality stays that of the text."""

    position: int


def align(hypothesis: Sequence[str], reference: Sequence[str]) -> Alignment:
    """Align the tokens of a hypothesis with those of its reference; neither holds the end of sentence.

    Both lists of the result have ``len(hypothesis) + 1`` entries.
    """
    tokens = []
    for position, text in enumerate(hypothesis):
        token = _Token(text)
        token.position = position
        tokens.append(token)
    reference = list(reference)
    shifted_order = _shift_blocks(tokens, reference)
    kept = _unmoved([token.position for token in shifted_order])

    _, trace = lib_ter.BeamEditDistance([*reference, _END])([*shifted_order, _END])
    # sacrebleu's trace rewrites the hypothesis into the reference; flipped, "i" is a token the hypothesis has
    # too many and "d" one that it lacks.
    operations = lib_ter._flip_trace(trace)
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


def _shift_blocks(tokens: list[Any], reference: list[str]) -> list[Any]:
    """The hypothesis after the block shifts of TER, as in sacrebleu's ``translation_edit_rate``."""
    if not reference:
        return tokens
    distance = lib_ter.BeamEditDistance(reference)
    checked = 0
    while True:
        gain, shifted, checked = lib_ter._shift(tokens, reference, distance, checked)
        if checked >= lib_ter._MAX_SHIFT_CANDIDATES or gain <= 0:
            return tokens
        tokens = shifted


def _unmoved(order: list[int]) -> list[bool]:
    """Which positions kept their order: the members of a longest increasing subsequence of the shifted order.

    A shift moves a block over its neighbours; what moved is the smaller part, the rest kept its order.
    """
    best: list[list[int]] = []  # best[k]: an increasing subsequence of k + 1 positions with the least last one
    for position in order:
        k = sum(chain[-1] < position for chain in best)
        chain = [*best[k - 1], position] if k else [position]
        best[k : k + 1] = [chain]
    longest = set(best[-1]) if best else set()
    return [position in longest for position in range(len(order))]
