"""Tiny packages of Debian, with text in three kinds and a story, for the corpus `debian`."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
WORDS = [first + second for first in SYLLABLES[::2] for second in SYLLABLES[1::2]]  # enough for 1 200 pieces
GERMAN = [f"{word}sch" for word in reversed(WORDS)]
COLUMNS = ("kind", "package", "version", "architecture", "bytes", "sha256")


def catalogue(messages: Mapping[str, str]) -> bytes:
    """A ``.mo`` file of messages; a header is added."""
    pairs = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **messages}.items())
    sides = [[text.encode() + b"\0" for text in column] for column in zip(*pairs, strict=True)]
    start = 28 + 16 * len(pairs)
    tables, data = [], b""
    for side in sides:
        table = b""
        for text in side:
            table += struct.pack("<II", len(text) - 1, start + len(data))
            data += text
        tables.append(table)
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + b"".join(tables) + data


def package(files: Mapping[str, bytes], compression: str = "xz") -> bytes:
    """A ``.deb`` of these files by name."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", f"data.tar.{compression}": tar.getvalue()}
    return b"!<arch>\n" + b"".join(
        f"{name:16}{0:<12}{0:<6}{0:<6}{'100644':8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        for name, data in members.items()
    )


def copyright_of(licence: str) -> bytes:
    """A copyright file in Debian's format."""
    return f"Files: *\nCopyright: somebody\nLicense: {licence}\n".encode()


def _sentences(n: int, seed: int, words: int = 5) -> list[tuple[str, str]]:
    """Different sentence pairs, word by word translations."""
    rng = random.Random(seed)
    chosen = {tuple(rng.randrange(len(WORDS)) for _ in range(words)) for _ in range(2 * n)}
    return [
        (" ".join(WORDS[i] for i in places).capitalize() + ".", " ".join(GERMAN[i] for i in places).capitalize() + ".")
        for places in sorted(chosen)
    ][:n]


def _help(language: str, side: int) -> bytes:
    pages = {}
    for page in range(8):
        lines = [pair[side] for pair in _sentences(6, 100 + page, words=6)]
        body = "".join(f'<p id="par_id{i}" class="paragraph">{line}</p>' for i, line in enumerate(lines))
        pages[f"usr/share/libreoffice/help/{language}/text/shared/{page}.html"] = f"<html>{body}</html>".encode()
    name = "de" if language == "de" else "en-us"
    return package({**pages, f"usr/share/doc/libreoffice-help-{name}/copyright": copyright_of("MPL-2.0")})


def _index(language: str, side: int) -> bytes:
    stanzas = []
    for number in range(30):
        synopsis, *paragraphs = (pair[side] for pair in _sentences(3, 200 + number, words=7))
        text = "\n .\n ".join(paragraphs)
        stanzas.append(
            f"Package: tool{number}\nDescription-md5: {number:032x}\nDescription-{language}: {synopsis}\n {text}\n"
        )
    return "\n".join(stanzas).encode()


def write_packages(folder: Path) -> Path:
    """Write 4 large and 20 small packages of messages, the help, the descriptions and a story, with their table."""
    files: dict[str, tuple[str, str, str, bytes]] = {}
    for number in range(24):
        messages = dict(_sentences(200 if number < 4 else 15, number))
        place = f"usr/share/locale/de/LC_MESSAGES/app{number}.mo"
        about = {f"usr/share/doc/app{number}/copyright": copyright_of("GPL-2+")}
        files[f"app{number}_1%3a2.0-1_all.deb"] = (
            "messages",
            f"app{number}",
            "1:2.0-1",
            package({place: catalogue(messages), **about}),
        )
    story = {"usr/share/games/tale/locale/de/LC_MESSAGES/tale.mo": catalogue(dict(_sentences(40, 300, words=8)))}
    files["tale_1.0_all.deb"] = ("literary", "tale", "1.0", package(story))
    for name, language, side in (("en-us", "en-US", 0), ("de", "de", 1)):
        files[f"libreoffice-help-{name}_7.4_all.deb"] = (
            "help",
            f"libreoffice-help-{name}",
            "7.4",
            _help(language, side),
        )
    for side, language in enumerate(("en", "de")):
        files[f"Translation-{language}"] = (
            "descriptions",
            f"Translation-{language}",
            "bookworm",
            _index(language, side),
        )
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "packages.tsv", "w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for file, (kind, name, version, content) in files.items():
            (folder / file).write_bytes(content)
            rows.writerow((kind, name, version, "all", len(content), hashlib.sha256(content).hexdigest()))
    return folder
