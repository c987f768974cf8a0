"""python -m mt_ls.measure, against sacrebleu's command line, after a kill, and with input that it refuses."""

import gc
import json
import shutil
import tarfile

import pytest
from checkpoints import write_swapped
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
    assert main(arguments[3:]) == 0 and path.read_bytes() == again


def test_several_splits_have_the_records_of_one_command_each(data, checkpoint, tmp_path, capsys):
    texts = {}
    for name, commands in (("together", ["valid,test"]), ("apart", ["valid", "test"])):
        path = tmp_path / name / "records.jsonl"
        for splits in commands:
            options = _measure(data, checkpoint, path, "--temperatures", 0.8, "--gen-subset", splits)
            assert main(options[3:]) == 0
        lines = [{**json.loads(line), "seconds": 0} for line in path.read_text().splitlines()]
        items = {file.name: file.read_bytes() for file in path.parent.glob("*.parquet")}
        texts[name] = lines, items, capsys.readouterr().out
    assert texts["together"] == texts["apart"]


def test_no_split_is_measured_where_one_cannot_be(data, checkpoint, tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    _refused(capsys, data, checkpoint, path, ("--gen-subset", "test,other"), "no split 'other'")
    assert not path.exists()


def _refused(capsys, folder, path, records, options, message):
    """Check that a command ends with one line that holds ``message``."""
    assert main([str(folder), "--path", str(path), "--records", str(records), "--cpu", *map(str, options)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.measure: error: ") and message in line


def test_paths_that_are_none_are_one_line(data, checkpoint, tmp_path, capsys):
    records = tmp_path / "out" / "records.jsonl"
    (tmp_path / "fake.pt").write_bytes(b"no checkpoint")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "binary.pt").write_bytes(bytes(range(256)))
    (tmp_path / "cut.pt").write_bytes(checkpoint.read_bytes()[:-1000])
    with tarfile.open(tmp_path / "archive.pt", "w") as archive:
        archive.add(checkpoint, "checkpoint.pt")
    other, foreign = tmp_path / "other", tmp_path / "foreign"
    shutil.copytree(data, other)
    for name in ("dict.en.txt", "dict.de.txt"):
        lines = (other / name).read_text().splitlines(keepends=True)
        (other / name).write_text("".join(lines[: len(lines) // 2]))
    foreign.mkdir()
    shutil.copy(data / "dict.en.txt", foreign / "dict.txt")
    for folder, path, message in (
        (data, tmp_path / "fake.pt", "fake.pt: not a fairseq checkpoint: it is a text file"),
        (data, data / "manifest.json", "manifest.json: not a fairseq checkpoint: it is a text file"),
        (data, tmp_path / "empty.pt", "empty.pt: not a fairseq checkpoint: it is empty"),
        (data, tmp_path / "binary.pt", "binary.pt: not a fairseq checkpoint: torch cannot read it"),
        (data, tmp_path / "archive.pt", "archive.pt: not a fairseq checkpoint: torch cannot read it"),
        (data, tmp_path / "cut.pt", "cut.pt: cut short or changed"),
        (data, tmp_path / "none.pt", "none.pt: no such checkpoint"),
        (
            data,
            checkpoint.parent.parent,
            "synthetic_a0.1_s1: a folder, where the file of a checkpoint belongs; it has ",
        ),
        (checkpoint, data, "the folder of the data comes first"),
        (checkpoint, checkpoint, "checkpoint_last.pt: a file, where the folder of the binarised data belongs"),
        (tmp_path / "none", checkpoint, "no such data folder"),
        (foreign, checkpoint, "foreign: no binarised translations (no dict.LANGUAGE.txt)"),
        (other, checkpoint, "another dictionary?"),
    ):
        _refused(capsys, folder, path, records, (), message)
    assert not records.parent.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gen-subset", "test2"), "no split 'test2'; it has test, train, valid"),
        (("--fit-subset", "dev"), "no split 'dev'; it has test, train, valid"),
        (("--gen-subset", "a/b"), "'a/b' is no name of a split"),
        (("--fit-subset", "../test"), "'../test' is no name of a split"),
        (("--gen-subset", ""), "'' is no name of a split"),
        (("--temperatures", "-1"), "greater than 0, not -1"),
        (("--temperatures", "1", "nan"), "greater than 0, not nan"),
        (("--temperatures", "1e-9"), "between 0.05 and 20, not at 1e-09"),
        (("--beam", 0), "a beam keeps at least 1 hypothesis, not 0"),
        (("--beam", -1), "a beam keeps at least 1 hypothesis, not -1"),
        (("--beam", 72), "a beam of 72 needs a vocabulary of more than 72 tokens"),
        (("--lenpen", "nan"), "a length penalty must be finite, not nan"),
        (("--max-tokens", 0), "--max-tokens must be at least 1, not 0"),
        (("--batch-size", 0), "--batch-size must be at least 1, not 0"),
        (("--max-tokens", 5), "--max-tokens 5: sentence 0 of valid has 9 tokens: allow at least 9"),
        (("--search-precision", "fp16"), "a search in fp16 needs a GPU: leave out --search-precision"),
        (("--pieces", "▁der", "▁die", "▁xyz"), "'▁xyz' is not in the target vocabulary"),
        (("--pieces", "▁der", "▁die", "▁die"), "three templates on a line span no plane"),
        (("--run", ""), "--run '': a name is not empty, and can be printed"),
        (("--run", "a\nb"), r"--run 'a\nb': a name is not empty, and can be printed"),
    ],
)
def test_options_that_are_none_are_one_line(data, checkpoint, tmp_path, capsys, options, message):
    _refused(capsys, data, checkpoint, tmp_path / "out" / "records.jsonl", options, message)
    assert not (tmp_path / "out").exists()


def test_records_that_cannot_be_written_are_one_line(data, checkpoint, tmp_path, capsys):
    (tmp_path / "file").touch()
    _refused(capsys, data, checkpoint, tmp_path / "file" / "r.jsonl", (), "file: a file, so that ")
    _refused(capsys, data, checkpoint, tmp_path, (), f"{tmp_path}: a folder, so that ")


def test_a_split_without_sentences_or_references_is_one_line(data, checkpoint, tmp_path, capsys):
    from fairseq.data import indexed_dataset

    for language in ("en", "de"):
        path = tmp_path / "data" / f"empty.en-de.{language}"
        if not path.parent.exists():
            shutil.copytree(data, path.parent)
        indexed_dataset.make_builder(f"{path}.bin", "mmap", 72).finalize(f"{path}.idx")
    for kind in ("bin", "idx"):
        shutil.copy(data / f"test.en-de.en.{kind}", tmp_path / "data" / f"half.en-de.en.{kind}")
    for split, message in (("empty", "the split 'empty' has no sentence"), ("half", "half: no references, only sour")):
        for option in ("--gen-subset", "--fit-subset"):
            _refused(capsys, tmp_path / "data", checkpoint, tmp_path / "out" / "r.jsonl", (option, split), message)
    assert not (tmp_path / "out").exists()


def _cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: (data / "test.en-de.de.bin").unlink(), "test.en-de.de.bin is missing, which belongs to test.en"),
        (lambda data: (data / "test.en-de.en.idx").unlink(), "test.en-de.en.idx is missing, which belongs to test.en"),
        (lambda data: _cut(data / "test.en-de.de.idx", 0), "the files of split 'test' cannot be read (Index file does"),
        (lambda data: _cut(data / "test.en-de.de.idx", 60), "the files of split 'test' cannot be read (buffer is smal"),
        (lambda data: _cut(data / "test.en-de.de.bin", 200), "the files of split 'test' cannot be read (offset must"),
        (
            lambda data: [shutil.copy(path, str(path).replace("valid", "test")) for path in data.glob("valid.*.de.*")],
            "the files of split 'test' cannot be read (Source and target must contain the same number",
        ),
        (lambda data: (data / "text" / "test.de").write_bytes(b"\xff\xfe"), "test.de: cannot be read: 'utf-8' codec"),
    ],
)
def test_damaged_data_is_one_line(data, checkpoint, tmp_path, capsys, spoil, message):
    """Also where fairseq raises any exception, and half of its data set complains when it ends."""
    shutil.copytree(data, tmp_path / "data")
    spoil(tmp_path / "data")
    _refused(capsys, tmp_path / "data", checkpoint, tmp_path / "out" / "r.jsonl", ("--fit-subset", "none"), message)
    gc.collect()
    assert not capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_measured_model_that_is_worse_than_a_guess_is_warned_of(data, checkpoint, tmp_path, capsys):
    swapped = write_swapped(checkpoint, tmp_path / "swapped.pt")
    fixed = [str(data), "--cpu", "--modes", "forced"]
    assert main([*fixed, "--path", str(swapped), "--records", str(tmp_path / "a" / "r.jsonl")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mt_ls.measure: warning: {tmp_path}/swapped.pt: NLL of ") and line.endswith(
        "is above the ln V = 4.28 of a uniform guess: source and target are swapped, or the dictionary is another "
        "model's"
    )
    assert main([*fixed, "--path", str(checkpoint), "--records", str(tmp_path / "b" / "r.jsonl")]) == 0
    assert not capsys.readouterr().err


def test_two_checkpoints_of_a_folder_are_two_runs(data, checkpoint, tmp_path, monkeypatch):
    """As in the example of docs/usage.md: the commands run in the folder of the checkpoints."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    for name in ("checkpoint_best.pt", "checkpoint_last.pt"):
        shutil.copy(checkpoint, name)
        fixed = ["--fit-subset", "none", "--modes", "forced", "--cpu", "--records", f"my-model/{name}.jsonl"]
        assert main([str(data), "--path", name, *fixed]) == 0
    runs = [read(f"my-model/{name}.jsonl")[0].run for name in ("checkpoint_best.pt", "checkpoint_last.pt")]
    assert runs == ["mine-best", "mine"]


def test_an_error_of_the_command_is_one_line(data, tmp_path):
    """Without what fairseq logs and warns while it is imported."""
    process = run(_measure(data, tmp_path / "none.pt", tmp_path / "records.jsonl"))
    assert process.returncode == 2 and not process.stdout
    assert process.stderr == f"mt_ls.measure: error: {tmp_path}/none.pt: no such checkpoint\n"


def test_a_copy_of_a_measured_checkpoint_is_refused_in_the_same_records(measured, data, checkpoint, tmp_path, capsys):
    """It would add to the records of the original, and a report would not name it."""
    path, _ = measured
    before = path.read_bytes()
    shutil.copy(checkpoint, tmp_path / "copy.pt")
    fixed = [str(data), "--path", str(tmp_path / "copy.pt"), "--records", str(path), "--cpu", "--run", "copy"]
    assert main(fixed) == 2 and path.read_bytes() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds records of the same weights as run synthetic_a0.1_s1, and this run is copy: name it with" in line


def test_of_several_workers_the_first_one_says_the_error(data, tmp_path, monkeypatch, capsys):
    arguments = [str(data), "--path", str(tmp_path / "none.pt"), "--records", str(tmp_path / "records.jsonl")]
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
