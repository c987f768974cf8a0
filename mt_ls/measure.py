"""python -m mt_ls.measure DATA --path CKPT --gen-subset test --temperatures 0.9 1.0 1.1 --records FILE

Calibration and translation quality of any fairseq translation checkpoint, trained with any criterion and task.

Forced mode: one teacher-forced pass gives NLL, accuracy, Brier and the bins of ECE at every temperature, and once
more at the temperature fitted on ``--fit-subset``. Beam mode: a search at each temperature, scored by sacrebleu on
detokenised text, with beam ECE. Every measurement is one line of FILE; lines that are there are not measured again.
"""

import argparse
import contextlib
import functools
import io
import json
import logging
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

if __name__ == "__main__":  # fairseq chats while it is imported
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")

import fairseq
import numpy as np
import sacrebleu
import torch
from fairseq import checkpoint_utils, utils
from tqdm import tqdm

from . import _fairseq  # noqa: F401  (lets checkpoints load)
from .alignment import align
from .calibration import Bins, bin_sums
from .generator import token_probabilities
from .records import Measurement, RecordError, append, code_hash, read, sha256_of, versions, written_whole
from .task import beam_bins, reference_tokens
from .temperature import at_temperatures, check_temperature, fit_temperature


class MeasureError(Exception):
    """What cannot be measured: the message is one line that says why and how to mend it."""


def main(arguments=None) -> int:
    """Measure one checkpoint; 0, or 2 with one line on stderr."""
    options = _options(arguments)
    try:
        for temperature in options.temperatures:
            check_temperature(temperature)
        model = Checkpoint(options)
        done = {record.key() for record in read(options.records)} if Path(options.records).exists() else set()
        if "forced" in options.modes:
            measure_forced(model, options, done)
        if "beam" in options.modes:
            measure_beam(model, options, done)
    except (MeasureError, RecordError, ValueError) as error:
        print(f"mt_ls.measure: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _options(arguments):
    parser = argparse.ArgumentParser(prog="python -m mt_ls.measure", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("data", help="binarised data folder")
    add("--path", required=True, help="checkpoint")
    add("--gen-subset", default="test", help="split to report on")
    add("--fit-subset", default="valid", help="split that the temperature is fitted on")
    add("--temperatures", type=float, nargs="+", default=[1.0])
    add("--modes", nargs="+", choices=("forced", "beam"), default=["forced", "beam"])
    add("--beam", type=int, default=5)
    add("--lenpen", type=float, default=1.0)
    add("--max-tokens", type=int, default=4000, help="target tokens a batch: memory and speed only")
    add("--batch-size", type=int, help="sentences a batch, if fewer: memory and speed only")
    add("--records", required=True, help="JSON lines file to append to")
    add("--run", help="name of the run (default: the folder above the checkpoint)")
    add("--cpu", action="store_true")
    return parser.parse_args(arguments)


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
        iterator = self.task.get_batch_iterator(
            dataset,
            max_tokens=self.options.max_tokens,
            max_sentences=self.options.batch_size,
            max_positions=utils.resolve_max_positions(
                self.task.max_positions(), *(model.max_positions() for model in self.models)
            ),
            required_batch_size_multiple=1,
            disable_iterator_cache=True,
        )
        if sum(len(batch) for batch in iterator.frozen_batches) != len(dataset):
            raise MeasureError(f"{self.data}: split {split}: not every sentence fits the model")
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

    @torch.no_grad()
    def logits(self, split: str) -> Iterator[Tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Teacher-forced (logits (N, K), targets (N,), sentence of each token (N,)), PAD left out."""
        for sample in self.batches(split):
            target = sample["target"]
            real = target.ne(self.pad)
            sentence = sample["id"].unsqueeze(1).expand_as(target)
            yield self.models[0](**sample["net_input"])[0][real], target[real], sentence[real]


def measure_forced(model: Checkpoint, options, done) -> None:
    """Records of the forced mode at each temperature that is not done, and at the fitted one."""
    split = options.gen_subset
    template = Measurement(
        **model.fields, mode="forced", split=split, temperature=1.0, bins=Bins.zeros(), n_tokens=0,
        n_sentences=len(model.dataset(split)), n_sentences_in_set=len(model.dataset(split)),
    )  # fmt: skip
    fitted_file = Path(options.records).with_name("fitted_temperature.json")
    fitted = _fitted(model, options, fitted_file)
    grid = sorted({*options.temperatures, 1.0, fitted})
    missing = [t for t in grid if replace(template, temperature=t).key() not in done]
    if not missing:
        return
    start = time.perf_counter()
    columns: Dict[float, List[Tuple[np.ndarray, ...]]] = {t: [] for t in missing}
    tokens: List[Tuple[np.ndarray, np.ndarray]] = []
    for logits, target, sentence in tqdm(model.logits(split), desc=f"forced {split}", unit="batch", disable=None):
        tokens.append((target.cpu().numpy(), sentence.cpu().numpy()))
        for temperature, found in zip(missing, at_temperatures(logits, target, missing), strict=True):
            columns[temperature].append(tuple(column.cpu().numpy() for column in found))
    token, sentence = (np.concatenate(part) for part in zip(*tokens, strict=True))
    order = np.argsort(sentence, kind="stable")
    seconds = time.perf_counter() - start
    for temperature in missing:
        nll, confidence, hit, brier = (np.concatenate(part)[order] for part in zip(*columns[temperature], strict=True))
        confidence = confidence.clip(max=1.0)
        arrays: Dict[str, np.ndarray]
        if temperature in (1.0, fitted):
            arrays = {"confidence": confidence.astype("f4"), "hit": hit, "sentence": sentence[order].astype("i4"),
                      "token": token[order].astype("i4"), "nll": nll.astype("f4")}  # fmt: skip
        else:
            arrays = {"sentence_bins": sentence_bins(confidence, hit, sentence[order])}
        _write(
            options.records,
            replace(
                template, temperature=temperature, bins=Bins.of(confidence, hit), n_tokens=len(nll),
                nll=float(nll.mean(dtype="f8")), perplexity=float(np.exp(nll.mean(dtype="f8"))),
                accuracy=float(hit.mean()), confidence=float(confidence.mean(dtype="f8")),
                brier=float(brier.mean(dtype="f8")), fitted_temperature=fitted, seconds=round(seconds, 2),
            ),
            arrays,
        )


def _fitted(model: Checkpoint, options, file: Path) -> float:
    """The temperature fitted on the fit split, kept beside the records: a resumed run must not fit another."""
    key = f"{model.fields['sha']['checkpoint'][:16]}-{model.fields['sha']['data'][:16]}-{options.fit_subset}"
    known = json.loads(file.read_text()) if file.exists() else {}
    if key not in known:
        model.dataset(options.fit_subset)
        batches = functools.partial(model.logits, options.fit_subset)
        known[key] = round(fit_temperature(lambda: ((z, y) for z, y, _ in batches())), 4)
        with written_whole(file) as path:
            path.write_text(json.dumps(known, indent=1) + "\n")
    return known[key]


def sentence_bins(confidence: np.ndarray, hit: np.ndarray, sentence: np.ndarray) -> np.ndarray:
    """(sentences, 3, bins) float32 sums of count, confidence and hits: what resampling sentences needs."""
    starts = np.flatnonzero(np.diff(sentence, prepend=-1))
    parts = zip(np.split(confidence, starts[1:]), np.split(hit, starts[1:]), strict=True)
    return np.stack([bin_sums(torch.from_numpy(c), torch.from_numpy(h)).numpy() for c, h in parts]).astype("f4")


def measure_beam(model: Checkpoint, options, done) -> None:
    """Records of the beam mode, one search at each temperature that is not done."""
    split = options.gen_subset
    n = len(model.dataset(split))
    for temperature in sorted({*options.temperatures, 1.0}):
        template = Measurement(
            **model.fields, mode="beam", split=split, temperature=temperature, bins=Bins.zeros(), n_tokens=0,
            n_sentences=n, n_sentences_in_set=n, beam=options.beam, lenpen=options.lenpen,
        )  # fmt: skip
        if template.key() in done:
            continue
        start = time.perf_counter()
        found = list(tqdm(_search(model, split, temperature), desc=f"beam {split} T={temperature:g}", total=n,
                          unit="sentence", disable=None))  # fmt: skip
        found.sort(key=lambda hypothesis: hypothesis["id"])
        by_class, left_out = beam_bins([h["aligned"] for h in found])
        texts = [h["text"] for h in found]
        _write(
            options.records,
            replace(
                template, bins=by_class["others"], bins_by_class=by_class, n_left_out=left_out,
                n_tokens=sum(len(h["aligned"][1]) for h in found), accuracy=by_class["others"].accuracy,
                confidence=by_class["others"].mean_confidence, seconds=round(time.perf_counter() - start, 2),
                **quality(texts, references(model, split)),
            ),
            {"sentence_bins": np.stack([_bins_of(h["aligned"]) for h in found]), "text": np.array(texts)},
        )


def _bins_of(aligned) -> np.ndarray:
    bins = beam_bins([aligned])[0]["others"]
    return np.stack((bins.count, bins.confidence, bins.hits)).astype("f4")


def _search(model: Checkpoint, split: str, temperature: float) -> Iterator[Dict[str, Any]]:
    options = model.options
    arguments = argparse.Namespace(beam=options.beam, lenpen=options.lenpen, temperature=temperature, nbest=1)
    generator = model.task.build_generator(model.models, arguments)
    dictionary = model.task.target_dictionary
    for sample in model.batches(split):
        hypotheses = [ranked[:1] for ranked in model.task.inference_step(generator, model.models, sample)]
        values = token_probabilities(model.models, sample, hypotheses, temperature)
        for row, sentence in enumerate(sample["id"].tolist()):
            ids = hypotheses[row][0]["tokens"].cpu()
            tokens = [dictionary[token] for token in ids.tolist()]
            ended = tokens[-1] == dictionary.eos_word
            flags = align(tokens[:-1] if ended else tokens, reference_tokens(dictionary, sample["target"][row]))
            size = len(tokens)
            aligned = (values[row][0].probability, flags.hit[:size], flags.kept[:size], ended)
            yield {"id": sentence, "text": _text(dictionary, ids), "aligned": aligned}


def _text(dictionary, tokens) -> str:
    return dictionary.string(tokens, "sentencepiece", escape_unk=True)


def references(model: Checkpoint, split: str) -> List[str]:
    """The untokenised reference of each sentence: the text beside the data, or the decoded target elsewhere."""
    dataset = model.dataset(split)
    path = model.data / "text" / f"{split}.{model.task.cfg.target_lang}"
    if path.exists():
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        if len(lines) != len(dataset):
            raise MeasureError(f"{path}: {len(lines)} lines, but the split has {len(dataset)} sentences")
        return lines
    pad = model.pad
    return [_text(model.task.target_dictionary, dataset[i]["target"][dataset[i]["target"] != pad])
            for i in range(len(dataset))]  # fmt: skip


def quality(texts: List[str], references: List[str]) -> Dict[str, Any]:
    """BLEU (cased, uncased), chrF and TER of detokenised text, each with sacrebleu's signature."""
    metrics = {
        "bleu": sacrebleu.BLEU(), "bleu_uncased": sacrebleu.BLEU(lowercase=True), "chrf": sacrebleu.CHRF(),
        "ter": sacrebleu.TER(case_sensitive=True),
    }  # fmt: skip
    scores: Dict[str, Any] = {}
    for name, metric in metrics.items():
        score = metric.corpus_score(texts, [references]).score
        scores[name] = {"score": score, "signature": str(metric.get_signature())}
    lengths = metrics["bleu"].corpus_score(texts, [references])
    return {**scores, "length_ratio": lengths.sys_len / lengths.ref_len}


def _write(records: str, measurement: Measurement, arrays: Dict[str, np.ndarray]) -> None:
    checkpoint = measurement.sha["checkpoint"][:8]
    name = f"{measurement.mode}_{measurement.split}_T{measurement.temperature:.4f}_{checkpoint}.npz"
    with written_whole(Path(records).with_name(name)) as path, open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    append(records, replace(measurement, arrays=name))


if __name__ == "__main__":
    sys.exit(main())
