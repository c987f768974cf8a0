"""A fairseq translation checkpoint, its task and its data: what a measurement needs, with every failure in one line."""

import contextlib
import functools
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fairseq
import torch
from fairseq import checkpoint_utils, utils

from .. import plugin  # noqa: F401  (registers its classes, lets checkpoints load)
from ..records.record import Measurement, code_hash, sha256_of, versions
from ..weights import broken_entry, weights_hash
from .workers import Workers

WINDOW_SENTENCES = 4096
_SUBSET_BATCH = 24


class Window(NamedTuple):
    """Consecutive sentences of a split: the number of the first, how many, and their batches, or this worker's of them.
    ``collate`` makes a batch of given sentences."""

    first: int
    n: int
    batches: list[dict[str, Any]]
    collate: Callable[[list[int]], dict[str, Any]]

    @property
    def sentences(self) -> set[int]:
        """The numbers of the sentences in the batches."""
        return {i for sample in self.batches for i in sample["id"].tolist()}

    def all_in(self, found: Iterable[int]) -> list[int]:
        """The sentences found, in order. Raises MeasureError unless they are those of the window."""
        ordered = sorted(found)
        if ordered != list(range(self.first, self.first + self.n)):
            raise MeasureError(f"of sentences {self.first} to {self.first + self.n - 1} {len(ordered)} were measured")
        return ordered

    def subset(self, sentences: set[int]) -> "Window":
        """The same window with batches of these sentences only, filled anew: a step of a search costs the same for
        one sentence as for a few."""
        chosen = [i for sample in self.batches for i in sample["id"].tolist() if i in sentences]
        starts = range(0, len(chosen), _SUBSET_BATCH)
        return self._replace(batches=[self.collate(chosen[start : start + _SUBSET_BATCH]) for start in starts])


class MeasureError(Exception):
    """What cannot be measured: the message is one line that says why and how to mend it."""


class Checkpoint:
    """A model, its task, and what its records say about it. Raises MeasureError for what cannot be loaded."""

    def __init__(self, options) -> None:
        self.data = Path(options.data)
        path = Path(options.path)
        if not path.is_file():
            raise MeasureError(f"{path}: no such checkpoint")
        if not self.data.is_dir():
            raise MeasureError(f"{self.data}: no such data folder; make it with python -m data_prep")
        broken = broken_entry(path)
        if broken:
            raise MeasureError(f"{path}: cut short or changed: {broken}; take another checkpoint or a copy")
        try:
            # fairseq prints nothing useful on failure, and raises whatever the unpickler does.
            with contextlib.redirect_stdout(io.StringIO()):
                state = checkpoint_utils.load_checkpoint_to_cpu(str(path))
            self.cfg, weights = state["cfg"], state["model"]
            overrides = {"data": str(self.data)}
        except Exception as error:
            raise MeasureError(f"{path}: {_why_not_loaded(error)}") from None
        try:
            models, self.cfg, self.task = checkpoint_utils.load_model_ensemble_and_task([str(path)], overrides)
        except (RuntimeError, FileNotFoundError, AssertionError, AttributeError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise MeasureError(
                f"{path}: does not fit the data in {self.data} (another dictionary?): {reason[-1].strip()[:160]}"
            ) from None
        self.workers = Workers()
        cuda = torch.cuda.is_available() and not options.cpu
        self.device = torch.device(f"cuda:{self.workers.local_rank}" if cuda else "cpu")
        self.models = [model.eval().to(self.device) for model in models]
        self.pad = self.task.target_dictionary.pad()
        self.subwords = subword_scheme(self.task.target_dictionary)
        self.options = options
        self.fields = self._describe(state, path, weights_hash(weights))

    def _describe(self, state, path: Path, weights: str) -> dict[str, Any]:
        criterion = self.cfg.criterion
        name = getattr(criterion, "_name", "")
        history = state.get("optimizer_history") or [{}]
        return {
            "run": self.options.run or path.resolve().parent.parent.name,
            "corpus": self.manifest.get("corpus", self.data.name),
            "alpha": float(getattr(criterion, "label_smoothing", 0.0)),
            "convention": str(getattr(criterion, "smoothing_convention", "fairseq")) if name else None,
            "seed": int(self.cfg.common.seed),
            "updates": history[-1].get("num_updates"),
            "unit": _UNITS[self.subwords],
            "device": self.device.type,
            "versions": versions("torch", "numpy", "sacrebleu", "sentencepiece") | {"fairseq": fairseq.__version__},
            "sha": {"data": self.data_hash, "checkpoint": weights, "code": code_hash()},
        }

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """What `data_prep` says of the data; empty where the data is not its own."""
        path = self.data / "manifest.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not all(isinstance(found[key], str) and found[key] for key in ("corpus", "hash")):
                raise ValueError("no corpus or no hash")
        except (ValueError, KeyError, TypeError) as error:
            raise MeasureError(f"{path}: not a manifest ({error}); make the data again: python -m data_prep") from None
        return found

    @property
    def data_hash(self) -> str:
        """The manifest's, or that of the dictionaries and the test files where the data is not ours."""
        files = sorted([*self.data.glob("dict.*.txt"), *self.data.glob(f"{self.options.gen_subset}.*")])
        return self.manifest.get("hash") or sha256_of(*files)

    def windows(self, split: str, shared: bool = True) -> Iterator[Window]:
        """Every sentence of a split once, in order, a window at a time, its batches sorted by length and on the
        device; ``shared``: of the batches those of this worker. So what a caller keeps of a window does not grow with
        the corpus.

        Raises MeasureError for a split that is not there, and if a sentence would be lost.
        """
        dataset = self.dataset(split)

        def collate(sentences: list[int]) -> dict[str, Any]:
            sample = dataset.collater([dataset[i] for i in sentences])
            return utils.move_to_cuda(sample, self.device) if self.device.type == "cuda" else sample

        order = dataset.ordered_indices()
        positions = utils.resolve_max_positions(
            self.task.max_positions(), *(model.max_positions() for model in self.models)
        )
        _, lost = dataset.filter_indices_by_size(order, positions)
        if lost:
            raise MeasureError(
                f"{self.data}: split {split}: {len(lost)} of {len(dataset)} sentences are longer than the model's "
                "positions; shorten or remove them, so that no score leaves them out in silence"
            )
        for start in range(0, len(dataset), WINDOW_SENTENCES):
            within = order[(order >= start) & (order < start + WINDOW_SENTENCES)]
            batches = dataset.batch_by_size(
                within,
                max_tokens=self.options.max_tokens,
                max_sentences=self.options.batch_size,
                required_batch_size_multiple=1,
            )
            ours = self.workers.share(list(batches)) if shared else batches
            yield Window(start, len(within), [collate(list(batch)) for batch in ours], collate)

    def made(self, record: Measurement, split: str) -> bool:
        """Whether a record is of this checkpoint, data and split."""
        ours = self.fields["sha"]
        return record.split == split and all(record.sha[key] == ours[key] for key in ("checkpoint", "data"))

    def dataset(self, split: str):
        """The fairseq data set of a split."""
        if split not in self.task.datasets:
            try:
                self.task.load_dataset(split)
            except FileNotFoundError:
                names = sorted({file.name.split(".")[0] for file in self.data.glob("*.*-*.*.idx")})
                raise MeasureError(f"{self.data}: no split {split!r}; it has {', '.join(names)}") from None
        dataset = self.task.datasets[split]
        # fairseq shuffles sentences of equal length, of every set but test: each worker, and each run, another way.
        dataset.shuffle = False
        return dataset

    def references(self, split: str) -> list[str]:
        """The text of each reference: untokenised where it stands beside the data, the decoded target elsewhere."""
        dataset = self.dataset(split)
        path = self.data / "text" / f"{split}.{self.task.cfg.target_lang}"
        if path.exists():
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            if len(lines) != len(dataset):
                raise MeasureError(f"{path}: {len(lines)} lines, but the split has {len(dataset)} sentences")
            return lines
        targets = (dataset[i]["target"] for i in range(len(dataset)))
        return [self.text_of(target[target != self.pad]) for target in targets]

    def text_of(self, ids) -> str:
        """The text of token ids, subwords joined."""
        return self.task.target_dictionary.string(ids, self.subwords, escape_unk=True)


def _why_not_loaded(error: Exception) -> str:
    foreign = re.search(r"(?:GLOBAL|class) ([\w.]+\.\w+)", str(error))  # torch's words for what it does not unpickle
    if foreign:
        return (
            f"asks for {foreign[1]}, which fairseq's checkpoints do not need, and was not loaded: unpickling it can "
            "run any code. If you trust who made the file, put TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 before this command"
        )
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return f"not a fairseq checkpoint ({reason[0][:120]})"


_UNITS = {"sentencepiece": "spm", "subword_nmt": "bpe", "none": "word"}


def subword_scheme(dictionary) -> str:
    """How fairseq's ``--post-process`` names the subwords of a dictionary: "sentencepiece" (pieces that begin with
    "▁"), "subword_nmt" (pieces that end with "@@"), or "none" (whole words)."""
    symbols = dictionary.symbols[dictionary.nspecial :]
    if any(symbol.startswith("▁") for symbol in symbols):
        return "sentencepiece"
    return "subword_nmt" if any(symbol.endswith("@@") for symbol in symbols) else "none"
