"""The curves and points of the figures, the looks of models, and the signatures."""

import numpy as np
import pytest
from builders import record, row, study, taught_by, teacher_run, write, write_activations, write_records, write_world
from msgspec.structs import replace
from scipy import stats

from analysis.figures import (
    activations,
    drawings,
    ece_bleu,
    information,
    layout,
    reliability,
    signatures,
    spread,
    teaching,
    temperature,
)
from analysis.quantities import BLEU, ECE, NLL
from analysis.report import slider
from analysis.rows import Row, load, select
from analysis.study import Study
from analysis.tables.geometry import FIELDS
from mt_ls.calibration.bins import Bins
from mt_ls.smoothing.kinds import Smoothing


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    write_records(folder)
    write_activations(folder)
    return Study(load([folder]))


def titles(figure):
    """The first lines of titles."""
    return [title.split("\n")[0] for axis in figure.axes if axis.axison for title in _titles(axis)]


def _titles(axis):
    return [title for place in ("left", "center") if (title := axis.get_title(place))]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_reliability_curve_has_the_bins_of_its_record(made):
    figure = reliability.figure(made)
    top = figure.axes[0]
    assert legend(figure) == [reliability.HARD, reliability.SCALED, reliability.SMOOTHED, "95 % interval"]
    (of,) = select(made.rows, amount=0.0, split="test", mode="forced", temperature=1.0)
    confidence, accuracy, count = of.record.bins.curve()
    many = count >= reliability.FEW
    assert many.any() and not many.all()
    joined, marks, faded = top.lines[1:4]
    for line, chosen in ((joined, many), (marks, many), (faded, ~many)):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack((confidence, accuracy))[chosen])
    assert faded.get_alpha() < marks.get_alpha() == 1
    assert f"α = 0: ECE {of.record.bins.ece():.3f}" in top.get_title("left")


def test_a_bin_of_several_seeds_is_their_mean_from_the_least_to_the_greatest():
    """Not the pool: the second seed has nine times as many predictions in the bin, and none in another one."""
    small, great = Bins.of([0.9, 0.1], [1, 0]), Bins.of([0.92] * 9, [1, 1, 1] + [0] * 6)
    bins = reliability.means([row(seed=1, bins=small), row(seed=2, bins=great)])
    np.testing.assert_allclose(bins.confidence, [0.1, 0.91])
    np.testing.assert_allclose(bins.accuracy, [0, (1 + 1 / 3) / 2])
    np.testing.assert_allclose(bins.counts, [0.5, 5])
    np.testing.assert_allclose((bins.low, bins.high), [[0, 1 / 3], [0, 1]])


def test_a_bin_of_one_seed_has_its_wilson_interval():
    bins = reliability.means([row(bins=Bins.of([0.9] * 10, [1] * 8 + [0] * 2))])
    interval = stats.binomtest(8, 10).proportion_ci(method="wilson")
    np.testing.assert_allclose((bins.low[0], bins.high[0]), (interval.low, interval.high), atol=1e-4)


def test_of_translations_without_their_model_the_diagram_is_that_of_the_search(made):
    of = Study(select(made.rows, mode="beam", split="test", amount=0.0), "run")
    figure = reliability.figure(of)
    assert titles(figure) == ["toy_a0.0_s1"] and legend(figure) == ["T = 1", "fitted T", "95 % interval"]
    (at_one,) = select(of.rows, temperature=1.0)
    confidence, _, count = at_one.record.bins.curve()
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), confidence[count >= reliability.FEW])


def test_each_network_has_its_diagram():
    def of(network, amount, **more):
        return row(amount, mode="images", architecture=network, run=f"{network}{amount}", **more)

    rows = [of("alexnet", 0.0), of("alexnet", 0.1), of("mlp", 0.3)]
    rows += [of("resnet_20", 0.0, fitted_temperature=1.0), of("resnet_20", 0.1)]
    figure = reliability.figure(study(*rows))
    assert [axis.get_title("left").split("\n") for axis in figure.axes[:2]] == [
        ["alexnet", "α = 0: ECE 0.150", "α = 0.1: ECE 0.150"],
        ["resnet_20", "α = 0: ECE 0.150", "α = 0, T = 1.00: ECE 0.150", "α = 0.1: ECE 0.150"],
    ]
    assert {axis.get_ylabel() for axis in figure.axes} == {"accuracy", "images\n(log scale)", ""}


def test_by_run_each_run_has_its_diagram():
    rows = [row(0.1, run=name, fitted_temperature=1.0) for name in ("mine", "yours")]
    figure = reliability.figure(study(*rows, by="run"))
    assert titles(figure) == ["mine", "yours"] and legend(figure) == ["T = 1", "fitted T", "95 % interval"]


def test_two_diagrams_share_a_line():
    figure = reliability.figure(study(*(row(0.1, run=name) for name in "abc"), by="run"))
    assert titles(figure) == list("abc")
    places = [axis.get_subplotspec().get_topmost_subplotspec() for axis in figure.axes if axis.get_title("left")]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (2, 0)]


def test_a_name_is_no_formula():
    """Matplotlib reads text between dollars as one."""
    reliability.figure(study(row(0.1, run="_$a^$ & <b>"), by="run")).draw_without_rendering()


def test_a_curve_has_the_temperatures_of_every_run():
    measured = [(1, 1.0, 2.0), (2, 1.0, 3.0), (1, 1.21, 1.5), (2, 1.3, 1.9), (1, 1.5, 4.0), (2, 1.5, 5.0)]
    rows = [row(seed=seed, temperature=t, nll=nll) for seed, t, nll in measured]
    assert temperature.by_temperature(rows, NLL) == {1.0: (2.5, 2.0, 3.0), 1.5: (4.5, 4.0, 5.0)}
    assert temperature.by_temperature([], NLL) == {}


def test_the_band_of_one_seed_is_the_interval_over_its_sentences(made):
    (of,) = select(made.rows, amount=0.0, split="test", mode="forced", temperature=1.0)
    assert spread.over_seeds(ECE, [of]) == (of.record.bins.ece(), *ECE.interval([of]))
    assert spread.over_seeds(NLL, [row(nll=2.0)]) == (2.0, 2.0, 2.0) and spread.over_seeds(BLEU, [row()]) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 1, 2], (0.8, 1.0, 1.2)), ([1, 2, 3], (None, 0.8, 1.0)), ([3, 2, 1], (1.0, 1.2, None))],
)
def test_the_optimum_lies_between_its_measured_neighbours_or_beyond_them(values, expected):
    points = {t: spread.Spread(value, value, value) for t, value in zip((0.8, 1.0, 1.2), values, strict=True)}
    assert temperature.optimum(points, NLL) == expected
    turned = {t: spread.Spread(-point.value, 0, 0) for t, point in points.items()}
    assert temperature.optimum(turned, BLEU) == expected


def test_the_temperature_figure_shows_the_pair_and_by_run_every_run(made):
    marks = ["T = 1", "fitted T", "best T measured", "95 % interval"]
    figure = temperature.figure(made)
    assert legend(figure) == ["α = 0", "α = 0.1", *marks]
    assert [axis.get_ylabel() for axis in figure.axes] == [label for _, _, label in temperature._PANELS]
    assert legend(temperature.figure(Study(made.rows, "run"))) == ["toy_a0.0_s1", "toy_a0.1_s1", *marks]
    assert temperature.figure(study(row(0.0), row(0.1))) is None


def test_a_band_of_several_seeds_is_named_by_model_and_not_by_run():
    rows = [row(seed=seed, temperature=t) for seed in (1, 2) for t in (1.0, 1.5)]
    assert legend(temperature.figure(study(*rows)))[-1] == "range of seeds"
    assert legend(temperature.figure(study(*rows, by="run")))[-1] == "95 % interval"


def test_temperatures_without_a_search_have_no_panel_of_bleu(made):
    figure = temperature.figure(Study(select(made.rows, mode="forced")))
    assert [axis.get_ylabel() for axis in figure.axes] == ["forced ECE\n(square-root scale)", "NLL (nats a token)"]


def test_an_ece_of_a_fiftieth_is_far_from_one_of_a_tenth():
    _, (axis,) = layout.new(1, 1, width=3)
    layout.square_root(axis, "y", 0.3, apart=0.13)
    places = axis.transAxes.inverted().transform(axis.transData.transform([(0, ece) for ece in (0, 0.02, 0.1)]))
    assert places[0, 1] == 0 and places[2, 1] - places[1, 1] > 0.25
    ticks = [text.get_text() for text in axis.get_yticklabels()]
    assert ticks == ["0.3", "0.2", "0.1", "0.05", "0.02", "0"]


def test_ece_against_bleu_has_a_point_a_cell_and_a_great_one_a_model(made):
    figure = ece_bleu.figure(made)
    for axis in figure.axes:
        assert [len(points.get_offsets()) for points in axis.collections if hasattr(points, "get_sizes")] == [3, 3]
        assert len(axis.containers) == 4  # at T = 1 and at the fitted temperature, of two models
    assert legend(figure) == ["α = 0", "α = 0.1", "T = 1 (95 %)", "fitted T", "low to high T"]
    assert ece_bleu.figure(study(row(0.1))) is None


def test_ece_against_bleu_of_one_run_at_one_temperature_is_drawn(made):
    of = Study(select(made.rows, amount=0.1, split="test", temperature=1.0), "run")
    figure = ece_bleu.figure(of)
    figure.draw_without_rendering()
    assert legend(figure)[0] == "toy_a0.1_s1" and "ρ" not in figure.axes[0].get_title("left")


def test_the_correlation_is_that_of_ranks():
    points = [ece_bleu.Point(ece, bleu, 1.0) for ece, bleu in ((0.01, 30), (0.02, 20), (0.5, 25), (0.6, 1))]
    assert ece_bleu.correlation(points, "bleu") == pytest.approx(1 - 6 * (3**2 + 0 + 0 + 3**2) / (4 * (4**2 - 1)))
    assert ece_bleu.correlation(points, "perplexity") is None and ece_bleu.correlation(points[:2], "bleu") is None


def test_activations_are_drawn_where_a_pair_was_measured(made):
    figure = activations.figure(made)
    assert titles(figure) == ["α = 0, train", "α = 0.1, train", "α = 0, valid", "α = 0.1, valid"]
    assert activations.figure(Study(select(made.rows, amount=0.1))) is None


@pytest.fixture
def turned(tmp_path):
    """A study whose smoothed model has the plane of the other one, a quarter as large, turned and mirrored; with
    templates."""
    rng = np.random.default_rng(2)
    corners = np.array([[3.0, 0.5], [-2, 2], [-1, -2.5]])
    ranks = np.repeat([0, 1, 2], 30)
    points = corners[ranks] + rng.normal(size=(90, 2)) / 3
    basis = np.array([[np.cos(2), -np.sin(2)], [-np.sin(2), -np.cos(2)]])
    for amount, seen in ((0.0, points), (0.1, points @ basis / 4)):
        scale = 1 if amount == 0 else basis / 4
        templates = (corners * scale if amount == 0 else corners @ scale).tolist()
        plane = {"classes": ["a", "b", "c"], "points": np.column_stack((seen, ranks)).tolist(), "templates": templates}
        for split in ("train", "valid"):
            geometry = {**dict.fromkeys(FIELDS, 0.5), "planes": [plane]}
            write(tmp_path, record(amount, mode="activations", split=split, geometry=geometry))
    return Study(load([tmp_path]))


def test_planes_share_their_orientation_and_their_scale_and_the_smaller_one_is_enlarged(turned):
    figure = activations.figure(turned)
    hard, smoothed, enlarged = figure.axes[:3]
    for of_hard, of_smoothed in zip(hard.collections, smoothed.collections, strict=True):
        np.testing.assert_allclose(of_smoothed.get_offsets(), of_hard.get_offsets() / 4, atol=1e-9)
    assert hard.get_xlim() == smoothed.get_xlim() == pytest.approx([4 * end for end in enlarged.get_xlim()])
    assert enlarged.get_title() == "α = 0.1, train\n4.0 times enlarged"
    assert hard.get_title() == "α = 0, train\nnc1 0.50"
    assert [len(axis.lines) for axis in (hard, smoothed, enlarged)] == [3, 3, 3]
    assert [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()] == ["a", "b", "c", "template"]


def test_figures_name_the_checkpoints_where_two_were_measured(made):
    def of(row, kind):
        changes = {"model": replace(row.record.model, checkpoint=kind), "run": f"{row.record.run}-{kind}"}
        return Row(replace(row.record, **changes), row.folder)

    both = Study([of(row, kind) for kind in ("average of 10", "last") for row in made.rows])
    of_reliability = [t for axis in reliability.figure(both).axes if (t := axis.get_title(loc="left"))]
    of_activations = [part.legends[0].get_title().get_text() for part in activations.figure(both).subfigs]
    for kind, title, legend in zip(("average of 10", "last"), of_reliability, of_activations, strict=True):
        assert title.replace("\n", " ").startswith(f"checkpoint {kind}") and legend == f"checkpoint {kind}"
    names = [f"α = {amount}, checkpoint average of 10" for amount in ("0", "0.1")]
    labels = [text.get_text().replace("\n", " ") for text in temperature.figure(both).legends[0].get_texts()]
    assert labels[:2] == names
    assert [model["name"] for model in slider.data([both])["models"]] == [
        name.replace("average of 10", "last") for name in names
    ]


def test_information_has_a_curve_a_run_and_their_mean(tmp_path):
    of = Study(load([write_world(tmp_path, True)]))
    axis = information.figure(of).axes[0]
    curves = [line for line in axis.lines if len(line.get_xdata()) == 3]
    assert len(curves) == 8 and len({line.get_color() for line in curves}) == 2 and axis.get_xlim()[0] == 0
    for first in (0, 4):
        *seeds, mean = (line.get_ydata() for line in curves[first : first + 4])
        np.testing.assert_allclose(mean, np.mean(seeds, axis=0))
    band = axis.collections[0].get_paths()[0].vertices
    smoothed = [line.get_ydata()[1] for line in curves[4:7]]
    assert np.ptp(smoothed) > 0 and len(axis.collections) == 2 and len(band) > 6


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
        teaching.AT_ONE: [(0.1, [0.8, 0.8])],
        teaching.AT_BEST: [(0.1, [0.4, 0.4])],
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
        teaching.HARD: {0.2: (0.0, [0.7])},
        teaching.AT_ONE: {0.2: (0.0, [0.7])},
        teaching.TEACHERS: {0.0: (0.0, [0.7]), 0.1: (0.1, [0.7])},
        teaching.ALONE: {0.0: (0.0, [0.7])},
    }
    figure = teaching.figure(study(*rows))
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "accuracy of\nteachers (test)",
        "accuracy of\nstudents (test)",
    ]
    assert figure.axes[0].get_shared_x_axes().joined(*figure.axes)
    assert teaching.figure(study(*rows[:3])) is None


def test_every_kind_of_study_has_its_drawings(made, tmp_path):
    assert [one.name for one in drawings(made)] == [
        "reliability",
        "temperature",
        "ece_bleu",
        "selective",
        "penultimate",
    ]
    images = Study(load([write_world(tmp_path / "images", True, seeds=(1,))]))
    assert [one.name for one in drawings(images)] == [
        "penultimate",
        "reliability",
        "selective",
        "teaching",
        "information",
    ]


def test_a_short_signature_names_what_is_drawn():
    runs = [row(seed=seed, mode=mode) for mode in ("forced", "beam") for seed in (1, 2, 3)]
    data, code = f"data {'d' * 8}", f"code {'e' * 7}"
    assert signatures.short(runs) == ["test", "15 bins", "n = 2", "seeds 1 to 3", data, code]
    assert signatures.short(runs, of_bins=False) == ["test", "seeds 1 to 3", data, code]
    others = [row(seed=4, split="valid", sha={**runs[0].record.sha, "code": "a" * 40}, bins=Bins.of([0.5], [1]))]
    assert signatures.short([runs[0], *others]) == [
        "test, valid",
        "15 bins",
        "n = 1 to 2",
        "seeds 1, 4",
        data,
        f"{code} and 1 more",
    ]
    assert "seed" not in " ".join(signatures.short([row(seed=None, run="mine")]))


@pytest.mark.parametrize("width", [3.3, 12.0])
def test_the_signature_stays_inside_the_figure(width):
    of = row()
    fig, _ = layout.new(1, 1, width=width)
    layout.sign(fig, [of, of])
    fig.canvas.draw()
    (printed,) = [text for text in fig.texts if text.get_text()]
    box = printed.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= fig.bbox.width and printed.get_fontsize() == 6.5
    assert printed.get_text().replace("\n", " ") == "; ".join(signatures.short([of]))
    assert ("\n" in printed.get_text()) == (width == 3.3) and fig.signatures == (of.record.signature,)


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
