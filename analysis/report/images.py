"""The report's contents for image classifiers."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from ..figures import activations as penultimate
from ..figures import reliability
from ..figures import teaching as figures
from ..rows import Row, select
from ..tables import images as tables
from .contents import Contents, Drawing, Table


def _compared(rows: Sequence[Row]) -> list[str]:
    """The networks that were trained without a teacher both without smoothing and with 0.1, in order; those that were
    trained with one of the two where there is none."""
    ours = select(rows, mode="images", teacher=None)
    hard, smooth = ({str(row.record.network) for row in select(ours, alpha=alpha)} for alpha in (0.0, 0.1))
    return sorted(hard & smooth or hard | smooth)


def one_model(rows: Sequence[Row]) -> list[Row]:
    """The untaught runs of the last of the networks that are compared (a ResNet, before an MLP and an AlexNet)."""
    names = _compared(rows)
    return select(rows, mode="images", teacher=None, network=names[-1]) if names else []


def _reliability(rows: Sequence[Row]) -> Figure | None:
    names = _compared(rows)
    ours = [row for row in select(rows, teacher=None) if row.record.network in names]
    return reliability.figure(ours, mode="images")


_DRAWINGS = (
    Drawing(
        "penultimate",
        "Penultimate activations (the paper's Figure 1)",
        lambda rows: penultimate.figure(rows, "images"),
        "Activations of a hundred images of each of three classes, on the plane through the three templates, "
        "origin at their mean. With smoothing clusters should be tight, and the scale smaller. One seed.",
        "broad clusters become tight, the three classes stand on a regular triangle.",
    ),
    Drawing(
        "reliability",
        "Reliability (the paper's Figure 2)",
        _reliability,
        "Each point is a bin of predictions: their mean confidence, and how many of them are right, with its 95 % "
        "interval. Below the dashed line the network is over-confident. The bars count the images. Bins of several "
        "training seeds are pooled, numbers are means.",
        "ECE of ResNet-56 on CIFAR-100: 0.150, at T = 1.9 0.021, with smoothing 0.05 0.024 (Table 3).",
    ),
    Drawing(
        "teaching",
        "Teachers and students (the paper's Figure 5)",
        figures.teaching,
        "Points are means over seeds, bars from the least to the greatest. If smoothing took from a teacher what a "
        "student needs, the blue dashed curve lies below the red one.",
        "smoothed teachers are more accurate up to α = 0.6, their students no better than students alone.",
    ),
    Drawing(
        "information",
        "Mutual information of input and logits (the paper's Figure 6)",
        figures.information,
        "How much the difference of two logits tells about which training image it came from, after each epoch. "
        "log 2 is the class alone.",
        "it rises, then falls slowly, more with smoothing, to slightly above log 2.",
    ),
)


def _tables(rows: Sequence[Row]) -> list[Table]:
    return [
        Table(
            "accuracy",
            "Accuracy (Table 2)",
            "Test set, T = 1; networks that learnt from labels alone. The paper's "
            "accuracies on CIFAR and ImageNet are of images held out of train, as those on valid.",
            tables.ACCURACY_HEADER,
            tables.accuracy(rows),
            whole=False,
        ),
        Table(
            "calibration",
            "Calibration (Table 3)",
            "Test set; temperatures fitted on half of valid, alpha chosen on valid. Means of seeds.",
            tables.CALIBRATION_HEADER,
            tables.calibration(rows),
        ),
        Table(
            "estimators",
            "Other estimators of calibration (test)",
            reliability.ESTIMATORS_HOW,
            reliability.ESTIMATORS_HEADER,
            reliability.estimators(select(rows, teacher=None), mode="images"),
            whole=False,
        ),
        Table(
            "teaching",
            "Teachers and students (section 4)",
            "Test set. Beta is the teacher's part of the loss. Logits: half the mean squared error of the logits.",
            tables.TEACHING_HEADER,
            tables.teaching(rows),
            whole=False,
        ),
        Table(
            "geometry",
            "Geometry of penultimate activations (Figure 1 in numbers)",
            f"Of all classes. {penultimate.HOW}",
            penultimate.HEADER,
            penultimate.geometry(rows, "images"),
        ),
    ]


def _in_words(rows: Sequence[Row]) -> str:
    return " ".join(f"{line[0]}: accuracy {line[1]} %, ECE {line[5]}." for line in tables.accuracy(rows))


CONTENTS = Contents(_DRAWINGS, _tables, _in_words, one_model)
