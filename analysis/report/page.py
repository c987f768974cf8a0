"""The report of a study: its figures and tables as files, and one page that holds all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mt_ls.records import written_whole

from .. import claims
from ..claims.rule import Verdict
from ..figures import colours, drawings, svg
from ..figures.layout import Drawing, save
from ..quantities import ACCURACY, BLEU, ECE, PERPLEXITY
from ..rows import main_search, select
from ..study import Study
from ..tables import tables
from ..tables.layout import Table
from . import slider


def write(study: Study, out: Path) -> str:
    """Write figures, tables and report.html under ``out``; return the tables as text.

    By run there are no claims: they are about the paper's models, and not about someone's own.
    """
    verdicts = claims.verdicts(study) if study.by == "model" else []
    figures, missing = _figures(study, out / "figures")
    shown = tables(study)
    for table in shown:
        with written_whole(out / "tables" / f"{table.name}.txt") as path:
            path.write_text(table.text() + "\n", encoding="utf-8")
    missing += [cell for table in shown for cell in _missing(table)]
    explored = slider.data(study)
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("page.html.jinja")
    records = [row.record for row in study.rows]
    page = template.render(
        title="Audit" if study.by == "run" else "When does label smoothing help?",
        corpus=study.corpus,
        n_records=len(records),
        n_runs=len({record.run for record in records}),
        summary=_summary(study, verdicts) if verdicts else "",
        claims=_claims(verdicts),
        colours=Markup(colours.style_sheet()),
        figures=figures,
        tables=shown,
        missing=missing,
        columns=explored["columns"],
        measured=Markup(slider.embedded(explored)),
        signatures=sorted({record.signature for record in records}),
        commits=sorted({record.sha["code"][:12] for record in records}),
        versions=sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
    )
    with written_whole(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return "\n\n".join(table.text() for table in shown)


def _figures(study: Study, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures as the page shows them, and the names of those whose records were not measured."""
    shown, missing, numbers = [], [], in_words(study)
    for drawing in drawings(study):
        if drawing.figure is None:
            missing.append(f"figure “{drawing.title}”: its records were not measured")
        else:
            shown.append(_figure(drawing, numbers, folder))
    return shown, missing


def _figure(drawing: Drawing, numbers: str, folder: Path) -> dict[str, Any]:
    assert drawing.figure is not None
    document = save(drawing.figure, folder, drawing.name)[0].read_text(encoding="utf-8")
    return {
        "title": drawing.title,
        "how": drawing.how,
        "paper": drawing.paper,
        "svg": Markup(svg.inline(document, drawing.name)),
        "alt": f"{drawing.title}. {numbers}",
    }


def in_words(study: Study, split: str = "test") -> str:
    """The key numbers of each model at T = 1, for a reader who does not see the figures."""
    sentences = []
    for entry in study.with_rows(main_search(study.rows)).untaught:
        rows = entry.select(split=split, temperature=1.0)
        forced, beam = select(rows, mode=study.forced_mode), select(rows, mode="beam")
        if study.is_of_images:
            accuracy = ACCURACY.mean(forced)
            percent = "" if accuracy is None else f"{100 * accuracy:.2f} %"
            values = {"accuracy": percent, "ECE": ECE.text(ECE.mean(forced))}
        else:
            values = {
                "forced ECE": ECE.text(ECE.mean(forced), 3),
                "perplexity": PERPLEXITY.text(PERPLEXITY.mean(forced), 1),
                "BLEU": BLEU.text(BLEU.mean(beam)),
            }
        known = ", ".join(f"{name} {value}" for name, value in values.items() if value)
        sentences.append(f"{entry.label} at T = 1: {known or 'not measured'}.")
    return " ".join(sentences)


def _summary(study: Study, verdicts: Sequence[Verdict]) -> str:
    """The verdicts in a sentence, and the claims that do not hold at this scale in another."""
    count = Counter(verdict.word for verdict in verdicts)
    sentence = f"Of {len(verdicts)} claims: {', '.join(f'{n} {word}' for word, n in count.most_common())}."
    refuted = [f"{f.claim.number} ({f.claim.words})" for f in verdicts if f.word == "not reproduced"]
    updates = sorted({row.record.updates for row in study.rows if row.record.updates})
    if refuted:
        scale = study.corpus + (f", {updates[-1]} updates" if updates else "")
        sentence += f" At this scale ({scale}) these do not hold: {'; '.join(refuted)}."
    return sentence


def _claims(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    shown = []
    for verdict, line in zip(verdicts, claims.cells(verdicts), strict=True):
        title, where, paper, _, estimate, interval, of = line
        shown.append(
            {
                "title": title,
                "where": where,
                "paper": paper,
                "verdict": verdict.word,
                "why": verdict.why,
                "estimate": estimate,
                "interval": interval,
                "of": of,
            }
        )
    return shown


def _missing(table: Table) -> list[str]:
    return [
        f"{row[0]}{', T ' + row[1] if table.name == 'main' else ''}: {column}"
        for row in table.cells
        for column, cell in zip(table.header, row, strict=True)
        if table.whole and not cell
    ]
