"""A fairseq translation checkpoint with its task and its data, as a `TranslationModel`.

This module and `fairseq_data` alone import fairseq. Each failure is a MeasureError of one line.
"""

import contextlib
import io
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

from ..calibration.confidence import TokenScores
from ..plugin.batches import on_device
from ..plugin.hypotheses import token_probabilities  # importing the plugin lets checkpoints load
from ..plugin.projection import output_projection
from ..records import Model, code_hash, versions
from ..smoothing.chunks import chunk_rows
from ..weights import broken_entry, weights_hash
from .configuration import FAMILY, architecture_of, precision_of, seed_of, smoothing_of, why_not_loaded
from .ctranslate2_search import CTranslate2Search
from .data import OnData
from .fairseq_data import FairseqData
from .fairseq_search import FairseqSearch
from .names import checkpoint_family, printable, run_name
from .paths import check_checkpoint, check_paths
from .protocol import BatchLimits, ForcedTokens, MeasureError, Provenance, Search

_CPU_TOKENS = 4000
"""Tokens of a batch on a CPU."""


class FairseqModel(OnData):
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
        path, folder = Path(path), Path(data)
        loaded = _load(path, folder)
        self.cfg, self.task = loaded.cfg, loaded.task
        self.device = device or torch.device("cpu")
        self.network = loaded.network.eval().to(self.device)
        self.data: FairseqData = FairseqData(folder, self.task)
        self.eos = self.data.eos
        self.n_classes = len(self.data.target_dictionary)
        self.projection = output_projection(self.network)
        self.limits = limits or BatchLimits()
        self._orders: dict[str, tuple[np.ndarray, int]] = {}
        self._weights, self._updates = loaded.weights, loaded.updates
        self._seed = _of_training(path, "seed", seed_of, self.cfg.common)
        self._smoothing = _of_training(path, "label smoothing", smoothing_of, self.cfg.criterion)
        self._code = code_hash()
        self._run = run or run_name(path)
        self._family = loaded.family or checkpoint_family(path)

    def provenance(self, split: str) -> Provenance:
        """See `TranslationModel`."""
        data = self.data.identity(split)
        model = Model(
            corpus=data.corpus,
            architecture=architecture_of(self.cfg.model),
            smoothing=self._smoothing,
            precision=precision_of(self.cfg.common),
            checkpoint=self._family,
            pairs=data.pairs,
            vocabulary=data.vocabulary,
        )
        return Provenance(
            run=self._run,
            model=model,
            seed=self._seed,
            updates=self._updates,
            unit=data.unit,
            device=self.device.type,
            sha={"data": data.sha, "checkpoint": self._weights, "code": self._code},
            versions=versions("torch", "numpy", "sacrebleu", "sentencepiece") | {"fairseq": fairseq.__version__},
            parts=data.parts,
        )

    def batches(self, split: str, sentences: range) -> list[list[int]]:
        """See `TranslationModel`. Sentences of similar length share a batch."""
        order, longest = self._order(split)
        batches = self.data.dataset(split).batch_by_size(
            order[(order >= sentences.start) & (order < sentences.stop)],
            max_tokens=self.limits.max_tokens or max(self._device_tokens, longest),
            max_sentences=self.limits.max_sentences,
            required_batch_size_multiple=1,
        )
        return [[int(sentence) for sentence in batch] for batch in batches]

    @torch.no_grad()
    def forced(self, split: str, sentences: list[int]) -> ForcedTokens:
        """See `TranslationModel`. Without a projection the logits are log-probabilities."""
        sample = self.data.collated(split, sentences)
        real = sample["target"].ne(self.data.pad)
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

    def token_scores(
        self, split: str, sentences: list[int], hypotheses: list[torch.Tensor], temperature: float
    ) -> list[TokenScores]:
        """See `TranslationModel`. One teacher-forced pass over the hypotheses."""
        sample = self.data.collated(split, sentences)
        rows = sample["id"].tolist()  # the collater sorts a batch by length
        sample = self.on_device(sample)
        ids = dict(zip(sentences, hypotheses, strict=True))
        tokens = [[{"tokens": ids[row]}] for row in rows]
        ranked = token_probabilities([self.network], sample, tokens, temperature, with_norms=True)
        scored = {
            row: TokenScores(best.probability, best.entropy, best.max_logit)
            for row, (best,) in zip(rows, ranked, strict=True)
        }
        return [scored[sentence] for sentence in sentences]

    def on_device(self, sample: Any) -> Any:
        """Return a tensor, or what holds tensors, on the device of the model."""
        return on_device(sample, self.device)

    @property
    def _device_tokens(self) -> int:
        """The most tokens of a batch that suit the device."""
        return _CPU_TOKENS if self.device.type == "cpu" else chunk_rows(self.n_classes, self.device)

    def _order(self, split: str) -> tuple[np.ndarray, int]:
        """The sentences of a split by length, and the number of tokens of the longest.

        Raises MeasureError if one is longer than the model's positions, or than the limit of a batch.
        """
        if split not in self._orders:
            dataset = self.data.dataset(split)
            order = dataset.ordered_indices()
            positions = utils.resolve_max_positions(self.task.max_positions(), self.network.max_positions())
            _, too_long = dataset.filter_indices_by_size(order, positions)
            if too_long:
                raise MeasureError(
                    f"{self.data.path}: split {split}: {len(too_long)} of {len(dataset)} sentences are longer than the "
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
