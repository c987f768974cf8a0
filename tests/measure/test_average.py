"""python -m mt_ls.average: means against numpy's, what is no average, and the average as a model of its own."""

import shutil

import numpy as np
import pytest
import torch
from commands import module, run
from msgspec.structs import replace

from analysis.rows import load
from analysis.study import Study
from mt_ls.measure import average as command_line
from mt_ls.measure.average import EPOCHS, UPDATES, average, main, newest
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import MeasureError
from mt_ls.records import read
from mt_ls.weights import weights_hash

UPDATES_OF = {1: 100, 2: 120, 3: 110}
"""Number of updates of each checkpoint of `folder`: the second one has the most."""


def _changed(checkpoint, path, **changes):
    """Write a copy of a checkpoint, with other values of its state, its configuration or its parameters."""
    state = torch.load(checkpoint, weights_only=True)
    state["optimizer_history"][-1]["num_updates"] = changes.pop("updates", 120)
    for section, values in changes.pop("cfg", {}).items():
        state["cfg"][section] |= values
    torch.save(state | changes, path)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    """A run's folder with three checkpoints of epochs, whose parameters differ by noise, and a counter of whole
    numbers."""
    folder = tmp_path_factory.mktemp("runs") / "toy_s1" / "checkpoints"
    folder.mkdir(parents=True)
    parameters = torch.load(checkpoint, weights_only=True)["model"]
    for epoch, updates in UPDATES_OF.items():
        generator = torch.Generator().manual_seed(epoch)
        model = {name: values + torch.randn(values.shape, generator=generator) for name, values in parameters.items()}
        model["counter"] = torch.tensor([updates])
        _changed(checkpoint, folder / f"checkpoint{epoch}.pt", updates=updates, model=model)
    return folder


@pytest.fixture
def paths(folder):
    return [folder / f"checkpoint{epoch}.pt" for epoch in UPDATES_OF]


def test_parameters_are_the_means_that_numpy_takes(paths):
    models = [torch.load(path, weights_only=True)["model"] for path in paths]
    state = average(paths)
    assert state["model"].keys() == models[0].keys()
    for name, values in state["model"].items():
        if name != "counter":
            mean = np.mean([model[name].numpy() for model in models], axis=0, dtype=np.float64)
            assert values.dtype == torch.float32 and np.array_equal(values.numpy(), mean.astype(np.float32))
    assert state["model"]["counter"].tolist() == [120]  # no mean of whole numbers: that of the most updates


def test_the_rest_is_that_of_the_most_updates(paths):
    last = torch.load(paths[1], weights_only=True)
    for given in (paths, paths[::-1]):
        state = average(given)
        assert state["checkpoint_family"] == "average of 3"
        assert state["optimizer_history"] == last["optimizer_history"]
        assert state["extra_state"]["train_iterator"] == last["extra_state"]["train_iterator"]
        assert state["cfg"] == last["cfg"] and state["task_state"] == last["task_state"]
        assert "last_optimizer_state" not in state


def test_half_precision_is_averaged_in_float64_and_kept_in_float32(checkpoint, tmp_path):
    ones = {"weight": torch.ones(1, dtype=torch.bfloat16)}
    above = {"weight": torch.tensor([1 + 2**-7], dtype=torch.bfloat16)}
    paths = [
        _changed(checkpoint, tmp_path / f"{updates}.pt", updates=updates, model=model)
        for updates, model in ((1, ones), (2, above))
    ]
    assert average(paths)["model"]["weight"].tolist() == [1 + 2**-8]  # which bfloat16 does not have


def test_an_average_is_a_model_and_a_run_of_its_own(checkpoint, data, tmp_path, capsys):
    """Beside the last checkpoint, in one file of records, which a report shows as two models."""
    last, records = tmp_path / "toy_s1" / "checkpoints" / "checkpoint_last.pt", tmp_path / "records.jsonl"
    last.parent.mkdir(parents=True)
    shutil.copy(checkpoint, last)
    parameters = torch.load(checkpoint, weights_only=True)["model"]
    for epoch, scale in ((2, 0.0), (3, 1.0), (4, 0.5)):
        model = {name: scale * values for name, values in parameters.items()}
        _changed(checkpoint, last.parent / f"checkpoint{epoch}.pt", updates=epoch, model=model)
    file = last.with_name("average2.pt")
    assert main([str(last.parent), "--num-epoch-checkpoints", "2", "--output", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: average of 2, up to update 4\n"
    for path in (last, file):
        measure(FairseqModel(path, data), Plan(modes=("forced",), fit_split=None), records)
    of_last, of_average = read(records)
    assert (of_average.run, of_average.seed, of_average.updates) == ("toy_s1-average2", 1, 4)
    assert of_average.model == replace(of_last.model, checkpoint="average of 2") != of_last.model
    expected = {name: 0.75 * values for name, values in parameters.items()}
    assert of_average.sha["checkpoint"] == weights_hash(expected) and of_average.nll != of_last.nll
    assert [entry.label for entry in Study(load([records])).entries] == [
        "alpha 0.1, checkpoint average of 2",
        "alpha 0.1, checkpoint last",
    ]


def test_the_newest_of_a_kind_are_those_of_the_greatest_numbers(tmp_path):
    names = ["checkpoint9.pt", "checkpoint10.pt", "checkpoint11.pt", "checkpoint_1_20.pt", "checkpoint_1_100.pt"]
    for name in (*names, "checkpoint_last.pt", "checkpoint_best.pt", "average2.pt"):
        (tmp_path / name).touch()
    assert [path.name for path in newest(tmp_path, 2, EPOCHS)] == ["checkpoint10.pt", "checkpoint11.pt"]
    assert [path.name for path in newest(tmp_path, 2, UPDATES)] == ["checkpoint_1_20.pt", "checkpoint_1_100.pt"]
    with pytest.raises(
        MeasureError, match=r"4 checkpoints of epochs are wanted, and 3 are there.*--keep-last-epochs 4"
    ):
        newest(tmp_path, 4, EPOCHS)
    with pytest.raises(MeasureError, match=r"3 checkpoints of updates.*another folder, with --keep-interval-updates 3"):
        newest(tmp_path, 3, UPDATES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {}}, "number of parameters 0, and "),
        ({"cfg": {"common": {"seed": 2}}}, "seed 2, and 1: average the checkpoints of one"),
        ({"cfg": {"common": {"fp16": True}}}, "precision fp16, and float32"),
        ({"cfg": {"criterion": {"label_smoothing": 0.2}}}, "label smoothing 0.2 uniform paper, and 0.1 uniform paper"),
        ({"updates": 100}, "are both of update 100: name one of them"),
        ({"checkpoint_family": "average of 2"}, "is itself an average"),
        ({"model": {"x": 1}}, "a parameter is no tensor"),
        ({"cfg": {"criterion": {"label_smoothing": "high"}}}, "its configuration is not valid: could not convert"),
    ],
)
def test_checkpoints_of_several_trainings_are_refused_in_one_line(
    paths, checkpoint, tmp_path, capsys, changes, message
):
    changes = {"model": torch.load(paths[0], weights_only=True)["model"], **changes}
    other = _changed(checkpoint, tmp_path / "other.pt", **changes)
    assert message in _refused(capsys, paths[0], other, "--output", tmp_path / "average.pt")
    assert sorted(tmp_path.iterdir()) == [other]


def test_parameters_of_another_shape_or_type_are_refused(paths, checkpoint, tmp_path):
    model = torch.load(paths[0], weights_only=True)["model"]
    for values, described in ((torch.zeros(2), r"int64 \(1,\)"), (torch.zeros(1), r"int64 \(1,\)")):
        other = _changed(checkpoint, tmp_path / "other.pt", model=model | {"counter": values})
        found = rf"counter float32 \({len(values)},\), and {described}"
        with pytest.raises(MeasureError, match=rf"other\.pt and .*checkpoint1\.pt are not of one training: {found}"):
            average([paths[0], other])
    missing = dict(model)
    missing["another"] = missing.pop("counter")
    other = _changed(checkpoint, tmp_path / "other.pt", model=missing)
    with pytest.raises(MeasureError, match="not of one training: counter None, and"):
        average([paths[0], other])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("checkpoint1.pt",), "an average needs at least 2 checkpoints, not 1"),
        (("checkpoint1.pt", "checkpoint1.pt"), "checkpoint1.pt is named twice"),
        (("checkpoint1.pt", "none.pt"), "none.pt: no such checkpoint"),
        (("checkpoint1.pt", "."), ": a folder, where the file of a checkpoint belongs; it has checkpoint1.pt"),
        (("checkpoint1.pt", "checkpoint2.pt", "--output", "checkpoint2.pt"), "is one of the checkpoints to average"),
        (("checkpoint1.pt", "checkpoint2.pt", "--output", "."), ": a folder, so that"),
        ((".", "--num-epoch-checkpoints", "5"), "5 epochs are wanted, and the training had 3: average fewer"),
        ((".", "--num-epoch-checkpoints", "0"), "an average needs at least 2 checkpoints, not 0"),
        ((".", "--num-update-checkpoints", "2"), "2 checkpoints of updates are wanted, and 0 are there"),
        ((".", ".", "--num-epoch-checkpoints", "2"), "--num-epoch-checkpoints chooses from one folder, not 2"),
        (("none", "--num-epoch-checkpoints", "2"), "none: no such folder of checkpoints"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(folder, tmp_path, capsys, options, message):
    given = [option if option.startswith("-") or option.isdigit() else folder / option for option in options]
    output = () if "--output" in options else ("--output", tmp_path / "average.pt")
    before = sorted(folder.iterdir())
    assert message in _refused(capsys, *given, *output)
    assert not list(tmp_path.iterdir()) and sorted(folder.iterdir()) == before


def test_a_checkpoint_that_is_cut_short_is_refused(paths, tmp_path, capsys):
    cut = tmp_path / "cut.pt"
    cut.write_bytes(paths[1].read_bytes()[:-1000])
    assert f"{cut}: cut short or changed" in _refused(capsys, paths[0], cut, "--output", tmp_path / "average.pt")


def test_an_average_that_cannot_be_written_leaves_nothing(paths, tmp_path, capsys, monkeypatch):
    def half(_, file):
        file.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos\nmore")

    monkeypatch.setattr(command_line.torch, "save", half)
    line = _refused(capsys, *paths, "--output", tmp_path / "average.pt")
    assert line.endswith("average.pt: cannot be written: [enforce fail at inline_container.cc:664] . unexpected pos")
    assert not list(tmp_path.iterdir())


def test_the_command_is_that_of_the_module(tmp_path):
    process = run(module("mt_ls.average", tmp_path / "x.pt", "--output", tmp_path / "average.pt"))
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "mt_ls.average: error: an average needs at least 2 checkpoints, not 1\n"


def _refused(capsys, *arguments):
    """The line on stderr of a command that is refused."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("mt_ls.average: error: ") and not printed.out
    return line
