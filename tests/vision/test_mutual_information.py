"""Figure 6: the estimator on mixtures of known information, and the record of an epoch."""

import math

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from scipy import integrate

from mt_ls.records import read
from mt_ls.vision import VisionError, augment, mutual_information
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.images import Images, Manifest, read_manifest
from mt_ls.vision.measure import empty_record


def _true_information(means, deviation):
    """The information of an index and its Gaussian, by numerical integration: the entropy of the mixture less that of
    one Gaussian."""

    def density(y):
        return np.mean(np.exp(-((y - means) ** 2) / (2 * deviation**2))) / (deviation * math.sqrt(2 * math.pi))

    low, high = means.min() - 8 * deviation, means.max() + 8 * deviation
    grid = np.linspace(low, high, 20001)
    values = np.array([density(y) for y in grid])
    entropy = integrate.trapezoid(-values * np.log(np.maximum(values, 1e-300)), grid)
    return entropy - 0.5 * math.log(2 * math.pi * math.e * deviation**2)


def _drawn(means, deviation, n_samples, seed=1):
    values = np.random.default_rng(seed).normal(means[:, None], deviation, (len(means), n_samples + 1))
    return torch.tensor(values[:, :-1]), torch.tensor(values[:, -1])


@pytest.mark.parametrize(
    ("means", "deviation", "known"),
    [
        (np.repeat([0.0, 10.0], 300), 0.5, math.log(2)),
        (np.zeros(600), 1.0, 0.0),
        (np.arange(600) * 100.0, 1.0, math.log(600)),
        (np.concatenate([np.linspace(-9, -3, 300), np.linspace(3, 9, 300)]), 1.0, None),
    ],
)
def test_the_estimate_is_the_information_of_known_mixtures(means, deviation, known):
    """With 400 samples for each mean only the draws of y are noise: at most 0.05 nats here."""
    true = _true_information(means, deviation)
    if known is not None:
        assert true == pytest.approx(known, abs=1e-3)
    assert mutual_information.estimate(*_drawn(means, deviation, 400)) == pytest.approx(true, abs=0.06)


def test_five_samples_underestimate_a_little_and_the_printed_formula_is_constant():
    """L = 5 as in the paper: the means are noisy, so the estimate is below the truth. With one index in both sums it is
    -1/2 + log(2)/2 for any data."""
    means = np.repeat([0.0, 10.0], 300)
    samples, fresh = _drawn(means, 0.5, 5)
    assert math.log(2) - 0.12 < mutual_information.estimate(samples, fresh) < math.log(2)
    own = (samples[:, 0] - samples.mean(1)).square()
    variance = own.mean()
    printed = (-own / (2 * variance)).mean() - (-own / (2 * variance)).exp().mean().log()
    assert float(printed) == pytest.approx(-0.5 + 0.5 * math.log(2), abs=0.03)


def test_more_samples_bring_the_estimates_with_a_fresh_and_a_reused_y_to_the_truth():
    """From below and from above, for two classes without anything else: log 2."""
    low, high = [], []
    for seed in range(20):
        samples, fresh = _drawn(np.repeat([0.0, 10.0], 300), 0.5, 50, seed)
        differences = torch.cat([samples[:, :5], fresh[:, None], samples[:, 5:]], dim=1)
        nats = mutual_information.estimates(differences)
        assert nats["nats"] == mutual_information.estimate(samples[:, :5], fresh)
        assert nats["nats_50"] == mutual_information.estimate(samples, fresh)
        assert nats["nats_reused_50"] == mutual_information.estimate(samples, samples[:, 0])
        low.append((nats["nats"], nats["nats_50"]))
        high.append((nats["nats_reused"], nats["nats_reused_50"]))
    (low_5, low_50), (high_5, high_50) = np.mean(low, axis=0), np.mean(high, axis=0)
    assert low_5 < low_50 < math.log(2) < high_50 < high_5
    assert high_50 - low_50 < 0.15 * (high_5 - low_5)


def _manifest(classes):
    return Manifest(corpus="x", classes=classes, counts={}, shape=(1, 1, 1), hash="", encoding="")


def test_the_pair_is_the_first_images_of_two_classes():
    data, manifest = Images(torch.arange(40).view(40, 1, 1, 1), torch.arange(40) % 4), _manifest(["a", "b", "c", "d"])
    pair = mutual_information.pair_of(data, manifest, ["d", "b"], "resnet_8")
    assert pair.classes.numbers == (3, 1) and len(pair.data.labels) == 20
    assert pair.data.pixels[:3, 0, 0, 0].tolist() == [3, 7, 11]
    with pytest.raises(VisionError, match="no class 'e'; there are a, b, c, d"):
        mutual_information.pair_of(data, manifest, ["e", "b"], "resnet_8")


def test_two_classes_have_equally_many_images():
    data = Images(torch.zeros(12, 1, 1, 1), torch.tensor([0] * 9 + [1] * 3))
    pair = mutual_information.pair_of(data, _manifest(["a", "b", "c"]), ["a", "b"], "resnet_8")
    assert pair.data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(VisionError, match="no image of a or c"):
        mutual_information.pair_of(data, _manifest(["a", "b", "c"]), ["a", "c"], "resnet_8")


def test_the_record_after_an_epoch_is_written_once(image_set, splits, tmp_path):
    settings = Settings(network="mlp_1200", alpha=0.1, seed=1, updates=4, shape=(3, 8, 8), n_classes=4, data="d" * 64)
    torch.manual_seed(1)
    network, file = settings.build(), tmp_path / "records.jsonl"
    pair = mutual_information.pair_of(splits["train"], read_manifest(image_set), ["cat", "frog"], "mlp_1200")
    empty = empty_record(network, settings, "tiny", "run", 3)
    for _ in range(2):
        mutual_information.measure(network, empty, pair, file)
    (record,) = read(file)
    assert (record.mode, record.split, record.updates, record.n_sentences) == (
        "information",
        "train",
        3,
        record.n_tokens,
    )
    with torch.no_grad():
        logits = network.eval()(pair.data.pixels.float() / 255)
        rng = torch.Generator().manual_seed(3)
        pixels, shift = pair.data.pixels, augment.SHIFT
        drawn = [shift.draw(len(pixels), tuple(pixels.shape[1:]), rng) for _ in range(51)]
        draws = torch.stack([network(shift(pixels, numbers)) for numbers in drawn], dim=1)
    difference = draws[..., 0] - draws[..., 2]
    few, many = difference[:, :5], difference[:, [i for i in range(51) if i != 5]]
    assert record.mutual_information == {
        "nats": pytest.approx(mutual_information.estimate(few, difference[:, 5])),
        "nats_reused": pytest.approx(mutual_information.estimate(few, difference[:, 0])),
        "nats_50": pytest.approx(mutual_information.estimate(many, difference[:, 5])),
        "nats_reused_50": pytest.approx(mutual_information.estimate(many, difference[:, 0])),
        "classes": ["cat", "frog"],
        "samples": 5,
    }
    assert record.accuracy == pytest.approx((logits.argmax(-1) == pair.data.labels).double().mean().item())
    assert record.nll == pytest.approx(torch.nn.functional.cross_entropy(logits, pair.data.labels).item(), rel=1e-5)
    mutual_information.measure(
        network, replace(empty, updates=6, sha={**empty.sha, "checkpoint": "0" * 64}), pair, file
    )
    assert [record.updates for record in read(file)] == [3, 6]


def test_a_network_whose_training_images_are_not_augmented_has_no_information(image_set, splits):
    with pytest.raises(VisionError, match="the training images of mlp_16 are not augmented"):
        mutual_information.pair_of(splits["train"], read_manifest(image_set), ["cat", "frog"], "mlp_16")
