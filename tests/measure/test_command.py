"""python -m mt_ls.measure, against sacrebleu's command line, after a kill, and with input that it refuses."""

import json
import shutil

import pytest
from commands import command, kill_session, module, run, started, wait_until
from pyarrow import parquet

from mt_ls.measure import __main__ as command_line
from mt_ls.measure.__main__ import main
from mt_ls.records import read


def _measure(data, checkpoint, records, *options):
    """The command line."""
    fixed = ("--path", checkpoint, "--cpu", "--beam", 3, "--records", records)
    return module("mt_ls.measure", data, *fixed, *options)


@pytest.fixture(scope="module")
def measured(data, checkpoint, tmp_path_factory):
    """(records file, output) of a full measurement."""
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    process = run(_measure(data, checkpoint, path, "--temperatures", 0.8, 1.0))
    assert process.returncode == 0, process.stderr
    return path, process.stdout


def test_records_are_complete(measured):
    path, _ = measured
    records = read(path)
    fitted = records[0].fitted_temperature
    assert {(r.mode, r.temperature) for r in records} == {
        (m, t) for m in ("forced", "beam") for t in (0.8, 1.0, fitted)
    }
    for record in records:
        assert record.n_sentences == record.n_sentences_in_set == 211
        assert record.model.corpus == "synthetic" and record.model.smoothing.label == "0.10paper"
        assert (path.parent / record.items).is_file() and record.device == "cpu"
    nll = {record.temperature: record.nll for record in records if record.mode == "forced"}
    assert nll[fitted] <= min(nll.values()) + 0.02  # fitted on valid, reported on test


def test_the_output_has_a_line_a_record(measured):
    path, output = measured
    lines = output.splitlines()
    assert lines[0] == "synthetic_a0.1_s1 on test: 211 of 211 sentences"
    for record in read(path):
        (line,) = [line for line in lines if line.startswith(record.mode) and f"{record.temperature:6.2f}" in line]
        assert f"{record.bins.ece():.4f}" in line
        assert ("*" in line) == (record.temperature == record.fitted_temperature)


def test_scores_are_those_of_sacrebleus_command_line(measured, data, tmp_path):
    path, _ = measured
    record = next(record for record in read(path) if record.mode == "beam" and record.temperature == 1.0)
    text = parquet.read_table(path.parent / record.items)["text"].to_pylist()
    (tmp_path / "hyp").write_text("".join(f"{line}\n" for line in text))
    base = command("sacrebleu", data / "text" / "test.de", "-i", tmp_path / "hyp", "-b", "-w", "4", "-m")
    for name, options in {
        "bleu": ["bleu"],
        "bleu_uncased": ["bleu", "-lc"],
        "chrf": ["chrf"],
        "ter": ["ter", "--ter-case-sensitive"],
    }.items():
        process = run([*base, *options])
        assert getattr(record, name)["score"] == pytest.approx(float(process.stdout), abs=1e-3), name


def test_a_killed_measurement_goes_on_with_the_same_result(data, checkpoint, measured, tmp_path):
    path = tmp_path / "killed" / "records.jsonl"
    arguments = _measure(data, checkpoint, path, "--temperatures", 0.8, 1.0)
    with started(arguments, tmp_path / "log") as process:
        wait_until(lambda: path.exists() and b"\n" in path.read_bytes(), process, log=tmp_path / "log")
        kill_session(process)
    before = path.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    assert run(arguments).returncode == 0
    assert path.read_bytes().startswith(before)
    records, expected = (
        [{**json.loads(line), "seconds": 0} for line in file.read_text().splitlines()] for file in (path, measured[0])
    )
    assert records == expected
    for record in read(path):
        assert (path.parent / record.items).read_bytes() == (measured[0].parent / record.items).read_bytes()
    again = path.read_bytes()
    assert run(arguments).returncode == 0 and path.read_bytes() == again


def test_bad_input_gives_one_line(data, checkpoint, tmp_path, capsys):
    records = tmp_path / "records.jsonl"
    (tmp_path / "fake.pt").write_bytes(b"no checkpoint")
    (tmp_path / "cut.pt").write_bytes(checkpoint.read_bytes()[:-1000])
    other = tmp_path / "other"
    shutil.copytree(data, other)
    for name in ("dict.en.txt", "dict.de.txt"):
        lines = (other / name).read_text().splitlines(keepends=True)
        (other / name).write_text("".join(lines[: len(lines) // 2]))
    for (folder, path, *options), message in (
        ((data, tmp_path / "fake.pt"), "fake.pt: not a fairseq checkpoint"),
        ((data, tmp_path / "cut.pt"), "cut.pt: cut short or changed"),
        ((data, tmp_path / "none.pt"), "no such checkpoint"),
        ((tmp_path / "none", checkpoint), "no such data folder"),
        ((data, checkpoint, "--gen-subset", "test2"), "no split 'test2'; it has test, train, valid"),
        ((data, checkpoint, "--temperatures", "-1"), "greater than 0, not -1"),
        (
            (data, checkpoint, "--search-precision", "fp16"),
            "a search in fp16 needs a GPU: leave out --search-precision",
        ),
        ((data, checkpoint, "--pieces", "▁der", "▁die", "▁xyz"), "'▁xyz' is not in the target vocabulary"),
        ((data, checkpoint, "--pieces", "▁der", "▁die", "▁die"), "three templates on a line span no plane"),
        ((other, checkpoint), "another dictionary?"),
    ):
        fixed = [str(folder), "--path", str(path), "--records", str(records), "--cpu"]
        assert main([*fixed, *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("mt_ls.measure: error: ") and message in line
    assert not records.exists()


def test_an_error_of_the_command_is_one_line(data, tmp_path):
    """Without what fairseq logs and warns while it is imported."""
    process = run(_measure(data, tmp_path / "none.pt", tmp_path / "records.jsonl"))
    assert process.returncode == 2 and not process.stdout
    assert process.stderr == f"mt_ls.measure: error: {tmp_path}/none.pt: no such checkpoint\n"


def test_of_several_workers_the_first_one_says_the_error(tmp_path, monkeypatch, capsys):
    arguments = [str(tmp_path), "--path", str(tmp_path / "none.pt"), "--records", str(tmp_path / "records.jsonl")]
    monkeypatch.setattr(command_line, "rank", lambda: 1)
    assert main(arguments) == 2 and capsys.readouterr().err == ""
    monkeypatch.setattr(command_line, "rank", lambda: 0)
    assert main(arguments) == 2 and "no such checkpoint" in capsys.readouterr().err


def test_activations_of_a_checkpoint(data, checkpoint, tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    arguments = [str(data), "--path", str(checkpoint), "--records", str(path), "--cpu"]
    assert main([*arguments, "--pieces", "▁der", "▁die", "▁das"]) == 0
    assert "\nactivations  1.00" in capsys.readouterr().out
    (record,) = read(path)
    assert record.mode == "activations" and record.signature.startswith("ECE|mode:activations|")
    assert record.geometry["planes"][0]["classes"] == ["▁der", "▁die", "▁das"] and record.items is None


def test_help_has_every_mode(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and "Forced mode:" in text and "Beam mode:" in text and "--pieces" in text
