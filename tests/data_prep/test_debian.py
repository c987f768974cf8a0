"""The corpus of Debian's packages, from tiny ones: archives, readers, cleaning, splits, sizes, and what goes wrong."""

import gzip
import hashlib
import json
import lzma
import shutil
import stat
from collections import Counter
from pathlib import Path

import pytest
from debian_packages import catalogue, package, write_packages

from data_prep import DataError, corpora, debian, sources
from data_prep.__main__ import main
from data_prep.debian import archive, download, manifest, readers, sentences, splits
from data_prep.debian.readers import Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_packages(tmp_path_factory.mktemp("packages") / "debian")


@pytest.fixture(scope="module")
def data(folder, tmp_path_factory, all_binarised_here):
    """Data folders with all pairs, and with 200 of them."""
    out = tmp_path_factory.mktemp("data")
    for name, pairs in (("all", None), ("200", 200)):
        debian.prepare(corpora.CORPORA["debian"], out / name, source=str(folder), seed=1, vocab_size=400, n_pairs=pairs)
    return out


def lines(folder, name):
    return (folder / "text" / name).read_text().splitlines()


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_sizes_are_nested_and_share_all_else(data):
    train = {
        name: list(zip(lines(data / name, "train.en"), lines(data / name, "train.de"), strict=True))
        for name in ("all", "200")
    }
    assert len(train["200"]) == 200 and len(train["all"]) > 700
    assert train["200"] == train["all"][:200]
    shared = ["spm.model", "dict.en.txt", "dict.de.txt", "text/valid.en", "text/test.de", "text/literary.en"]
    for file in (*shared, "valid.en-de.en.bin", "literary.en-de.de.idx"):
        assert len({(data / name / file).read_bytes() for name in train}) == 1, file
    manifests = [manifest_of(data / name) for name in train]
    assert len({m["hash"] for m in manifests}) == 2
    assert [m["pairs"] for m in manifests] == [len(train["all"]), 200]
    assert not (data / "200" / "whole").exists() and not (data / "200" / "pieces").exists()


def test_whole_packages_are_held_out_and_no_sentence_is_in_two_splits(data):
    folder = data / "all"
    groups = {
        split: {line.split("\t")[2] for line in lines(folder, f"{split}.origin")}
        for split in ("train", "valid", "test")
    }
    assert not groups["train"] & groups["valid"] and not groups["valid"] & groups["test"]
    of_split = {split: lines(folder, f"{split}.en") for split in (*groups, "literary")}
    keys = {split: set().union(*map(sentences.keys, sources)) for split, sources in of_split.items()}
    assert not keys["train"] & (keys["valid"] | keys["test"] | keys["literary"])


def test_kinds_are_in_proportion_and_come_one_after_the_other(data):
    parts, counts = (manifest_of(data / "all")[name] for name in ("parts", "counts"))
    for split in ("valid", "test"):
        kinds = [line.split("\t")[0] for line in lines(data / "all", f"{split}.origin")]
        assert parts[split] == Counter(kinds) and kinds == sorted(kinds) and len(kinds) == counts[split]
    of_train = Counter(line.split("\t")[0] for line in lines(data / "all", "train.origin"))
    for kind, n in parts["test"].items():
        assert n / counts["test"] == pytest.approx(of_train[kind] / counts["train"], abs=0.06)


def test_the_manifest_counts_by_package(data):
    packages = manifest_of(data / "all")["packages"]
    assert packages["app0"]["licences"] == "GPL-2+" and packages["libreoffice-help-de"]["licences"] == "MPL-2.0"
    assert packages["tale"]["kind"] == "literary" and packages["tale"]["pairs"] == 40
    assert packages["tale"]["words_en"] == packages["tale"]["words_de"] == 320
    assert sum(of["pairs"] for of in packages.values()) == sum(manifest_of(data / "all")["counts"].values())


def test_the_same_command_again_reads_no_package(folder, data, capsys, monkeypatch):
    monkeypatch.setattr(debian, "read", lambda *_: pytest.fail("read again"))
    command = ["debian", "--source", str(folder), "--vocab-size", "400", "--pairs", "200", "--out", str(data / "200")]
    assert main(command) == 0 and "is up to date" in capsys.readouterr().err


def test_messages_lose_their_marks_and_context(tmp_path):
    messages = {
        "menu\x04_Open the file": "Datei _öffnen jetzt",
        "<b>Two.</b> Sentences here &amp; now.": "Zwei. <i>Sätze</i> hier &amp; jetzt.",
        "the max_size of it": "das max_size davon",
    }
    deb = tmp_path / "app_1_all.deb"
    deb.write_bytes(package({"usr/share/locale/de/LC_MESSAGES/a.mo": catalogue(messages)}, compression="gz"))
    texts, licence = readers.messages(deb)
    assert licence.startswith("not named") and {text.group for text in texts} == {"app"}
    pairs = {sentence.pair for text in texts for sentence in sentences.of_text(text, "messages", "app")}
    assert pairs == {
        ("Open the file", "Datei öffnen jetzt"),
        ("Two.", "Zwei."),
        ("Sentences here & now.", "Sätze hier & jetzt."),
        ("the max_size of it", "das max_size davon"),
    }


def test_a_plural_gives_its_singular(tmp_path):
    plural = {"one file\0%d files": "eine Datei\0%d Dateien"}
    deb = tmp_path / "app_1_all.deb"
    deb.write_bytes(package({"usr/share/app/locale/app_de.mo": catalogue(plural)}))
    (text,) = readers.messages(deb)[0]
    assert text[:2] == ("one file", "eine Datei")


def test_help_is_paired_by_page_and_id_and_keeps_one_alternative(tmp_path):
    def write(language, body, name):
        page = f"usr/share/libreoffice/help/{language}/text/shared/a.html"
        path = tmp_path / f"libreoffice-help-{name}_1_all.deb"
        path.write_bytes(package({page: f"<html><p id='nav'>x</p>{body}</html>".encode()}))
        return path

    hidden = '<span hidden="true" id="MACx">{}</span><span hidden="true" id="defaultx">{}</span>'
    body = f'<h1 id="h">A<br>title</h1><p id="p">Open <b>{hidden.format("Apple", "Tools")}</b>.</p>'
    english = write("en-US", body + '<p id="p">Open again.</p>', "en-us")
    german = write(
        "de",
        f'<h1 id="h">Ein<br>Titel</h1><p id="p">Öffne {hidden.format("Apfel", "Extras")}.</p><p id="other">Neu</p>',
        "de",
    )
    texts, _ = readers.help_pages(english, german)
    assert Text("Open Tools.", "Öffne Extras.", "text/shared/a.html") in texts
    assert {text.source for text in texts} == {"x", "A title", "Open Tools."}


def test_descriptions_are_paired_by_hash_and_paragraph():
    english = (
        "Package: a\nDescription-md5: 1\nDescription-en: tool\n First\n line.\n .\n  * item one\n  * item two\n\n"
        + ("Package: b\nDescription-md5: 2\nDescription-en: other\n One.\n .\n Two.\n")
    )
    german = "Package: a\nDescription-md5: 1\nDescription-de: Werkzeug\n Erste Zeile.\n .\n  * eins\n  * zwei\n\n" + (
        "Package: b\nDescription-md5: 2\nDescription-de: anderes\n Eins.\n"
    )
    texts = readers.descriptions(english, german)
    assert texts == [
        Text("tool", "Werkzeug", "a"),
        Text("First line.", "Erste Zeile.", "a"),
        Text("* item one", "* eins", "a"),
        Text("* item two", "* zwei", "a"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "removed_by"),
    [
        ("another three words", "eins zwei drei", None),
        ("one two", "eins zwei", "not 3 to 100 words"),
        ("the same thing", "the same thing", "empty or equal to its source"),
        ("one two three", "eins " * 12, "length ratio over 3"),
        ("a = 1 + 2 + 3 + 4;", "a = 1 + 2 + 3 + 4!", "fewer than 70 % letters"),
        ("seven words %s %s %s %s %s %s %s are here", "sieben %s %s %s %s %s %s %s", "more than six placeholders"),
        ("what is there for you", "the thing is for you", "German side is English"),
        ("show the Fuji Classic Chrome", "Fuji Classic Chrome zeigen", "German side is English"),
        ("One, two: THREE 7", "ganz anders übersetzt", "same words as another source"),
    ],
)
def test_each_filter_removes_what_it_is_named_after(source, target, removed_by):
    filters = sentences.filters()
    first = sentences.Sentence("one two three", "eins zwei drei", "messages", "a", "a")
    assert not any(applies(first) for applies in filters.values())
    pair = sentences.Sentence(source, " ".join(target.split()), "messages", "a", "a")
    assert next((name for name, applies in filters.items() if applies(pair)), None) == removed_by


def test_train_loses_sentences_of_other_splits_and_their_neighbours():
    held_out = sentences.HeldOut(["Open the file. Close the window now!", "Office suite: help in Hindi"])

    def of(source):
        return sentences.Sentence(source, "x", "messages", "a", "a")

    assert not held_out.has_sentence_of(of("Open the file that is closed"))
    assert held_out.has_sentence_of(of("Do it. OPEN the file 7!")) and held_out.has_sentence_of(
        of("close the window now")
    )
    assert held_out.has_neighbour_of(of("Office suite: help in Catalan"))
    assert not held_out.has_neighbour_of(of("Close the door now")) and not held_out.has_neighbour_of(
        of("Office suite help")
    )


def test_large_packages_stay_in_train_and_a_held_out_one_gives_a_part():
    of_group = {f"g{i:02}": 40 for i in range(40)} | {"large": 2000}
    given = [
        sentences.Sentence(f"{group} {i}", "x", "messages", group, group)
        for group, n in of_group.items()
        for i in range(n)
    ]
    found = splits.split(given, seed=3)
    assert sum(map(len, found.values())) == len(given)
    assert len(found["valid"]) == len(found["test"]) == 360
    assert all(sentence.group != "large" for name in ("valid", "test", "rest") for sentence in found[name])
    per_group = Counter(sentence.group for sentence in found["test"])
    assert max(per_group.values()) <= 45 and len(per_group) >= 8
    assert splits.split(given[::-1], seed=3) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive", "it is no ar archive"),
        (b"!<arch>\n" + b"debian-binary   0           0     0     100644  4         `\n2.0\n", "it has no data.tar"),
        (package({"a": b"x"})[:-40], "it is cut"),
        (package({"a": b"x"}).replace(b"data.tar.xz ", b"data.tar.zst"), "its data are compressed with zstd"),
        (package({"usr/share/locale/de/LC_MESSAGES/a.mo": b"odd"}), "a.mo is no catalogue"),
        (package({"usr/share/doc/a": b"x"}), "has no German catalogue"),
    ],
)
def test_a_broken_package_is_one_line(tmp_path, content, reason):
    deb = tmp_path / "app_1_all.deb"
    deb.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        readers.messages(deb)
    assert str(error.value).startswith(str(deb)) and "\n" not in str(error.value)


def test_the_archive_gives_the_wanted_files_alone(tmp_path):
    deb = tmp_path / "a.deb"
    deb.write_bytes(package({"usr/a.mo": b"1", "usr/b.txt": b"2"}))
    assert list(archive.members(deb, lambda name: name.endswith(".mo"))) == [("usr/a.mo", b"1")]


@pytest.mark.parametrize("fault", ["missing", "other", "pairs", "folder", "table", "half", "kind"])
def test_bad_input_is_one_line_and_nothing_is_written(fault, folder, tmp_path, capsys):
    source, pairs = tmp_path / "debian", []
    shutil.copytree(folder, source)
    first = source / "app3_1%3a2.0-1_all.deb"
    expected = {
        "missing": f"{first}: missing",
        "other": f"{first}: sha256 is",
        "pairs": "--pairs 100000: train has",
        "folder": f"{tmp_path / 'gone'}: no such folder",
        "table": f"{source / 'packages.tsv'}: not a table of packages",
        "half": f"{source / 'packages.tsv'}: has only one of libreoffice-help-en-us and libreoffice-help-de",
        "kind": f"{source / 'packages.tsv'}: tale is of kind 'novel'; choose of literary, descriptions, help, messages",
    }[fault]
    if fault == "missing":
        first.unlink()
    elif fault == "other":
        first.write_bytes(b"other")
    elif fault == "pairs":
        pairs = ["--pairs", "100000"]
    elif fault == "folder":
        source = tmp_path / "gone"
    elif fault == "table":
        (source / "packages.tsv").write_text("kind\tname\nmessages\tapp\n")
    else:
        table = (source / "packages.tsv").read_text()
        without = "".join(line for line in table.splitlines(keepends=True) if "help-de" not in line)
        (source / "packages.tsv").write_text(without if fault == "half" else table.replace("literary", "novel"))
    out = tmp_path / "out"
    assert main(["debian", "--source", str(source), "--out", str(out), "--vocab-size", "400", *pairs]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"data_prep: error: {expected}") and captured.err.count("\n") == 1
    assert not out.exists() and not list(tmp_path.glob(".out.[0-9]*"))


def test_a_corpus_of_one_size_takes_no_pairs(tmp_path, capsys):
    assert main(["multi30k", "--pairs", "5", "--out", str(tmp_path / "out")]) == 2
    assert "multi30k has one size" in capsys.readouterr().err


def test_an_index_may_be_compressed(folder, tmp_path):
    source = tmp_path / "debian"
    shutil.copytree(folder, source)

    plain = source / "Translation-de"
    (source / "Translation-de.xz").write_bytes(lzma.compress(plain.read_bytes()))
    text = plain.read_text()
    plain.unlink()
    table = manifest.packages(source / "packages.tsv")
    files = download.from_folder(source, table)
    (path,) = [path for package, path in files.items() if package.name == "Translation-de"]
    assert path.suffix == ".xz" and download.text_of_index(path) == text


APT = """#!/bin/sh
# A stand-in for apt-get: "update" writes lists, "download" copies packages from $PACKAGES into the current folder.
while [ $# -gt 0 ]; do
  case $1 in
    -o) case $2 in Dir::State::lists=*) lists=${2#*=} ;; esac; shift ;;
    -qq) ;;
    update) for name in en de; do cp "$PACKAGES/Translation-$name" "$lists/deb_Translation-$name"; done; exit ;;
    download) action=download ;;
    *=*)
      name=${1%%=*}
      if ! cp "$PACKAGES/${name}_"*.deb .; then
        echo "E: Version '${1#*=}' for '$name' was not found" >&2
        exit 100
      fi
      echo "$1" >>"$PACKAGES/asked"
      ;;
  esac
  shift
done
"""


@pytest.fixture
def debian_mirror(folder, tmp_path, monkeypatch):
    """apt-get that copies from a folder, an empty cache, and the table of that folder."""
    mirror = tmp_path / "mirror"
    shutil.copytree(folder, mirror)
    command = tmp_path / "bin" / "apt-get"
    command.parent.mkdir()
    command.write_text(APT)
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PACKAGES", str(mirror))
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MT_LS_DATA", raising=False)
    return mirror


def test_apt_fills_the_cache_once(debian_mirror, tmp_path):
    table = manifest.packages(debian_mirror / "packages.tsv")
    files = download.from_debian(table)
    assert {path.parent for path in files.values()} == {tmp_path / "cache" / "debian"} and len(files) == len(table)
    asked = (debian_mirror / "asked").read_text().splitlines()
    assert len(asked) == len(set(asked)) == len(table) - 2 and "app0=1:2.0-1" in asked
    shutil.rmtree(debian_mirror)
    assert download.from_debian(table) == files
    assert [path.name for path in (tmp_path / "cache" / "debian").iterdir() if path.is_dir()] == []


def test_a_version_that_is_gone_is_one_line_and_a_second_run_goes_on(debian_mirror, tmp_path):
    table = manifest.packages(debian_mirror / "packages.tsv")
    gone = debian_mirror / "app15_1%3a2.0-1_all.deb"
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(DataError, match=r"Version '1:2.0-1' for 'app15' was not found.*snapshot\.debian\.org"):
        download.from_debian(table)
    kept = {path.name for path in (tmp_path / "cache" / "debian").iterdir()}
    assert "app0_1%3a2.0-1_all.deb" in kept and gone.name not in kept
    gone.write_bytes(content)
    download.from_debian(table)
    assert (debian_mirror / "asked").read_text().splitlines().count("app0=1:2.0-1") == 1


def test_a_download_that_is_not_the_pinned_file_is_not_kept(debian_mirror, tmp_path):
    (debian_mirror / "app0_1%3a2.0-1_all.deb").write_bytes(b"other")
    with pytest.raises(DataError, match="sha256 is"):
        download.from_debian(manifest.packages(debian_mirror / "packages.tsv"))
    assert not (tmp_path / "cache" / "debian" / "app0_1%3a2.0-1_all.deb").exists()


def test_without_apt_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MT_LS_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"apt-get is not on this machine, and 93 files.*--source"):
        download.from_debian(manifest.packages())


def test_the_pinned_table_is_whole():
    table = manifest.packages()
    assert Counter(package.kind for package in table) == {"messages": 84, "help": 2, "literary": 5, "descriptions": 2}
    assert all(len(package.sha256) == 64 for package in table) and len({package.file for package in table}) == 93


def test_a_hash_is_that_of_the_expanded_text(tmp_path):

    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"text"))
    sources.check_sha256(path, hashlib.sha256(b"text").hexdigest(), gzip.decompress)
    path.write_bytes(b"odd")
    with pytest.raises(DataError, match="cannot be read"):
        sources.check_sha256(Path(path), "0", gzip.decompress)
