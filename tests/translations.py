"""A folder of two translations, BLEU 27.89, as `mt_ls.measure.text` reads it."""

import json
import re

from commands import command, run

HYPOTHESES = ["Das Haus ist rot .", "Ein Hund"]
REFERENCES = ["Das Haus war rot .", "Ein Hund läuft"]
TOKENS = [["▁Das", "▁Ha", "us", "▁ist", "▁rot", "▁.", "</s>"], ["ĠEin", "Hu@@", "nd", "</s>"]]


def write_translations(folder, tokens=TOKENS, references=REFERENCES, probability=0.5):
    """Write the folder, with one probability of every token."""
    folder.mkdir(exist_ok=True)
    (folder / "hypotheses.txt").write_text("".join(f"{line}\n" for line in HYPOTHESES))
    (folder / "references.txt").write_text("".join(f"{line}\n" for line in references))
    lines = [
        json.dumps({"sentence": i, "token": token, "probability": probability})
        for i, own in enumerate(tokens)
        for token in own
    ]
    (folder / "tokens.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_generated(folder, data, checkpoint, split):
    """Write the folder with what fairseq-generate prints. Returns its lines of each mark, "H", "T" and "P", without the
    mark, by the sentence in digits."""
    options = ("--user-dir", "mt_ls", "--gen-subset", split, "--beam", "2", "--batch-size", "64", "--cpu")
    process = run(command("fairseq-generate", data, "--path", checkpoint, *options))
    assert process.returncode == 0, process.stderr[-2000:]
    folder.mkdir(exist_ok=True)
    (folder / f"generate-{split}.txt").write_text(process.stdout)
    found = {mark: dict(re.findall(rf"^{mark}-(\d+)\t(.*)$", process.stdout, re.M)) for mark in "HTP"}
    for name, mark in (("hypotheses.txt", "H"), ("references.txt", "T")):
        pieces = [found[mark][str(i)].split("\t")[-1] for i in range(len(found[mark]))]
        lines = [own.replace(" ", "").replace("▁", " ").strip() for own in pieces]
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return found
