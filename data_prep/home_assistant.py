"""The string pairs of Home Assistant's wheel."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import DataError, sources

_WHEEL = "homeassistant-2024.3.3-py3-none-any.whl"


def download(version: str | None) -> Path:
    """The wheel of a version, from the package index or from the cache."""
    return sources.download_wheel(f"homeassistant=={version}", _WHEEL, "35 MB")


def read(wheel: Path, sha256: str | None) -> tuple[dict[str, Iterable[tuple[str, str]]], dict[str, str]]:
    """The pairs of a wheel, as of `corpora.read`. ``sha256`` is that of the published version's wheel."""
    if wheel.name == _WHEEL:
        sources.check_sha256(wheel, sha256 or "")
    try:
        with zipfile.ZipFile(wheel) as archive:
            pairs = list(dict.fromkeys(_translations(archive)))
    except (zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{wheel}: not a readable wheel ({error}); delete it and run again") from None
    if not pairs:
        raise DataError(f"{wheel}: has no homeassistant/components/*/translations/{{en,de}}.json")
    return {"all": pairs}, {wheel.name: sources.sha256_of(wheel)}


def _translations(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """The strings that have the same key in the English and the German file of a component."""
    names = set(archive.namelist())
    for name in sorted(n for n in names if n.endswith("/translations/en.json")):
        german = name.removesuffix("en.json") + "de.json"
        if german in names:
            source, target = (dict(_flatten(json.loads(archive.read(n)))) for n in (name, german))
            yield from ((source[key], target[key]) for key in source if key in target)


def _flatten(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    """The key and the text of each string in a tree of JSON, with whitespace normalised."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _flatten(child, f"{key}.{name}")
    elif isinstance(node, str):
        yield key, " ".join(node.split())
