"""A folder of two translations, BLEU 27.89, as `mt_ls.measure.text` reads it."""

import json

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
