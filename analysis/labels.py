"""Labels of models: what a table, a figure and a message call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mt_ls.records import Model, Smoothing, Teacher


def labeller(
    models: Sequence[Model], named: bool, smoothing: Callable[[Smoothing | None], str] | None = None
) -> Callable[[Model], str]:
    """A function that labels models by their smoothing, and by whatever else differs among them."""

    def differs(field: Callable[[Model], Any]) -> bool:
        return len({field(model) for model in models}) > 1

    parts: list[Callable[[Model], str]] = [lambda model: (smoothing or alpha_label)(model.smoothing)]
    if named or differs(lambda model: model.architecture):
        parts.insert(0, lambda model: str(model.architecture))
    if differs(lambda model: model.pairs):
        parts.append(lambda model: "" if model.pairs is None else f"{spaced(model.pairs)} pairs")
    if differs(lambda model: model.vocabulary):
        parts.append(lambda model: "" if model.vocabulary is None else f"{spaced(model.vocabulary)} subwords")
    if differs(lambda model: model.precision):
        parts.append(lambda model: model.precision or "float32")
    if differs(lambda model: model.checkpoint):
        parts.append(lambda model: f"checkpoint {model.checkpoint}")
    if differs(lambda model: model.teacher):
        parts.append(lambda model: "" if model.teacher is None else f"of {teacher_label(model.teacher)}")
    return lambda model: ", ".join(text for part in parts if (text := part(model)))


def alpha_label(smoothing: Smoothing | None) -> str:
    """The label of a smoothing: alpha, and the kind and the convention where they are not the paper's."""
    if smoothing is None:
        return "smoothing not stated"
    kind = f" {smoothing.kind}" if smoothing.kind != "uniform" else ""
    convention = f" {smoothing.convention}" if smoothing.convention != "paper" else ""
    return f"alpha {smoothing.amount:g}{kind}{convention}"


def teacher_label(teacher: Teacher) -> str:
    """The teacher, the temperature that it taught at, its part of the loss, and its images if not whole ones."""
    at = "logits" if teacher.temperature is None else f"T {teacher.temperature:g}"
    return f"{teacher.architecture} {alpha_label(teacher.smoothing)}, {at}, beta {teacher.beta:g}{sight_label(teacher)}"


def sight_label(teacher: Teacher) -> str:
    """The end of a label that says which images a teacher sees; empty for whole ones."""
    return "" if teacher.sees == "whole" else f", {teacher.sees} images"


def spaced(number: float) -> str:
    """A whole number with a space before each three digits: "10 000"."""
    return f"{number:,.0f}".replace(",", " ")
