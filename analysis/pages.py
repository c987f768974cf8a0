"""python -m analysis.pages [--check]: write, or verify, what is generated in README, docs and recipe pages.

A block stands between ``<!-- NAME of RECIPE -->`` and ``<!-- end of NAME of RECIPE -->``; it is made from
``recipes/RECIPE/published``. NAME is that of a table (`analysis.tables`), "claims", or "claims in short". Three blocks
are of no recipe: ``<!-- claims in short -->``, which is of all, ``<!-- benchmarks cpu -->`` and
``<!-- benchmarks gpu -->``. A figure that a page shows as ``published/NAME.svg`` is made from the records beside it.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from mt_ls.records import RecordError, written_whole
from mt_ls.terminal import prepare

from . import claims
from .claims.rule import Claim, Verdict
from .figures import drawings
from .figures.layout import Drawing, save
from .rows import load, of_one_corpus
from .study import Study
from .tables import benchmarks, tables
from .tables.layout import markdown

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"<!-- (?P<name>[^\n]+?) -->\n(?P<text>.*?)\n?<!-- end of (?P=name) -->", re.DOTALL)
_FIGURE = re.compile(r"^!\[[^\]]*\]\((?P<path>[^)\s]*published/[^)\s]+\.svg)\)", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Write the blocks and figures; 0. With --check name those that are stale; 1 if any is. 2 with an error."""
    parser = argparse.ArgumentParser(prog="python -m analysis.pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if a block or figure is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: the one of this module)")
    options = parser.parse_args(arguments)
    try:
        stale = [*_stale_blocks(options.root, options.check), *_stale_figures(options.root, options.check)]
    except (RecordError, OSError) as error:
        print(f"analysis.pages: error: {error}", file=sys.stderr)
        return 2
    for name in stale:
        print(f"{name}: {'stale' if options.check else 'written'}")
    if options.check and stale:
        print("analysis.pages: run python -m analysis.pages, and look at what changed", file=sys.stderr)
    return int(options.check and bool(stale))


def pages(root: Path) -> list[Path]:
    """The pages that may have generated blocks."""
    return [root / "README.md", *sorted(root.glob("docs/*.md")), *sorted(root.glob("recipes/*/README.md"))]


def _stale_blocks(root: Path, check: bool) -> Iterator[str]:
    for page in pages(root):
        before = page.read_text(encoding="utf-8")
        names = [match["name"] for match in _BLOCK.finditer(before)]
        fresh = {name: _block(root, page, name) for name in names}
        after = _BLOCK.sub(lambda match, fresh=fresh: fresh[match["name"]], before)  # type: ignore[misc]
        if before != after:
            yield from (f"{page.relative_to(root)}: {name}" for name in names if fresh[name] not in before)
            if not check:
                with written_whole(page) as path:
                    path.write_text(after, encoding="utf-8")


def _block(root: Path, page: Path, name: str) -> str:
    """The block with its marks. Raises RecordError for a name that is none."""
    makers: dict[str, Callable[[], str]] = {
        "claims in short": lambda: _claims_in_short(_with_several_seeds(root)),
        "benchmarks cpu": lambda: _benchmarks(root, "cpu"),
        "benchmarks gpu": lambda: _benchmarks(root, "gpu"),
    }
    part, _, recipe = name.partition(" of ")
    if name not in makers and not recipe:
        raise RecordError(f"{page}: no block {name!r}: give NAME of RECIPE, or one of {', '.join(makers)}")
    text = makers[name]() if name in makers else _of_recipe(root, page, part, recipe)
    return f"<!-- {name} -->\n{text}\n<!-- end of {name} -->"


def _benchmarks(root: Path, kind: benchmarks.Kind) -> str:
    return benchmarks.table(benchmarks.results(root / "recipes" / "benchmarks.json"), kind)


def _of_recipe(root: Path, page: Path, name: str, recipe: str) -> str:
    evidence = published(root / "recipes" / recipe / "published")
    if name == "claims":
        cells = claims.cells(evidence.verdicts)
        return markdown(
            claims.HEADER, [[f"**{line[0]}**" if not any(line[1:]) else line[0], *line[1:]] for line in cells]
        )
    if name == "claims in short":
        return _claims_in_short({"": evidence.verdicts})
    if name not in evidence.tables:
        raise RecordError(f"{page}: no table {name!r} of {recipe}; there are {', '.join(evidence.tables)}")
    return f"```\n{evidence.tables[name]}\n```"


class Published:
    """A folder of published evidence, and what follows from it."""

    def __init__(self, folder: Path) -> None:
        self.study = Study(of_one_corpus(load([folder]), None))

    @functools.cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on the claims."""
        return claims.verdicts(self.study)

    @functools.cached_property
    def tables(self) -> dict[str, str]:
        """The tables as text, by name."""
        return {table.name: table.text() for table in tables(self.study)}

    @functools.cached_property
    def drawings(self) -> dict[str, Drawing]:
        """The figures by name."""
        return {drawing.name: drawing for drawing in drawings(self.study)}


published = functools.cache(Published)


def _with_several_seeds(root: Path) -> dict[str, list[Verdict]]:
    """The verdicts of each recipe whose published records are of more than one seed."""
    files = sorted(root.glob("recipes/*/published/records.jsonl"))
    evidence = {file.parents[1].name: published(file.parent).verdicts for file in files}
    return {
        name: verdicts
        for name, verdicts in evidence.items()
        if any(verdict.estimate and verdict.estimate.n_seeds > 1 for verdict in verdicts)
    }


def _claims_in_short(by_recipe: Mapping[str, Sequence[Verdict]]) -> str:
    """A line a claim of which a part was looked at: the paper's numbers, and the verdict on each measured part of each
    recipe. A recipe without a name is not named."""
    known = {verdict.claim.number: verdict.claim for verdicts in by_recipe.values() for verdict in verdicts}
    cells = []
    for number, claim in sorted(known.items()):
        ours = {name: _in_short(verdicts, claim) for name, verdicts in by_recipe.items()}
        lines = "<br>".join(f"{name}: {text}" if name else text for name, text in ours.items() if text)
        if lines:
            cells.append([f"{number}. {claim.words} ({claim.where})", claim.paper, lines])
    return markdown(("claim", "paper", "ours"), cells)


def _in_short(verdicts: Sequence[Verdict], claim: Claim) -> str:
    """The parts of a claim that were looked at, by their verdicts, with the estimates of those that were measured."""
    words: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.claim is claim and verdict.word != "not measured":
            subject = f" {verdict.subject}" if verdict.subject else ""
            digits = 1 if claims.digits_of(verdict) == 2 else 3
            estimate = "" if verdict.estimate is None else f" {verdict.estimate.value:+.{digits}f}"
            words.setdefault(verdict.word, []).append(f"{verdict.label}{subject}{estimate}")
    return "; ".join(f"{word} {', '.join(parts)}" for word, parts in words.items())


def _stale_figures(root: Path, check: bool) -> Iterator[str]:
    for page in pages(root):
        for match in _FIGURE.finditer(page.read_text(encoding="utf-8")):
            file = (page.parent / match["path"]).resolve()
            drawing = _drawing(page, file)
            if not (file.is_file() and _is_of(file, drawing)):
                yield str(file.relative_to(root.resolve()))
                if not check:
                    _write(drawing, file)


def _drawing(page: Path, file: Path) -> Drawing:
    drawing = published(file.parent).drawings.get(file.stem)
    if drawing is None or drawing.figure is None:
        raise RecordError(f"{page}: the records in {file.parent} have no figure {file.stem!r}")
    return drawing


def _is_of(file: Path, drawing: Drawing) -> bool:
    """Whether a figure's file has the signatures of its records. Its shapes may differ with matplotlib's version."""
    assert drawing.figure is not None
    svg = file.read_text(encoding="utf-8")
    return all(escape(signature) in svg for signature in drawing.figure.signatures)


def _write(drawing: Drawing, file: Path) -> None:
    assert drawing.figure is not None
    for path in save(drawing.figure, file.parent, drawing.name):
        if path != file:
            path.unlink()


if __name__ == "__main__":
    prepare("analysis.pages")
    sys.exit(main())
