"""A label smoothing as a value: its kind, its amount and its convention.

Needs no torch, so that records can hold it.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Kind = Literal["uniform", "unigram"]
Convention = Literal["paper", "fairseq"]
KINDS: tuple[str, ...] = get_args(Kind)
CONVENTIONS: tuple[str, ...] = get_args(Convention)


class Smoothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training targets q = (1 - alpha) onehot(y) + alpha prior (Müller et al. 2019, section 1.1).

    ``kind`` names the prior over classes: "uniform", or "unigram", the frequencies of the training targets (Pereyra et
    al. 2017; Gao et al. 2020). ``amount`` in [0, 1) is alpha in the "paper" convention. In the "fairseq" convention it
    is epsilon: the wrong classes share epsilon, which equals alpha = epsilon K / (K - 1) for K classes and the uniform
    prior.

    Raises ValueError for another kind or convention, an amount outside [0, 1), or a fairseq convention of a prior that
    is not uniform.
    """

    kind: Kind = "uniform"
    amount: float = 0.0
    convention: Convention = "paper"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of smoothing {self.kind!r}: choose one of {', '.join(KINDS)}")
        if self.convention not in CONVENTIONS:
            raise ValueError(
                f"unknown smoothing convention {self.convention!r}: choose one of {', '.join(CONVENTIONS)}"
            )
        if not 0.0 <= self.amount < 1.0:
            raise ValueError(f"label smoothing must lie in [0, 1), not {self.amount}")
        if self.convention == "fairseq" and self.kind != "uniform":
            raise ValueError(f"the fairseq convention is for uniform smoothing only: {self.kind} needs the paper's")

    def alpha(self, n_classes: int) -> float:
        """The paper's alpha for ``n_classes`` classes."""
        return self.amount * n_classes / (n_classes - 1) if self.convention == "fairseq" else self.amount

    @property
    def is_of_paper(self) -> bool:
        """Whether it is the paper's, of any amount: uniform, in the paper's convention."""
        return (self.kind, self.convention) == ("uniform", "paper")

    @property
    def label(self) -> str:
        """The smoothing in a signature: "0.10paper", or "0.10unigram" for a prior that is not uniform."""
        return f"{self.amount:.2f}{self.convention if self.kind == 'uniform' else self.kind}"


NO_SMOOTHING = Smoothing()
