"""The recipes as a user runs them, in a copy of the tree with an awkward name."""

import re

import pytest
from markupsafe import escape
from test_measure_text import write
from trees import ROOT, copy_of_the_tree, run_recipe, with_environment

from mt_ls.records.record import read


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository with this environment as its .venv, marked as installed."""
    if not any((ROOT / ".venv").glob("installed-*")):
        pytest.skip("the recipes need the environment that recipes/test.sh makes")
    return with_environment(tmp_path_factory.mktemp("copies") / '-a "copy" of\nit\'s $tree')


@pytest.fixture(scope="module")
def finished(tree):
    """The tree after the synthetic recipe at smoke scale, and what it printed."""
    found = run_recipe(tree, "synthetic/run.sh", SCALE="smoke")
    assert found.returncode == 0, found.stderr[-3000:]
    return tree, found


@pytest.mark.slow
def test_synthetic_goes_from_nothing_to_a_report(finished):
    tree, found = finished
    for alpha in ("0.00", "0.10"):
        records = read(tree / "runs" / f"synthetic_smoke_a{alpha}_s1" / "records.jsonl")
        measured = {(mode, split) for mode in ("forced", "beam") for split in ("valid", "test")}
        looked = {("penultimate", split) for split in ("train", "valid")}
        assert {(r.mode, r.split) for r in records} == measured | looked
        assert {r.alpha for r in records} == {float(alpha)} and {r.updates for r in records} == {60}
    page = (tree / "out" / "synthetic_smoke" / "report.html").read_text()
    assert page.count("<figure>") == 4 and "Nothing: every cell was measured" in page
    assert "out/synthetic_smoke/report.html" in found.stdout and "alpha 0.1" in found.stdout


@pytest.mark.slow
def test_a_second_run_does_nothing_again(finished):
    tree, _ = finished
    watched = [
        *tree.glob("runs/*/records.jsonl"),
        *tree.glob("runs/*/checkpoints/*.pt"),
        *tree.glob("data-bin/*/manifest.json"),
    ]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in watched}
    assert len(before) >= 5
    again = run_recipe(tree, "synthetic/run.sh", SCALE="smoke")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "training" not in again.stderr
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in watched} == before


@pytest.mark.slow
def test_what_another_command_left_is_not_taken_for_this_ones(finished):
    tree, _ = finished
    command = tree / "runs" / "synthetic_smoke_a0.00_s1" / "command"
    kept = command.read_text()
    command.write_text(kept.replace("--dropout 0.1", "--dropout 0.3"))
    found = run_recipe(tree, "synthetic/run.sh", SCALE="smoke")
    command.write_text(kept)
    assert found.returncode == 1 and "holds a model of another command" in found.stderr.splitlines()[-1]


@pytest.mark.slow
def test_audit_tells_the_temperature_for_each_checkpoint(finished):
    tree, _ = finished
    checkpoints = [
        tree / "runs" / f"synthetic_smoke_a{a}_s1" / "checkpoints" / "checkpoint_last.pt" for a in ("0.00", "0.10")
    ]
    found = run_recipe(
        tree,
        "audit.sh",
        tree / "data-bin" / "synthetic_smoke",
        *checkpoints,
        TEMPERATURES="1.0 1.2",
        BEAM="2",
        OUT="out/my audit",
    )
    assert found.returncode == 0, found.stderr[-3000:]
    for alpha in ("0.00", "0.10"):
        name = f"synthetic_smoke_a{alpha}_s1-checkpoint_last"
        assert (tree / "out" / "my audit" / name / "records.jsonl").is_file()
        assert re.search(rf"^{name} +forced ECE +\d\.\d\d +likelihood", found.stdout, re.M)
    assert (tree / "out" / "my audit" / "report.html").is_file()


@pytest.mark.slow
def test_audit_takes_text_and_probabilities(tree, tmp_path):
    """Two systems in one report; what an earlier audit left on other references does not come in."""
    other = write(tmp_path / "other", references=["Das Haus ist rot .", "Ein Hund"])
    assert run_recipe(tree, "audit.sh", other, OUT=str(tmp_path / "out")).returncode == 0
    systems = [write(tmp_path / name, probability=p) for name, p in (("-a 'system'", 0.5), ("another", 0.9))]
    found = run_recipe(tree, "audit.sh", *systems, OUT=str(tmp_path / "out"))
    assert found.returncode == 0, found.stderr[-3000:]
    for name in ("-a 'system'", "another"):
        assert re.search(rf"^{name} +BLEU +27\.89", found.stdout, re.M)
    assert not re.search("^other ", found.stdout, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a binarised folder"),
        (("/nowhere",), "no such file or folder: /nowhere"),
        (("tests",), "no checkpoint"),
    ],
)
def test_audit_says_what_it_lacks(tree, arguments, message):
    found = run_recipe(tree, "audit.sh", *arguments)
    assert found.returncode == 1 and message in found.stderr and len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", ["home_assistant/run.sh", "multi30k/run.sh", "synthetic/run.sh", "wmt14/run.sh"])
def test_print_shows_the_commands_and_runs_none(tree, path):
    found = run_recipe(tree, path, PRINT="1", SCALE="smoke", SEEDS="1 2", ALPHAS="0.0 0.05")
    assert found.returncode == 0, found.stderr
    lines = [line for line in found.stdout.splitlines() if line]
    programs = [" ".join(line.split()[:3]) for line in lines]
    assert programs.count("python -m data_prep") == 1
    measured = {tuple(line.split()[4:8]) for line in lines if line.startswith("python -m mt_ls.measure ")}
    assert len(measured) == 12  # each of four checkpoints on valid and on test, and for activations on train
    trained = [line for line in lines if line.startswith("python -m mt_ls.train ")]
    assert len(trained) == 4 and sum("--label-smoothing 0.05 " in line for line in trained) == 2
    corpus = path.split("/")[0]
    assert not (tree / "data-bin" / f"{corpus}_smoke").exists() or corpus == "synthetic"


def test_print_shows_workers_and_the_same_batch(tree):
    """4 096 tokens an update by one worker, or by 8 that see 512 each; two batches of half as much are one of all."""

    def options(path, **environment):
        found = run_recipe(tree, path, PRINT="1", SCALE="paper", ALPHAS="0.1", **environment)
        return next(line for line in found.stdout.splitlines() if " -m mt_ls.train " in line)

    alone, eight = options("wmt14/run.sh"), options("wmt14/run.sh", GPUS="8", PRECISION="bf16")
    assert alone.startswith("python -m ") and "--max-tokens 4096 --update-freq 1 " in alone
    assert eight.startswith("torchrun --standalone --nproc-per-node 8 -m ") and " --bf16 " in eight
    assert "--max-tokens 512 --update-freq 1 " in eight
    nodes = options("iwslt14/run.sh", GPUS="2", NODES="2")
    assert nodes.startswith("srun --nodes 2 ") and "--max-tokens 1024 " in nodes and "--rdzv-backend c10d" in nodes


@pytest.mark.slow
def test_two_workers_train_and_measure_one_model(tree):
    """Real processes over gloo: the recipe of the paper's own experiment, from nothing to a report."""
    found = run_recipe(tree, "wmt14/run.sh", SCALE="smoke", GPUS="2", ALPHAS="0.1", OMP_NUM_THREADS="1")
    assert found.returncode == 0, found.stderr[-3000:]
    run = tree / "runs" / "wmt14_smoke_a0.10_s1"
    assert "distributed_world_size=2" in (run / "train.log").read_text().replace("': ", "=")
    assert {r.mode for r in read(run / "records.jsonl")} == {"forced", "beam", "penultimate"}
    assert (tree / "out" / "wmt14_smoke" / "report.html").exists()


@pytest.mark.parametrize("path", ["home_assistant/run.sh", "multi30k/run.sh", "synthetic/run.sh"])
def test_an_unknown_scale_is_one_line(tree, path):
    found = run_recipe(tree, path, SCALE="huge")
    assert found.returncode == 1 and len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith("error: SCALE=huge: choose smoke")


@pytest.mark.parametrize("recipe", ["quickstart.sh", "test.sh"])
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PYTHON": "python3.9000"}, "error: Python 3.11 or 3.12 with venv is needed"),
        ({"PYTHON": "bash"}, "error: Python 3.11 or 3.12 with venv is needed"),
        ({"MT_LS_MIN_FREE_MB": "999999999"}, "MB are free here; the environment needs 999999999 MB"),
    ],
)
def test_what_the_environment_lacks_is_said_before_anything_is_downloaded(recipe, environment, expected, tmp_path):
    tree = copy_of_the_tree(tmp_path)
    found = run_recipe(tree, recipe, **environment)
    errors = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert found.returncode == 1 and len(errors) == 1 and expected in errors[0]
    assert not (tree / ".venv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "data", "runs", "shown"),
    [
        ("mnist", "synthetic_digits", 6, "Teachers and students (section 4)"),
        ("imagenet", "synthetic_images", 2, "Calibration (Table 3)"),
        ("cifar100", "synthetic_images", 2, "Penultimate activations (the paper's Figure 1)"),
        ("cifar10", "synthetic_images", 8, "Teachers and students (the paper's Figure 5)"),
    ],
)
def test_pictures_go_from_nothing_to_a_report(tree, recipe, data, runs, shown):
    found = run_recipe(tree, f"{recipe}/run.sh", SCALE="smoke")
    assert found.returncode == 0, found.stderr[-3000:]
    folders = sorted((tree / "runs").glob(f"{data}_*_s1"))
    assert len(folders) == runs and all(read(folder / "records.jsonl") for folder in folders)
    page = (tree / "out" / data / "report.html").read_text()
    assert escape(shown) in page and "16. And their students are less accurate" in page
