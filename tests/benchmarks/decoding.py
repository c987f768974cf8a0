"""BLEU and beam ECE at nine temperatures with mt_ls.measure, against nine runs of stock fairseq-generate."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import sacrebleu
from harness import DEVICE_OPTIONS, ROOT, Row, alternate, module, row, run, seconds, tool

from mt_ls.records import read
from mt_ls.records.items import read_items

DATA = Path(os.environ.get("DATA", ROOT / "data-bin" / "home_assistant"))
CHECKPOINT = Path(
    os.environ.get("CHECKPOINT", ROOT / "runs" / "home_assistant_a0.10_s1" / "checkpoints" / "checkpoint_last.pt")
)


def stock_twin(folder: str) -> Path:
    """The checkpoint as the stock criterion and task would have written it. Ends with one line if there is none."""
    if not CHECKPOINT.is_file() or not DATA.is_dir():
        raise SystemExit(
            f"benchmark: no checkpoint {CHECKPOINT} or no data {DATA}: run bash recipes/quickstart.sh first, or name "
            "others with CHECKPOINT=FILE DATA=FOLDER"
        )
    import fairseq  # noqa: F401
    import torch
    from fairseq.tasks.translation import TranslationConfig

    import mt_ls.plugin  # noqa: F401

    state = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)
    cfg: Any = state["cfg"]
    cfg["criterion"] = {
        "_name": "label_smoothed_cross_entropy",
        "label_smoothing": 0.1,
        "report_accuracy": False,
        "ignore_prefix_size": 0,
        "sentence_avg": False,
    }
    known = {field.name for field in dataclasses.fields(TranslationConfig)}
    cfg["task"] = {**{name: value for name, value in cfg["task"].items() if name in known}, "_name": "translation"}
    cfg["model"].task = "translation"
    cfg["model"].criterion = "label_smoothed_cross_entropy"
    path = Path(folder) / "stock.pt"
    torch.save(state, path)
    return path


TEMPERATURES = [f"{0.7 + 0.1 * i:.1f}" for i in range(9)]
Hypotheses = dict[int, str]


def benchmark(rounds: int = 3) -> list[Row]:
    """Whole commands, start-up included; then how many hypotheses and how much BLEU differ."""
    with tempfile.TemporaryDirectory() as folder:
        stock = stock_twin(folder)
        records: list[Path] = []
        hypotheses: dict[str, Hypotheses] = {}

        def all_at_once() -> None:
            records.append(Path(tempfile.mkdtemp(dir=folder)) / "records.jsonl")
            measure(records[-1])

        def one_by_one() -> None:
            for temperature in TEMPERATURES:
                hypotheses[temperature] = generate(stock, temperature)

        times = alternate(lambda: seconds(all_at_once), lambda: seconds(one_by_one), rounds, 0)
        comparison = compare(records[-1], hypotheses)
    print(
        f"decoding: {comparison['identical']} of {comparison['n']} hypotheses identical; BLEU differs by at most "
        f"{comparison['bleu_difference']:.3f}"
    )
    case, against = f"{DATA.name} test, beam 5, 9 temperatures", "9 runs of fairseq-generate"
    return [row("decoding", case, against, *times, "s", target="<= 0.20", **comparison)]


def measure(records: Path) -> None:
    """Measure all temperatures with mt_ls."""
    options = ["--gen-subset", "test", "--fit-subset", "none", "--modes", "beam", "--beam", "5"]
    options += ["--temperatures", *TEMPERATURES, "--records", str(records), *DEVICE_OPTIONS]
    run(module("mt_ls.measure", DATA, "--path", CHECKPOINT, *options))


def generate(checkpoint: Path, temperature: str) -> Hypotheses:
    """Stock hypotheses by the number of the sentence; the stock task leaves some out."""
    options = ["--user-dir", "mt_ls", "--task", "translation", "--gen-subset", "test", "--beam", "5"]
    options += ["--max-tokens", "4000", "--temperature", temperature, "--remove-bpe", "sentencepiece"]
    options += ["--scoring", "sacrebleu", *DEVICE_OPTIONS]
    text = run(tool("fairseq-generate", DATA, "--path", checkpoint, *options))
    return {int(sentence): line for sentence, line in re.findall(r"^H-(\d+)\t[^\t]*\t(.*)$", text, re.M)}


def compare(records: Path, stock: dict[str, Hypotheses]) -> dict[str, float]:
    """The number of hypotheses, how many are identical, and the greatest difference of BLEU over the sentences that
    both have."""
    n = identical = 0
    difference = 0.0
    references = (DATA / "text" / "test.de").read_text(encoding="utf-8").split("\n")[:-1]
    for record in read(records):
        items = read_items(records.parent, record)
        assert items is not None and items.text is not None
        baseline = stock[f"{record.temperature:.1f}"]
        n += len(baseline)
        identical += sum(items.text[sentence] == line for sentence, line in baseline.items())
        rows = [(items.text[sentence], line, references[sentence]) for sentence, line in sorted(baseline.items())]
        *both, targets = (list(column) for column in zip(*rows, strict=True))
        bleu = [sacrebleu.corpus_bleu(lines, [targets]).score for lines in both]
        difference = max(difference, abs(bleu[0] - bleu[1]))
    return {"n": n, "identical": identical, "bleu_difference": difference}
