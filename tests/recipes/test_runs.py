"""Recipes as a user runs them: text, the audit, and images."""

import html
import os
import re

import pytest
from commands import run
from debian_packages import write_packages
from documented import unnamed_files, unnamed_keys
from translations import write_translations
from trees import environment_of, run_recipe

from mt_ls.records import read


@pytest.mark.slow
def test_the_recipe_measures_each_model_and_reports(finished):
    tree, output = finished
    for alpha in (0.0, 0.1):
        records = read(tree / "runs" / f"synthetic_smoke_a{alpha:.2f}_s1" / "records.jsonl")
        measured = {(mode, split) for mode in ("forced", "beam") for split in ("valid", "test")}
        assert {(r.mode, r.split) for r in records} == measured | {("activations", "train"), ("activations", "valid")}
        assert {(r.model.smoothing.amount, r.updates) for r in records} == {(alpha, 60)}
    page = (tree / "out" / "synthetic_smoke" / "report.html").read_text()
    assert page.count("<figure>") == 5 and '<ul class="missing">' not in page
    assert "out/synthetic_smoke/report.html" in output and "alpha 0.1" in output


@pytest.mark.slow
def test_the_page_of_records_names_every_file_and_key_of_a_finished_run(finished):
    tree, _ = finished
    assert not unnamed_files(tree, "synthetic_smoke")
    assert not unnamed_keys(tree / "runs" / "synthetic_smoke_a0.10_s1" / "records.jsonl")


@pytest.mark.slow
def test_a_second_run_makes_nothing_again(finished):
    tree, _ = finished
    results = [
        *tree.glob("runs/*/records.jsonl"),
        *tree.glob("runs/*/*.parquet"),
        *tree.glob("runs/*/checkpoints/*.pt"),
        *tree.glob("data-bin/*/manifest.json"),
    ]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in results}
    assert len(before) >= 5
    process = run_recipe(tree, "synthetic/run.sh", SCALE="smoke", ALPHAS="0.1")
    assert process.returncode == 0, process.stderr[-3000:]
    assert "training" not in process.stderr
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in results} == before


@pytest.mark.slow
def test_a_run_of_another_command_is_refused(finished):
    tree, _ = finished
    command = tree / "runs" / "synthetic_smoke_a0.00_s1" / "command"
    text = command.read_text()
    command.write_text(text.replace("--dropout 0.1", "--dropout 0.3"))
    process = run_recipe(tree, "synthetic/run.sh", SCALE="smoke")
    command.write_text(text)
    assert process.returncode == 1 and "holds a model of another command" in process.stderr.splitlines()[-1]


@pytest.mark.slow
def test_an_audit_has_a_line_for_each_checkpoint(finished, tmp_path):
    """Paths are those of the caller's folder, and names the ends that tell the checkpoints apart."""
    tree, _ = finished
    runs = [f"synthetic_smoke_a{alpha}_s1" for alpha in ("0.00", "0.10")]
    checkpoints = [f"runs/{run}/checkpoints/checkpoint_last.pt" for run in runs]
    (tmp_path / "the user's").mkdir()
    for name in ("runs", "data-bin"):
        (tmp_path / "the user's" / name).symlink_to(tree / name)
    process = run_recipe(
        tree,
        tree / "recipes" / "audit.sh",
        "data-bin/synthetic_smoke",
        *checkpoints,
        cwd=tmp_path / "the user's",
        TEMPERATURES="1.0\n1.2",
        BEAM="2",
        OUT="my audit",
    )
    assert process.returncode == 0, process.stderr[-3000:]
    first, *lines = [line for line in process.stderr.splitlines() if re.match(r"audit: |checking|\d of \d", line)]
    assert first == "audit: loading what measures; then all arguments are checked"
    names = [f"{run}/checkpoints/checkpoint_last.pt" for run in runs]
    steps = [f"{name} on {split}" for name in names for split in ("valid", "test")]
    assert lines == ["checking 2 models", *(f"{i} of 4: {step}" for i, step in enumerate(steps, start=1))]
    out = tmp_path / "the user's" / "my audit"
    page = (out / "report.html").read_text()
    for name in names:
        records = read(out / name.replace("/", "_") / "records.jsonl")
        assert {(r.run, r.split, r.beam) for r in records if r.beam} == {(name, s, 2) for s in ("valid", "test")}
        assert 1.2 in {r.temperature for r in records}
        assert re.search(rf"^{name} ", process.stdout, re.M) and name in page
    assert not (tree / "out").exists() or "my audit" not in os.listdir(tree / "out")


@pytest.mark.slow
def test_an_audit_of_text_has_a_line_for_each_system_of_this_audit(tree, tmp_path):
    earlier = write_translations(tmp_path / "earlier", probability=0.7)
    assert run_recipe(tree, "audit.sh", earlier, OUT=str(tmp_path / "out")).returncode == 0
    systems = [
        write_translations(tmp_path / name, probability=p) for name, p in (("-a 'system'", 0.5), ("another", 0.9))
    ]
    process = run_recipe(tree, "audit.sh", *systems, OUT=str(tmp_path / "out"))
    assert process.returncode == 0, process.stderr[-3000:]
    for name in ("-a 'system'", "another"):
        assert re.search(rf"^{name} .*27\.9", process.stdout, re.M)
    assert not re.search("^earlier ", process.stdout, re.M)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {}, "error: name data and models, or folders of translations: bash"),
        (("recipes",), {"PRINT": "1"}, "error: PRINT=1 is for experiments"),
    ],
)
def test_an_audit_of_nothing_is_one_line(tree, arguments, environment, message):
    process = run_recipe(tree, "audit.sh", *arguments, **environment)
    assert process.returncode == 1 and message in process.stderr and len(process.stderr.splitlines()) == 1


def test_an_audit_that_is_refused_writes_nothing(tree, tmp_path):
    """A path may have a line break; the error has none."""
    awkward = tmp_path / 'a\nb "c"'
    awkward.mkdir()
    process = run_recipe(tree, tree / "recipes" / "audit.sh", awkward.name, "none.pt", cwd=tmp_path)
    assert process.returncode == 2 and not process.stdout and os.listdir(tmp_path) == [awkward.name]
    _, error = process.stderr.splitlines()
    assert error == f"mt_ls.audit: error: {tmp_path}/none.pt: no such file or folder"


def test_a_link_to_the_audit_is_the_audit_in_any_shell(tree, tmp_path):
    """With variables of a shell that lead cd astray, too."""
    (tmp_path / "audit").symlink_to(tree / "recipes" / "audit.sh")
    (tmp_path / "recipes").mkdir()
    environment = environment_of(CDPATH=str(tmp_path))
    for shell, script, folder in (("sh", tmp_path / "audit", tmp_path), ("bash", "recipes/audit.sh", tree)):
        process = run([shell, str(script), "none.pt"], cwd=folder, env=environment)
        assert process.returncode == 2 and not process.stdout
        _, error = process.stderr.splitlines()
        assert error == f"mt_ls.audit: error: {' '.join(str(folder).split())}/none.pt: no such file or folder"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "environment", "runs", "n_runs", "heading"),
    [
        ("mnist", {"JOBS": "2"}, "mnist_smoke_*_s1", 6, "Teachers and students (section 4)"),
        ("cifar10", {"ALPHAS": "0.1"}, "cifar10_smoke_*_s1", 3, "Teachers and students on test (the paper's Figure 5)"),
        ("cifar100", {"ALPHAS": "0.1", "PRECISION": "bf16"}, "cifar100_smoke_resnet_8_a0.1_bf16_s1", 1, ""),
    ],
)
def test_a_recipe_of_images_measures_each_network_and_reports(tree, recipe, environment, runs, n_runs, heading):
    process = run_recipe(tree, f"{recipe}/run.sh", SCALE="smoke", **environment)
    assert process.returncode == 0, process.stderr[-3000:]
    folders = sorted((tree / "runs").glob(runs))
    records = [record for folder in folders for record in read(folder / "records.jsonl")]
    assert len(folders) == n_runs == len({record.run for record in records})
    assert {record.model.precision or "float32" for record in records} == {environment.get("PRECISION", "float32")}
    assert not unnamed_files(tree, f"{recipe}_smoke")
    assert not unnamed_keys(folders[-1] / "records.jsonl")
    page = html.unescape((tree / "out" / f"{recipe}_smoke" / "report.html").read_text())
    assert heading in page and "16. And their students are less accurate" in page


@pytest.mark.slow
def test_a_recipe_of_packages_measures_every_split_and_publishes(tree, tmp_path):
    write_packages(tmp_path / "debian")
    part = {"SIZES": "300", "PARTS": "sizes", "SEEDS": "1", "ALPHAS": "0.1", "JOBS": "2"}
    process = run_recipe(tree, "when/run.sh", SCALE="smoke", MT_LS_DATA=str(tmp_path), **part)
    assert process.returncode == 0, process.stderr[-3000:]
    run = tree / "runs" / "when_smoke_300_a0.10_s1"
    records = read(run / "records.jsonl")
    measured = {("forced", split) for split in ("valid", "test", "literary")}
    assert {(r.mode, r.split) for r in records} == measured | {("beam", split) for split in ("test", "literary")}
    assert {(r.model.pairs, r.model.vocabulary, r.model.checkpoint) for r in records} == {(300, 1000, "best")}
    parts = {r.split: r.parts for r in records}
    assert parts["literary"] is None and sum(parts["test"].values()) == records[0].n_sentences
    files = unnamed_files(tree, "when_smoke_300")  # of a report of several splits the page says how names end
    assert [file for file in files if not file.startswith("out/")] == []
    assert not unnamed_keys(run / "records.jsonl")
    published = read(tree / "out" / "when_smoke" / "published" / "records.jsonl")
    assert {record.key for record in published} == {record.key for record in records}
