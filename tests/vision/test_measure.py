"""Records of images: their numbers by hand, their items, their activations, and what a second run adds."""

import math

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from mt_ls.calibration.bins import Bins
from mt_ls.calibration.geometry import class_separation, logit_spread, plane_through
from mt_ls.records import TeacherRun, read
from mt_ls.records.items import read_items
from mt_ls.vision import measure as module
from mt_ls.vision.augment import scaled
from mt_ls.vision.checkpoints import Settings
from mt_ls.vision.images import Classes, Images
from mt_ls.vision.measure import (
    TEACHING_TEMPERATURES,
    TEMPERATURES,
    activations_of,
    empty_record,
    measure,
    templates_of,
)
from mt_ls.vision.networks import build
from mt_ls.vision.training import Training

SETTINGS = Settings(network="mlp_16", alpha=0.1, seed=3, updates=300, shape=(3, 8, 8), n_classes=4, data="d" * 64)
PLANES = [Classes(("cat", "dog", "ship"), (0, 1, 3))]


@pytest.fixture(scope="module")
def network(splits, tmp_path_factory):
    """A trained network."""
    training = Training(SETTINGS, splits["train"], tmp_path_factory.mktemp("run") / "checkpoint.pt")
    list(training.epochs())
    return training.network.eval()


@pytest.fixture(scope="module")
def empty(network):
    return empty_record(network, SETTINGS, "tiny", "run", 300)


@pytest.fixture(scope="module")
def folder(network, empty, splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    measure(network, empty, splits, PLANES, folder / "records.jsonl")
    return folder


@pytest.fixture(scope="module")
def records(folder):
    return read(folder / "records.jsonl")


def _of(records, split, temperature=1.0):
    return next(record for record in records if (record.split, record.temperature) == (split, temperature))


def _probabilities(network, images, temperature):
    with torch.no_grad():
        return (network(scaled(images.pixels)).double() / temperature).softmax(-1)


def test_an_empty_record_has_the_identity_and_the_provenance(empty, network):
    assert (empty.run, empty.seed, empty.updates, empty.mode, empty.unit) == ("run", 3, 300, "images", "image")
    assert empty.model == SETTINGS.model("tiny") and empty.teacher_run is None and empty.bins.n == 0
    assert empty.sha["data"] == "d" * 64 and {"mt_ls", "torch", "numpy"} <= empty.versions.keys()
    run = TeacherRun(run="t", checkpoint="c" * 64, gamma=0.1)
    assert empty_record(network, replace(SETTINGS, teacher_run=run), "tiny", "run", 300).teacher_run == run


def test_each_split_has_its_temperatures(records):
    fitted = records[0].fitted_temperature
    by_split = {split: [r.temperature for r in records if r.split == split] for split in ("train", "valid", "test")}
    assert by_split["train"] == list(TEACHING_TEMPERATURES)
    assert by_split["valid"] == by_split["test"] == [*TEMPERATURES, fitted]
    assert {record.n_sentences for record in records if record.split == "valid"} == {40}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_numbers_of_a_record_are_those_of_the_probabilities(network, records, splits, split, temperature):
    record, labels = _of(records, split, temperature), splits[split].labels
    p = _probabilities(network, splits[split], temperature)
    right = p.gather(1, labels[:, None])[:, 0]
    confidence, predicted = p.max(-1)
    assert record.nll == pytest.approx(-right.log().mean().item(), rel=1e-4)
    assert record.accuracy == pytest.approx((predicted == labels).double().mean().item())
    squares = (p - torch.nn.functional.one_hot(labels, 4)).square().sum(-1)
    assert record.brier == pytest.approx(squares.mean().item(), rel=1e-4)
    expected = Bins.of(confidence.clamp(max=1), predicted == labels)
    np.testing.assert_array_equal(record.bins.count, expected.count)
    assert record.bins.ece() == pytest.approx(expected.ece(), abs=1e-5)
    gamma = None if split != "train" else pytest.approx((1 - right.mean().item()) * 4 / 3, rel=1e-4)
    assert record.gamma == gamma


def test_the_fitted_temperature_is_best_on_the_even_images_of_valid(network, records, splits):
    fitted = records[0].fitted_temperature
    labels = splits["valid"].labels[::2, None]

    def nll(temperature):
        return -_probabilities(network, splits["valid"], temperature)[::2].gather(1, labels).log().mean().item()

    assert 0.1 < abs(fitted - 1) < 5 and {record.fitted_on for record in records} == {"valid"}
    assert nll(fitted) < min(nll(fitted * 0.99), nll(fitted * 1.01))


def test_items_are_the_bins_of_each_image_of_valid_and_test(folder, records):
    for record in records:
        items = read_items(folder, record)
        assert (items is None) == (record.split == "train")
        if items is not None:
            assert items.nll is None and items.n.tolist() == [1] * record.n_sentences
            np.testing.assert_allclose(items.bins.sum(0)[1], record.bins.confidence, rtol=1e-5)
            np.testing.assert_array_equal(items.bins.sum(0)[[0, 2]], [record.bins.count, record.bins.hits])
    assert len(list(folder.glob("*.parquet"))) == 2 * (len(TEMPERATURES) + 1)


def test_geometry_is_in_the_records_of_train_and_valid_at_temperature_1(records):
    with_geometry = {(record.split, record.temperature) for record in records if record.geometry}
    assert with_geometry == {("train", 1.0), ("valid", 1.0)}
    geometry = _of(records, "valid").geometry
    assert geometry["variance_within"] > 0
    (plane,) = geometry["planes"]
    assert plane["classes"] == ["cat", "dog", "ship"] and {rank for _, _, rank in plane["points"]} == {0, 1, 2}


@pytest.mark.parametrize("split", ["train", "valid"])
def test_the_geometry_is_of_activations_without_the_1_that_biases_need(network, records, splits, split):
    """The separation by classes is of the activations alone. Distances, logits and triangles have the biases."""
    recorded, labels = _of(records, split).geometry, splits[split].labels
    points, templates = activations_of(network, SETTINGS.network, splits[split]), templates_of(network)
    assert recorded["class_separation"] == pytest.approx(class_separation(points[:, :-1], labels))
    assert recorded["class_separation"] != pytest.approx(class_separation(points, labels))
    own = (points - templates[labels]).norm(dim=1).mean().item()
    assert recorded["distance_to_own"] == pytest.approx(own)
    spread = logit_spread(points @ templates.t(), labels)
    assert recorded["spread_of_wrong_logits"] == pytest.approx(spread)
    (drawn,) = recorded["triangles"]
    numbers = [0, 1, 3]
    means = torch.stack([points[labels == number].mean(dim=0) for number in numbers])
    flat = plane_through(templates[numbers]).project(means)
    sides = torch.pdist(flat)
    assert drawn["classes"] == ["cat", "dog", "ship"]
    assert drawn["triangle_projected"] == pytest.approx((sides.std() / sides.mean()).item())


def test_a_plane_of_a_class_without_images_has_no_triangle(network, empty, splits, tmp_path):
    data = {split: Images(*(values[images.labels != 3] for values in images)) for split, images in splits.items()}
    measure(network, empty, data, PLANES, tmp_path / "records.jsonl")
    geometry = _of(read(tmp_path / "records.jsonl"), "train").geometry
    assert geometry["triangles"] == [] and len(geometry["planes"]) == 1
    assert math.isfinite(geometry["triangle_means"])


def test_without_planes_the_geometry_has_none(network, empty, splits, tmp_path):
    measure(network, empty, splits, [], tmp_path / "records.jsonl")
    geometry = _of(read(tmp_path / "records.jsonl"), "train").geometry
    assert geometry["planes"] == geometry["triangles"] == [] and math.isfinite(geometry["nc1"])


def _numbers(records):
    return [replace(record, seconds=None).to_json() for record in records]


def test_a_second_run_measures_nothing(network, empty, splits, folder, records, monkeypatch):
    monkeypatch.setattr(module, "activations_of", None)
    measure(network, empty, splits, PLANES, folder / "records.jsonl")
    assert _numbers(read(folder / "records.jsonl")) == _numbers(records)


@pytest.mark.parametrize("n_before", [4, 12, 30])
def test_measuring_that_was_interrupted_is_completed(network, empty, splits, records, tmp_path, monkeypatch, n_before):
    file, append = tmp_path / "records.jsonl", module.append
    appended = []

    def interrupted(path, record):
        if len(appended) == n_before:
            raise KeyboardInterrupt
        appended.append(record)
        append(path, record)

    with monkeypatch.context() as patch:
        patch.setattr(module, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measure(network, empty, splits, PLANES, file)
    assert len(read(file)) == n_before
    measure(network, empty, splits, PLANES, file)
    assert _numbers(read(file)) == _numbers(records)
    assert all(read_items(tmp_path, record) for record in read(file) if record.split != "train")


def test_other_weights_are_measured_beside_the_first(network, empty, splits, tmp_path):
    file = tmp_path / "records.jsonl"
    measure(network, empty, splits, [], file)
    n = len(read(file))
    torch.manual_seed(2)
    other = SETTINGS.build().eval()
    measure(other, empty_record(other, SETTINGS, "tiny", "run", 300), splits, [], file)
    assert len(read(file)) == 2 * n


def test_logits_are_products_of_activations_and_templates():
    network = build("mlp_16", (1, 4, 4), 5)
    data = Images(torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8), torch.arange(9) % 5)
    points = activations_of(network, "mlp_16", data)
    assert points.shape == (9, 17) and points.dtype == torch.float64
    logits = network.eval()(data.pixels.float() / 255).double()
    torch.testing.assert_close(points @ templates_of(network).t(), logits, atol=1e-5, rtol=1e-5)


def test_activations_are_those_of_evaluation():
    """Without dropout, and of images that are not augmented: the same ones each time."""
    network = build("mlp_1200_dropout", (1, 8, 8), 5).train()
    data = Images(torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8), torch.arange(3))
    first, second = (activations_of(network, "mlp_1200_dropout", data) for _ in range(2))
    assert torch.equal(first, second)
