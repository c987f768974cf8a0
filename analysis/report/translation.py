"""The report's contents for translation models."""

from __future__ import annotations

from collections.abc import Sequence

from .. import rows as table
from ..figures import activations as penultimate
from ..figures import reliability, temperature
from ..rows import Row, alphas, number
from ..tables import advice, quality
from .contents import Contents, Drawing, Table

_DRAWINGS = (
    Drawing(
        "reliability",
        "Reliability of next-token predictions (the paper's Figure 3)",
        reliability.figure,
        "Each point is a bin of predictions: their mean confidence, and how many of them are right, with its 95 % "
        "interval. Below the dashed line the model is over-confident. The bars count the tokens. Bins of several "
        "training seeds are pooled, numbers are means.",
        "ECE 0.056 with hard targets, 0.018 at T = 1.13, 0.019 with smoothing 0.1 (Table 3).",
    ),
    Drawing(
        "temperature",
        "BLEU and calibration against temperature (the paper's Figure 4)",
        lambda rows: temperature.figure(table.main_search(rows)),
        "Left and centre: forced ECE (red circles, left scale) and BLEU (blue squares, right scale) of each model; "
        "calibration is best where the red curve is lowest. Right: NLL of both. Means over training seeds.",
        "its curves are only drawn. Base Transformer, dev: BLEU 25.3 to 25.8 and perplexity 4.67 to 4.92 with "
        "smoothing (Table 1).",
    ),
    Drawing(
        "quality",
        "Translation quality and perplexity against calibration",
        lambda rows: quality.figure(table.main_search(rows)),
        "One point a trained model at T = 1; bars are 95 % intervals over the test sentences. If calibration made "
        "BLEU, points would fall from left to right.",
        "smoothing lowers ECE and raises BLEU, and its perplexity is worse.",
    ),
    Drawing(
        "penultimate",
        "Penultimate activations (the paper's Figure 7)",
        lambda rows: penultimate.figure(rows, "penultimate"),
        "What the decoder has before each of a hundred tokens of three pieces, on the plane through their three "
        "templates, origin at the mean of these. With smoothing clusters should be tight. One seed.",
        "clusters are tighter with smoothing, the templates' scale smaller.",
    ),
)


def _tables(rows: Sequence[Row]) -> list[Table]:
    main = table.main_search(rows)
    return [
        Table(
            "main",
            "Main table (test)",
            "Temperatures are fitted on valid. Forced ECE: teacher-forced, 15 "
            "equal-width bins; “95 %” counts sentences and training seeds; “floor” is what a perfectly calibrated "
            "model would show. Beam ECE is another quantity: the probability of generated tokens, right by TER "
            "alignment.",
            quality.MAIN_HEADER,
            quality.main_table(main),
        ),
        Table(
            "table_3",
            "Table 3",
            "Expected calibration error beside the paper's.",
            quality.TABLE_3_HEADER,
            quality.table_3(main),
        ),
        Table(
            "estimators",
            "Other estimators of forced calibration (test)",
            reliability.ESTIMATORS_HOW,
            reliability.ESTIMATORS_HEADER,
            reliability.estimators(rows),
            whole=False,
        ),
        Table(
            "advice",
            "The temperature to use",
            "Chosen on valid, gained on test: a gain improves on T = 1.",
            advice.HEADER,
            advice.lines(rows),
            whole=False,
        ),
        Table(
            "beams",
            "Width of the beam (test, T = 1)",
            "Length: of the hypotheses in parts of the references'. "
            "Means of the seeds. Smoothing is said to make the hypotheses of wide beams shorter (Liang et al. 2022).",
            quality.BEAMS_HEADER,
            quality.beams(rows),
        ),
        Table(
            "geometry",
            "Geometry of penultimate activations (Figure 7 in numbers)",
            f"Of three pieces of the target. {penultimate.HOW}",
            penultimate.HEADER,
            penultimate.geometry(rows, "penultimate"),
        ),
        Table(
            "token_classes",
            "Beam calibration by token class (test, T = 1)",
            "Ends of sentence apart from other tokens; shifted tokens are neither right nor wrong.",
            quality.CLASS_HEADER,
            quality.class_table(main),
        ),
    ]


def _in_words(rows: Sequence[Row], split: str = "test") -> str:
    here = table.select(table.main_search(rows), split=split, temperature=1.0)
    parts = []
    for alpha in alphas(here):
        forced, beam = (table.select(here, alpha=alpha, mode=mode) for mode in ("forced", "beam"))
        values = {
            "forced ECE": number(table.mean(row.record.bins.ece() for row in forced), 3),
            "perplexity": number(table.mean(row.record.perplexity for row in forced), 1),
            "BLEU": number(table.mean(row.record.bleu["score"] if row.record.bleu else None for row in beam), 1),
        }
        known = ", ".join(f"{name} {value}" for name, value in values.items() if value)
        parts.append(f"Smoothing {alpha:g} at T = 1: {known or 'not measured'}.")
    return " ".join(parts)


CONTENTS = Contents(_DRAWINGS, _tables, _in_words, table.main_search)
