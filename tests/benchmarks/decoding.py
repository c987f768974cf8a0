"""BLEU and beam ECE at nine temperatures with mt_ls.measure, against nine runs of stock fairseq-generate."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import sacrebleu
from checkpoints import CHECKPOINT, DATA, stock_twin
from harness import DEVICE, Row, alternate, row, run, seconds, tool

from analysis import rows as table

TEMPERATURES = [f"{0.7 + 0.1 * i:.1f}" for i in range(9)]
DEVICE_OPTIONS = ["--cpu"] if DEVICE == "cpu" else []


def benchmark(rounds: int = 3) -> list[Row]:
    """Whole commands, start-up included; then how many hypotheses and how much BLEU differ."""
    with tempfile.TemporaryDirectory() as folder:
        stock = stock_twin(folder)
        records: list[Path] = []
        texts: dict[str, dict[int, str]] = {}

        def ours() -> None:
            records.append(Path(tempfile.mkdtemp(dir=folder)) / "records.jsonl")
            run(
                [
                    sys.executable,
                    "-m",
                    "mt_ls.measure",
                    str(DATA),
                    "--path",
                    str(CHECKPOINT),
                    "--gen-subset",
                    "test",
                    "--fit-subset",
                    "none",
                    "--modes",
                    "beam",
                    "--beam",
                    "5",
                    "--temperatures",
                    *TEMPERATURES,
                    "--records",
                    str(records[-1]),
                    *DEVICE_OPTIONS,
                ]
            )

        def theirs() -> None:
            for temperature in TEMPERATURES:
                texts[temperature] = generate(stock, temperature)

        times = alternate(lambda: seconds(ours), lambda: seconds(theirs), rounds, 0)
        found = compare(records[-1], texts)
    print(
        f"decoding: {found['identical']} of {found['n']} hypotheses identical; BLEU differs by at most "
        f"{found['bleu_difference']:.3f}"
    )
    return [
        row(
            "decoding",
            f"{DATA.name} test, beam 5, 9 temperatures",
            "9 runs of fairseq-generate",
            *times,
            "s",
            target="<= 0.20",
            **found,
        )
    ]


def generate(checkpoint: Path, temperature: str) -> dict[int, str]:
    """Stock hypotheses by sentence; the stock task leaves some out."""
    text = run(
        [
            tool("fairseq-generate"),
            str(DATA),
            "--user-dir",
            "mt_ls",
            "--task",
            "translation",
            "--path",
            str(checkpoint),
            "--gen-subset",
            "test",
            "--beam",
            "5",
            "--max-tokens",
            "4000",
            "--temperature",
            temperature,
            "--remove-bpe",
            "sentencepiece",
            "--scoring",
            "sacrebleu",
            *DEVICE_OPTIONS,
        ]
    )
    return {int(sentence): line for sentence, line in re.findall(r"^H-(\d+)\t[^\t]*\t(.*)$", text, re.M)}


def compare(records: Path, theirs: dict[str, dict[int, str]]) -> dict[str, float]:
    """Identical hypotheses of how many, and the greatest difference of BLEU over the sentences that both have."""
    n = identical = 0
    difference = 0.0
    references = (DATA / "text" / "test.de").read_text(encoding="utf-8").split("\n")[:-1]
    for measured in table.load([records]):
        ours = measured.hypotheses() or []
        stock = theirs[f"{measured.record.temperature:.1f}"]
        n += len(stock)
        identical += sum(ours[sentence] == line for sentence, line in stock.items())
        pairs = [(ours[sentence], line, references[sentence]) for sentence, line in sorted(stock.items())]
        our_lines, their_lines, gold = (list(side) for side in zip(*pairs, strict=True))
        bleu = [sacrebleu.corpus_bleu(lines, [gold]).score for lines in (our_lines, their_lines)]
        difference = max(difference, abs(bleu[0] - bleu[1]))
    return {"n": n, "identical": identical, "bleu_difference": difference}
