"""fairseq-hydra-train with the plugin: the documented command line, from a folder without the package."""

import torch
from commands import command, documented, run

SMALL = {
    "++model._name": "transformer_mt_ls_micro",
    "optimization.max_update": "3",
    "dataset.max_tokens": "600",
    "dataset.num_workers": "0",
    "common.cpu": "true",
    "common.log_format": "simple",
    "common.log_interval": "1",
}


def _hydra(data, folder, **more):
    """The finished process of the documented command, made small, in a folder without the package."""
    documented_options = dict(option.split("=", 1) for option in documented("Train", "fairseq-hydra-train"))
    options = {**documented_options, **SMALL, "+task.data": data, "checkpoint.save_dir": folder / "run"}
    options |= {f"++criterion.{name}": value for name, value in more.items()}
    return run(command("fairseq-hydra-train", *(f"{name}={value}" for name, value in options.items())), cwd=folder)


def test_it_trains_with_calibration_in_the_log(data, tmp_path):
    finished = _hydra(data, tmp_path, label_smoothing=0.2, smoothing_kind="unigram")
    assert finished.returncode == 0, finished.stderr[-2000:]
    log = (tmp_path / "hydra_train.log").read_text()
    for stage in ("[train_inner]", "[valid]", "[train]"):
        assert any(stage in line and " ece" in line for line in log.splitlines())
    state = torch.load(tmp_path / "run" / "checkpoint_last.pt", weights_only=True)
    assert state["optimizer_history"][-1]["num_updates"] == 3
    criterion = state["cfg"]["criterion"]
    assert (criterion["label_smoothing"], criterion["smoothing_kind"]) == (0.2, "unigram")
    assert state["model"]["encoder.embed_tokens.weight"].shape[1] == 64  # of the named architecture


def test_a_bad_value_is_one_line(data, tmp_path):
    finished = _hydra(data, tmp_path, label_smoothing=1.5)
    assert finished.returncode == 1 and "Traceback" not in finished.stdout + finished.stderr
    assert finished.stderr.splitlines()[-1] == "error: label smoothing must lie in [0, 1), not 1.5"
    assert not (tmp_path / "run").exists()
