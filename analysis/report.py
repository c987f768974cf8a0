"""python -m analysis.report runs/ --out out/DIR: figures, tables and one self-contained HTML page from records."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from mt_ls.records import RecordError, written_whole

from . import advice, claims, explorer, plots, quality, reliability, table, temperature
from .table import Row, alphas, number


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: how to read it, and what the paper has there."""

    name: str
    title: str
    draw: Callable[[Sequence[Row]], Figure | None]
    how: str
    paper: str


DRAWINGS = (
    Drawing("reliability", "Reliability of next-token predictions (the paper's Figure 3)", reliability.figure,
            "Each point is a bin of predictions: their mean confidence, and how many of them are right, with its 95 % "
            "interval. Below the dashed line the model is over-confident. The bars count the tokens. Bins of several "
            "training seeds are pooled, numbers are means.",
            "ECE 0.056 with hard targets, 0.018 at T = 1.13, 0.019 with smoothing 0.1 (Table 3)."),
    Drawing("temperature", "BLEU and calibration against temperature (the paper's Figure 4)", temperature.figure,
            "Left and centre: forced ECE (red circles, left scale) and BLEU (blue squares, right scale) of each model; "
            "calibration is best where the red curve is lowest. Right: NLL of both. Means over training seeds.",
            "its curves are only drawn. Base Transformer, dev: BLEU 25.3 to 25.8 and perplexity 4.67 to 4.92 with "
            "smoothing (Table 1)."),
    Drawing("quality", "Translation quality and perplexity against calibration", quality.figure,
            "One point a trained model at T = 1; bars are 95 % intervals over the test sentences. If calibration made "
            "BLEU, points would fall from left to right.",
            "smoothing lowers ECE and raises BLEU, and its perplexity is worse."),
)  # fmt: skip


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
    """Figures, tables and report.html under ``out``; returns the tables as text."""
    findings = claims.findings(rows)
    rows = table.main_search(rows)
    missing: list[str] = []
    figures = _figures(rows, out / "figures", missing)
    tables = _tables(rows)
    for name, (_, _, header, cells) in tables.items():
        with written_whole(out / "tables" / f"{name}.txt") as path:
            path.write_text(table.text(header, cells) + "\n", encoding="utf-8")
        missing += _missing(name, header, cells)
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("page.html.jinja")  # fmt: skip
    page = template.render(
        corpus=rows[0].record.corpus, n_records=len(rows), n_runs=len({row.record.run for row in rows}),
        summary=_summary(findings, rows), claims=_cards(findings), figures=figures, tables=tables.values(),
        missing=missing, measured=Markup(explorer.embedded(explorer.data(rows))),
        signatures=sorted({row.record.signature for row in rows}),
        commits=sorted({row.record.sha["code"][:12] for row in rows}),
        versions=sorted({f"{name} {version}" for row in rows for name, version in row.record.versions.items()}),
    )  # fmt: skip
    with written_whole(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return "\n\n".join(table.text(header, cells) for _, _, header, cells in tables.values())


def _tables(rows: Sequence[Row]) -> dict[str, tuple[str, str, Sequence[str], list[list[str]]]]:
    """{name: (title, how to read it, header, cells)}."""
    return {
        "main": ("Main table (test)", "Temperatures are fitted on valid. Forced ECE: teacher-forced, 15 equal-width "
                 "bins; “95 %” by resampling sentences; “floor” is what a perfectly calibrated model would show. Beam "
                 "ECE is another quantity: the probability of generated tokens, right by TER alignment.",
                 quality.MAIN_HEADER, quality.main_table(rows)),
        "table_3": ("Table 3", "Expected calibration error beside the paper's.", quality.TABLE_3_HEADER,
                    quality.table_3(rows)),
        "advice": ("The temperature to use", "Chosen on valid, gained on test: a gain is an improvement over T = 1.",
                   advice.HEADER, advice.lines(rows)),
        "token_classes": ("Beam calibration by token class (test, T = 1)", "Ends of sentence apart from other tokens; "
                          "shifted tokens are neither right nor wrong.", quality.CLASS_HEADER,
                          quality.class_table(rows)),
    }  # fmt: skip


def _figures(rows: Sequence[Row], folder: Path, missing: list[str]) -> list[dict[str, Any]]:
    found = []
    for drawing in DRAWINGS:
        figure = drawing.draw(rows)
        if figure is None:
            missing.append(f"figure “{drawing.title}”: its records were not measured")
            continue
        svg = plots.save(figure, folder, drawing.name)[0].read_text(encoding="utf-8")
        found.append({"title": drawing.title, "how": drawing.how, "paper": drawing.paper,
                      "svg": Markup(svg[svg.index("<svg") :]),
                      "alt": f"{drawing.title}. {_in_words(rows)}"})  # fmt: skip
    return found


def _in_words(rows: Sequence[Row], split: str = "test") -> str:
    """The key numbers at T = 1, for a reader who does not see the figures."""
    here = table.select(rows, split=split, temperature=1.0)
    parts = []
    for alpha in alphas(here):
        forced, beam = (table.select(here, alpha=alpha, mode=mode) for mode in ("forced", "beam"))
        values = {
            "forced ECE": number(table.mean(row.record.bins.ece() for row in forced), 3),
            "perplexity": number(table.mean(row.record.perplexity for row in forced), 1),
            "BLEU": number(table.mean(row.record.bleu["score"] if row.record.bleu else None for row in beam), 1),
        }
        known = ", ".join(f"{name} {value}" for name, value in values.items() if value)
        parts.append(f"Smoothing {alpha:g} at T = 1: {known or 'not measured'}.")
    return " ".join(parts)


def _summary(findings: Sequence[claims.Finding], rows: Sequence[Row]) -> str:
    """The verdicts in a sentence, and the claims that do not hold at this scale in another."""
    count = Counter(finding.verdict for finding in findings)
    sentence = f"Of {len(findings)} claims: {', '.join(f'{n} {verdict}' for verdict, n in count.most_common())}."
    refuted = [f"{f.claim.number} ({f.claim.words})" for f in findings if f.verdict == "not reproduced"]
    updates = sorted({row.record.updates for row in rows if row.record.updates})
    if refuted:
        scale = f"{rows[0].record.corpus}" + (f", {updates[-1]} updates" if updates else "")
        sentence += f" At this scale ({scale}) these do not hold, which is a finding: {'; '.join(refuted)}."
    return sentence


def _cards(findings: Sequence[claims.Finding]) -> list[dict[str, str]]:
    cards = []
    for finding, line in zip(findings, claims.cells(findings), strict=True):
        title, where, paper, _, estimate, interval, of = line
        cards.append({"title": title, "where": where, "paper": paper, "verdict": finding.verdict, "why": finding.why,
                      "estimate": estimate, "interval": interval, "of": of})  # fmt: skip
    return cards


def _missing(name: str, header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    if name == "advice":  # where there is no other temperature, there is none to choose
        return []
    return [
        f"{row[0]}{', T ' + row[1] if name == 'main' else ''}: {column}"
        for row in cells
        for column, cell in zip(header, row, strict=True)
        if not cell
    ]


if __name__ == "__main__":
    sys.exit(main())
