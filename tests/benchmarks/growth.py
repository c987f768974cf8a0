"""Cost over size: the criterion over vocabulary and tokens, mt_ls.measure over the size of the corpus."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import criterion
import sentencepiece
from harness import ROOT, Row, alternate, module, row, run, seconds, watched
from matplotlib import ticker
from matplotlib.axis import Axis

from analysis.figures import layout
from analysis.figures.colours import BLUE
from analysis.tables.benchmarks import results

VOCABULARIES = (1_000, 8_000, 32_000, 128_000)
TOKENS = (512, 2_048, 8_192, 16_384)
SENTENCES = (1_000, 10_000, 100_000)
WIDTH = 128


def benchmark() -> list[Row]:
    """Rows, and the figure recipes/benchmarks.svg."""
    rows = [*_criterion([(2_048, WIDTH, v) for v in VOCABULARIES]), *_criterion([(n, WIDTH, 8_000) for n in TOKENS])]
    rows += _measure()
    _draw([*(r for r in results() if r["benchmark"] != "growth"), *rows])
    return rows


def _criterion(sizes: list[tuple[int, int, int]], rounds: int = 3) -> list[Row]:
    rows = []
    for size in sizes:
        inputs = criterion.problem(*size)
        case = "criterion; N, D, V = {}, {}, {}".format(*size)
        sides = [
            lambda inputs=inputs, loss=loss: seconds(lambda: criterion.step(loss, inputs))
            for loss in criterion.LOSSES.values()
        ]
        times = alternate(*sides, rounds)
        more = {"n": size[0], "v": size[2]}
        rows.append(row("growth", case, "stock", *times, "s", **more))
        memory = [[criterion.peak(name, size)] for name in criterion.LOSSES]
        rows.append(row("growth", case, "stock", *memory, "MB, extra peak memory", **more))
    return rows


def _measure() -> list[Row]:
    """Time and peak memory of forced and beam mode at T = 1 on repeated synthetic sentences, against the smallest."""
    run(["bash", "recipes/synthetic/run.sh"], env={**os.environ, "SCALE": "smoke"})
    data = ROOT / "data-bin" / "synthetic_smoke"
    checkpoint = ROOT / "runs" / "synthetic_smoke_a0.10_s1" / "checkpoints" / "checkpoint_last.pt"
    options = ["--path", checkpoint, "--cpu", "--fit-subset", "none"]
    costs = []
    for n in SENTENCES:
        with tempfile.TemporaryDirectory() as folder:
            corpus = _repeated(data, Path(folder), n)
            costs.append(watched(module("mt_ls.measure", corpus, *options, "--records", f"{folder}/records.jsonl")))
    rows = []
    for n, (duration, memory) in zip(SENTENCES, costs, strict=True):
        case, first = f"measure; {n:,} sentences", f"{SENTENCES[0]:,} sentences"
        rows.append(row("growth", case, first, [duration], [costs[0][0]], "s", sentences=n))
        rows.append(row("growth", case, first, [memory], [costs[0][1]], "MB, peak memory", sentences=n))
    return rows


def _repeated(data: Path, folder: Path, n: int) -> Path:
    """The data folder with a test set of ``n`` sentences, those of the original in turn."""
    out = folder / "data"
    out.mkdir()
    for name in ("dict.en.txt", "dict.de.txt", "spm.model"):
        shutil.copy(data / name, out / name)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(data / "spm.model"))
    (out / "text").mkdir()
    for language in ("en", "de"):
        lines = (data / "text" / f"test.{language}").read_text(encoding="utf-8").splitlines()
        lines = (lines * (n // len(lines) + 1))[:n]
        (out / "text" / f"test.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        pieces = (" ".join(encoded) for encoded in processor.encode(lines, out_type=str))
        (folder / f"test.{language}").write_text("".join(f"{line}\n" for line in pieces), encoding="utf-8")
    languages = ["--source-lang", "en", "--target-lang", "de"]
    dictionaries = ["--srcdict", out / "dict.en.txt", "--tgtdict", out / "dict.de.txt"]
    places = ["--testpref", folder / "test", "--destdir", out / "bin"]
    run(module("fairseq_cli.preprocess", *languages, *dictionaries, *places))
    for file in (out / "bin").glob("test.*"):
        file.rename(out / file.name)
    return out


def _draw(rows: list[Row]) -> None:
    growth = [r for r in rows if r["benchmark"] == "growth"]
    figure, axes = layout.new(2, 3, width=11, height=5.6)
    columns = (
        ("v", "classes", lambda r: r.get("n") == 2_048),
        ("n", "tokens", lambda r: r.get("v") == 8_000),
        ("sentences", "sentences", lambda r: "sentences" in r),
    )
    for column, (key, label, belongs) in enumerate(columns):
        for line, unit in enumerate(("s", "MB")):
            axis = axes[line][column]
            points = sorted(
                (r for r in growth if key in r and belongs(r) and r["unit"].startswith(unit)), key=lambda r: r[key]
            )
            curves = (("mt_ls", "mt_ls", BLUE), ("baseline", "stock criterion", "0.5"))
            for field, name, colour in curves[: 1 if key == "sentences" else 2]:
                xs, ys = [r[key] for r in points], [r[field] for r in points]
                axis.plot(xs, ys, marker="o", ms=3, color=colour, label=name)
            axis.set(xscale="log", yscale="log", xlabel=label, ylabel="seconds" if unit == "s" else points[0]["unit"])
            _tick(axis.xaxis, (1,))
            _tick(axis.yaxis, (1, 2, 5))
    titles = ("criterion, 2 048 tokens", "criterion, 8 000 classes", "mt_ls.measure")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    axes[0][0].legend(frameon=False)
    layout.save(figure, ROOT / "recipes", "benchmarks")
    (ROOT / "recipes" / "benchmarks.png").unlink()


def _tick(axis: Axis, digits: tuple[int, ...]) -> None:
    """Ticks at powers of ten times these digits, as plain numbers."""
    axis.set_major_locator(ticker.LogLocator(subs=digits))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
