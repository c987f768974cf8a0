"""Names of the runs of measured models: of one checkpoint, and of several paths that a user names together."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .protocol import MeasureError

_LONGEST_SLUG = 80
_TAKEN = ("figures", "tables", "report.html", "lock")
"""Names that a report and an audit use in the folder of the models' folders."""


def run_name(checkpoint: Path) -> str:
    """The default name of a checkpoint's run: its folder's, and "-KIND" unless it is the last one.

    runs/NAME/checkpoints/checkpoint_last.pt and NAME/checkpoint_last.pt are "NAME", NAME/checkpoint_best.pt is
    "NAME-best", NAME/checkpoint12.pt is "NAME-checkpoint12".
    """
    folder = checkpoint.parent.resolve()
    if folder.name == "checkpoints":
        folder = folder.parent
    kind = checkpoint_family(checkpoint)
    return printable(folder.name if kind == "last" and folder.name else f"{folder.name}-{kind}".removeprefix("-"))


def checkpoint_family(path: Path) -> str:
    """The kind of a checkpoint: "last" and "best" for fairseq's files of these names, the file's stem for others.

    For example "checkpoint12" for checkpoint12.pt, of epoch 12.
    """
    stem = path.stem
    return stem.removeprefix("checkpoint_") if stem in ("checkpoint_last", "checkpoint_best") else stem


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The shortest end of each path that no other path has: "big.pt", or "a/best.pt" beside "b/best.pt".

    Characters that cannot be printed are question marks. Raises MeasureError for one path that is named twice.
    """
    seen: dict[Path, Path] = {}
    for path in paths:
        first = seen.get(path.resolve())
        if first is not None:
            raise MeasureError(f"{path} is named twice" + ("" if first == path else f", also as {first}"))
        seen[path.resolve()] = path
    ends = [_ends(path) for path in paths]
    names = []
    for path, own in zip(paths, ends, strict=True):
        name = next((end for end in own if sum(end in others for others in ends) == 1), None)
        if name is None:
            raise MeasureError(f"{path}: another path has the same name but for characters that cannot be printed")
        names.append(name)
    return names


def _ends(path: Path) -> list[str]:
    """The ends of a path in printable characters, the shortest first."""
    parts = Path(os.path.abspath(path)).parts  # without following links: a model has the name that the user gave it
    return [printable("/".join(parts[start:]).replace("//", "/")) for start in range(len(parts) - 1, -1, -1)]


def printable(name: str) -> str:
    """A name with a question mark for each character that cannot be printed, such as a line break."""
    return "".join(character if character.isprintable() else "?" for character in name)


def slugs(names: Sequence[str]) -> list[str]:
    """A folder's name in ASCII for each of the different names. Different names have different folders."""
    plain = [re.sub(r"[^A-Za-z0-9._=+@-]", "_", name).lstrip(".")[:_LONGEST_SLUG] for name in names]
    folded = [slug.lower() for slug in plain]  # some file systems do not tell cases apart
    taken = {"", *_TAKEN, *(slug for slug in folded if folded.count(slug) > 1)}
    return [
        f"{slug}-{_hash(name)}" if slug.lower() in taken or len(name) > _LONGEST_SLUG else slug
        for slug, name in zip(plain, names, strict=True)
    ]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
