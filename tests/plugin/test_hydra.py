"""fairseq-hydra-train with the plugin: the documented command line, from a folder without the package."""

import pytest
import torch
from commands import ROOT, command, run

OPTIONS = [
    f"common.user_dir={ROOT / 'mt_ls'}",
    "++task._name=translation_with_calibration",
    "++criterion._name=label_smoothed_cross_entropy_with_calibration",
    "++model._name=transformer_mt_ls_micro",
    "++model.share_all_embeddings=true",
    "optimizer=adam",
    "lr_scheduler=inverse_sqrt",
    "lr_scheduler.warmup_updates=40",
    "optimization.lr=[0.005]",
    "optimization.max_update=3",
    "dataset.max_tokens=600",
    "dataset.num_workers=0",
    "common.cpu=true",
    "common.log_format=simple",
    "common.log_interval=1",
]


def _hydra(data, folder, *more):
    options = [*OPTIONS, f"+task.data={data}", f"checkpoint.save_dir={folder / 'run'}", *more]
    return run(command("fairseq-hydra-train", *options), cwd=folder)


def test_it_trains_with_calibration_in_the_log(data, tmp_path):
    finished = _hydra(data, tmp_path, "++criterion.label_smoothing=0.2", "++criterion.smoothing_kind=unigram")
    assert finished.returncode == 0, finished.stderr[-2000:]
    log = (tmp_path / "hydra_train.log").read_text()
    for stage in ("[train_inner]", "[valid]", "[train]"):
        assert any(stage in line and " ece" in line for line in log.splitlines())
    state = torch.load(tmp_path / "run" / "checkpoint_last.pt", weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 3
    criterion = state["cfg"]["criterion"]
    assert (criterion["label_smoothing"], criterion["smoothing_kind"]) == (0.2, "unigram")
    assert state["model"]["encoder.embed_tokens.weight"].shape[1] == 64  # of the named architecture


@pytest.mark.parametrize(
    ("value", "line"),
    [("++criterion.label_smoothing=1.5", "label smoothing must lie in [0, 1), not 1.5")],
)
def test_a_bad_value_is_one_line(data, tmp_path, value, line):
    finished = _hydra(data, tmp_path, value)
    assert finished.returncode == 1 and finished.stderr.splitlines()[-1] == f"error: {line}"
    assert "Traceback" not in finished.stdout + finished.stderr and not (tmp_path / "run").exists()
