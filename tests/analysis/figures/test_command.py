"""python -m analysis.figures: one figure from records, or one line and no file."""

import re

import pytest
from builders import record, write, write_activations, write_records, write_world
from PIL import Image

from analysis.figures import FIGURES
from analysis.figures.__main__ import main
from analysis.rows import load
from analysis.study import Study

STARTS = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of records of translations and of images."""
    folder = tmp_path_factory.mktemp("records")
    write_records(folder / "translations")
    write_activations(folder / "translations")
    write_world(folder / "images", True, seeds=(1,))
    return folder


@pytest.mark.parametrize("suffix", STARTS)
def test_ece_against_bleu_is_a_file_of_the_kind_that_its_name_says(runs, tmp_path, capsys, suffix):
    files = [tmp_path / "new" / f"{name}.{suffix}" for name in ("one", "again")]
    for file in files:
        assert main(["ece_bleu", str(runs / "translations"), "--out", str(file)]) == 0
    assert capsys.readouterr().out == "".join(f"figure: {file}\n" for file in files)
    one, again = (file.read_bytes() for file in files)
    assert one.startswith(STARTS[suffix]) and one == again
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)


@pytest.mark.parametrize("suffix", STARTS)
def test_a_file_has_every_whole_signature_in_its_metadata(runs, tmp_path, suffix):
    file = tmp_path / f"figure.{suffix}"
    assert main(["temperature", str(runs / "translations"), "--out", str(file)]) == 0
    rows = [row for row in load([runs / "translations"]) if row.record.split == "test"]
    expected = {row.record.signature for row in rows if row.record.mode in ("forced", "beam")}
    if suffix == "svg":
        (found,) = re.findall(r"<dc:description>(.*?)</dc:description>", file.read_text(), re.DOTALL)
    elif suffix == "png":
        found = Image.open(file).text["Description"]
    else:
        (found,) = re.findall(r"/Subject \(([^)]*)\)", file.read_bytes().decode("latin-1"))
        found = found.replace("\\n", "\n")
    assert set(found.splitlines()) == expected and len(expected) == 12


def test_each_figure_can_be_drawn_alone_and_is_listed(runs, tmp_path, capsys):
    for name, part in FIGURES.items():
        kind = "images" if name in ("teaching", "information") else "translations"
        assert part.drawing(Study(load([runs / kind]))).name == name
        # the world's students learn from logits, which the one does not draw; the other needs several sizes of data
        if name not in ("teaching", "sizes"):
            assert main([name, str(runs / kind), "--out", str(tmp_path / f"{name}.svg")]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["--list"])
    assert end.value.code == 0
    assert re.findall(r"^(\w+) ", capsys.readouterr().out, re.M) == list(FIGURES)


def test_of_a_split(tmp_path):
    write_records(tmp_path, splits=("valid", "test1", "test2"))
    out = tmp_path / "figure.svg"
    assert main(["ece_bleu", str(tmp_path), "--split", "test2", "--out", str(out)]) == 0
    assert "test2; 15 bins; " in out.read_text() and "test1" not in out.read_text()


def test_by_run_and_of_a_corpus(runs, tmp_path):
    for name in ("mine", "yours"):
        write(tmp_path / "other", record(0.3, run=name, corpus="other", fitted_temperature=1.0))
    records = [str(runs / "translations"), str(tmp_path / "other")]
    out = tmp_path / "figure.svg"
    assert main(["reliability", *records, "--corpus", "other", "--by", "run", "--out", str(out)]) == 0
    assert ">mine</text>" in out.read_text() and "toy" not in out.read_text()


@pytest.mark.parametrize(
    ("name", "records", "file", "message"),
    [
        ("bleu", "translations", "a.svg", "no figure 'bleu': choose one of ece_bleu, "),
        ("ece_bleu", "translations", "a.jpg", "a.jpg: no such kind of file: choose one of .svg, .png, .pdf"),
        ("ece_bleu", "translations", "svg", "svg: no such kind of file"),
        ("ece_bleu", "nowhere", "a.svg", "nowhere: no such file or folder"),
        ("ece_bleu", "images", "a.svg", "ece_bleu of toy: these records do not have what it needs: records in forced"),
        ("teaching", "translations", "a.svg", "teaching of toy: these records do not have what it needs"),
        ("ece_bleu", "translations", "a.svg --split valid", "no report on split 'valid': choose one of test"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_no_file(runs, tmp_path, capsys, name, records, file, message):
    file, *options = file.split()
    assert main([name, str(runs / records), "--out", str(tmp_path / "new" / file), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("analysis.figures: error: ") and message in line
    assert not (tmp_path / "new").exists()


def test_the_name_is_checked_before_the_records_are_read(tmp_path, capsys):
    assert main(["bleu", str(tmp_path / "nowhere"), "--out", "a.svg"]) == 2
    assert "no figure 'bleu'" in capsys.readouterr().err
