"""The data of the report's slider."""

import json

import pytest
from builders import record, row, study, write
from image_worlds import write_world

from analysis.report import slider
from analysis.rows import load
from analysis.study import Study


def test_the_slider_has_the_numbers_of_the_records_and_means_of_seeds(tmp_path):
    for seed, amount in ((1, 0.0), (2, 0.0), (1, 0.1)):
        for temperature in (1.0, 1.0 + seed / 10):
            write(tmp_path, record(amount, seed=seed, temperature=temperature, nll=seed + 1.0))
    data = slider.data(Study(load([tmp_path])))
    assert data["temperatures"] == [1.0, 1.1]  # 1.2 was measured for one seed of two
    hard, smoothed = data["models"]
    assert (hard["name"], smoothed["name"]) == ("α = 0", "α = 0.1")
    assert hard["at"][0]["nll"] == 2.5 and hard["at"][0]["count"] == [2, 2] and hard["at"][0]["bleu"] is None
    assert hard["at"][1] is None and smoothed["at"][1]["nll"] == 2.0
    assert smoothed["at"][0]["ece"] == pytest.approx(record().bins.ece())


def test_two_models_of_one_alpha_move_apart():
    rows = [row(0.1, run=name, nll=nll) for name, nll in (("mine", 1.0), ("yours", 3.0))]
    data = slider.data(study(*rows, by="run"))
    assert [(model["name"], model["at"][0]["nll"]) for model in data["models"]] == [("mine", 1.0), ("yours", 3.0)]


def test_of_images_the_last_pair_is_shown(tmp_path):
    data = slider.data(Study(load([write_world(tmp_path, True)])))
    assert [model["name"] for model in data["models"]] == ["mlp_1200, α = 0", "mlp_1200, α = 0.1"]
    assert [column["name"] for column in data["columns"]] == ["ECE", "NLL, nats"]
    assert data["temperatures"] == [1.0, 2.0]


def test_no_text_can_end_the_script():
    text = slider.embedded({"name": "</script>"})
    assert "<" not in text and json.loads(text) == {"name": "</script>"}
