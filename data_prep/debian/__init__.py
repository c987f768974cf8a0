"""An English-German corpus from Debian's packages: messages, help, descriptions, and the dialogue of stories.

- `manifest`: the pinned files. `download`: from a folder, or by apt. `archive`: the files in a package.
- `readers`: texts in both languages. `sentences`: their pairs and the filters. `splits`: valid and test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from .. import DataError, binarise, clean, corpora, sources, text
from ..corpora import Corpus
from . import download, readers
from .manifest import KINDS, TABLE, Package, packages
from .sentences import HeldOut, Sentence, filters, of_text
from .splits import split

_VERSION = 2
"""Another number makes all data anew: raise it with a change of what is read, removed or held out."""
_DDTP = "see https://www.debian.org/international/l10n/ddtp"


class Cleaned(NamedTuple):
    """The pairs of each split, the steps of cleaning, and the licences by package."""

    splits: dict[str, list[Sentence]]
    steps: list[clean.Step]
    licences: dict[str, str]


def prepare(
    corpus: Corpus, out: Path, *, source: str | None, seed: int, vocab_size: int, n_pairs: int | None = None
) -> None:
    """Write the data folder ``out``, unless it already holds the same data.

    ``source`` is a folder with the files of the table, or with those of a packages.tsv in it; ``n_pairs`` is the size
    of train, None for all of it. Valid, test, subwords and dictionary do not depend on it. Raises DataError for a file
    that is missing or is not the pinned one, and for more pairs than there are.
    """
    files = _files(source or sources.local_copy(corpus.name))
    inputs = {package.file: package.sha256 for package in files}
    described = text.description(corpus, None, inputs, seed, vocab_size)
    described["settings"] |= {"pairs": n_pairs, "version": _VERSION}
    with sources.scratch_beside(out) as aside:
        if text.is_up_to_date(out, described):
            return
        cleaned = read(files, seed)
        print(clean.table(cleaned.steps))
        counts = _write(cleaned.splits, n_pairs, aside)
        described |= {
            "cleaning": [step._asdict() for step in cleaned.steps],
            "packages": _by_package(cleaned),
            "pairs": counts["train"],
            "parts": {name: Counter(s.kind for s in cleaned.splits[name]) for name in ("valid", "test")},
        }
        text.finish(out, aside, counts, described, aside / "whole")


def _files(source: str | None) -> dict[Package, Path]:
    """The files by package: from the folder ``source``, which may have a table of its own, or from Debian."""
    if source is None:
        return download.from_debian(packages())
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"{source}: no such folder; --source takes a folder with the packages of Debian")
    own = folder / TABLE.name
    return download.from_folder(folder, packages(own if own.exists() else TABLE))


def read(files: Mapping[Package, Path], seed: int) -> Cleaned:
    """The cleaned pairs of all files in their splits: train, valid and test, and "literary", which is a test set.

    Train has no English sentence of the others, without case, digits and punctuation, and no long source that differs
    from one of theirs in one word, as descriptions of packages of one family do.
    """
    licences: dict[str, str] = {}
    kept = clean.Filters(filters())
    sentences = [sentence for sentence in _sentences(files, licences) if kept.keep(sentence)]
    literary = [sentence for sentence in sentences if sentence.kind == "literary"]
    splits = split([sentence for sentence in sentences if sentence.kind != "literary"], seed)
    rest = splits.pop("rest")
    held_out = HeldOut(sentence.source for sentence in (*splits["valid"], *splits["test"], *literary))
    of_train = clean.Filters(
        {
            "a sentence of another split": held_out.has_sentence_of,
            "one word from another split": held_out.has_neighbour_of,
        }
    )
    splits = {**splits, "train": [s for s in splits["train"] if of_train.keep(s)], "literary": literary}
    clean.check_not_empty({name: len(pairs) for name, pairs in splits.items()})
    steps = kept.steps()
    for step in (clean.Step("rest of a held-out package", len(rest), 0), *of_train.steps()[1:]):
        steps.append(step._replace(left=steps[-1].left - step.removed))
    return Cleaned(splits, steps, licences)


def _sentences(files: Mapping[Package, Path], licences: dict[str, str]) -> Iterator[Sentence]:
    """The sentence pairs of all files, kind by kind; ``licences`` is filled by package on the way.

    Stories come first: of a source that stands in several files, the first one counts.
    """
    by_name = {package.name: path for package, path in files.items()}
    for package in tqdm(sorted(files, key=lambda p: KINDS.index(p.kind)), desc="reading", unit="file", disable=None):
        if package.name.endswith("-en") or package.name.endswith("-en-us"):
            continue  # the English half of two files
        texts, licences[package.name] = _texts(package, by_name)
        for paragraph in texts:
            yield from of_text(paragraph, package.kind, package.name)


def _texts(package: Package, paths: Mapping[str, Path]) -> tuple[list[readers.Text], str]:
    """The texts of a package, whose English half may be another file, and its licences."""
    if package.kind == "descriptions":
        english, german = (download.text_of_index(paths[f"Translation-{language}"]) for language in corpora.LANGUAGES)
        return readers.descriptions(english, german), _DDTP
    if package.kind == "help":
        return readers.help_pages(paths["libreoffice-help-en-us"], paths["libreoffice-help-de"])
    return readers.messages(paths[package.name])


def _write(splits: Mapping[str, list[Sentence]], n_pairs: int | None, folder: Path) -> dict[str, int]:
    """Write the text of each split, with ``n_pairs`` of train, and the origins beside it; all of train in "whole"."""
    n_train = len(splits["train"])
    if n_pairs is not None and not 0 < n_pairs <= n_train:
        raise DataError(f"--pairs {n_pairs}: train has {n_train} pairs; give a number from 1 to {n_train}")
    (folder / "whole").mkdir()
    binarise.write_text(folder / "whole", {"train": [sentence.pair for sentence in splits["train"]]})
    used = {**splits, "train": splits["train"][:n_pairs]}
    counts = binarise.write_text(folder, {name: [sentence.pair for sentence in of] for name, of in used.items()})
    for name, of_split in used.items():
        lines = (f"{sentence.kind}\t{sentence.package}\t{sentence.group}\n" for sentence in of_split)
        (folder / "text" / f"{name}.origin").write_text("".join(lines), encoding="utf-8")
    return counts


def _by_package(cleaned: Cleaned) -> dict[str, dict[str, Any]]:
    """Licences, kind, pairs and words of both languages by package, over all splits."""
    sentences: Sequence[Sentence] = [sentence for of_split in cleaned.splits.values() for sentence in of_split]
    n_pairs = Counter(sentence.package for sentence in sentences)
    n_words = [Counter[str](), Counter[str]()]
    for sentence in sentences:
        for counter, side in zip(n_words, sentence.pair, strict=True):
            counter[sentence.package] += len(side.split())
    kinds = {sentence.package: sentence.kind for sentence in sentences}
    return {
        package: {
            "kind": kinds[package],
            "licences": cleaned.licences[package],
            "pairs": n_pairs[package],
            **{f"words_{language}": of[package] for language, of in zip(corpora.LANGUAGES, n_words, strict=True)},
        }
        for package in sorted(n_pairs)
    }
