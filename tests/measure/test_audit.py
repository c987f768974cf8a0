"""python -m mt_ls.audit: every argument is checked before the first measurement, and nothing is measured twice."""

import fcntl
import shutil
import weakref

import pytest
import torch
from checkpoints import write_swapped
from translations import REFERENCES, write_translations

from mt_ls.measure import fairseq_model
from mt_ls.measure.audit import main
from mt_ls.records import read


@pytest.fixture(scope="module")
def models(checkpoint, tmp_path_factory):
    """A folder with equal checkpoints a/best.pt and b/best.pt."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("a", "b"):
        (folder / name).mkdir()
        shutil.copy(checkpoint, folder / name / "best.pt")
    return folder


def _audit(data, models, out, *options, names=("a/best.pt", "b/best.pt")):
    paths = [str(data), *(str(models / name) for name in names)]
    return [*paths, "--out", str(out), "--cpu", *map(str, options)]


def _contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def audited(data, models, tmp_path_factory):
    """(The folder of an audit of both checkpoints, its arguments, the number of networks in memory at each load.)"""
    out = tmp_path_factory.mktemp("audit") / "out"
    arguments = _audit(data, models, out, "--splits", "valid", "test", "--temperatures", 1.2, "--beam", 2)
    alive, n_alive, load = weakref.WeakSet(), [], fairseq_model._load

    def counted(path, folder):
        n_alive.append(len(alive))
        loaded = load(path, folder)
        alive.add(loaded.network)
        return loaded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fairseq_model, "_load", counted)
        assert main(arguments) == 0
    return out, arguments, n_alive


def test_each_checkpoint_has_records_of_its_name(audited):
    """Equal weights are two models with their own records. The split that temperatures are fitted on is measured."""
    out, _, _ = audited
    for name in ("a/best.pt", "b/best.pt"):
        records = read(out / name.replace("/", "_") / "records.jsonl")
        assert {record.run for record in records} == {name}
        (fitted,) = {record.fitted_temperature for record in records}
        assert {(r.split, r.mode, r.temperature) for r in records} == {
            (split, mode, t) for split in ("valid", "test") for mode in ("forced", "beam") for t in (1.0, 1.2, fitted)
        }
        assert {(r.fitted_on, r.beam) for r in records if r.mode == "beam"} == {("valid", 2)}


def test_the_same_command_measures_nothing_again(audited, capsys):
    out, arguments, _ = audited
    before = _contents(out)
    assert main(arguments) == 0 and _contents(out) == before
    output = capsys.readouterr()
    assert output.out == "a_best.pt\nb_best.pt\n"
    assert output.err.splitlines() == [
        "checking 2 models",
        "1 of 4: a/best.pt on valid",
        "2 of 4: a/best.pt on test",
        "3 of 4: b/best.pt on valid",
        "4 of 4: b/best.pt on test",
    ]


def _refused(capsys, arguments, message):
    """Check that a command ends with one line that holds ``message``."""
    assert main([str(argument) for argument in arguments]) == 2
    output = capsys.readouterr()
    *_, line = output.err.splitlines()
    assert line.startswith("mt_ls.audit: error: ") and message in line and not output.out
    assert " of 2: " not in output.err and " of 4: " not in output.err


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ((), (), "is binarised data, and no checkpoint is named"),
        (("a/best.pt", "a/../a/best.pt"), (), "a/best.pt is named twice, also as"),
        (("a/best.pt", "none.pt"), (), "none.pt: no such file or folder"),
        (("a/best.pt", "b"), (), "b: a folder, where the file of a checkpoint belongs; it has best.pt"),
        (("a/best.pt", "text.pt"), (), "text.pt: not a fairseq checkpoint: it is a text file"),
        (("a/best.pt",), ("--beam", 0), "a beam keeps at least 1 hypothesis, not 0"),
        (("a/best.pt",), ("--beam", 72), "best.pt: a beam of 72 needs a vocabulary of more than 72 tokens"),
        (("a/best.pt",), ("--temperatures", 1.0, "nan"), "greater than 0, not nan"),
        (("a/best.pt",), ("--splits", "a/b"), "'a/b' is no name of a split"),
        (("a/best.pt",), ("--splits", "test1"), "no split 'test1'; it has test, train, valid"),
        (("a/best.pt",), ("--splits", "test", "train"), "no report is on train, which the models learnt from"),
        (("a/best.pt",), ("--fit-subset", "dev"), "no split 'dev'; it has test, train, valid"),
        (("a/best.pt",), ("--splits", "valid"), "temperatures are fitted on valid: name another split to report on"),
        (
            ("a/best.pt",),
            ("--fit-subset", "test"),
            "temperatures are fitted on test: name another split to report on, or fit on another with --fit-subset",
        ),
        (("a/best.pt", "swapped.pt"), (), "swapped.pt: NLL of 5."),
        (("a/best.pt", "broken.pt"), (), "broken.pt: its NLL on valid is not finite"),
    ],
)
def test_arguments_of_checkpoints_are_checked_first(data, models, tmp_path, capsys, names, options, message):
    if "swapped.pt" in names:
        write_swapped(models / "a" / "best.pt", models / "swapped.pt")
    if "broken.pt" in names:
        state = torch.load(models / "a" / "best.pt", weights_only=True)
        state["model"]["decoder.embed_tokens.weight"] *= float("nan")
        torch.save(state, models / "broken.pt")
    (models / "text.pt").write_text("weights\n")
    _refused(capsys, _audit(data, models, tmp_path / "out", *options, names=names), message)
    assert not (tmp_path / "out").exists()


def test_a_guess_that_is_worse_than_a_uniform_one_is_explained(data, models, tmp_path, capsys):
    write_swapped(models / "a" / "best.pt", tmp_path / "swapped.pt")
    assert main(_audit(data, tmp_path, tmp_path / "out", names=["swapped.pt"])) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            " nats a token on valid is above the ln V = 4.28 of a uniform guess: source and target are swapped, or the "
            "dictionary is another model's"
        )
    )


def test_the_first_argument_says_which_form_it_is(data, models, tmp_path, capsys):
    checkpoint, out = models / "a" / "best.pt", ("--out", tmp_path / "out")
    _refused(capsys, [checkpoint, data, *out], "name the folder of the binarised data first")
    _refused(capsys, [models, checkpoint, *out], "models0: holds neither translations (hypotheses.txt, ")
    (tmp_path / "file").touch()
    _refused(capsys, [data, checkpoint, "--out", tmp_path / "file" / "out"], "file: a file, so that ")
    assert not (tmp_path / "out").exists()


def test_records_of_something_else_are_not_mixed_with(audited, data, models, tmp_path, capsys):
    out, _, _ = audited
    shutil.copytree(out, tmp_path / "out")
    options = ("--splits", "test", "--fit-subset", "train")
    _refused(capsys, _audit(data, models, tmp_path / "out", *options), "temperatures that were fitted on valid: move")
    options = ("--splits", "test", "--beam", 1)
    _refused(capsys, _audit(data, models, tmp_path / "out", *options), "of searches that keep 2 hypotheses: move")
    state = torch.load(models / "a" / "best.pt", weights_only=True)
    next(iter(state["model"].values()))[0] += 1
    (tmp_path / "models" / "a").mkdir(parents=True)
    torch.save(state, tmp_path / "models" / "a" / "best.pt")
    shutil.copytree(models / "b", tmp_path / "models" / "b")
    _refused(
        capsys, _audit(data, tmp_path / "models", tmp_path / "out"), "holds records of another model: move it away"
    )
    shutil.copytree(data, tmp_path / "data")
    manifest = (tmp_path / "data" / "manifest.json").read_text()
    (tmp_path / "data" / "manifest.json").write_text(manifest.replace('"hash": "', '"hash": "0'))
    other = _audit(tmp_path / "data", models, tmp_path / "out", "--splits", "test", "--beam", 2)
    _refused(capsys, other, "holds records on other data of the name valid")
    assert _contents(tmp_path / "out").keys() == {tmp_path / "out" / path.relative_to(out) for path in _contents(out)}


def test_at_most_one_network_is_in_memory(audited):
    _, _, n_alive = audited
    assert n_alive == [0, 0, 0, 0]


def test_systems_are_measured_with_their_names(tmp_path, capsys):
    systems = [
        write_translations(tmp_path / name, probability=p) for name, p in (("-a 'system'", 0.5), ("another", 0.9))
    ]
    arguments = [*map(str, systems), "--out", str(tmp_path / "out"), "--splits", "news"]
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert output.out == "-a__system_\nanother\n"
    assert output.err.splitlines() == [
        "checking 2 folders of translations",
        "1 of 2: -a 'system'",
        "2 of 2: another",
    ]
    for folder, name in (("-a__system_", "-a 'system'"), ("another", "another")):
        (record,) = read(tmp_path / "out" / folder / "records.jsonl")
        assert (record.run, record.split) == (name, "news")
    before = _contents(tmp_path / "out")
    assert main(arguments) == 0 and _contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        ({"references": REFERENCES[:1]}, (), "1 lines for 2 of hypotheses.txt"),
        ({"references": [REFERENCES[0], "Ein Hund lief"]}, (), "references.txt differs in line 2 from that of"),
        ({"probability": 1.5}, (), "tokens.jsonl:1: not a token as"),
        ({}, ("--beam", 5, "--fit-subset", "valid"), "--fit-subset, --beam: translations have one search at T = 1"),
        ({}, ("--splits", "test", "valid"), "folders of translations are of one set: name one"),
        ({}, ("--splits", "a/b"), "'a/b' is no name of a split"),
    ],
)
def test_arguments_of_texts_are_checked_first(tmp_path, capsys, second, options, message):
    systems = [write_translations(tmp_path / "first"), write_translations(tmp_path / "second", **second)]
    _refused(capsys, [*systems, "--out", tmp_path / "out", *options], message)
    assert not (tmp_path / "out").exists()


def test_systems_with_references_of_another_number_are_refused(tmp_path, capsys):
    systems = [write_translations(tmp_path / "first"), write_translations(tmp_path / "second")]
    for name in ("hypotheses.txt", "references.txt"):
        path = systems[1] / name
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    tokens = (systems[1] / "tokens.jsonl").read_text().splitlines(keepends=True)
    (systems[1] / "tokens.jsonl").write_text("".join(line for line in tokens if '"sentence": 0' in line))
    message = f"second/references.txt has 1 lines, and {systems[0]} has 2"
    _refused(capsys, [*systems, "--out", tmp_path / "out"], message)
    (systems[1] / "tokens.jsonl").unlink()
    _refused(capsys, [*systems, "--out", tmp_path / "out"], "second/tokens.jsonl: cannot be read")
    _refused(capsys, [systems[0], systems[0], "--out", tmp_path / "out"], "first is named twice")


def test_changed_translations_are_another_system(tmp_path, capsys):
    arguments = [str(write_translations(tmp_path / "first")), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    capsys.readouterr()
    write_translations(tmp_path / "first", probability=0.25)
    _refused(capsys, arguments, "holds records of another model: move it away, or name another --out")


def test_help_has_both_forms(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and "DATA-BIN CHECKPOINT [MORE]" in text and "FOLDER [MORE]" in text


def test_two_audits_of_one_folder_do_not_measure_at_once(tmp_path, capsys):
    system, out = write_translations(tmp_path / "system"), tmp_path / "out"
    out.mkdir()
    with open(out / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert main([str(system), "--out", str(out)]) == 2
        assert f"another audit is at work in {out}: wait for it" in capsys.readouterr().err.splitlines()[-1]
        assert [path.name for path in out.iterdir()] == ["lock"]
    assert main([str(system), "--out", str(out)]) == 0 and (out / "system" / "records.jsonl").exists()
