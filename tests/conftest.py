"""A data folder and a trained model that the tests of one run share, whichever worker asks for them first."""

import fcntl
import os
import shutil

# A model this small trains faster on one thread than on two, and the other core is another worker's.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch
from commands import MODEL, ROOT, SIZE, command, logged, module, run, train_command
from trees import copy_of_the_tree, run_recipe

__all__ = ["MODEL", "ROOT", "SIZE", "command", "logged", "run", "train_command"]

# The files that take longest come first: with --dist loadfile no worker is then left alone with one of them.
SLOWEST_FIRST = (
    "recipes/test_runs",
    "plugin/test_train",
    "recipes/test_slurm",
    "recipes/test_faults",
    "recipes/",
    "measure/",
    "vision/test_command",
    "plugin/",
)

# The first example of a test pays for what is set up once, on a machine that others may share.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

AWKWARD = '-a "copy" of\nit\'s $tree'
"""The name of a folder that a shell script must quote everywhere."""


def pytest_configure(config):
    """Let pytest-xdist take the files in the order of `pytest_collection_modifyitems`, not by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Order the test files by how long they take, as far as that is known. Skip tests for a GPU where there is none."""

    def rank(item):
        path = item.path.relative_to(ROOT / "tests").as_posix()
        return next((i for i, start in enumerate(SLOWEST_FIRST) if path.startswith(start)), len(SLOWEST_FIRST))

    items.sort(key=rank)
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a GPU: torch.cuda.is_available() is False"))


def _shared(tmp_path_factory, name, fill):
    """The folder ``name``, filled by ``fill(folder)`` once for all workers of a run of the tests."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, whole = base / "shared" / name, base / "shared" / f"{name}.whole"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """data-bin of the synthetic corpus: 2 000, 200 and 211 sentence pairs."""

    def fill(folder):
        process = run(module("data_prep", "synthetic", "--out", folder / "synthetic"))
        assert process.returncode == 0, process.stderr

    return _shared(tmp_path_factory, "data-bin", fill) / "synthetic"


@pytest.fixture(scope="session")
def checkpoint(data, tmp_path_factory):
    """checkpoint_last.pt of the small Transformer, alpha 0.1, after 120 updates on the synthetic corpus."""
    path = os.path.join("synthetic_a0.1_s1", "checkpoints")

    def fill(folder):
        process = run(train_command(data, folder / path, *SIZE))
        assert process.returncode == 0, process.stderr[-2000:]

    return _shared(tmp_path_factory, "runs", fill) / path / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def loaded(checkpoint, data):
    """(models, task, every sample of test in one batch), loaded as fairseq does it."""
    import fairseq  # noqa: F401
    from fairseq import checkpoint_utils

    import mt_ls.plugin  # noqa: F401

    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], {"data": str(data)})
    task.load_dataset("test")
    dataset = task.datasets["test"]
    return [model.eval() for model in models], task, dataset.collater([dataset[i] for i in range(len(dataset))])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code in a folder with an awkward name."""
    return copy_of_the_tree(tmp_path_factory.mktemp("copies") / AWKWARD)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """(A tree in which the synthetic recipe has run at smoke scale with alphas 0.0 and 0.1, the recipe's output.)"""

    def fill(folder):
        process = run_recipe(copy_of_the_tree(folder / AWKWARD), "synthetic/run.sh", SCALE="smoke")
        assert process.returncode == 0, process.stderr[-3000:]
        (folder / "output").write_text(process.stdout)

    folder = _shared(tmp_path_factory, "recipe", fill)
    return folder / AWKWARD, (folder / "output").read_text()
