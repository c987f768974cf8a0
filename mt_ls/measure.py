"""python -m mt_ls.measure DATA --path CKPT --gen-subset test --temperatures 0.9 1.0 1.1 --records FILE

Calibration and translation quality of any fairseq translation checkpoint, trained with any criterion and task.

Forced mode: one teacher-forced pass gives NLL, accuracy, Brier and the bins of ECE at every temperature, and once
more at the temperature fitted on ``--fit-subset``. Beam mode: a search at each temperature, scored by sacrebleu on
detokenised text, with beam ECE. Every measurement is one line of FILE; lines that are there are not measured again.
"""

import argparse
import functools
import json
import logging
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

if __name__ == "__main__":  # fairseq chats while it is imported
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")

import numpy as np
import sacrebleu
import torch
from tqdm import tqdm

from .calibration import Bins, bin_sums
from .checkpoint import Checkpoint, MeasureError, references
from .generator import JudgedHypothesis, beam_bins, judge, token_probabilities
from .records import Measurement, RecordError, append, read, written_whole
from .temperature import at_temperatures, check_temperature, fit_temperature


def main(arguments=None) -> int:
    """Measure one checkpoint; 0, or 2 with one line on stderr."""
    options = _options(arguments)
    try:
        for temperature in options.temperatures:
            check_temperature(temperature)
        model = Checkpoint(options)
        done = {record.key() for record in read(options.records)} if Path(options.records).exists() else set()
        fitted = _fitted(model, options)
        temperatures = sorted({*options.temperatures, 1.0, fitted})
        template = _template(model, options, fitted)
        if "forced" in options.modes:
            forced = replace(template, mode="forced")
            measure_forced(model, options, [replace(forced, temperature=t) for t in temperatures], done)
        if "beam" in options.modes:
            beam = replace(template, mode="beam", beam=options.beam, lenpen=options.lenpen)
            measure_beam(model, options, [replace(beam, temperature=t) for t in temperatures], done)
        key = template.key()[:3]  # this checkpoint on this split
        print(summary([record for record in read(options.records) if record.key()[:3] == key]))
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


def _template(model: Checkpoint, options, fitted: float) -> Measurement:
    """What all measurements of a run share."""
    n = len(model.dataset(options.gen_subset))
    return Measurement(
        **model.fields, mode="", split=options.gen_subset, temperature=1.0, bins=Bins.zeros(), n_tokens=0,
        n_sentences=n, n_sentences_in_set=n, fitted_temperature=fitted,
    )  # fmt: skip


def measure_forced(model: Checkpoint, options, planned: List[Measurement], done) -> None:
    """Fill in the planned forced measurements that are not done, from one pass over the split."""
    planned = [measurement for measurement in planned if measurement.key() not in done]
    if not planned:
        return
    split, missing = options.gen_subset, [measurement.temperature for measurement in planned]
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
    for template in planned:
        temperature = template.temperature
        nll, confidence, hit, brier = (np.concatenate(part)[order] for part in zip(*columns[temperature], strict=True))
        confidence = confidence.clip(max=1.0)
        arrays = {"sentence_bins": sentence_bins(confidence, hit, sentence[order])}
        if temperature in (1.0, template.fitted_temperature):
            arrays |= {"confidence": confidence.astype("f4"), "hit": hit, "sentence": sentence[order].astype("i4"),
                       "token": token[order].astype("i4"), "nll": nll.astype("f4")}  # fmt: skip
        _write(
            options.records,
            replace(
                template, bins=Bins.of(confidence, hit), n_tokens=len(nll),
                nll=float(nll.mean(dtype="f8")), perplexity=float(np.exp(nll.mean(dtype="f8"))),
                accuracy=float(hit.mean()), confidence=float(confidence.mean(dtype="f8")),
                brier=float(brier.mean(dtype="f8")), seconds=round(seconds, 2),
            ),
            arrays,
        )


def _fitted(model: Checkpoint, options) -> float:
    """The temperature fitted on the fit split, kept beside the records: a resumed run does not fit again."""
    file = Path(options.records).with_name("fitted_temperature.json")
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


def measure_beam(model: Checkpoint, options, planned: List[Measurement], done) -> None:
    """Fill in the planned beam measurements that are not done, one search each."""
    split = options.gen_subset
    for template in planned:
        temperature = template.temperature
        if template.key() in done:
            continue
        start = time.perf_counter()
        found = dict(tqdm(_search(model, split, temperature), desc=f"beam {split} T={temperature:g}",
                          total=template.n_sentences, unit="sentence", disable=None))  # fmt: skip
        judged = [found[sentence].judged for sentence in range(template.n_sentences)]
        texts = [model.text_of(found[sentence].ids) for sentence in range(template.n_sentences)]
        by_class = beam_bins(judged)
        sums = np.stack([hypothesis.bins()["others"].numpy() for hypothesis in judged])
        arrays = {"text": np.array(texts), "sentence_bins": sums.astype("f4")}
        if temperature in (1.0, template.fitted_temperature):
            arrays |= _token_arrays(found)
        _write(
            options.records,
            replace(
                template, bins=by_class["others"], bins_by_class=by_class,
                n_left_out=sum(h.n_left_out for h in judged), n_tokens=sum(len(h.tokens) for h in judged),
                accuracy=by_class["others"].accuracy, confidence=by_class["others"].mean_confidence,
                seconds=round(time.perf_counter() - start, 2), **quality(texts, references(model, split)),
            ),
            arrays,
        )


class _Found(NamedTuple):
    ids: torch.Tensor
    judged: JudgedHypothesis


def _search(model: Checkpoint, split: str, temperature: float) -> Iterator[Tuple[int, _Found]]:
    """(sentence, its best hypothesis), in the order of the batches."""
    options = model.options
    arguments = argparse.Namespace(beam=options.beam, lenpen=options.lenpen, temperature=temperature, nbest=1)
    generator = model.task.build_generator(model.models, arguments)
    for sample in model.batches(split):
        hypotheses = [ranked[:1] for ranked in model.task.inference_step(generator, model.models, sample)]
        values = token_probabilities(model.models, sample, hypotheses, temperature)
        for row, sentence in enumerate(sample["id"].tolist()):
            ids = hypotheses[row][0]["tokens"].cpu()
            probability = values[row][0].probability
            yield sentence, _Found(ids, judge(model.task.target_dictionary, ids, probability, sample["target"][row]))


def _token_arrays(found: Dict[int, _Found]) -> Dict[str, np.ndarray]:
    """One value a generated token, sentences in order: what tables by token class and other bins need."""
    hypotheses = [found[sentence] for sentence in sorted(found)]
    lengths = [len(h.ids) for h in hypotheses]
    return {
        "confidence": torch.cat([h.judged.probability for h in hypotheses]).clamp(max=1.0).numpy().astype("f4"),
        "hit": torch.cat([h.judged.hit for h in hypotheses]).numpy(),
        "kept": torch.cat([h.judged.kept for h in hypotheses]).numpy(),
        "sentence": np.repeat(sorted(found), lengths).astype("i4"),
        "token": torch.cat([h.ids for h in hypotheses]).numpy().astype("i4"),
    }


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


def summary(records: List[Measurement]) -> str:
    """The measurements of one checkpoint on one split, a line each; then its beam ECE by token class at T = 1."""
    first = records[0]
    lines = [
        f"{first.run} on {first.split}: {first.n_sentences} of {first.n_sentences_in_set} sentences",
        "mode          T   tokens    NLL  accuracy  confidence     ECE   BLEU",
    ]
    for record in sorted(records, key=lambda record: (record.mode != "forced", record.temperature)):
        mark = "*" if record.temperature == record.fitted_temperature else " "
        nll = "" if record.nll is None else f"{record.nll:.3f}"
        bleu = "" if record.bleu is None else f"{record.bleu['score']:.1f}"
        lines.append(
            f"{record.mode:8}{record.temperature:6.2f}{mark}{record.n_tokens:9}{nll:>7}{record.accuracy:10.3f}"
            f"{record.confidence:12.3f}{record.bins.ece():8.4f}{bleu:>7}"
        )
    lines.append("* fitted by likelihood; a beam ECE leaves out EOS and shifted tokens")
    for record in records:
        if record.temperature == 1.0 and record.bins_by_class:
            classes = [f"{name} {bins.ece():.4f} ({bins.n})" for name, bins in record.bins_by_class.items()]
            lines.append(f"beam ECE by token class (tokens) at T = 1: {', '.join(classes)}")
            lines.append(f"shifted tokens, in no class: {record.n_left_out}")
    return "\n".join(lines)


def _write(records: str, measurement: Measurement, arrays: Dict[str, np.ndarray]) -> None:
    checkpoint = measurement.sha["checkpoint"][:8]
    name = f"{measurement.mode}_{measurement.split}_T{measurement.temperature:.4f}_{checkpoint}.npz"
    with written_whole(Path(records).with_name(name)) as path, open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    append(records, replace(measurement, arrays=name))


if __name__ == "__main__":
    sys.exit(main())
