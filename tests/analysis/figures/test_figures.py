"""The curves and points of the figures, the looks of models, and the signatures below."""

import numpy as np
import pytest
from builders import record, row, study, taught_by, teacher_run, write_activations, write_records, write_world
from msgspec.structs import replace

from analysis.figures import activations, drawings, ece_bleu, information, layout, reliability, teaching, temperature
from analysis.quantities import NLL
from analysis.report import slider
from analysis.rows import Row, load, select
from analysis.study import Study
from mt_ls.smoothing.kinds import Smoothing


@pytest.fixture
def made(tmp_path):
    write_records(tmp_path)
    write_activations(tmp_path)
    return Study(load([tmp_path]))


def titles(figure):
    return [title for axis in figure.axes if axis.axison and (title := axis.get_title().split("\n")[0])]


def test_each_reliability_diagram_has_the_bins_of_its_record(made):
    figure = reliability.figure(made)
    assert titles(figure) == [reliability.HARD, reliability.SCALED, reliability.SMOOTHED]
    (of,) = select(made.rows, amount=0.0, split="test", mode="forced", temperature=1.0)
    confidence, accuracy, _ = of.record.bins.curve()
    drawn = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == len(confidence))
    np.testing.assert_allclose(drawn.get_xdata(), confidence)
    np.testing.assert_allclose(drawn.get_ydata(), accuracy)
    assert f"ECE {of.record.bins.ece():.3f}" in figure.axes[0].get_title()


def test_of_translations_without_their_model_the_diagram_is_that_of_the_search(made):
    of = Study(select(made.rows, mode="beam", split="test", amount=0.0), "run")
    figure = reliability.figure(of)
    assert titles(figure) == ["toy_a0.0_s1, T = 1", "toy_a0.0_s1, fitted"]
    (at_one,) = select(of.rows, temperature=1.0)
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), at_one.record.bins.curve()[0])


def test_each_network_has_its_line_of_diagrams():
    def of(network, amount, **more):
        return row(amount, mode="images", architecture=network, run=f"{network}{amount}", **more)

    rows = [of("alexnet", 0.0), of("alexnet", 0.1), of("mlp", 0.3)]
    rows += [of("resnet_20", 0.0, fitted_temperature=1.0), of("resnet_20", 0.1)]
    figure = reliability.figure(study(*rows))
    assert titles(figure) == [
        "alexnet, hard targets",
        "alexnet, label smoothing 0.1",
        "resnet_20, hard targets",
        "resnet_20, hard + temperature",
        "resnet_20, label smoothing 0.1",
    ]
    assert {axis.get_ylabel() for axis in figure.axes} == {"accuracy", "images", ""}


def test_by_run_each_run_has_its_diagrams():
    rows = [row(0.1, run=name, fitted_temperature=1.0) for name in ("mine", "yours")]
    found = titles(reliability.figure(study(*rows, by="run")))
    assert found == ["mine, T = 1", "mine, fitted", "yours, T = 1", "yours, fitted"]


def test_runs_of_one_diagram_each_share_a_line():
    figure = reliability.figure(study(*(row(0.1, run=name) for name in "abcd"), by="run"))
    assert titles(figure) == [f"{name}, T = 1" for name in "abcd"]
    places = [axis.get_subplotspec().get_topmost_subplotspec() for axis in figure.axes if axis.get_title()]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (0, 2), (2, 0)]


def test_a_name_is_no_formula():
    """Matplotlib reads text between dollars as one."""
    reliability.figure(study(row(0.1, run="_$a^$ & <b>"), by="run")).draw_without_rendering()


def test_a_curve_has_the_temperatures_of_every_run():
    measured = [(1, 1.0, 2.0), (2, 1.0, 3.0), (1, 1.21, 1.5), (2, 1.3, 1.9), (1, 1.5, 4.0), (2, 1.5, 5.0)]
    rows = [row(seed=seed, temperature=t, nll=nll) for seed, t, nll in measured]
    assert temperature.by_temperature(rows, NLL) == ([1.0, 1.5], [pytest.approx(2.5), pytest.approx(4.5)])
    assert temperature.by_temperature([], NLL) == ([], [])


def test_the_temperature_figure_shows_the_pair_and_by_run_every_run(made):
    assert titles(temperature.figure(made)) == ["α = 0", "α = 0.1", "likelihood"]
    by_run = Study(made.rows, "run")
    assert titles(temperature.figure(by_run)) == ["toy_a0.0_s1", "toy_a0.1_s1", "likelihood"]
    assert temperature.figure(study(row(0.0), row(0.1))) is None


def test_ece_against_bleu_has_a_point_a_run_and_a_label_a_model(made):
    figure = ece_bleu.figure(made)
    assert [len(axis.containers) for axis in figure.axes] == [2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["α = 0", "α = 0.1"]
    assert ece_bleu.figure(study(row(0.1))) is None


def test_activations_are_drawn_where_a_pair_was_measured(made):
    figure = activations.figure(made)
    assert titles(figure) == ["α = 0, train", "α = 0, valid", "α = 0.1, train", "α = 0.1, valid"]
    assert activations.figure(Study(select(made.rows, amount=0.1))) is None


def test_figures_name_the_checkpoints_where_two_were_measured(made):
    def of(row, kind):
        changes = {"model": replace(row.record.model, checkpoint=kind), "run": f"{row.record.run}-{kind}"}
        return Row(replace(row.record, **changes), row.folder)

    both = Study([of(row, kind) for kind in ("average of 10", "last") for row in made.rows])
    found = {
        drawn: [axis.get_title().replace("\n", " ") for axis in drawn.figure(both).axes if axis.get_title()]
        for drawn in (reliability, temperature, activations)
    }
    for kind in ("average of 10", "last"):
        for drawn, rest in ((reliability, reliability.HARD), (activations, "α = 0, train")):
            assert sum(title.startswith(f"checkpoint {kind}, {rest}") for title in found[drawn]) == 1
    names = [f"α = {amount}, checkpoint average of 10" for amount in ("0", "0.1")]
    assert found[temperature] == [*names, "likelihood"]
    assert [model["name"] for model in slider.data([both])["models"]] == [
        name.replace("average of 10", "last") for name in names
    ]


def test_information_has_a_curve_a_run(tmp_path):
    of = Study(load([write_world(tmp_path, True)]))
    figure = information.figure(of)
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(curves) == 6 and len({(line.get_color(), line.get_marker()) for line in curves}) == 2


def test_smoothed_teachers_are_drawn_at_the_temperature_that_valid_chose():
    """Of T = 2 and 4 valid prefers 4, though 2 is better on test; gammas of two seeds are averaged."""
    rows = [
        row(
            0.0,
            mode="images",
            architecture="alexnet",
            split=split,
            seed=seed,
            accuracy=accuracy,
            run=f"s{t}_{seed}",
            teacher=taught_by("resnet_8", 0.1, t),
            teacher_run=teacher_run(t / 10 + seed / 100),
        )
        for split, t, accuracy in (
            ("valid", 1.0, 0.9),
            ("valid", 2.0, 0.5),
            ("valid", 4.0, 0.6),
            ("test", 1.0, 0.8),
            ("test", 2.0, 0.7),
            ("test", 4.0, 0.4),
        )
        for seed in (1, 2)
    ]
    curves = teaching.accuracies(study(*rows))
    assert {name: [*points.values()] for name, points in curves.items()} == {
        teaching.AT_ONE: [[0.8, 0.8]],
        teaching.AT_BEST: [[0.4, 0.4]],
    }
    assert [*curves[teaching.AT_ONE], *curves[teaching.AT_BEST]] == pytest.approx([0.115, 0.415])


def test_teachers_and_untaught_students_have_their_curves():
    taught = {"mode": "images", "accuracy": 0.7}
    rows = [
        row(0.0, architecture="resnet", run="t0", **taught),
        row(0.1, architecture="resnet", run="t1", **taught),
        row(0.0, architecture="alexnet", run="alone", **taught),
        row(
            0.0,
            architecture="alexnet",
            run="s",
            teacher=taught_by("resnet", 0.0, 1.0),
            teacher_run=teacher_run(0.2),
            **taught,
        ),
    ]
    curves = teaching.accuracies(study(*rows))
    assert curves == {
        teaching.HARD: {0.2: [0.7]},
        teaching.AT_ONE: {0.2: [0.7]},
        teaching.TEACHERS: {0.0: [0.7], 0.1: [0.7]},
        teaching.ALONE: {0.0: [0.7]},
    }
    assert teaching.figure(study(*rows[:3])) is None


def test_every_kind_of_study_has_its_drawings(made, tmp_path):
    assert [one.name for one in drawings(made)] == ["reliability", "temperature", "ece_bleu", "penultimate"]
    images = Study(load([write_world(tmp_path / "images", True, seeds=(1,))]))
    assert [one.name for one in drawings(images)] == ["penultimate", "reliability", "teaching", "information"]


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
