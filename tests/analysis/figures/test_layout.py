"""What stands under a figure, and that no two models look alike."""

import pytest
from builders import record, row, study

from analysis.figures import layout
from mt_ls.smoothing.kinds import Smoothing


def test_signatures_that_differ_in_little_share_a_line():
    runs = [record(seed=seed, mode=mode, run="one") for mode in ("forced", "beam") for seed in (1, 2)]
    lines = layout.merged([run.signature for run in runs])
    assert lines == [run.signature.replace("|s:1|", "|s:1,2|") for run in runs[::2]]
    many = layout.merged([record(seed=seed, run="one").signature for seed in range(1, 10)])
    assert many == [record(seed=1, run="one").signature.replace("|s:1|", "|s:1..9 (9)|")]


@pytest.mark.parametrize("width", [3.0, 12.0])
def test_signatures_stay_inside_the_figure(width):
    of = row()
    fig, _ = layout.new(1, 1, width=width)
    layout.sign(fig, [of])
    fig.canvas.draw()
    (printed,) = [text for text in fig.texts if text.get_text()]
    box = printed.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= fig.bbox.width
    assert printed.get_text().replace("\n", "") == of.record.signature
    assert ("\n" in printed.get_text()) == (width == 3.0)


def test_the_papers_amounts_of_smoothing_keep_their_looks():
    of = study(*(row(amount) for amount in (0.0, 0.05, 0.1, 0.15, 0.3, 0.45, 0.6, 0.75)))
    assert list(layout.looks(of.entries).values()) == [layout.LOOKS[entry.amount] for entry in of.entries]
    assert len({look.colour for look in layout.LOOKS.values()}) == len({k.marker for k in layout.LOOKS.values()}) == 8


def test_no_two_models_look_alike():
    """Amounts that the paper has not, an unknown smoothing, and a second kind of smoothing with the same amount."""
    of = study(
        *(row(amount) for amount in (0.0, 0.1, 0.2, 0.3)),
        row(run="none", smoothing=None),
        row(0.1, run="u", smoothing=Smoothing("unigram", 0.1)),
    )
    looks = layout.looks(of.entries)
    assert len(set(looks.values())) == len(of.entries) == 6
    assert looks["alpha 0.1"] == layout.LOOKS[0.1]


def test_by_run_each_run_has_a_look():
    of = study(*(row(0.1, run=f"run{i}") for i in range(12)), by="run")
    assert len(set(layout.looks(of.entries, "run").values())) == 12


def test_the_same_figure_gives_the_same_file(tmp_path):
    files = []
    for name in ("a", "b"):
        fig, (axis,) = layout.new(1, 1, width=3)
        axis.plot([0, 1], [0, 1])
        files.append(layout.save(fig, tmp_path / name, "line")[0].read_bytes())
    assert files[0] == files[1]
