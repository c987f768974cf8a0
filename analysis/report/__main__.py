"""python -m analysis.report runs/ --out out/DIR: figures, tables and one self-contained HTML page from records."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mt_ls.records.record import RecordError, written_whole

from .. import rows as table
from ..claims import __main__ as claims
from ..claims.rule import Finding
from ..figures import style as plots
from ..rows import Row
from . import images as vision_report
from . import slider as explorer
from . import translation as translation_report
from .contents import Contents, Drawing, Table


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")
    parser.add_argument(
        "--into",
        type=Path,
        help="also write into this page the tables whose marks it has, and beside it the figures that it shows",
    )
    options = parser.parse_args(arguments)
    try:
        rows = table.of_one_corpus(table.load(options.records), options.corpus)
        text = write(rows, options.out)
        if options.into:
            _write_into(options.into, rows, options.out / "figures")
    except (RecordError, OSError) as error:
        print(f"analysis.report: error: {error}", file=sys.stderr)
        return 2
    print(text)
    print(f"\nreport: {options.out / 'report.html'}")
    return 0


def _contents(rows: Sequence[Row]) -> Contents:
    return (vision_report if table.of_images(rows) else translation_report).CONTENTS


def _write_into(page: Path, rows: Sequence[Row], figures: Path) -> None:
    for name, block in blocks(rows, page).items():
        table.write_between(page, name, block)
    for drawing in shown(rows, page):
        with written_whole(page.with_name(f"{drawing.name}.svg")) as path:
            shutil.copyfile(figures / f"{drawing.name}.svg", path)


def shown(rows: Sequence[Row], page: Path) -> list[Drawing]:
    """The figures that a page of Markdown shows as ``![...](NAME.svg)``, and for which these rows suffice."""
    text = page.read_text(encoding="utf-8")
    return [one for one in _contents(rows).drawings if f"]({one.name}.svg)" in text and one.draw(rows)]


def blocks(rows: Sequence[Row], page: Path) -> dict[str, str]:
    """The tables whose marks a page of Markdown has, by name, as blocks of code. Raises RecordError if it has none."""
    text = page.read_text(encoding="utf-8")
    found = {
        one.name: f"```\n{table.text(one.header, one.cells)}\n```"
        for one in _contents(rows).tables(rows)
        if f"<!-- {one.name} -->" in text
    }
    if not found:
        raise RecordError(f"{page}: no marks of a table, such as <!-- main --> and <!-- end of main -->")
    return found


def write(rows: Sequence[Row], out: Path) -> str:
    """Figures, tables and report.html under ``out``; returns the tables as text."""
    findings = claims.findings(rows)
    contents = _contents(rows)
    missing: list[str] = []
    figures = _figures(contents, rows, out / "figures", missing)
    tables = [one for one in contents.tables(rows) if one.cells]
    for one in tables:
        with written_whole(out / "tables" / f"{one.name}.txt") as path:
            path.write_text(table.text(one.header, one.cells) + "\n", encoding="utf-8")
        missing += _missing(one)
    explored = explorer.data(contents.one_model(rows))
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("page.html.jinja")
    page = template.render(
        corpus=rows[0].record.corpus,
        n_records=len(rows),
        n_runs=len({row.record.run for row in rows}),
        summary=_summary(findings, rows),
        claims=_cards(findings),
        figures=figures,
        tables=tables,
        missing=missing,
        columns=explored["columns"],
        measured=Markup(explorer.embedded(explored)),
        signatures=sorted({row.record.signature for row in rows}),
        commits=sorted({row.record.sha["code"][:12] for row in rows}),
        versions=sorted({f"{name} {version}" for row in rows for name, version in row.record.versions.items()}),
    )
    with written_whole(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return "\n\n".join(table.text(one.header, one.cells) for one in tables)


def _figures(contents: Contents, rows: Sequence[Row], folder: Path, missing: list[str]) -> list[dict[str, Any]]:
    found = []
    for drawing in contents.drawings:
        figure = drawing.draw(rows)
        if figure is None:
            missing.append(f"figure “{drawing.title}”: its records were not measured")
            continue
        svg = plots.save(figure, folder, drawing.name)[0].read_text(encoding="utf-8")
        found.append(
            {
                "title": drawing.title,
                "how": drawing.how,
                "paper": drawing.paper,
                "svg": Markup(svg[svg.index("<svg") :]),
                "alt": f"{drawing.title}. {contents.in_words(rows)}",
            }
        )
    return found


def _summary(findings: Sequence[Finding], rows: Sequence[Row]) -> str:
    """The verdicts in a sentence, and the claims that do not hold at this scale in another."""
    count = Counter(finding.verdict for finding in findings)
    sentence = f"Of {len(findings)} claims: {', '.join(f'{n} {verdict}' for verdict, n in count.most_common())}."
    refuted = [f"{f.claim.number} ({f.claim.words})" for f in findings if f.verdict == "not reproduced"]
    updates = sorted({row.record.updates for row in rows if row.record.updates})
    if refuted:
        scale = f"{rows[0].record.corpus}" + (f", {updates[-1]} updates" if updates else "")
        sentence += f" At this scale ({scale}) these do not hold, which is a finding: {'; '.join(refuted)}."
    return sentence


def _cards(findings: Sequence[Finding]) -> list[dict[str, str]]:
    cards = []
    for finding, line in zip(findings, claims.cells(findings), strict=True):
        title, where, paper, _, estimate, interval, of = line
        cards.append(
            {
                "title": title,
                "where": where,
                "paper": paper,
                "verdict": finding.verdict,
                "why": finding.why,
                "estimate": estimate,
                "interval": interval,
                "of": of,
            }
        )
    return cards


def _missing(of: Table) -> list[str]:
    return [
        f"{row[0]}{', T ' + row[1] if of.name == 'main' else ''}: {column}"
        for row in of.cells
        for column, cell in zip(of.header, row, strict=True)
        if of.whole and not cell
    ]


if __name__ == "__main__":
    sys.exit(main())
