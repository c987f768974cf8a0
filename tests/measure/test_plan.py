"""A plan on a model in memory: which records are measured, and that none is measured twice."""

import json

import pytest
from fake_model import FakeModel, GreedySearch
from pyarrow import parquet

from mt_ls.measure import windows
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.workers import Workers
from mt_ls.records import RecordError, read


def _names(path):
    return [(record.mode, record.temperature) for record in read(path)]


def test_every_temperature_is_measured_in_every_mode(tmp_path):
    path = tmp_path / "records.jsonl"
    measure(FakeModel(), Plan(temperatures=(0.5, 0.5, 2.0), beam=4, lenpen=0.6), path)
    records = read(path)
    fitted = records[0].fitted_temperature
    assert set(_names(path)) == {(mode, t) for mode in ("forced", "beam") for t in (0.5, 1.0, 2.0, fitted)}
    assert len(records) == 8
    for record in records:
        assert record.fitted_temperature == fitted and record.fitted_on == "valid"
        assert (tmp_path / record.items).is_file()
        assert (record.beam, record.lenpen) == ((4, 0.6) if record.mode == "beam" else (None, None))
    forced = {record.temperature: record.nll for record in records if record.mode == "forced"}
    assert forced[fitted] <= min(forced.values()) + 0.05


def test_without_a_split_to_fit_on_there_is_no_fitted_temperature(tmp_path):
    path = tmp_path / "records.jsonl"
    measure(FakeModel(), Plan(modes=("forced",), fit_split=None), path)
    (record,) = read(path)
    assert record.fitted_temperature is None and record.fitted_on is None
    assert not (tmp_path / "fitted_temperature.json").exists()


def test_what_is_measured_is_not_measured_again(tmp_path):
    path = tmp_path / "records.jsonl"
    measure(FakeModel(), Plan(temperatures=(0.5,), modes=("forced",)), path)
    before = path.read_bytes()
    model = FakeModel()
    measure(model, Plan(temperatures=(0.5,), modes=("forced",)), path)
    assert path.read_bytes() == before and model.n_forward == 0
    measure(model, Plan(temperatures=(0.5, 2.0)), path)
    assert path.read_bytes().startswith(before)
    fitted = read(path)[0].fitted_temperature
    added = _names(path)[len(before.splitlines()) :]
    assert sorted(added) == sorted([("forced", 2.0), *(("beam", t) for t in (0.5, 1.0, 2.0, fitted))])


def test_a_measurement_that_was_cut_goes_on_to_the_same_files(tmp_path):
    """After a kill the records end in a torn line, and items of later records are missing."""
    plan = Plan(temperatures=(0.5, 2.0))
    measure(FakeModel(), plan, tmp_path / "whole" / "records.jsonl")
    lines = (tmp_path / "whole" / "records.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "cut" / "records.jsonl"
    path.parent.mkdir()
    path.write_text("".join(lines[:3]) + lines[3][:100])
    for record in read(path):
        (path.parent / record.items).write_bytes((tmp_path / "whole" / record.items).read_bytes())
    measure(FakeModel(), plan, path)
    again = path.read_text().splitlines(keepends=True)
    assert again[:3] == lines[:3] and len(again) == len(lines) == 8
    for line, other in zip(again, lines, strict=True):
        fields, expected = json.loads(line), json.loads(other)
        assert {**fields, "seconds": 0} == {**expected, "seconds": 0}
        items = fields["items"]
        assert (path.parent / items).read_bytes() == (tmp_path / "whole" / items).read_bytes()


def test_the_fitted_temperature_is_kept(tmp_path):
    path, kept = tmp_path / "records.jsonl", tmp_path / "fitted_temperature.json"
    measure(FakeModel(), Plan(modes=("forced",)), path)
    assert json.loads(kept.read_text()) == {f"{'c' * 16}-{'d' * 16}-valid-even": read(path)[0].fitted_temperature}
    kept.write_text(json.dumps({f"{'c' * 16}-{'d' * 16}-valid-even": 3.25}))
    path.unlink()
    measure(FakeModel(), Plan(modes=("forced",)), path)
    assert _names(path) == [("forced", 1.0), ("forced", 3.25)]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "b"}', '{"a": -1.0}'])
def test_a_file_of_fitted_temperatures_that_is_none_is_named(tmp_path, content):
    (tmp_path / "fitted_temperature.json").write_text(content)
    with pytest.raises(MeasureError, match=r"fitted_temperature.json: not fitted temperatures .* delete it"):
        measure(FakeModel(), Plan(), tmp_path / "records.jsonl")


def test_a_fit_on_the_measured_split_costs_no_pass(tmp_path):
    model, other = FakeModel(), FakeModel()
    measure(model, Plan(modes=("forced",), fit_split="test"), tmp_path / "a" / "records.jsonl")
    measure(other, Plan(modes=("forced",), fit_split=None), tmp_path / "b" / "records.jsonl")
    assert model.n_forward == other.n_forward


def test_pieces_are_a_measurement_of_their_own(tmp_path):
    path = tmp_path / "records.jsonl"
    plan = Plan(pieces=("der", "die", "das"))
    for _ in range(2):
        measure(FakeModel(), plan, path)
    assert _names(path) == [("activations", 1.0)] and [file.name for file in tmp_path.iterdir()] == ["records.jsonl"]


def test_the_reason_for_the_slow_search_is_said_once(tmp_path, capsys):
    measure(FakeModel(), Plan(modes=("beam",)), tmp_path / "a" / "records.jsonl")
    assert "mt_ls.measure: beam search by greedy: no fast search of a fake\n" in capsys.readouterr().err
    measure(FakeModel(), Plan(modes=("beam",), own_search=True), tmp_path / "b" / "records.jsonl")
    assert "beam search by" not in capsys.readouterr().err


def test_a_search_in_half_precision_is_work_of_its_own(tmp_path, capsys):
    """Its records say so, and a float32 search of the same file is measured beside them."""
    path = tmp_path / "records.jsonl"
    precisions = []
    model = FakeModel()
    search = model.search
    model.search = lambda beam, lenpen, precision=None: precisions.append(precision) or search(beam, lenpen)
    for precision in ("fp16", None, "fp16"):
        measure(model, Plan(fit_split=None, search_precision=precision), path)
    records = read(path)
    assert [(r.mode, r.search_precision) for r in records] == [("forced", None), ("beam", "fp16"), ("beam", None)]
    assert len({record.items for record in records}) == 3 and precisions == ["fp16", None]
    assert capsys.readouterr().err.count("beam search by greedy: no fast search") == 1  # that of float32


def test_a_search_at_once_gives_the_records_of_one_a_temperature(tmp_path, monkeypatch):
    plan = Plan(temperatures=(0.5, 2.0), modes=("beam",))
    measure(FakeModel(), plan, tmp_path / "each" / "records.jsonl")
    monkeypatch.setattr(GreedySearch, "at_once", True)
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", 10)
    measure(FakeModel(), plan, tmp_path / "once" / "records.jsonl")
    each, once = (read(tmp_path / name / "records.jsonl") for name in ("each", "once"))
    assert len(each) == 4 and len({record.seconds for record in once}) == 1
    for record, other in zip(each, once, strict=True):
        assert (record.key, record.bleu, record.n_left_out) == (other.key, other.bleu, other.n_left_out)
        assert record.bins.ece() == pytest.approx(other.bins.ece(), rel=1e-6)
        items = [(tmp_path / name / record.items) for name in ("each", "once")]
        assert parquet.read_table(items[0]).equals(parquet.read_table(items[1]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_plan_needs_temperatures(temperature):
    with pytest.raises(ValueError, match="greater than 0"):
        Plan(temperatures=(1.0, temperature))


def test_what_cannot_be_measured_is_an_error(tmp_path):
    path = tmp_path / "records.jsonl"
    with pytest.raises(MeasureError, match="no split 'train'"):
        measure(FakeModel(), Plan(split="train"), path)
    with pytest.raises(MeasureError, match="the split 'valid' has no sentence"):
        measure(FakeModel(0), Plan(), path)
    path.write_text("no record\n")
    with pytest.raises(RecordError, match=r"records.jsonl:1: not a record"):
        measure(FakeModel(), Plan(), path)


def test_only_the_first_worker_writes(tmp_path, monkeypatch):
    """The second of two workers, whose exchange with the first one is cut off."""
    monkeypatch.setattr(Workers, "gather", lambda self, part: [])
    monkeypatch.setattr(Workers, "from_first", lambda self, compute: 0.7)
    measure(FakeModel(), Plan(own_search=True), tmp_path / "records.jsonl", Workers(2, 1))
    measure(FakeModel(), Plan(pieces=("der", "die", "das")), tmp_path / "records.jsonl", Workers(2, 1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperatures": (0.0,)}, "greater than 0"),
        ({"temperatures": (21.0,)}, "between 0.05 and 20, not at 21"),
        ({"beam": 0}, "at least 1 hypothesis, not 0"),
        ({"lenpen": float("inf")}, "must be finite, not inf"),
    ],
)
def test_numbers_that_nothing_can_be_measured_with_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Plan(**change)


@pytest.mark.parametrize("change", [{"split": "a/b"}, {"fit_split": "a/b"}, {"split": ""}, {"split": "a\n"}])
def test_a_split_that_is_no_name_is_refused(change):
    with pytest.raises(MeasureError, match="is no name of a split"):
        Plan(**change)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(beam=7), "a beam of 7 needs a vocabulary of more than 7 tokens"),
        (Plan(split="other"), "no split 'other'"),
        (Plan(fit_split="other"), "no split 'other'"),
        (Plan(fit_split="empty"), "the split 'empty' has no sentence"),
        (Plan(split="empty"), "the split 'empty' has no sentence"),
    ],
)
def test_a_plan_is_checked_before_anything_is_measured(tmp_path, plan, message):
    model = FakeModel()
    model.targets["empty"] = []
    with pytest.raises(MeasureError, match=message):
        measure(model, plan, tmp_path / "records.jsonl")
    assert model.n_forward == 0 and not list(tmp_path.iterdir())
    assert Plan(beam=6, modes=("forced",)).splits == ("valid", "test")


def test_temperatures_that_one_name_stands_for_are_one(tmp_path):
    measure(FakeModel(), Plan(temperatures=(1.00001, 0.9), modes=("forced",), fit_split=None), tmp_path / "r.jsonl")
    assert _names(tmp_path / "r.jsonl") == [("forced", 0.9), ("forced", 1.0)]
