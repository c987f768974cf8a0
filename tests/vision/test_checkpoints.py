"""Checkpoints: what is saved is read, and any other file is refused in one line."""

import msgspec
import pytest
import torch

from mt_ls.records import Model, Teacher, TeacherRun
from mt_ls.smoothing.kinds import Smoothing
from mt_ls.vision import VisionError, checkpoints
from mt_ls.vision.checkpoints import Checkpoint, Settings

CPU = torch.device("cpu")
TEACHER = Teacher(architecture="mlp_32", smoothing=Smoothing(amount=0.1), temperature=2.0, beta=0.6)
SETTINGS = Settings(
    network="mlp_16",
    alpha=0.05,
    seed=3,
    updates=7,
    shape=(1, 4, 4),
    n_classes=5,
    data="d" * 64,
    teacher=TEACHER,
    teacher_run=TeacherRun(run="teacher", checkpoint="c" * 64, gamma=0.4),
    bf16=True,
)


def _checkpoint(settings, update=7):
    network = settings.build()
    return Checkpoint(settings, network.state_dict(), update, {"head.bias": torch.arange(5.0)})


def test_a_checkpoint_is_read_as_it_was_saved(tmp_path):
    saved = _checkpoint(SETTINGS)
    saved.save(tmp_path / "checkpoint.pt")
    loaded = checkpoints.load(tmp_path / "checkpoint.pt", CPU)
    assert (loaded.settings, loaded.update) == (SETTINGS, 7)
    torch.testing.assert_close(loaded.momentum, {"head.bias": torch.arange(5.0)})
    for name, values in saved.network.items():
        torch.testing.assert_close(loaded.network[name], values)


def test_settings_say_which_model_is_trained():
    model = SETTINGS.model("mnist")
    assert model == Model(
        corpus="mnist",
        architecture="mlp_16",
        smoothing=Smoothing(amount=0.05),
        precision="bf16",
        teacher=TEACHER,
    )
    plain = msgspec.structs.replace(SETTINGS, bf16=False, seed=4)
    assert plain.model("mnist").precision is None
    assert SETTINGS.model("mnist") == msgspec.structs.replace(SETTINGS, seed=4).model("mnist")


def test_a_smoothing_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"label smoothing must lie in \[0, 1\), not 1.5"):
        msgspec.structs.replace(SETTINGS, alpha=1.5)


def test_settings_without_the_fields_of_a_teacher_are_those_of_a_run_without_one(tmp_path):
    plain = msgspec.structs.replace(SETTINGS, teacher=None, teacher_run=None)
    _checkpoint(plain).save(tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["settings"]["teacher_run"]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert checkpoints.load(tmp_path / "checkpoint.pt", CPU).settings == plain


def _torn(path):
    path.write_bytes(path.read_bytes()[:1000])


def _text(path):
    path.write_text("no checkpoint")


def _other_content(path):
    torch.save({"model": {}}, path)


def _other_settings(path):
    state = torch.load(path, weights_only=True)
    state["settings"]["teacher"] = {"run": "x", "network": "mlp_32", "alpha": 0.1}
    torch.save(state, path)


@pytest.mark.parametrize("spoil", [_torn, _text, _other_content, _other_settings])
def test_any_other_file_is_refused_in_one_line(tmp_path, spoil):
    path = tmp_path / "checkpoint.pt"
    _checkpoint(SETTINGS).save(path)
    spoil(path)
    with pytest.raises(VisionError, match=r"checkpoint\.pt: no checkpoint of this version .*; move it away") as error:
        checkpoints.load(path, CPU)
    assert "\n" not in str(error.value)


def test_the_trained_network_is_that_of_the_checkpoint(tmp_path):
    checkpoint = _checkpoint(SETTINGS)
    checkpoint.save(tmp_path / checkpoints.FILE)
    network, settings = checkpoints.trained(tmp_path, CPU)
    assert settings == SETTINGS and not network.training
    torch.testing.assert_close(dict(network.state_dict()), dict(checkpoint.network))


def test_a_run_that_has_not_ended_has_no_trained_network(tmp_path):
    with pytest.raises(VisionError, match="no trained network; train it first"):
        checkpoints.trained(tmp_path, CPU)
    _checkpoint(SETTINGS, update=5).save(tmp_path / checkpoints.FILE)
    with pytest.raises(VisionError, match="trained for 5 of 7 updates only; finish it first"):
        checkpoints.trained(tmp_path, CPU)
