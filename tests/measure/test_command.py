"""mt_ls.measure through its command, against sacrebleu's command line and across batch sizes."""

import shutil
import subprocess
import sys
import time
from argparse import Namespace

import numpy as np
import pytest
import torch
from conftest import ROOT, command, run

from mt_ls.measure.fairseq_model import Checkpoint
from mt_ls.records.record import read


def measure(data, checkpoint, records, *options):
    """The finished process."""
    return run(
        [
            sys.executable,
            "-m",
            "mt_ls.measure",
            str(data),
            "--path",
            str(checkpoint),
            "--cpu",
            "--beam",
            "3",
            "--records",
            str(records),
            *map(str, options),
        ]
    )


@pytest.fixture(scope="module")
def measured(data, checkpoint, tmp_path_factory):
    """Records of a full measurement."""
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    found = measure(data, checkpoint, path, "--temperatures", 0.8, 1.0)
    assert found.returncode == 0, found.stderr
    return path


def test_records_say_what_was_measured(measured):
    records = read(measured)
    forced = {r.temperature: r for r in records if r.mode == "forced"}
    beam = {r.temperature: r for r in records if r.mode == "beam"}
    assert set(beam) == set(forced) == {0.8, 1.0, records[0].fitted_temperature}
    for record in records:
        assert record.n_sentences == record.n_sentences_in_set == 211
        assert record.alpha == 0.1 and record.convention == "paper" and record.seed == 1 and record.updates == 120
        assert record.corpus == "synthetic" and (measured.parent / record.arrays).is_file()
    fitted = forced[records[0].fitted_temperature]
    assert fitted.nll <= min(r.nll for r in forced.values()) + 0.02  # fitted on valid, reported on test
    assert forced[1.0].bins.n == forced[1.0].n_tokens
    assert forced[1.0].perplexity == pytest.approx(np.exp(forced[1.0].nll))
    assert beam[1.0].n_tokens == beam[1.0].bins.n + beam[1.0].n_left_out + beam[1.0].bins_by_class["eos"].n


def test_bleu_and_ter_are_those_of_sacrebleus_command_line(measured, data, tmp_path):
    record = next(r for r in read(measured) if r.mode == "beam" and r.temperature == 1.0)
    with np.load(measured.parent / record.arrays) as arrays:
        (tmp_path / "hyp").write_bytes(arrays["text"].tobytes())
    base = command("sacrebleu", data / "text" / "test.de", "-i", tmp_path / "hyp", "-b", "-w", "4", "-m")
    for name, options in {
        "bleu": ["bleu"],
        "bleu_uncased": ["bleu", "-lc"],
        "chrf": ["chrf"],
        "ter": ["ter", "--ter-case-sensitive"],
    }.items():
        theirs = run([*base, *options])
        assert getattr(record, name)["score"] == pytest.approx(float(theirs.stdout), abs=1e-3), name


def test_batch_sizes_change_nothing(data, checkpoint, tmp_path):
    found = {}
    for size in (1, 10, 100):
        path = tmp_path / str(size) / "records.jsonl"
        assert measure(data, checkpoint, path, "--batch-size", size).returncode == 0
        found[size] = {r.key(): r for r in read(path)}
    for size in (1, 10):
        assert found[size].keys() == found[100].keys()
        for key, record in found[size].items():
            other = found[100][key]
            assert record.n_tokens == other.n_tokens and record.bleu == other.bleu
            assert record.bins.ece() == pytest.approx(other.bins.ece(), abs=1e-4)
            if record.nll is not None:
                assert record.nll == pytest.approx(other.nll, abs=1e-6)


def test_a_killed_run_goes_on_with_the_same_result(data, checkpoint, measured, tmp_path):
    path = tmp_path / "records.jsonl"
    arguments = [
        sys.executable,
        "-m",
        "mt_ls.measure",
        str(data),
        "--path",
        str(checkpoint),
        "--cpu",
        "--beam",
        "3",
        "--records",
        str(path),
        "--temperatures",
        "0.8",
        "1.0",
    ]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 200
    while not (path.exists() and path.read_bytes().count(b"\n") >= 3) and time.time() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = len(read(path))
    assert 3 <= before < 6
    assert run(arguments).returncode == 0
    after = read(path)
    assert len(after) == len({r.key() for r in after}) == 6
    for ours, theirs in zip(sorted(after, key=_order), sorted(read(measured), key=_order), strict=True):
        assert ours.nll == theirs.nll and ours.bleu == theirs.bleu
        np.testing.assert_array_equal(ours.bins.count, theirs.bins.count)
    again = path.read_bytes()
    assert run(arguments).returncode == 0
    assert path.read_bytes() == again


def _order(record):
    return record.mode, record.temperature


def _one_error_line(found):
    assert found.returncode == 2
    lines = [line for line in found.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("mt_ls.measure: error: "), found.stderr
    return lines[0]


def test_bad_input_gives_one_line(data, checkpoint, tmp_path):
    records = tmp_path / "records.jsonl"
    (tmp_path / "fake.pt").write_bytes(b"no checkpoint")
    assert "fake.pt: not a fairseq checkpoint" in _one_error_line(measure(data, tmp_path / "fake.pt", records))
    assert "no such checkpoint" in _one_error_line(measure(data, tmp_path / "none.pt", records))
    line = _one_error_line(measure(data, checkpoint, records, "--gen-subset", "test2"))
    assert "no split 'test2'; it has test, train, valid" in line
    assert "greater than 0, not -1" in _one_error_line(measure(data, checkpoint, records, "--temperatures", -1))
    other = tmp_path / "other"
    shutil.copytree(data, other)
    for name in ("dict.en.txt", "dict.de.txt"):
        lines = (other / name).read_text().splitlines(keepends=True)
        (other / name).write_text("".join(lines[: len(lines) // 2]))
    assert "another dictionary?" in _one_error_line(measure(other, checkpoint, records))
    assert not records.exists()


ARTICLES = ("▁der", "▁die", "▁das")


def test_activations_before_three_pieces_are_those_of_the_whole_model(data, checkpoint, tmp_path):
    """Against fairseq's own forward of one sentence: what the decoder has before an article, and its logits."""
    path = tmp_path / "records.jsonl"
    found = measure(data, checkpoint, path, "--pieces", *ARTICLES)
    assert found.returncode == 0, found.stderr
    (record,) = read(path)
    assert record.mode == "penultimate" and record.geometry["planes"] == [list(ARTICLES)]
    assert record.network == "transformer_mt_ls_micro" and record.signature.startswith("ECE|mode:penultimate|")
    model = Checkpoint(
        Namespace(data=data, path=checkpoint, gen_subset="test", cpu=True, run=None, max_tokens=4000, batch_size=1)
    )
    numbers = [model.task.target_dictionary.index(piece) for piece in ARTICLES]
    templates = model.models[0].decoder.output_projection.weight[numbers].detach().double()
    before, right = [], []
    for window in model.windows("test"):
        for sample in window.batches:
            with torch.no_grad():
                features = model.models[0](**sample["net_input"], features_only=True)[0][0]
            for state, target in zip(features, sample["target"][0], strict=True):
                if int(target) in numbers:
                    best = int((model.models[0].decoder.output_projection.weight @ state).argmax())
                    before.append((int(sample["id"]), numbers.index(int(target)), state.double()))
                    right.append(best == int(target))
    assert record.n_tokens == len(before) and record.accuracy == pytest.approx(np.mean(right))
    basis, _ = np.linalg.qr((templates[:2] - templates[2]).numpy().T)
    with np.load(path.with_name(record.arrays)) as arrays:
        for place in range(3):
            ours = arrays["plane_0"][arrays["plane_0_class"] == place]
            states = [state for _, number, state in sorted(before, key=lambda one: one[0]) if number == place][:100]
            theirs = (torch.stack(states) - templates.mean(dim=0)).numpy() @ basis
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (("▁der", "▁die", "▁xyz"), "'▁xyz' is not in"),
        (("▁der", "▁die", "▁die"), "three templates on a line span no plane"),
    ],
)
def test_pieces_that_span_no_plane_are_one_line(data, checkpoint, tmp_path, pieces, reason):
    found = measure(data, checkpoint, tmp_path / "records.jsonl", "--pieces", *pieces)
    assert found.returncode == 2 and reason in found.stderr and found.stderr.count("\n") == 1
    assert not (tmp_path / "records.jsonl").exists()
