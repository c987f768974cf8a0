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
from ..advice import advice
from ..claims.rule import Verdict
from ..figures import colours, drawings, svg
from ..figures.layout import Drawing, save
from ..quantities import ACCURACY, BLEU, ECE, PERPLEXITY
from ..rows import select
from ..study import Study
from ..tables import tables
from ..tables.layout import Table
from . import slider
from .answer import answer

_MAIN = ("main", "accuracy")
"""The names of the main tables, of translations and of images."""


def write(study: Study, out: Path) -> str:
    """Write figures, tables and report.html under ``out``; return what a terminal shows: words and the main table.

    It shows every split that the study can report on, side by side. By run it is an audit: a sentence of advice for
    each run comes first, and there are no claims, which are about the paper's models and not about someone's own.
    """
    parts = [study.on(split) for split in study.splits]
    audited = study.by == "run" and not study.is_of_images
    verdicts = claims.verdicts(parts[0]) if study.by == "model" else []
    advised = advice(study) if audited else []
    answered = answer(study)
    figures, missing = _figures(parts, out / "figures")
    # Those of several splits are the same from every part.
    shown = [table for part in parts for table in tables(part) if table.split or part is parts[0]]
    of_tables = _tables(shown, out / "tables")
    missing += [cell for table in shown for cell in _missing(table, len(parts) > 1)]
    explored = slider.data(parts)
    page = _template().render(
        title=_title(study),
        n_records=len(study.rows),
        n_runs=len({row.record.run for row in study.rows}),
        advice=advised,
        answer=answered,
        fitted_on=study.fitted_on,
        summary=_summary(study, verdicts) if verdicts else "",
        claims=_claims(verdicts),
        colours=Markup(colours.style_sheet()),
        figures=figures,
        tables=of_tables,
        missing=missing,
        compares=study.by == "model",
        columns=explored["columns"],
        measured=Markup(slider.embedded(explored)),
        **_sources(study),
    )
    with written_whole(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return _on_a_terminal([*map(str, advised), *answered], shown)


def _template() -> jinja2.Template:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("page.html.jinja")


def _title(study: Study) -> str:
    if study.by == "model":
        return f"{study.corpus}: when does label smoothing help?"
    names = [entry.label for entry in study.entries]
    return f"Audit of {', '.join(names)}" if len(names) <= 3 else f"Audit of {len(names)} models"


def _sources(study: Study) -> dict[str, list[str]]:
    """The signatures, commits and versions behind the numbers."""
    records = [row.record for row in study.rows]
    return {
        "signatures": sorted({record.signature for record in records}),
        "commits": sorted({record.sha["code"][:12] for record in records}),
        "versions": sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
    }


def _on_a_terminal(sentences: Sequence[str], shown: Sequence[Table]) -> str:
    """The sentences, and the main table of each split; the other tables are files."""
    of_main = [f"{table.heading}\n{table.text()}" for table in shown if table.name in _MAIN]
    return "\n\n".join(["\n".join(sentences)] * bool(sentences) + of_main)


def _figures(parts: Sequence[Study], folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures as the page shows them, and the titles of those whose records were not measured."""
    by_name: dict[str, list[tuple[Study, Drawing]]] = {}
    for part in parts:
        for drawing in drawings(part):
            by_name.setdefault(drawing.name, []).append((part, drawing))
    shown, missing = [], []
    for of_name in by_name.values():
        drawn = [(part, drawing) for part, drawing in of_name if drawing.figure is not None]
        first = of_name[0][1]
        if not drawn:
            missing.append(f"figure “{first.title}”: its records were not measured")
            continue
        drawn = drawn if first.split else drawn[:1]
        files = [_figure(part, drawing, folder, len(drawn) > 1) for part, drawing in drawn]
        shown.append({"heading": first.heading(len(drawn) == 1), "drawing": first, "parts": files})
    return shown, missing


def _figure(part: Study, drawing: Drawing, folder: Path, several: bool) -> dict[str, Any]:
    assert drawing.figure is not None
    name = f"{drawing.name}_{part.split}" if several else drawing.name
    document = save(drawing.figure, folder, name)[0].read_text(encoding="utf-8")
    return {
        "split": part.split if several else "",
        "svg": Markup(svg.inline(document, name)),
        "alt": f"{drawing.title}. {in_words(part)}",
    }


def _tables(shown: Sequence[Table], folder: Path) -> list[dict[str, Any]]:
    """The tables as the page shows them: those of one name, of several splits, together. Each one is a file, too."""
    by_name: dict[str, list[Table]] = {}
    for table in shown:
        by_name.setdefault(table.name, []).append(table)
    sections = []
    for name, of_name in by_name.items():
        several = len(of_name) > 1
        for table in of_name:
            with written_whole(folder / (f"{name}_{table.split}.txt" if several else f"{name}.txt")) as path:
                path.write_text(table.text() + "\n", encoding="utf-8")
        heading = of_name[0].title if several else of_name[0].heading
        sections.append({"heading": heading, "several": several, "parts": of_name})
    return sections


def in_words(study: Study) -> str:
    """The key numbers of each model at T = 1, for a reader who does not see the figures."""
    sentences = []
    for entry in study.of_main_search.untaught:
        rows = entry.select(split=study.split, temperature=1.0)
        forced, beam = select(rows, mode=study.forced_mode), select(rows, mode="beam")
        if study.is_of_images:
            accuracy = ACCURACY.mean(forced)
            percent = "" if accuracy is None else f"{100 * accuracy:.2f} %"
            values = {"accuracy": percent, "ECE": ECE.text(ECE.mean(forced))}
        else:
            values = {
                "forced ECE": ECE.text(ECE.mean(forced), 3),
                "perplexity": PERPLEXITY.text(PERPLEXITY.mean(forced), 1),
                "beam ECE": ECE.text(ECE.mean(beam), 3),
                "BLEU": BLEU.text(BLEU.mean(beam)),
            }
        known = ", ".join(f"{name} {value}" for name, value in values.items() if value)
        sentences.append(f"{entry.label} at T = 1: {known or 'not measured'}.")
    return " ".join(sentences)


def _summary(study: Study, verdicts: Sequence[Verdict]) -> str:
    """The verdicts in a sentence, and the parts of claims that do not hold at this scale in another."""
    count = Counter(verdict.word for verdict in verdicts)
    sentence = f"Of {len(verdicts)} parts of claims: {', '.join(f'{n} {word}' for word, n in count.most_common())}."
    refuted = [claims.part_in_words(verdict) for verdict in verdicts if verdict.word == "not reproduced"]
    updates = sorted({row.record.updates for row in study.rows if row.record.updates})
    if refuted:
        scale = study.corpus + (f", {updates[-1]} updates" if updates else "")
        sentence += f" At this scale ({scale}) these do not hold: {'; '.join(refuted)}."
    return sentence


def _claims(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Each claim with its parts, as the page shows them."""
    return [
        {
            "title": claims.heading(claim),
            "parts": [
                {
                    "words": claims.part_in_words(verdict),
                    "verdict": verdict.word,
                    "why": verdict.why,
                    "numbers": dict(zip(claims.HEADER[2:], claims.numbers(verdict), strict=True)),
                }
                for verdict in of_claim
            ],
        }
        for claim, of_claim in claims.by_claim(verdicts)
    ]


def _missing(table: Table, several: bool) -> list[str]:
    """The empty cells of a table, by line and column, and of several splits by split."""
    on = f" on {table.split}" if several and table.split else ""
    return [
        f"{row[0]}{', T ' + row[1] if table.name == 'main' else ''}: {column}{on}"
        for row in table.cells
        for column, cell in zip(table.header, row, strict=True)
        if table.whole and not cell
    ]
