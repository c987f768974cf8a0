"""python -m analysis.report runs/ --out out/DIR: figures, tables and one self-contained HTML page from records."""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Sequence
from pathlib import Path

import jinja2

from mt_ls.records import RecordError, written_whole

from . import advice, plots, quality, reliability, table, temperature
from .table import Row

_FIGURES = (
    ("temperature", "BLEU and calibration against temperature (the paper's Figure 4)", temperature.figure),
    ("reliability", "Reliability of next-token predictions (the paper's Figure 3)", reliability.figure),
    ("quality", "Translation quality and perplexity against calibration", quality.figure),
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ corpus }}: when does label smoothing help?</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
 table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; text-align: right }
 th:first-child, td:first-child { text-align: left } thead { border-bottom: 1px solid #888 }
 tbody tr:nth-child(even) { background: #f5f5f5 } figure { margin: 1.5rem 0 } svg { max-width: 100%; height: auto }
 .missing { color: #a33 } code { font-size: 11px; color: #555; overflow-wrap: anywhere }
</style></head><body>
<h1>When does label smoothing help? <small>{{ corpus }}</small></h1>
<p>{{ n }} records. Temperatures are fitted on valid and reported on test. Forced ECE: teacher-forced, 15 equal-width
bins; "95 %" by resampling sentences; "floor" is what a perfectly calibrated model would show at these counts.
Beam ECE is another quantity: the probability of generated tokens, right by TER alignment.</p>
<h2>Main table (test)</h2>{{ main }}
<h2>Table 3</h2>{{ table_3 }}
<h2>The temperature to use</h2>{{ advice }}
<h2>Beam calibration by token class (test, T = 1)</h2>{{ token_classes }}
{% for title, svg in figures %}<figure><h2>{{ title }}</h2>{{ svg }}</figure>
{% endfor %}
<h2>Missing</h2>{% if missing %}<ul class="missing">{% for item in missing %}<li>{{ item }}</li>{% endfor %}</ul>
{% else %}<p>Nothing: every cell was measured.</p>{% endif %}
<h2>Signatures</h2>{% for s in signatures %}<code>{{ s }}</code><br>{% endfor %}
</body></html>
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("records", nargs="+", help="records files, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", help="only this corpus (needed where the records hold several)")
    options = parser.parse_args(arguments)
    try:
        rows = _one_corpus(table.load(options.records), options.corpus)
    except RecordError as error:
        print(f"analysis.report: error: {error}", file=sys.stderr)
        return 2
    text = write(rows, options.out)
    print(text)
    print(f"\nreport: {options.out / 'report.html'}")
    return 0


def _one_corpus(rows: list[Row], corpus: str | None) -> list[Row]:
    found = sorted({str(row.record.corpus) for row in rows})
    if corpus is None and len(found) > 1:
        raise RecordError(f"records of several corpora ({', '.join(found)}): choose one with --corpus")
    if corpus is not None and corpus not in found:
        raise RecordError(f"no record of corpus {corpus!r}; there is {', '.join(found)}")
    return [row for row in rows if corpus is None or row.record.corpus == corpus]


def write(rows: Sequence[Row], out: Path) -> str:
    """Figures, tables and report.html under ``out``; returns the main table as text."""
    rows = table.main_search(rows)
    figures, missing = [], []
    for name, title, draw in _FIGURES:
        figure = draw(rows)
        if figure is None:
            missing.append(f"figure “{title}”: its records were not measured")
            continue
        svg = plots.save(figure, out / "figures", name)[0].read_text(encoding="utf-8")
        figures.append((title, jinja2.utils.markupsafe.Markup(svg[svg.index("<svg") :])))
    tables = {
        "main": (quality.MAIN_HEADER, quality.main_table(rows)),
        "table_3": (quality.TABLE_3_HEADER, quality.table_3(rows)),
        "advice": (advice.HEADER, advice.lines(rows)),
        "token_classes": (quality.CLASS_HEADER, quality.class_table(rows)),
    }
    for name, (header, cells) in tables.items():
        with written_whole(out / "tables" / f"{name}.txt") as path:
            path.write_text(table.text(header, cells) + "\n", encoding="utf-8")
        if name != "advice":  # where it has no temperature, there is none to choose
            missing += _missing(header, cells)
    page = jinja2.Environment(autoescape=True).from_string(_PAGE)
    body = page.render(
        corpus=rows[0].record.corpus, n=len(rows), figures=figures, missing=missing,
        signatures=sorted({row.record.signature for row in rows}),
        **{name: jinja2.utils.markupsafe.Markup(_html(*content)) for name, content in tables.items()},
    )  # fmt: skip
    with written_whole(out / "report.html") as path:
        path.write_text(body, encoding="utf-8")
    return "\n\n".join(table.text(*content) for content in tables.values())


def _missing(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"{row[0]}{', T ' + row[1] if header is quality.MAIN_HEADER else ''}: {name}"
        for row in cells
        for name, cell in zip(header, row, strict=True)
        if not cell
    ]


def _html(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    rows = ("".join(f"<td>{html.escape(cell) or '–'}</td>" for cell in row) for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


if __name__ == "__main__":
    sys.exit(main())
