"""The advice of an audit, on made-up models whose truth is known."""

import numpy as np
import pytest
from builders import item_bins, record, write
from msgspec.structs import replace

from analysis.advice import BEST_BLEU, advice, changes
from analysis.rows import Row, load
from analysis.study import Study
from mt_ls.calibration.bins import Bins
from mt_ls.records import RecordError

N, LENGTH = 100, 20
MATCHES = np.array([[20, 20, 14, 11, 8, 6, 20, 19, 18, 17]])
FITTED = {"fitted_temperature": 1.5, "fitted_on": "valid"}


def write_model(folder, run="mine.pt", split="test", gaps=(0.2, 0.0), nll=(2.0, 1.9), better=(0, 0), **changed):
    """Records at T = 1 and 1.5 of a model that is right on 70 %, and by ``gaps`` too sure of it. ``better`` are the
    bigrams that its translations gain, one in so many sentences."""
    rng = np.random.default_rng(0)
    hit, noise = rng.random(N * LENGTH) < 0.7, rng.gamma(4.0, 0.25, N)
    noise /= noise.mean()
    for temperature, gap, of_token, more in zip((1.0, 1.5), gaps, nll, better, strict=True):
        bins = item_bins(np.full(N * LENGTH, 0.7 + gap), hit, np.repeat(np.arange(N), LENGTH), N)
        summed = Bins.from_sums(bins.sum(0))
        common = FITTED | {"run": run, "split": split, "temperature": temperature, "bins": summed} | changed
        common |= {"accuracy": summed.accuracy, "confidence": summed.mean_confidence}
        write(folder, record(**common, nll=of_token), bins=bins, nll=of_token * LENGTH * noise)
        counts = MATCHES + np.outer(np.arange(N) % 3 == 0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) * more
        bleu = {"score": 30.0 + more, "signature": "x"}
        searched = record(**common, mode="beam", beam=5, lenpen=1.0, bleu=bleu)
        write(folder, searched, bins=bins, bleu=counts, text=["Satz"] * N)


def advised(folder):
    return {one.name: one for one in advice(Study(load([folder]), "run"))}


def test_a_temperature_that_helps_is_recommended_with_its_gains(tmp_path):
    write_model(tmp_path)
    one = advised(tmp_path)["mine.pt"]
    assert one.action == "use T = 1.50"
    (reason,) = one.reasons
    assert reason.startswith("On test: over-confident (confidence 0.900, accuracy 0.")
    assert "NLL 2.000 to 1.900 nats (gain 0.09" in reason and "unchanged (+0.0 to +0.0)." in reason
    ece = next(change for change in changes(load([tmp_path]), "test") if change.name == "forced ECE")
    low, high = ece.gain.interval()
    assert (
        f"forced ECE {ece.before:.3f} to {ece.after:.3f} (gain {low:.3f} to {high:.3f})" in reason
        and "; at T = 1.50 forced" in reason
    )
    assert str(one) == f"mine.pt: use T = 1.50. {reason}"


@pytest.mark.parametrize(
    "changed",
    [
        {"gaps": (0.0, -0.2)},  # calibrated as it is: the temperature harms the ECE
        {"nll": (1.9, 2.0)},  # the likelihood of test falls
        {"gaps": (0.2, 0.2), "nll": (2.0, 2.0)},  # nothing changes
    ],
)
def test_a_temperature_that_does_not_help_is_not_recommended(tmp_path, changed):
    write_model(tmp_path, **changed)
    assert advised(tmp_path)["mine.pt"].action == "keep T = 1"


def test_where_bleu_falls_the_temperature_is_for_probabilities(tmp_path):
    write_model(tmp_path, better=(1, 0))
    one = advised(tmp_path)["mine.pt"]
    assert one.action == "use T = 1.50 for probabilities, and translate at T = 1"
    assert "(-" in one.reasons[0].partition("BLEU")[2]


def test_a_temperature_that_raises_bleu_is_named_where_test_confirms_it(tmp_path):
    for split in ("valid", "test"):
        write_model(tmp_path, split=split, gaps=(0.0, -0.2), better=(0, 1))
    one = advised(tmp_path)["mine.pt"]
    assert one.action == "keep T = 1" and "for BLEU alone T = 1.50 is better: BLEU " in one.reasons[0]


def test_of_equal_bleu_on_the_fit_split_the_temperature_nearest_to_1_is_chosen(tmp_path):
    for split in ("valid", "test"):
        write_model(tmp_path, split=split)
    of_bleu = [change for change in changes(load([tmp_path]), "test") if change.criterion == BEST_BLEU]
    assert [change.temperature for change in of_bleu] == [1.0]


def test_a_temperature_must_help_on_every_reported_split(tmp_path):
    write_model(tmp_path, split="test1")
    write_model(tmp_path, split="test2", gaps=(0.0, -0.2))
    one = advised(tmp_path)["mine.pt"]
    assert one.action == "keep T = 1" and [reason.split()[1] for reason in one.reasons] == ["test1:", "test2:"]


def test_a_copy_of_a_checkpoint_is_named(tmp_path):
    sha = {"data": "d" * 64, "checkpoint": "a" * 64, "code": "e" * 40}
    for run in ("mine.pt", "copy.pt"):
        write_model(tmp_path / run, run=run, sha=sha)
    write_model(tmp_path / "other.pt", run="other.pt")
    reasons = {name: one.reasons[-1] for name, one in advised(tmp_path).items()}
    assert reasons["mine.pt"] == "It has the weights of copy.pt." and "weights" not in reasons["other.pt"]


def test_without_items_there_is_no_advice_and_it_says_so(tmp_path):
    for temperature in (1.0, 1.5):
        write(tmp_path, record(run="mine.pt", temperature=temperature, confidence=0.55, accuracy=0.5, **FITTED))
    one = advised(tmp_path)["mine.pt"]
    assert "the items of the records are missing" in one.action
    assert one.reasons == ["On test: confidence 0.550, accuracy 0.500."]


def test_searches_alone_at_a_fitted_temperature_give_no_advice(tmp_path):
    """As after ``--modes forced --fit-subset none``, and then ``--modes beam``."""
    write_model(tmp_path)
    kept = [row for row in load([tmp_path]) if row.record.mode == "beam" or row.record.temperature == 1.0]
    unfitted = {"fitted_temperature": None, "fitted_on": None}
    rows = [row if row.record.mode == "beam" else Row(replace(row.record, **unfitted), row.folder) for row in kept]
    (one,) = advice(Study(rows, "run"))
    assert "no temperature was fitted" in one.action
    (reason,) = one.reasons
    assert "forced ECE 0." in reason and "BLEU" in reason


def test_translations_without_their_model_are_described(tmp_path):
    rng = np.random.default_rng(0)
    hit = rng.random(N * LENGTH) < 0.7
    bins = item_bins(np.full(N * LENGTH, 0.9), hit, np.repeat(np.arange(N), LENGTH), N)
    summed = Bins.from_sums(bins.sum(0))
    system = {"run": "system", "mode": "beam", "smoothing": None, "seed": None, "unit": "word", "nll": None}
    of = record(**system, bins=summed, accuracy=summed.accuracy, bleu={"score": 31.2})
    write(tmp_path, of, bins=bins, bleu=np.tile(MATCHES, (N, 1)), text=["Satz"] * N)
    one = advised(tmp_path)["system"]
    assert one.action == "a temperature needs the model"
    assert (
        f"over-confident (confidence 0.900, accuracy {summed.accuracy:.3f}), beam ECE {summed.ece():.3f} ["
        in one.reasons[0]
    )
    assert "(calibrated: 0.0" in one.reasons[0] and "BLEU 31.2 [" in one.reasons[0]


def test_a_split_that_chose_the_temperature_is_not_reported(tmp_path):
    write_model(tmp_path, split="test", fitted_on="test")
    with pytest.raises(RecordError, match="temperatures were fitted on test, and no other split was measured"):
        advice(Study(load([tmp_path]), "run"))
