"""A fairseq translation checkpoint with its task and its data, as a `TranslationModel`.

This is the one module of the package that imports fairseq. Each failure is a MeasureError of one line.
"""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import fairseq
import numpy as np
import torch
from fairseq import checkpoint_utils, utils
from fairseq.data.data_utils import infer_language_pair
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY
from fairseq.tasks.translation import TranslationTask
from fairseq.tasks.translation_lev import TranslationLevenshteinTask

from ..plugin.batches import on_device
from ..plugin.hypotheses import token_probabilities  # importing the plugin lets checkpoints load
from ..plugin.projection import output_projection
from ..records import Model, code_hash, versions
from ..smoothing.chunks import chunk_rows
from ..weights import broken_entry, weights_hash
from .binarised import UNITS, load_split, read_manifest, sizes, split_hash, subword_scheme
from .configuration import FAMILY, architecture_of, precision_of, seed_of, smoothing_of, why_not_loaded
from .ctranslate2_search import CTranslate2Search
from .fairseq_search import FairseqSearch
from .names import checkpoint_family, printable, run_name
from .paths import check_checkpoint, check_paths
from .protocol import BatchLimits, ForcedTokens, MeasureError, Provenance, Search

_CPU_TOKENS = 4000
"""Tokens of a batch on a CPU."""


class FairseqModel:
    """The model of the checkpoint file ``path`` on the binarised folder ``data``; see `TranslationModel`.

    ``run`` names the run in the records, by default `run_name`. Raises MeasureError for a checkpoint or a folder that
    cannot be loaded.
    """

    max_length = 200
    """fairseq's default limit of a hypothesis, in tokens before EOS."""

    def __init__(
        self,
        path: str | Path,
        data: str | Path,
        limits: BatchLimits | None = None,
        device: torch.device | None = None,
        run: str | None = None,
    ) -> None:
        path, self.data = Path(path), Path(data)
        loaded = _load(path, self.data)
        self.cfg, self.task = loaded.cfg, loaded.task
        self.device = device or torch.device("cpu")
        self.network = loaded.network.eval().to(self.device)
        self.source_dictionary = self.task.source_dictionary
        self.target_dictionary = self.task.target_dictionary
        self.eos = self.target_dictionary.eos()
        self.n_classes = len(self.target_dictionary)
        self.projection = output_projection(self.network)
        self._pad = self.target_dictionary.pad()
        self._subwords = subword_scheme(self.target_dictionary)
        self.limits = limits or BatchLimits()
        self._manifest = read_manifest(self.data)
        self._orders: dict[str, tuple[np.ndarray, int]] = {}
        self._decoded: dict[str, list[str]] = {}
        self._weights, self._updates = loaded.weights, loaded.updates
        self._seed = _of_training(path, "seed", seed_of, self.cfg.common)
        self._code = code_hash()
        self._run = run or run_name(path)
        pairs, vocabulary = sizes(self._manifest)
        self._model = Model(
            corpus=self._manifest.get("corpus") or printable(Path(os.path.abspath(self.data)).name),
            architecture=architecture_of(self.cfg.model),
            smoothing=_of_training(path, "label smoothing", smoothing_of, self.cfg.criterion),
            precision=precision_of(self.cfg.common),
            checkpoint=loaded.family or checkpoint_family(path),
            pairs=pairs,
            vocabulary=vocabulary,
        )

    def provenance(self, split: str) -> Provenance:
        """See `TranslationModel`. Data without a manifest is known by its dictionaries and the files of the split."""
        data_hash = self._manifest.get("hash") or split_hash(self.data, split)
        return Provenance(
            run=self._run,
            model=self._model,
            seed=self._seed,
            updates=self._updates,
            unit=UNITS[self._subwords],
            device=self.device.type,
            sha={"data": data_hash, "checkpoint": self._weights, "code": self._code},
            versions=versions("torch", "numpy", "sacrebleu", "sentencepiece") | {"fairseq": fairseq.__version__},
            parts=self._manifest.get("parts", {}).get(split),
        )

    def n_sentences(self, split: str) -> int:
        """See `TranslationModel`."""
        return len(self._dataset(split))

    def batches(self, split: str, sentences: range) -> list[list[int]]:
        """See `TranslationModel`. Sentences of similar length share a batch."""
        order, longest = self._order(split)
        batches = self._dataset(split).batch_by_size(
            order[(order >= sentences.start) & (order < sentences.stop)],
            max_tokens=self.limits.max_tokens or max(self._device_tokens, longest),
            max_sentences=self.limits.max_sentences,
            required_batch_size_multiple=1,
        )
        return [[int(sentence) for sentence in batch] for batch in batches]

    @torch.no_grad()
    def forced(self, split: str, sentences: list[int]) -> ForcedTokens:
        """See `TranslationModel`. Without a projection the logits are log-probabilities."""
        sample = self.collated(split, sentences)
        real = sample["target"].ne(self._pad)
        sentence = sample["id"].unsqueeze(1).expand_as(real)[real]
        # Places are found before the batch moves: a mask on a GPU would make the host wait for its number of them.
        moved = (sample, sample["target"][real], sentence, real.nonzero(as_tuple=True))
        sample, target, sentence, places = self.on_device(moved)
        if self.projection is None:
            states = self.network.get_normalized_probs(self.network(**sample["net_input"]), log_probs=True)
        else:
            states = self.network(**sample["net_input"], features_only=True)[0]
        return ForcedTokens(states[places], target, sentence)

    def search(self, beam: int, lenpen: float, precision: str | None = None) -> Search:
        """See `TranslationModel`."""
        return FairseqSearch(self, beam, lenpen, precision)

    def fast_search(self, beam: int, lenpen: float) -> Search:
        """See `TranslationModel`."""
        return CTranslate2Search(self, beam, lenpen)

    def token_probabilities(
        self, split: str, sentences: list[int], hypotheses: list[torch.Tensor], temperature: float
    ) -> list[torch.Tensor]:
        """See `TranslationModel`. One teacher-forced pass over the hypotheses."""
        sample = self.collated(split, sentences)
        rows = sample["id"].tolist()  # the collater sorts a batch by length
        sample = self.on_device(sample)
        ids = dict(zip(sentences, hypotheses, strict=True))
        ranked = token_probabilities([self.network], sample, [[{"tokens": ids[row]}] for row in rows], temperature)
        probabilities = {row: best.probability for row, (best,) in zip(rows, ranked, strict=True)}
        return [probabilities[sentence] for sentence in sentences]

    def target(self, split: str, sentence: int) -> list[int]:
        """See `TranslationModel`."""
        ids = self._dataset(split)[sentence]["target"].tolist()
        return [token for token in ids if token not in (self._pad, self.eos)]

    def text_of(self, ids: torch.Tensor) -> str:
        """See `TranslationModel`."""
        return self.target_dictionary.string(ids, self._subwords, escape_unk=True)

    def references(self, split: str) -> list[str]:
        """See `TranslationModel`: the file text/SPLIT.LANGUAGE beside the data, or else the decoded targets."""
        n = self.n_sentences(split)
        path = self.data / "text" / f"{split}.{self.task.cfg.target_lang}"
        if path.exists():
            try:
                lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            except (OSError, UnicodeDecodeError) as error:
                raise MeasureError(f"{path}: cannot be read: {error}") from None
            if len(lines) != n:
                raise MeasureError(f"{path}: {len(lines)} lines, but the split has {n} sentences")
            return lines
        if split not in self._decoded:
            self._decoded[split] = [self.text_of(torch.tensor(self.target(split, sentence))) for sentence in range(n)]
        return self._decoded[split]

    def token_id(self, token: str) -> int | None:
        """See `TranslationModel`."""
        return self.target_dictionary.index(token) if token in self.target_dictionary else None

    def source_tokens(self, split: str, sentence: int) -> list[str]:
        """Return the tokens of a source sentence, without EOS."""
        special = (self.source_dictionary.pad(), self.source_dictionary.eos())
        ids = self._dataset(split)[sentence]["source"].tolist()
        return [self.source_dictionary[token] for token in ids if token not in special]

    def collated(self, split: str, sentences: list[int]) -> dict[str, Any]:
        """Return fairseq's batch of these sentences, on the CPU. A sentence may occur several times."""
        dataset = self._dataset(split)
        items = {sentence: dataset[sentence] for sentence in dict.fromkeys(sentences)}
        sample = dataset.collater([items[sentence] for sentence in sentences])
        sides = (
            (sample["net_input"]["src_tokens"], self.source_dictionary),
            (sample["target"], self.target_dictionary),
        )
        for ids, dictionary in sides:
            greatest, n = int(ids.max()), len(dictionary)
            if greatest >= n:  # the embedding of such a token would be an error of the device
                raise MeasureError(
                    f"{self.data}: split {split} has a token {greatest}, and a dictionary only {n}: the dictionary is "
                    "another one than that of the data"
                )
        return sample

    def on_device(self, sample: Any) -> Any:
        """Return a tensor, or what holds tensors, on the device of the model."""
        return on_device(sample, self.device)

    @property
    def _device_tokens(self) -> int:
        """The most tokens of a batch that suit the device."""
        return _CPU_TOKENS if self.device.type == "cpu" else chunk_rows(self.n_classes, self.device)

    def _dataset(self, split: str) -> Any:
        """fairseq's data set of a split."""
        if split not in self.task.datasets:
            load_split(self.task, split, self.data)
        return self.task.datasets[split]

    def _order(self, split: str) -> tuple[np.ndarray, int]:
        """The sentences of a split by length, and the number of tokens of the longest.

        Raises MeasureError if one is longer than the model's positions, or than the limit of a batch.
        """
        if split not in self._orders:
            dataset = self._dataset(split)
            order = dataset.ordered_indices()
            positions = utils.resolve_max_positions(self.task.max_positions(), self.network.max_positions())
            _, too_long = dataset.filter_indices_by_size(order, positions)
            if too_long:
                raise MeasureError(
                    f"{self.data}: split {split}: {len(too_long)} of {len(dataset)} sentences are longer than the "
                    "model's positions; shorten or remove them: a score of the others would not be one of the split"
                )
            lengths = dataset.num_tokens_vec(order)
            longest = int(lengths.max(initial=0))
            if self.limits.max_tokens and longest > self.limits.max_tokens:
                raise MeasureError(
                    f"--max-tokens {self.limits.max_tokens}: sentence {order[lengths.argmax()]} of {split} has "
                    f"{longest} tokens: allow at least {longest}"
                )
            self._orders[split] = order, longest
        return self._orders[split]


class _Loaded(NamedTuple):
    """The contents of a checkpoint: configuration, task, network, hash of the weights, number of updates, and the kind
    of checkpoint that it says it is."""

    cfg: Any
    task: Any
    network: Any
    weights: str
    updates: int | None
    family: str | None


def read_state(path: Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what fairseq saved in a checkpoint's file, with ``cfg`` and ``model``, as the present fairseq has it.

    ``overrides`` replace options of ``cfg``. Raises MeasureError for a file that is damaged, or no checkpoint.
    """
    check_checkpoint(path)
    broken = broken_entry(path)
    if broken:
        raise MeasureError(f"{path}: cut short or changed: {broken}; take another checkpoint or a copy")
    try:
        # On a failure fairseq prints lines that do not help, and raises any exception of the unpickler.
        with contextlib.redirect_stdout(io.StringIO()):
            state = checkpoint_utils.load_checkpoint_to_cpu(str(path), overrides)
        _ = state["cfg"], state["model"].items(), updates_of(state)
    except Exception as error:
        raise MeasureError(f"{path}: {why_not_loaded(error)}") from None
    if state["cfg"] is None:
        raise MeasureError(f"{path}: not a fairseq checkpoint: it holds no configuration")
    return state


def updates_of(state: dict[str, Any]) -> int | None:
    """Return the number of updates that a checkpoint has seen; None where it does not name it."""
    updates = (state.get("optimizer_history") or [{}])[-1].get("num_updates")
    return updates if isinstance(updates, int) else None


def _load(path: Path, data: Path) -> _Loaded:
    check_paths(data, path)
    state = read_state(path, {"data": str(data)})
    cfg, family = state["cfg"], state.get(FAMILY)
    try:
        weights = weights_hash(state["model"])
    except Exception as error:  # the values may be of any type
        raise MeasureError(f"{path}: {why_not_loaded(error)}") from None
    _check_task(path, data, cfg)
    try:
        models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], state=state)
    except Exception as error:  # fairseq raises any
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MeasureError(
            f"{path}: does not fit the data in {data} (another dictionary?): {reason[-1].strip()[:160]}"
        ) from None
    family = printable(family) if isinstance(family, str) else None
    return _Loaded(cfg, task, models[0], weights, updates_of(state), family)


def _check_task(path: Path, data: Path, cfg: Any) -> None:
    """Raise MeasureError for a checkpoint that is of no translation task and architecture, or of other languages."""
    name = getattr(cfg.task, "_name", None) or getattr(cfg.task, "task", None)
    task = TASK_REGISTRY.get(name)
    if task is None:
        raise MeasureError(f"{path}: is of the task {name}, which fairseq does not have here")
    if not issubclass(task, TranslationTask):
        raise MeasureError(f"{path}: is of the task {name}: only translation models can be measured")
    if issubclass(task, TranslationLevenshteinTask):
        raise MeasureError(f"{path}: is of the task {name}: only models that predict token after token can be measured")
    architecture = architecture_of(cfg.model)
    if architecture not in ARCH_MODEL_REGISTRY and architecture not in MODEL_REGISTRY:
        raise MeasureError(f"{path}: is of the architecture {architecture}, which fairseq does not have here")
    languages = [getattr(cfg.task, f"{side}_lang", None) for side in ("source", "target")]
    if None in languages and None in infer_language_pair(str(data)):
        raise MeasureError(f"{data}: no file SPLIT.SOURCE-TARGET.LANGUAGE.idx names a pair of languages")
    for language in languages:
        if language is not None and not (data / f"dict.{language}.txt").exists():
            names = ", ".join(sorted(file.name for file in data.glob("dict.*.txt")))
            raise MeasureError(
                f"{path}: translates {' to '.join(map(str, languages))}, and {data} has no dict.{language}.txt, "
                f"but {names}"
            )


T = TypeVar("T")


def _of_training(path: Path, what: str, read: Callable[[Any], T], cfg: Any) -> T:
    """The value that ``read`` finds in a checkpoint's configuration."""
    try:
        return read(cfg)
    except (ValueError, TypeError) as error:
        raise MeasureError(f"{path}: its configuration has no valid {what}: {error}") from None
