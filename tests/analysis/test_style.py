"""What stands under a figure, and which points a curve has."""

import pytest
from builders import measurement

from analysis.figures import style as plots
from analysis.figures import temperature
from analysis.rows import Row


def test_signatures_that_differ_in_little_share_a_line():
    runs = [measurement(seed=seed, mode=mode) for mode in ("forced", "beam") for seed in (1, 2)]
    lines = plots.merged([run.signature for run in runs])
    assert lines == [run.signature.replace("|s:1|", "|s:1,2|") for run in runs[::2]]
    many = plots.merged([measurement(seed=seed).signature for seed in range(1, 10)])
    assert many == [measurement(seed=1).signature.replace("|s:1|", "|s:1..9 (9)|")]


@pytest.mark.parametrize("width", [3.0, 12.0])
def test_signatures_stay_inside_the_figure(width):
    signature = measurement().signature
    fig, _ = plots.new(1, 1, width=width)
    plots.sign(fig, [signature])
    fig.canvas.draw()
    (printed,) = [text for text in fig.texts if text.get_text()]
    box = printed.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= fig.bbox.width
    assert printed.get_text().replace("\n", "") == signature
    assert ("\n" in printed.get_text()) == (width == 3.0)


def test_the_paper_s_amounts_of_smoothing_look_different():
    alphas = (0.0, 0.05, 0.1, 0.15, 0.3, 0.45, 0.6, 0.75)
    assert len({plots.colour(alpha) for alpha in alphas}) == len({plots.marker(alpha) for alpha in alphas}) == 8


def test_a_curve_has_the_temperatures_of_every_run():
    measured = [(1, 1.0, 2.0), (2, 1.0, 3.0), (1, 1.21, 1.5), (2, 1.3, 1.9), (1, 1.5, 4.0), (2, 1.5, 5.0)]
    rows = [Row(measurement(seed=seed, temperature=t, nll=nll), None) for seed, t, nll in measured]
    assert temperature.curve(rows, "nll") == ([1.0, 1.5], [pytest.approx(2.5), pytest.approx(4.5)])
    assert temperature.curve([], "nll") == ([], [])
