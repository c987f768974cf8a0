"""Translations in the files of Debian's packages: catalogues of messages, pages of help, descriptions of packages."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from .. import DataError
from . import archive

_CATALOGUE = re.compile(r"(/de/LC_MESSAGES/[^/]+|_de)\.mo$")
_PAGE = re.compile(r"/help/(?:de|en-US)/(?P<page>text/.+\.html)$")
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright$")
_UNNAMED = "not named in the package: see its source package"
_BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")
_VOID = ("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr")


class Text(NamedTuple):
    """A text in both languages, as it stands in a file. ``group`` is what is held out whole: a package, a page of help,
    or the package that is described."""

    source: str
    target: str
    group: str


def messages(deb: Path) -> tuple[list[Text], str]:
    """The messages of all German catalogues in a package, and the package's licences.

    Of a message with plural forms it has the singular, since Python's reader drops the English plural. Raises DataError
    for a catalogue that cannot be read, and for a package without any.
    """
    package = deb.name.split("_")[0]
    texts, licence = [], _UNNAMED
    for name, content in archive.members(deb, lambda name: bool(_CATALOGUE.search(name) or _COPYRIGHT.search(name))):
        if _COPYRIGHT.search(name):
            licence = _licences(content) or licence
            continue
        for key, translation in _catalogue(deb, name, content):
            texts.append(Text(key.split("\x04")[-1], translation, package))
    if not texts:
        raise DataError(f"{deb}: has no German catalogue with messages; it is not the package of the table")
    return texts, licence


def _catalogue(deb: Path, name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """The keys, with their contexts, and the translations of a catalogue; the header's key is empty."""
    try:
        catalogue = gettext.GNUTranslations(io.BytesIO(content))._catalog  # type: ignore[attr-defined]
    except Exception as error:  # the library raises a dozen types
        raise DataError(
            f"{deb}: {name} is no catalogue ({' '.join(str(error).split())}); delete and fetch it"
        ) from None
    for key, translation in catalogue.items():
        message, plural = key if isinstance(key, tuple) else (key, 0)
        if message and plural == 0:
            yield message, translation


def _licences(copyright_file: bytes) -> str:
    """The licences that a copyright file names in Debian's format, or those of the texts that it refers to."""
    text = copyright_file.decode("utf-8", "replace")
    named = re.findall(r"^License:[ \t]+(\S.*?)\s*$", text, re.MULTILINE)
    named = named or [name.rstrip(".'") for name in re.findall(r"/usr/share/common-licenses/([\w.+-]+)", text)]
    return ", ".join(sorted(set(named)))


def help_pages(english: Path, german: Path) -> tuple[list[Text], str]:
    """The elements with the same id on the same page of LibreOffice's help in two packages, and its licences.

    Raises DataError where the packages have no such element.
    """
    (pages, licence), (german_pages, _) = (_pages(deb) for deb in (english, german))
    texts = [
        Text(text, german_pages[page][key], page)
        for page, elements in pages.items()
        for key, text in elements.items()
        if key in german_pages.get(page, {})
    ]
    if not texts:
        raise DataError(f"{german}: no page of help with elements of {english.name}; they are not those of the table")
    return texts, licence


def _pages(deb: Path) -> tuple[dict[str, dict[str, str]], str]:
    pages, licence = {}, _UNNAMED
    for name, content in archive.members(deb, lambda name: bool(_PAGE.search(name) or _COPYRIGHT.search(name))):
        if match := _PAGE.search(name):
            parser = _Elements()
            parser.feed(content.decode("utf-8", "replace"))
            pages[match["page"]] = parser.texts
        else:
            licence = _licences(content) or licence
    return pages, licence


class _Elements(HTMLParser):
    """The text of each paragraph and heading with an id; of alternatives for several systems the default."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: dict[str, str] = {}
        self._key: str | None = None
        self._inside: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element, or an alternative inside it."""
        if tag in _VOID:
            self.handle_data(" ")  # a line break parts words
            return
        of = dict(attrs)
        key = of.get("id") or ""
        if self._key is None:
            if tag in _BLOCKS and key and key not in self.texts:  # a page may embed a paragraph twice
                self._key, self._inside, self._skipped = key, [tag], 0
                self.texts[key] = ""
            return
        self._inside.append(tag)
        if self._skipped or ("hidden" in of and not key.startswith("default")):
            self._skipped += 1

    def handle_endtag(self, tag: str) -> None:
        """End an element, with those inside it that have no end."""
        if self._key is None or tag not in self._inside:
            return
        while self._inside:
            self._skipped = max(self._skipped - 1, 0)
            if self._inside.pop() == tag:
                break
        if not self._inside:
            self._key = None

    def handle_data(self, data: str) -> None:
        """Add text to the element."""
        if self._key is not None and not self._skipped:
            self.texts[self._key] += data


def descriptions(english: str, german: str) -> list[Text]:
    """The paragraphs of the descriptions of packages, from the texts of the two indexes.

    Descriptions belong together by the hash of the English one; they count where both have as many paragraphs. Raises
    DataError where the indexes have none in common.
    """
    paragraphs = {key: parts for _, key, parts in _stanzas(english, "Description-en")}
    texts = [
        Text(*pair, name)
        for name, key, parts in _stanzas(german, "Description-de")
        if len(paragraphs.get(key, ())) == len(parts)
        for pair in zip(paragraphs[key], parts, strict=True)
    ]
    if not texts:
        raise DataError("Translation-en and Translation-de: no description in common; they are not those of the table")
    return texts


def _stanzas(index: str, field: str) -> Iterator[tuple[str, str, list[str]]]:
    """Package, hash and paragraphs of each description in an index."""
    for stanza in index.split("\n\n"):
        head, mark, text = stanza.partition(f"\n{field}: ")
        fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
        if mark and {"Package", "Description-md5"} <= fields.keys():
            yield fields["Package"], fields["Description-md5"], list(_paragraphs(text.splitlines()))


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The first line, the synopsis, then the paragraphs: a line that is indented or begins with a bullet begins one."""
    lines = iter(lines)
    yield next(lines, "")
    current: list[str] = []
    for line in lines:
        ends = line.strip() == "."
        if current and (ends or re.match(r"  |\s*[-*+o•]\s", line)):
            yield " ".join(current)
            current = []
        if not ends:
            current.append(line.strip())
    if current:
        yield " ".join(current)
