"""The commands that PRINT=1 shows: those of the recipe, for any shell in any folder."""

import os
import re
import shutil
import subprocess
from collections import Counter

import pytest
from trees import fresh, run_recipe

# commands of two seeds and two alphas at smoke scale: trainings or image networks, measurements
TRANSLATION = {
    "debian": (4, 12),
    "home_assistant": (4, 8),
    "iwslt14": (4, 4),
    "multi30k": (4, 16),
    "synthetic": (4, 8),
    "wmt14": (4, 8),
}
IMAGES = {"cifar10": 14, "cifar100": 4, "mnist": 12}
RECIPES = [*TRANSLATION, *IMAGES, "when"]


def _text(tree, recipe, **environment):
    process = run_recipe(tree, f"{recipe}/run.sh", PRINT="1", **environment)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def _printed(tree, recipe, **environment):
    """The commands that follow the line which sets up the shell."""
    first, *lines = _text(tree, recipe, **environment).splitlines()
    assert first.startswith("cd ")
    return lines


def _programs(lines):
    return Counter(" ".join(line.split()[:3]) for line in lines)


@pytest.mark.parametrize("recipe", TRANSLATION)
def test_of_translations(tree, recipe):
    lines = _printed(tree, recipe, SCALE="smoke", SEEDS="1 2", ALPHAS="0.0 0.05")
    n_trainings, n_measurements = TRANSLATION[recipe]
    assert _programs(lines) == {
        "python -m data_prep": 1,
        "python -m mt_ls.train": n_trainings,
        "python -m mt_ls.measure": n_measurements,
        "python -m analysis.report": 1,
    }
    assert len(set(lines)) == len(lines)
    assert sum("--label-smoothing 0.05 " in line for line in lines) == 2
    assert sum("--seed 2 " in line for line in lines if "mt_ls.train" in line) == 2
    assert not (tree / "data-bin").exists() and not (tree / "runs").exists()


def test_of_sizes(tree):
    """24 models of four sizes, 9 of other alphas, 18 of another vocabulary, width, or both, of three seeds each."""
    lines = _printed(tree, "when", SCALE="cpu")
    folders = [line.split(" --save-dir ")[1].split("/")[1] for line in lines if " -m mt_ls.train " in line]
    assert len(folders) == len(set(folders)) == 24 + 9 + 18
    kinds = Counter(re.sub(r"_a[0-9.]*_s[123]$", "", folder) for folder in folders)
    assert kinds == {
        "when_10000": 6,
        "when_30000": 6 + 9,
        "when_100000": 6,
        "when_all": 6,
        "when_30000_v16000": 6,
        "when_30000_narrow": 6,
        "when_30000_v16000_narrow": 6,
    }
    data = {line.split(" --out ")[1] for line in lines if " -m data_prep " in line}
    assert (
        "data-bin/when_all --vocab-size 2000" in data
        and "data-bin/when_30000_v16000 --vocab-size 16000 --pairs 30000" in data
    )
    assert sum("--arch transformer_mt_ls_mini_narrow " in line for line in lines) == 12
    assert all("checkpoint_best.pt" in line for line in lines if " -m mt_ls.measure " in line)


def test_a_part_of_the_sizes_is_chosen_by_variables(tree):
    lines = _printed(tree, "when", SIZES="all", PARTS="sizes", SEEDS="7", ALPHAS="0.1")
    assert sum(" -m mt_ls.train " in line for line in lines) == 1
    assert "runs/when_all_a0.10_s7/" in "".join(lines)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SIZES": "10000 many"}, "error: SIZES=10000 many: give numbers of pairs, or all"),
        ({"PARTS": "sizes seeds"}, "error: PARTS=sizes seeds: choose of sizes, alphas and models"),
    ],
)
def test_a_part_that_is_none_is_one_line(tree, environment, message):
    process = run_recipe(tree, "when/run.sh", PRINT="1", **environment)
    assert (process.returncode, process.stdout, process.stderr) == (1, "", f"{message}\n")


@pytest.mark.parametrize("recipe", IMAGES)
def test_of_images(tree, recipe):
    lines = _printed(tree, recipe, SCALE="smoke", SEEDS="1 2", ALPHAS="0.0 0.05")
    assert _programs(lines) == {
        "python -m data_prep": 1,
        "python -m mt_ls.vision": IMAGES[recipe],
        "python -m analysis.report": 1,
    }
    runs = [line.split(" --run ")[1].split()[0] for line in lines if " --run " in line]
    assert len(set(runs)) == IMAGES[recipe] and sum(run.endswith("_s2") for run in runs) == IMAGES[recipe] // 2
    assert not (tree / "data-bin").exists() and not (tree / "runs").exists()


@pytest.mark.parametrize(
    ("recipe", "environment", "launcher", "options"),
    [
        ("wmt14", {}, "python -m mt_ls.train ", "--max-tokens 4096 --update-freq 1 "),
        (
            "wmt14",
            {"GPUS": "8", "PRECISION": "bf16"},
            "torchrun --standalone --nproc-per-node 8 -m ",
            "--max-tokens 512 --update-freq 1 ",
        ),
        ("iwslt14", {"GPUS": "2", "NODES": "2"}, "srun --nodes 2 ", "--max-tokens 1024 --update-freq 1 "),
    ],
)
def test_all_workers_together_see_4096_tokens_an_update(tree, recipe, environment, launcher, options):
    lines = _printed(tree, recipe, SCALE="paper", ALPHAS="0.1", **environment)
    (training,) = (line for line in lines if " -m mt_ls.train " in line)
    assert training.startswith(launcher) and options in training
    assert (" --bf16 " in training) == ("PRECISION" in environment)


@pytest.mark.parametrize(
    ("recipe", "float32", "bf16"),
    [
        ("iwslt14", "runs/iwslt14_smoke_a0.10_s1", "runs/iwslt14_smoke_a0.10_bf16_s1"),
        ("cifar10", "runs/cifar10_smoke_resnet_8_a0.1_s1", "runs/cifar10_smoke_resnet_8_a0.1_bf16_s1"),
    ],
)
def test_a_run_folder_names_a_precision_other_than_float32(tree, recipe, float32, bf16):
    for precision, folder in (("float32", float32), ("bf16", bf16)):
        lines = _printed(tree, recipe, SCALE="smoke", ALPHAS="0.1", PRECISION=precision)
        runs = set(re.findall(r"runs/[^/* ]+", "\n".join(lines[:-1])))
        assert folder in runs and all(("_bf16_s1" in run) == (precision == "bf16") for run in runs)


def test_no_two_recipes_of_images_share_a_run_folder(tree):
    runs = [
        line.split(" --run ")[1].split()[0]
        for recipe in IMAGES
        for line in _printed(tree, recipe, SCALE="smoke")
        if " --run " in line
    ]
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("scale", ["smoke", "cpu", "paper"])
def test_no_option_comes_twice_and_none_forbids_a_gpu(tree, recipe, scale):
    process = run_recipe(tree, f"{recipe}/run.sh", PRINT="1", SCALE=scale)
    if process.returncode:
        assert "choose" in process.stderr
        return
    for line in process.stdout.splitlines():
        options = re.findall(r" (--[a-z][-a-z0-9]*)", line)
        assert len(set(options)) == len(options) and "--cpu" not in options, line


@pytest.mark.parametrize("script", [*(f"{recipe}/run.sh" for recipe in RECIPES), "quickstart.sh"])
def test_a_machine_with_bash_alone_suffices(tree, tmp_path, script):
    """dirname, which finds the recipe's folder, is wherever bash is."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    changes = {"MT_LS_VENV": "", "PATH": str(tmp_path), "PRINT": "1", "PRECISION": "bf16", "SCALE": "smoke"}
    process = run_recipe(tree, script, **changes)
    assert (process.returncode, process.stderr) == (0, "")
    first, second, *_ = process.stdout.splitlines()
    shell = [shutil.which("bash"), "-c", f'{first}; printf \'%s\\0\' "$PWD" "$PATH"']
    expanded = subprocess.run(shell, env={"PATH": "/a:/b"}, capture_output=True, text=True)
    assert expanded.stdout.split("\0")[:2] == [str(tree), f"{tree}/.venv/bin:/a:/b"]
    assert second == "bash -c 'source recipes/lib.sh && set_up recipes'"  # the printed lines make the environment
    assert not (tree / ".venv").exists()


@pytest.mark.parametrize(
    ("script", "arguments", "last"),
    [
        ("test.sh", ["-k", "a or b"], "python -m pytest -n 2 --dist loadfile -k 'a or b'"),
        ("benchmark.sh", ["bins"], "python tests/benchmarks bins"),
    ],
)
def test_tools_print_too(tree, script, arguments, last):
    process = run_recipe(tree, script, *arguments, PRINT="1", PATH="/usr/bin:/bin")
    assert (process.returncode, process.stderr) == (0, "") and process.stdout.splitlines()[-1] == last


RECORDER = r"""#!/usr/bin/env bash
# Stands for python and torchrun: notes a command, its folder, and the variables that can change a result, and makes the
# run folder that the command would fill.
if [ "$1" = -c ]; then
  echo 1 # torch sees a GPU
  exit
fi
{
  printf '%q ' "${0##*/}" "$@"
  env | grep -E '^(PATH|PWD|CUDA_[A-Z_]*|OMP_[A-Z_]*|PYTHON(HASHSEED|PATH|WARNINGS))=' | sort | tr '\n' ' '
  echo
} >>"$RECORD"
while (($#)); do
  if [ "$1" = --run ]; then mkdir -p "$2"; fi
  shift
done
"""


def _recorder(environment):
    """An environment whose python is the recorder."""
    (environment / "bin").mkdir(parents=True)
    for name in ("python", "torchrun"):
        (environment / "bin" / name).write_text(RECORDER)
        (environment / "bin" / name).chmod(0o755)
    return environment


def _paste(text, **environment):
    """The finished shell that has read a text, at work in another folder."""
    environment = {**os.environ, **environment}
    return subprocess.run(["bash", "-e"], input=text, cwd="/", env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("variables", [{}, {"GPUS": "2", "PRECISION": "bf16"}])
def test_what_is_printed_is_what_the_recipe_calls(tree, tmp_path, recipe, variables):
    """Pasted in another folder; the recipe's folder and the environment's need quotes."""
    copy, environment = fresh(tree, tmp_path / tree.name), _recorder(tmp_path / "an 'environment'")
    variables = {"SCALE": "smoke", "SEEDS": "1 2", "MT_LS_VENV": str(environment), "OUT": "it's $HOME", **variables}
    called = run_recipe(copy, f"{recipe}/run.sh", RECORD=str(tmp_path / "called"), **variables)
    assert called.returncode == 0, called.stderr
    text = _text(copy, recipe, **variables)
    assert re.search(r"^python -m analysis\.report runs/\S+\*_s\* ", text, re.M)  # whatever runs there are
    pasted = _paste(text, RECORD=str(tmp_path / "pasted"))
    assert (pasted.returncode, pasted.stderr) == (0, "")
    # of the runs that a line publishes there are more, the second time
    commands, pasted_commands = (
        re.sub(r"(?m)^(python -m analysis\.publish) .* --out", r"\1 --out", (tmp_path / name).read_text()).splitlines()
        for name in ("called", "pasted")
    )

    assert pasted_commands == commands and len(commands) == text.count("\n") - 1
    assert "_s1 " in commands[-1] and "_s2 " in commands[-1]


def test_further_test_sets_are_measured_where_the_data_have_them(tree, tmp_path):
    lines = _printed(tree, "multi30k", SCALE="smoke", SPLITS="test test_2017")
    measured = [line for line in lines if " -m mt_ls.measure " in line and "--pieces" not in line]
    assert measured and all("--gen-subset valid,test,test_2017 " in line for line in measured)
    record, environment = tmp_path / "called", _recorder(tmp_path / "environment")
    process = run_recipe(
        fresh(tree, tmp_path / "copy"),
        "multi30k/run.sh",
        SCALE="smoke",
        SPLITS="test_2017",
        MT_LS_VENV=str(environment),
        RECORD=str(record),
    )
    assert process.returncode == 1 and "-m mt_ls" not in record.read_text()
    assert process.stderr.splitlines()[-1] == (
        "error: SPLITS=test_2017: the data have no test_2017: put test_2017.en and test_2017.de into the folder that "
        "data_prep reads"
    )
