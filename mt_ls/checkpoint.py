"""A fairseq translation checkpoint, its task and its data: what a measurement needs, with every failure in one line."""

import contextlib
import functools
import io
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import fairseq
import torch
from fairseq import checkpoint_utils, utils

from . import _fairseq  # noqa: F401  (lets checkpoints load)
from .records import code_hash, sha256_of, versions


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
        try:
            # fairseq prints nothing useful on failure, and raises whatever the unpickler does.
            with contextlib.redirect_stdout(io.StringIO()):
                state = checkpoint_utils.load_checkpoint_to_cpu(str(path))
            self.cfg = state["cfg"]
            overrides = {"data": str(self.data)}
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise MeasureError(f"{path}: not a fairseq checkpoint ({reason[0][:120]})") from None
        try:
            models, self.cfg, self.task = checkpoint_utils.load_model_ensemble_and_task([str(path)], overrides)
        except (RuntimeError, FileNotFoundError, AssertionError, AttributeError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise MeasureError(
                f"{path}: does not fit the data in {self.data} (another dictionary?): {reason[-1].strip()[:160]}"
            ) from None
        self.device = torch.device("cuda" if torch.cuda.is_available() and not options.cpu else "cpu")
        self.models = [model.eval().to(self.device) for model in models]
        self.pad = self.task.target_dictionary.pad()
        self.subwords = subword_scheme(self.task.target_dictionary)
        self.options = options
        self.fields = self._describe(state, path)

    def _describe(self, state, path: Path) -> Dict[str, Any]:
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
            "device": str(self.device),
            "versions": versions("torch", "numpy", "sacrebleu", "sentencepiece") | {"fairseq": fairseq.__version__},
            "sha": {"data": self.data_hash, "checkpoint": sha256_of(path), "code": code_hash()},
        }

    @functools.cached_property
    def manifest(self) -> Dict[str, Any]:
        path = self.data / "manifest.json"
        return json.loads(path.read_text()) if path.exists() else {}

    @property
    def data_hash(self) -> str:
        """The manifest's, or that of the dictionaries and the test files where the data is not ours."""
        files = sorted([*self.data.glob("dict.*.txt"), *self.data.glob(f"{self.options.gen_subset}.*")])
        return self.manifest.get("hash") or sha256_of(*files)

    def batches(self, split: str) -> Iterator[Dict[str, Any]]:
        """Every sentence of a split, in batches on the device. Raises MeasureError for a split that is not there,
        and if a sentence would be lost."""
        dataset = self.dataset(split)
        positions = (self.task.max_positions(), *(model.max_positions() for model in self.models))
        iterator = self.task.get_batch_iterator(
            dataset,
            max_tokens=self.options.max_tokens,
            max_sentences=self.options.batch_size,
            max_positions=utils.resolve_max_positions(*positions),
            ignore_invalid_inputs=True,
            required_batch_size_multiple=1,
            disable_iterator_cache=True,
        )
        lost = len(dataset) - sum(len(batch) for batch in iterator.frozen_batches)
        if lost:
            raise MeasureError(
                f"{self.data}: split {split}: {lost} of {len(dataset)} sentences are longer than the model's "
                "positions; shorten or remove them, so that no score leaves them out in silence"
            )
        for sample in iterator.next_epoch_itr(shuffle=False):
            yield utils.move_to_cuda(sample) if self.device.type == "cuda" else sample

    def dataset(self, split: str):
        """The fairseq data set of a split."""
        if split not in self.task.datasets:
            try:
                self.task.load_dataset(split)
            except FileNotFoundError:
                names = sorted({file.name.split(".")[0] for file in self.data.glob("*.*-*.*.idx")})
                raise MeasureError(f"{self.data}: no split {split!r}; it has {', '.join(names)}") from None
        return self.task.datasets[split]

    def text_of(self, ids) -> str:
        """The text of token ids, subwords joined."""
        return self.task.target_dictionary.string(ids, self.subwords, escape_unk=True)

    @torch.no_grad()
    def logits(self, split: str) -> Iterator[Tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Teacher-forced (logits (N, K), targets (N,), sentence of each token (N,)), PAD left out."""
        for sample in self.batches(split):
            target = sample["target"]
            real = target.ne(self.pad)
            sentence = sample["id"].unsqueeze(1).expand_as(target)
            yield self.models[0](**sample["net_input"])[0][real], target[real], sentence[real]


_UNITS = {"sentencepiece": "spm", "subword_nmt": "bpe", "none": "word"}


def subword_scheme(dictionary) -> str:
    """How fairseq's ``--post-process`` names the subwords of a dictionary: "sentencepiece" (pieces that begin with
    "▁"), "subword_nmt" (pieces that end with "@@"), or "none" (whole words)."""
    symbols = dictionary.symbols[dictionary.nspecial :]
    if any(symbol.startswith("▁") for symbol in symbols):
        return "sentencepiece"
    return "subword_nmt" if any(symbol.endswith("@@") for symbol in symbols) else "none"


def references(model: Checkpoint, split: str) -> List[str]:
    """The reference text of each sentence: the untokenised text beside the data, or the decoded target elsewhere."""
    dataset = model.dataset(split)
    path = model.data / "text" / f"{split}.{model.task.cfg.target_lang}"
    if path.exists():
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        if len(lines) != len(dataset):
            raise MeasureError(f"{path}: {len(lines)} lines, but the split has {len(dataset)} sentences")
        return lines
    targets = (dataset[i]["target"] for i in range(len(dataset)))
    return [model.text_of(target[target != model.pad]) for target in targets]
