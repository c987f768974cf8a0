"""A study's entries: runs of one model together, different models and checkpoints apart."""

import pytest
from builders import row, study, taught_by
from msgspec.structs import replace

from analysis.tables import teaching
from mt_ls.records import RecordError
from mt_ls.smoothing.kinds import Smoothing


def labels(of):
    return [entry.label for entry in of.entries]


def test_seeds_of_one_model_are_one_entry():
    of = study(row(0.1, seed=1), row(0.1, seed=2), row(0.0, seed=1))
    assert labels(of) == ["alpha 0", "alpha 0.1"]
    assert [len(entry.rows) for entry in of.entries] == [1, 2]


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("architecture", ("base", "tiny"), ["base, alpha 0.1", "tiny, alpha 0.1"]),
        ("precision", (None, "bf16"), ["alpha 0.1, float32", "alpha 0.1, bf16"]),
        ("checkpoint", ("best", "last"), ["alpha 0.1, checkpoint best", "alpha 0.1, checkpoint last"]),
        (
            "smoothing",
            (Smoothing("unigram", 0.1), Smoothing("uniform", 0.1)),
            ["alpha 0.1 unigram", "alpha 0.1"],
        ),
        (
            "smoothing",
            (Smoothing("uniform", 0.1), Smoothing("uniform", 0.1, "fairseq")),
            ["alpha 0.1", "alpha 0.1 fairseq"],
        ),
    ],
)
def test_two_models_with_one_alpha_are_two_entries(field, values, expected):
    """They would be averaged if a model were its alpha."""
    rows = [row(0.1, run=f"run{i}", nll=float(i), **{field: value}) for i, value in enumerate(values)]
    of = study(*rows)
    assert sorted(labels(of)) == sorted(expected)
    assert all(len(entry.rows) == 1 for entry in of.entries)


def test_two_checkpoints_of_one_seed_are_an_error_that_names_both_runs():
    rows = row(0.1, run="mine_a"), row(0.1, run="mine_b")
    with pytest.raises(RecordError, match=r"runs mine_a and mine_b are both of alpha 0.1 with seed 1.*--by run"):
        study(*rows)
    assert labels(study(*rows, by="run")) == ["mine_a", "mine_b"]


def test_two_checkpoints_in_one_run_are_an_error():
    """As after a training was repeated in its folder."""
    first = row(0.1)
    other = row(0.1, sha=first.record.sha | {"checkpoint": "a" * 64})
    for by in ("model", "run"):
        with pytest.raises(RecordError, match=r"toy_a0.1_s1 has records of two checkpoints .*aaaaaaaa"):
            study(first, other, by=by)


def test_runs_of_unknown_seed_are_never_averaged():
    with pytest.raises(RecordError, match="no known seed"):
        study(row(seed=None, run="a"), row(seed=None, run="b"))


def test_a_network_during_its_training_is_one_run():
    rows = [
        row(0.1, mode="information", updates=n, sha={"data": "d", "checkpoint": f"{n}" * 9, "code": "e"})
        for n in (1, 2)
    ]
    assert len(study(*rows).entries) == 1


def test_each_estimate_of_information_has_its_curve_from_the_untrained_network_on():
    """Records of an earlier version have the paper's estimate alone."""
    rows = [
        row(0.1, mode="information", seed=seed, updates=n, mutual_information={"nats": n + seed, **more})
        for seed, n, more in ((1, 40, {"nats_50": 0.5}), (1, 0, {"nats_50": 0.0}), (2, 20, {}))
    ]
    (entry,) = study(*rows).entries
    assert entry.information == {1: [(0, 1), (40, 41)], 2: [(20, 22)]}
    assert entry.information_by("nats_50") == {1: [(0, 0.0), (40, 0.5)]}


def test_records_of_one_model_in_several_modes_are_one_entry():
    assert labels(study(row(mode="forced"), row(mode="beam", beam=5), row(mode="activations"))) == ["alpha 0.1"]


def test_the_kind_of_a_study_is_that_of_its_records():
    assert not study(row()).is_of_images and study(row()).forced_mode == "forced"
    assert study(row(mode="images")).is_of_images and study(row(mode="images")).forced_mode == "images"


def test_students_are_apart_by_what_taught_them():
    rows = [
        row(0.0, mode="images", architecture="alexnet", run=f"s{t}", teacher=taught_by("resnet", 0.1, t))
        for t in (1.0, 2.0, None)
    ]
    of = study(*rows, row(0.0, mode="images", architecture="alexnet"))
    assert len(of.entries) == 4 and len(set(labels(of))) == 4
    assert [entry.model.teacher for entry in of.untaught] == [None]


def test_students_are_apart_by_what_their_teacher_saw():
    whole = taught_by("resnet", 0.1, 1.0)
    teachers = (whole, replace(whole, sees="augmented"))
    of = study(
        *(
            row(0.0, mode="images", architecture="alexnet", run=f"s{teacher.sees}", teacher=teacher, accuracy=0.5)
            for teacher in teachers
        )
    )
    assert labels(of) == [
        "alexnet, alpha 0, of resnet alpha 0.1, T 1, beta 1, augmented images",
        "alexnet, alpha 0, of resnet alpha 0.1, T 1, beta 1",
    ]
    sources = [line[1] for line in teaching.table(of).cells]
    assert sources == ["resnet, alpha 0.1", "resnet, alpha 0.1, augmented images"]


def test_pairs_differ_in_their_smoothing_alone():
    rows = [row(amount, run=f"{body}{amount}", architecture=body) for body in ("a", "b") for amount in (0.0, 0.1, 0.3)]
    other = row(0.1, run="unigram", architecture="a", smoothing=Smoothing("unigram", 0.1))
    pairs = study(*rows, other).pairs
    assert [(hard.label, smoothed.label) for hard, smoothed in pairs] == [
        ("a, alpha 0", "a, alpha 0.1"),
        ("b, alpha 0", "b, alpha 0.1"),
    ]
    ((hard, smoothed),) = study(row(0.1)).comparisons
    assert hard is None and smoothed.label == "alpha 0.1"


@pytest.mark.parametrize(
    ("field", "values", "mode", "expected"),
    [
        (
            "checkpoint",
            ("average of 10", "last"),
            "forced",
            ["checkpoint average of 10", "checkpoint last"],
        ),
        ("architecture", ("a", "b"), "forced", ["a", "b"]),
        ("architecture", ("a",), "forced", [""]),
        ("architecture", ("a",), "images", ["a"]),
        ("precision", (None, "bf16"), "images", ["None, bf16", "None, float32"]),
    ],
)
def test_a_comparison_is_labelled_by_what_no_other_has(field, values, mode, expected):
    rows = [
        row(amount, mode=mode, run=f"{value}{amount}", **{field: value}) for value in values for amount in (0.0, 0.1)
    ]
    of = study(*rows)
    assert sorted(of.shared_label(hard) for hard, _ in of.pairs) == expected
    assert all(of.shared_label(hard) == of.shared_label(smoothed) for hard, smoothed in of.pairs)


def test_the_fairseq_convention_does_not_replace_the_papers():
    of = study(row(0.0), row(0.1), row(0.1, run="stock", smoothing=Smoothing("uniform", 0.1, "fairseq")))
    assert [(hard.label, smoothed.label) for hard, smoothed in of.pairs] == [("alpha 0", "alpha 0.1")]


def test_one_name_for_two_models_is_an_error():
    rows = row(0.1, run="a", seed=1), row(0.0, run="a", seed=2)
    with pytest.raises(RecordError, match="run a has records of several models or seeds"):
        study(*rows, by="run")


def test_modes_of_two_runs_of_one_seed_are_not_one_model():
    """No cell of the two overlaps, and their numbers would still stand in one line."""
    with pytest.raises(RecordError, match="runs a and b"):
        study(row(run="a"), row(run="b", mode="beam", beam=5))


def test_one_model_on_two_data_sets_is_an_error():
    other = row(seed=2)
    sha = other.record.sha | {"data": "f" * 64}
    with pytest.raises(RecordError, match=r"on different data \(dddddddd, ffffffff\)"):
        study(row(seed=1), row(seed=2, sha=sha))


def test_a_training_of_images_that_was_stopped_is_a_study_of_images():
    assert study(row(mode="information", mutual_information={"nats": 1.0})).is_of_images


@pytest.mark.parametrize(
    ("fitted_on", "chosen_on"),
    [([None], "valid"), (["dev", None], "dev"), (["dev", "valid"], "valid"), (["dev", "dev2"], "dev")],
)
def test_the_split_that_chooses_is_the_one_that_temperatures_were_fitted_on(fitted_on, chosen_on):
    of = study(*(row(run=f"run{seed}", seed=seed, fitted_on=split) for seed, split in enumerate(fitted_on)))
    assert of.chosen_on == chosen_on


def test_by_run_there_are_no_pairs_of_models():
    assert study(row(0.0), row(0.1), by="run").pairs == []
