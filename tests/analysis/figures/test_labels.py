"""No text of a figure lies over another one, over the edge of the figure, or over what is drawn in its axes."""

import io
import itertools

import msgspec
import pytest
from builders import row, study, taught_by, teacher_run, write_activations, write_records, write_world
from matplotlib.text import Text

from analysis.figures import drawings, teaching
from analysis.rows import Row, load
from analysis.study import Study

LONG = "a_folder_of_somebody/with/several/levels-checkpoint_average_of_the_last_ten"


def renamed(row, run):
    """The row of a run with another name."""
    return Row(msgspec.structs.replace(row.record, run=run), row.folder)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """The figures of studies of translation, images, four runs with long names, and students, by their names."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("translation", "images", "runs")}
    write_records(folders["translation"])
    write_activations(folders["translation"])
    write_world(folders["images"], True, seeds=(1, 2))
    write_records(folders["runs"], amounts=(0.0, 0.1, 0.2, 0.3))
    drawn = {}
    for kind, folder in folders.items():
        of = Study(load([folder]))
        if kind == "runs":
            of = Study([renamed(row, f"{LONG}_{row.record.run}") for row in of.rows], "run")
        drawn |= {f"{kind} {drawing.name}": drawing.figure for drawing in drawings(of) if drawing.figure}
    drawn["taught teaching"] = teaching.figure(study(*taught()))
    return drawn


def taught():
    """Rows of two seeds of teachers, and of students alone, of a hard teacher and of a smoothed one."""
    for seed in (1, 2):
        of = {"seed": seed, "mode": "images", "accuracy": 0.8 + seed / 100}
        for amount in (0.0, 0.1):
            yield row(amount, architecture="resnet_20", run=f"t{amount}_{seed}", **of)
            yield row(amount, architecture="alexnet", run=f"a{amount}_{seed}", **of)
            for temperature in (1.0, 2.0, 4.0):
                teacher = taught_by("resnet_20", amount, temperature)
                gamma = teacher_run(amount + temperature / 10)
                run = f"s{amount}_{temperature}_{seed}"
                yield row(0.0, architecture="alexnet", run=run, teacher=teacher, teacher_run=gamma, **of)


@pytest.fixture
def drawn_texts(monkeypatch):
    """A function that draws a figure and returns the boxes of its texts, in pixels."""
    drawn, draw = {}, Text.draw

    def watched(text, renderer):
        draw(text, renderer)
        if text.get_text().strip() and text.get_visible():
            drawn[text] = text.get_window_extent(renderer)

    monkeypatch.setattr(Text, "draw", watched)

    def boxes(figure):
        drawn.clear()
        figure.savefig(io.BytesIO(), format="png", dpi=figure.dpi)
        return dict(drawn)

    return boxes


def share(one, other):
    """Whether two boxes share more than a pixel in both directions."""
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1


FIGURES = [
    *(f"translation {name}" for name in ("reliability", "temperature", "ece_bleu", "selective", "penultimate")),
    *(f"images {name}" for name in ("reliability", "selective", "information")),
    "taught teaching",
    *(f"runs {name}" for name in ("reliability", "temperature", "ece_bleu", "selective")),
]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_over_anything(name, figures, drawn_texts):
    figure = figures[name]
    texts = drawn_texts(figure)
    assert len(texts) > 10
    for (text, box), (other, its_box) in itertools.combinations(texts.items(), 2):
        assert not share(box, its_box), (text.get_text(), other.get_text())
    for text, box in texts.items():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
        for axes in figure.axes:
            assert not (axes.axison and share(box, axes.get_window_extent())), text


def test_every_figure_was_tried(figures):
    assert sorted(figures) == sorted(FIGURES)
