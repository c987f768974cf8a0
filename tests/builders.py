"""Made-up records and items, for tests of what reads them. Made-up studies of images whose truth is known."""

import zlib

import msgspec
import numpy as np

from analysis.rows import Row
from analysis.study import Study
from analysis.tables.geometry import FIELDS
from mt_ls.calibration.bins import Bins
from mt_ls.calibration.selective import SCORES
from mt_ls.records import Model, Record, Teacher, TeacherRun, append
from mt_ls.records.items import item_writers
from mt_ls.smoothing.kinds import Smoothing

_MODEL_FIELDS = ("corpus", "architecture", "smoothing", "precision", "teacher", "checkpoint", "pairs", "vocabulary")


def record(amount=0.1, **changes):
    """A record of a model with this amount of smoothing. Fields of `Record` and of `Model` can be changed."""
    seed = changes.get("seed", 1)
    of_model = {name: changes.pop(name) for name in _MODEL_FIELDS if name in changes}
    run = changes.setdefault("run", f"toy_a{amount}_s{seed}")
    fields = {
        "model": Model(**{"corpus": "toy", "smoothing": Smoothing(amount=amount), **of_model}),
        "seed": seed,
        "mode": "forced",
        "split": "test",
        "temperature": 1.0,
        "bins": Bins.of([0.2, 0.9], [0, 1]),
        "n_tokens": 2,
        "n_sentences": 1,
        "n_sentences_in_set": 1,
        "sha": {"data": "d" * 64, "checkpoint": f"{zlib.crc32(run.encode()):08x}" * 8, "code": "e" * 40},
        "versions": {"mt_ls": "0.1.0"},
        "nll": 1.5,
    }
    return Record(**fields | changes)


def taught_by(architecture, amount, temperature, beta=1.0):
    """The identity of a teacher."""
    return Teacher(architecture=architecture, smoothing=Smoothing(amount=amount), temperature=temperature, beta=beta)


def teacher_run(gamma, run="teacher"):
    """The run of a teacher."""
    return TeacherRun(run=run, checkpoint="f" * 64, gamma=gamma)


def row(amount=0.1, **changes):
    """A row without items."""
    return Row(record(amount, **changes), None)


def study(*rows, by="model"):
    """A study of rows."""
    return Study(list(rows), by)


def write(folder, of, **items):
    """Append a record to a folder's records, with the items that `ItemsWriter.append` takes, if there are any."""
    file = folder / "records.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    if items:
        n = len(items["bins"])
        of = msgspec.structs.replace(of, n_sentences=n, n_sentences_in_set=n)
        with item_writers(file, [of]) as (writer,):
            writer.append(**items)
        of = msgspec.structs.replace(of, items=f"{of.name}.parquet")
    append(file, of)
    return Row(of, folder)


def item_bins(confidence, hit, item, n_items):
    """Sums (n_items, 3, 15) of predictions, each (N,)."""
    sums = np.zeros((n_items, 3, 15))
    place = np.minimum((np.asarray(confidence) * 15).astype(int), 14)
    for value, values in enumerate((np.ones(len(place)), confidence, hit)):
        np.add.at(sums, (item, value, place), values)
    return sums


def scored(n_items, noise, seed=1):
    """Scores and chrF of made-up sentences, ordered by their log-probability but for ``noise``; the norms by 20."""
    rng = np.random.default_rng(seed)
    chrf = rng.uniform(20, 90, n_items)
    norms = chrf[:, None] + rng.normal(0, 20, (n_items, len(SCORES)))
    norms[:, 0] = chrf + rng.normal(0, noise, n_items)
    return {"scores": norms, "chrf": chrf}


def write_records(folder, amounts=(0.0, 0.1), beam=True, splits=("valid", "test")):
    """Records of made-up runs on splits at three temperatures, with items. The temperature is fitted on valid."""
    rng = np.random.default_rng(0)
    for amount in amounts:
        for split in splits:
            for temperature in (0.8, 1.0, 1.2):
                confidence = rng.beta(3, 1, 2000)
                bins = item_bins(confidence, rng.random(2000) < confidence, np.arange(2000) % 20, 20)
                common = {
                    "split": split,
                    "temperature": temperature,
                    "bins": Bins.from_sums(bins.sum(0)),
                    "perplexity": 9.0,
                    "accuracy": 0.6,
                    "fitted_temperature": 1.2,
                    "fitted_on": "valid",
                }
                write(folder, record(amount, **common), bins=bins, nll=100 * rng.random(20))
                if beam:
                    searched = {
                        "mode": "beam",
                        "beam": 5,
                        "lenpen": 1.0,
                        "bleu": {"score": 20 + temperature, "signature": "x"},
                        "bins_by_class": {"others": common["bins"], "eos": Bins.of([0.9, 0.7], [1, 0])},
                        "n_left_out": 7,
                    }
                    counts = np.tile([9, 9, 8, 6, 4, 2, 9, 8, 7, 6], (20, 1))
                    text = [f"Satz {i}" for i in range(20)]
                    made = record(amount, **common, **searched)
                    write(folder, made, bins=bins, bleu=counts, text=text, **scored(20, 10))


def write_activations(folder, amounts=(0.0, 0.1)):
    """Records of made-up activations before three pieces."""
    rng = np.random.default_rng(1)
    points = [[*rng.normal(size=2).tolist(), rank] for rank in (0, 1, 2) for _ in range(20)]
    planes = [{"classes": ["▁der", "▁die", "▁das"], "points": points}]
    for amount in amounts:
        for split in ("train", "valid"):
            geometry = {**dict.fromkeys(FIELDS, 0.5), "planes": planes}
            write(folder, record(amount, mode="activations", split=split, geometry=geometry))


_N_IMAGES = 2000
_GEOMETRY = {
    "nc1": 1.0,
    "variance_within": 1.0,
    "variance_between": 2.0,
    "spread_of_others": 0.2,
    "spread_of_wrong_logits": 0.1,
    "triangle_projected": 0.3,
}


def write_run(folder, name, seed, accuracy, gap, architecture="mlp_1200", amount=0.0, tightness=1.0, **model):
    """A run right on ``accuracy`` of the images and ``gap`` too sure of it, calibrated at T = 2."""
    rng = np.random.default_rng(seed)
    for split in ("train", "valid", "test"):
        for t, error in ((1.0, gap), (2.0, 0.0)):
            hits = rng.random(_N_IMAGES) < accuracy
            confidence = np.full(_N_IMAGES, accuracy + error)
            bins = np.zeros((_N_IMAGES, 3, 15))
            place = np.minimum((confidence * 15).astype(int), 14)
            bins[np.arange(_N_IMAGES), :, place] = np.column_stack((np.ones(_N_IMAGES), confidence, hits))
            summed = Bins.from_sums(bins.sum(0))
            values = {key: value * tightness for key, value in _GEOMETRY.items()}
            values |= {"variance_between": 2.0, "class_separation": 1 - 0.5 * tightness}
            of = record(
                amount,
                run=f"{name}_s{seed}",
                mode="images",
                split=split,
                temperature=t,
                architecture=architecture,
                seed=seed,
                bins=summed,
                **{"teacher_run": None if model.get("teacher") is None else teacher_run(None), **model},
                accuracy=summed.accuracy,
                fitted_temperature=2.0,
                fitted_on="valid",
                geometry=values if t == 1 and split != "test" else None,
            )
            write(folder, of, **({"bins": bins} if split == "test" else {}))


def write_information(folder, name, seed, amount, values):
    for update, nats in enumerate(values):
        of = record(
            amount,
            run=f"{name}_s{seed}",
            mode="information",
            split="train",
            architecture="resnet_8",
            seed=seed,
            updates=update,
            mutual_information={"nats": nats, "classes": ["a", "b"], "samples": 5},
            n_sentences=600,
            n_sentences_in_set=600,
            sha={"data": "d" * 64, "checkpoint": f"{name}{seed}{update}" * 9, "code": "e" * 40},
        )
        write(folder, of)


def write_world(folder, paper_is_right, seeds=(1, 2, 3)):
    """Teachers, students and trainings in which the paper is right in everything, or wrong in nearly everything."""
    good, bad = (0.95, 0.85) if paper_is_right else (0.85, 0.95)
    for seed in seeds:
        gaps, tightness = ((0.04, 0.0), (1.0, 0.3)) if paper_is_right else ((0.0, 0.04), (0.3, 1.0))
        for amount, accuracy, gap, tight in zip((0.0, 0.1), (bad, good), gaps, tightness, strict=True):
            wobble = 1 + 0.01 * seed
            write_run(folder, f"teacher_{amount}", seed, accuracy, gap, amount=amount, tightness=tight * wobble)
            student = good if amount == 0 else bad
            teacher = taught_by("mlp_1200", amount, None)
            write_run(folder, f"student_{amount}", seed, student, 0.0, architecture="mlp_800", teacher=teacher)
        falling, staying = [1.0, 4.0 + 0.01 * seed, 0.61 + 0.01 * seed], [1.0, 4.0, 3.5]  # to two collapsed clusters
        hard, smoothed = (staying, falling) if paper_is_right else (falling, staying)
        write_information(folder, "r0", seed, 0.0, hard)
        write_information(folder, "r1", seed, 0.1, smoothed)
    return folder
