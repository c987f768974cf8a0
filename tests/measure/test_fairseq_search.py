"""fairseq's search: the hypotheses of the task's own, at many temperatures at once, in halves and in half precision."""

import collections
from types import SimpleNamespace

import pytest
import torch
from fairseq.sequence_generator import EnsembleModel

from mt_ls.measure import fairseq_search
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.fairseq_search import FairseqSearch
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import BatchLimits
from mt_ls.plugin.ensemble import TemperedEnsemble, tempered
from mt_ls.plugin.finished import finish_on_the_host
from mt_ls.records import read

TEMPERATURES = (0.5, 1.0, 1.3, 4.0)


@pytest.fixture
def model(data, checkpoint):
    return FairseqModel(checkpoint, data)


def _expected(loaded, temperature):
    """The hypothesis of each sentence, by the stock generator."""
    (network,), task, sample = loaded
    options = SimpleNamespace(beam=3, lenpen=1.0, nbest=1, max_len_b=200, temperature=temperature)
    ranked = task.inference_step(task.build_generator([network], options), [network], sample)
    return {s: best["tokens"].tolist() for s, (best, *_) in zip(sample["id"].tolist(), ranked, strict=True)}


def _found(search, model, temperatures):
    """The hypothesis of each sentence at each temperature, each found once."""
    found = [{} for _ in temperatures]
    for sentence, number, ids in search.best("test", model.batches("test", range(211)), temperatures):
        assert sentence not in found[number]
        found[number][sentence] = ids.tolist()
    return found


def test_the_search_is_that_of_the_task(model, loaded):
    search = FairseqSearch(model, 3, 1.0)
    assert not search.at_once
    assert _found(search, model, [1.0, 0.7]) == [_expected(loaded, 1.0), _expected(loaded, 0.7)]


@pytest.mark.parametrize("most", [10_000, 100])
def test_a_search_at_once_finds_what_one_a_temperature_finds(model, loaded, most, monkeypatch):
    """Sentences finish and leave the batch at different steps; the others must keep their temperatures."""
    search = FairseqSearch(model, 3, 1.0)
    search.at_once, search._most = True, most
    finish_on_the_host(search._generator)
    calls = collections.Counter()
    collated = model.data.collated
    monkeypatch.setattr(model.data, "collated", lambda split, s: calls.update([len(s)]) or collated(split, s))
    found = _found(search, model, TEMPERATURES)
    assert found == [_expected(loaded, temperature) for temperature in TEMPERATURES]
    assert len({str(of_one) for of_one in found}) == len(TEMPERATURES)  # the temperatures matter
    assert sum(n * times for n, times in calls.items()) == 211 * 4
    assert max(calls) <= most and max(calls) - min(calls) <= 1


def test_hypotheses_that_finish_on_the_host_are_those_of_the_stock_generator(loaded):
    """Every hypothesis of every beam, with its scores."""
    (network,), task, sample = loaded
    options = SimpleNamespace(beam=3, lenpen=1.0, nbest=3, max_len_b=200, temperature=1.3)
    generators = [task.build_generator([network], options) for _ in range(2)]
    for generator in generators:
        tempered(generator).temperatures = torch.full((len(sample["id"]),), 1.3)
    finish_on_the_host(generators[1])
    results = [task.inference_step(generator, [network], sample) for generator in generators]
    for expected, found in zip(*([h for s in ranked for h in s] for ranked in results), strict=True):
        for name in ("tokens", "score", "positional_scores"):
            assert torch.equal(found[name], expected[name])


def test_a_batch_that_is_too_large_for_the_memory_is_searched_in_halves(model, loaded, monkeypatch):
    search = FairseqSearch(model, 3, 1.0)
    whole = search._search
    sizes = []

    def limited(split, jobs, temperatures):
        if len(jobs) > 60:
            raise torch.OutOfMemoryError
        sizes.append(len(jobs))
        return whole(split, jobs, temperatures)

    monkeypatch.setattr(search, "_search", limited)
    assert _found(search, model, [1.0]) == [_expected(loaded, 1.0)]
    assert len(sizes) >= 4 and sum(sizes) == 211
    monkeypatch.setattr(search, "_search", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        _found(search, model, [1.0])


def test_another_ensemble_keeps_its_search(model, loaded, monkeypatch):
    """A task may search in its own way; it then has a generator a temperature."""

    class Other(EnsembleModel):
        pass

    build = model.task.build_generator
    monkeypatch.setattr(model.task, "build_generator", lambda models, args: build(Other(models), args))
    search = FairseqSearch(model, 3, 1.0)
    assert search._ensemble is None and not search.at_once
    assert _found(search, model, [0.5, 1.3]) == [_expected(loaded, 0.5), _expected(loaded, 1.3)]


def test_only_fairseqs_own_ensemble_is_tempered(model):
    generator = SimpleNamespace(model=EnsembleModel([model.network]))
    ensemble = tempered(generator)
    assert type(ensemble) is TemperedEnsemble and generator.model is ensemble
    assert tempered(generator) is None and tempered(SimpleNamespace()) is None


def test_a_search_in_half_precision_leaves_the_model_in_float32(model, loaded):
    search = FairseqSearch(model, 3, 1.0, "bf16")
    (found,) = _found(search, model, [1.0])
    assert {parameter.dtype for parameter in search._networks[0].parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.network.parameters()} == {torch.float32}
    expected = _expected(loaded, 1.0)
    same = sum(found[sentence] == expected[sentence] for sentence in expected)
    assert 0.5 * len(expected) < same < len(expected)  # rounding to 8 bits decides some


def test_jobs_are_in_parts_of_nearly_one_size():
    jobs = [(sentence, 0) for sentence in range(10)]
    parts = fairseq_search._equal_parts(jobs, 4)
    assert [len(part) for part in parts] == [3, 3, 4] and [*parts[0], *parts[1], *parts[2]] == jobs
    assert fairseq_search._equal_parts(jobs, 10) == [jobs] and fairseq_search._equal_parts([], 4) == []


def _records(data, checkpoint, folder, device, **options):
    model = FairseqModel(checkpoint, data, device=torch.device(device))
    measure(model, Plan(temperatures=(0.7, 1.3), own_search=True, beam=3, **options), folder / "records.jsonl")
    return {(record.mode, record.temperature): record for record in read(folder / "records.jsonl")}


@pytest.mark.gpu
def test_records_of_a_gpu_are_those_of_a_cpu(data, checkpoint, tmp_path):
    on_cpu, on_gpu = (_records(data, checkpoint, tmp_path / d, d, fit_split=None) for d in ("cpu", "cuda"))
    assert on_cpu.keys() == on_gpu.keys()
    for key, expected in on_cpu.items():
        record = on_gpu[key]
        assert record.device == "cuda" and record.n_tokens == expected.n_tokens, key
        assert record.bleu == expected.bleu and record.n_left_out == expected.n_left_out
        assert record.bins.ece() == pytest.approx(expected.bins.ece(), abs=1e-4)
        assert record.accuracy == pytest.approx(expected.accuracy, abs=1e-4)
        assert record.confidence == pytest.approx(expected.confidence, abs=1e-4)
        assert record.nll == (None if expected.nll is None else pytest.approx(expected.nll, abs=1e-4))


@pytest.mark.gpu
def test_a_gpu_fits_the_temperature_of_a_cpu(data, checkpoint, tmp_path):
    fitted = [
        next(iter(_records(data, checkpoint, tmp_path / device, device, modes=("forced",)).values())).fitted_temperature
        for device in ("cpu", "cuda")
    ]
    assert fitted[1] == pytest.approx(fitted[0], abs=2e-4)


@pytest.mark.gpu
def test_a_gpu_searches_at_once_unless_limits_are_named(data, checkpoint, loaded):
    device = torch.device("cuda")
    model = FairseqModel(checkpoint, data, device=device)
    named = FairseqModel(checkpoint, data, limits=BatchLimits(max_tokens=500), device=device)
    assert FairseqSearch(model, 3, 1.0).at_once and not FairseqSearch(named, 3, 1.0).at_once
    found, others = (_found(FairseqSearch(each, 3, 1.0), each, TEMPERATURES) for each in (model, named))
    same = [a[s] == b[s] for a, b in zip(found, others, strict=True) for s in range(211)]
    assert sum(same) >= 0.99 * len(same)  # products of other sizes round otherwise, which may decide a tie


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_search_in_half_precision_names_itself(data, checkpoint, tmp_path, precision):
    for search_precision in (None, precision):
        plan = {"fit_split": None, "modes": ("beam",), "search_precision": search_precision}
        _records(data, checkpoint, tmp_path, "cuda", **plan)
    records = {(record.search_precision, record.temperature): record for record in read(tmp_path / "records.jsonl")}
    assert records.keys() == {(name, t) for name in (None, precision) for t in (0.7, 1.0, 1.3)}
    for (name, temperature), record in records.items():
        assert (f"|search:{precision}|" in record.signature) == (precision in record.items) == (name is not None)
        assert record.bleu["score"] == pytest.approx(records[None, temperature].bleu["score"], abs=1.5)
