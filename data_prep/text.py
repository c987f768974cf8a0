"""The preparation of a corpus: read, clean, split, and binarise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from . import binarise, clean, corpora, sources
from .corpora import Corpus


def prepare(
    corpus: Corpus, out: Path, *, source: str | None, seed: int, vocab_size: int, n_pairs: int | None = None
) -> None:
    """Write the data folder ``out``, unless it already holds the same data.

    ``source`` replaces the corpus's own source; ``n_pairs`` is the size of train of synthetic data. Raises DataError
    for input that is no parallel text.
    """
    with sources.scratch_beside(out) as aside:
        counts, inputs, cleaning = _write_text(corpus, source, seed, n_pairs, aside)
        steps = [step._asdict() for step in cleaning]
        described = description(corpus, source, inputs, seed, vocab_size) | {"cleaning": steps}
        if is_up_to_date(out, described):
            return
        print(clean.table(cleaning))
        finish(out, aside, counts, described)


def description(
    corpus: Corpus, source: str | None, inputs: dict[str, str], seed: int, vocab_size: int
) -> dict[str, Any]:
    """The beginning of a manifest: the corpus, the hashes of the input by file, and the settings."""
    return {
        "corpus": corpus.name,
        "source": corpus.source if source is None else Path(source).name,
        "revision": corpus.revision,
        "licence": corpus.licence,
        "inputs": inputs,
        "settings": {
            "vocab_size": vocab_size,
            "model_type": corpus.model_type,
            "seed": seed,
            "max_words": clean.MAX_WORDS,
        },
    }


def is_up_to_date(out: Path, described: dict[str, Any]) -> bool:
    """Whether a data folder has what is described; then it says so on stderr."""
    if not sources.is_up_to_date(out, described):
        return False
    print(f"data_prep: {out} is up to date", file=sys.stderr)
    return True


def finish(
    out: Path, aside: Path, counts: dict[str, int], described: dict[str, Any], whole: Path | None = None
) -> None:
    """Binarise the text in ``aside`` (see `binarise.build`), move it to ``out``, and print its sizes."""
    manifest = binarise.build(aside, counts, described, whole)
    sources.move_into_place(aside, out)
    sizes = ", ".join(f"{name} {n}" for name, n in counts.items())
    print(f"data_prep: {out}: {sizes}; data hash {manifest['hash'][:8]}")


def _write_text(
    corpus: Corpus, source: str | None, seed: int, n_pairs: int | None, folder: Path
) -> tuple[dict[str, int], dict[str, str], list[clean.Step]]:
    """Write the cleaned text of each split into ``folder``. Return the number of pairs of each split, the hashes of the
    input by file, and the steps of cleaning."""
    source = source or sources.local_copy(corpus.name)
    raw, inputs = corpora.read(corpus, source, seed, n_pairs)
    text_hash = corpora.TextHash()
    if "all" in raw:
        cleaning = clean.Cleaning(folder)
        pairs = cleaning.kept(text_hash.passing("all", raw["all"]))
        splits: corpora.Splits = {**clean.split(pairs, corpus.held_out or 0, seed)}
        counts = binarise.write_text(folder, splits)
    else:
        given = {split: list(pairs) for split, pairs in raw.items() if split != "train"}
        held_out, keys = clean.held_out(given)
        cleaning = clean.Cleaning(folder, keys)
        train = cleaning.kept(text_hash.passing("train", raw["train"]))
        counts = binarise.write_text(folder, {"train": train, **held_out})
        for split in given:
            text_hash.add(split, given[split])
    clean.check_not_empty(counts)
    digest = text_hash.hexdigest()
    if not corpora.is_published(corpus, source, digest):
        print(
            f"data_prep: note: the hub's {corpus.name} differs from the text of the published records "
            f"({digest[:8]}, not {(corpus.sha256 or '')[:8]}): expect other numbers",
            file=sys.stderr,
        )
    return counts, {**inputs, "text": digest}, cleaning.steps()
