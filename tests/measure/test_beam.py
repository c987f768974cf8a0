"""Beam mode on a model in memory: scores, bins and items of its hypotheses, cut into windows or not."""

import numpy as np
import pytest
import sacrebleu
import torch
from fake_model import EOS, FakeModel
from msgspec.structs import replace
from pyarrow import parquet

from mt_ls.calibration.bins import FINE_BINS, Bins
from mt_ls.calibration.selective import TOKEN_SCORES, normalised_aurc
from mt_ls.calibration.smooth_ece import smooth_ece
from mt_ls.measure import windows
from mt_ls.measure.beam import measure_beam
from mt_ls.measure.plan import blank_record
from mt_ls.measure.protocol import MeasureError
from mt_ls.measure.references import References
from mt_ls.records import read
from mt_ls.records.items import read_items


def _best(model):
    """The hypothesis of each sentence."""
    return {sentence: ids for sentence, _, ids in model.search(3, 1.0).best("test", [list(range(31))], [1.0])}


def _measured(model, folder, temperature=1.0, references=None):
    """The record, and the columns of its items."""
    plan = replace(
        blank_record(model, "test"), mode="beam", beam=3, lenpen=1.0, temperature=temperature, fitted_temperature=0.8
    )
    path = folder / "records.jsonl"
    measure_beam(model, model.search(3, 1.0), references or References(model, "test"), [plan], path)
    record = read(path)[-1]
    return record, parquet.read_table(folder / record.items).to_pydict()


def test_scores_are_those_of_the_hypotheses(tmp_path):
    model = FakeModel()
    record, columns = _measured(model, tmp_path)
    best = _best(model)
    texts, references = [model.text_of(best[sentence]) for sentence in range(31)], model.references("test")
    assert columns["text"] == texts == read_items(tmp_path, record).text
    for name, metric in {
        "bleu": sacrebleu.BLEU(),
        "bleu_uncased": sacrebleu.BLEU(lowercase=True),
        "chrf": sacrebleu.CHRF(),
        "ter": sacrebleu.TER(case_sensitive=True),
    }.items():
        expected = metric.corpus_score(texts, [references])
        assert getattr(record, name) == {
            "score": pytest.approx(expected.score, abs=1e-9),
            "signature": str(metric.get_signature()),
        }
    lengths = np.array(columns["bleu"]).sum(0)[:2]
    assert record.length_ratio == pytest.approx(lengths[0] / lengths[1])
    assert lengths[1] == sum(len(reference.split()) for reference in references)
    assert record.name.startswith("beam3_test_T1.0000") and record.items == f"{record.name}.parquet"


def test_tokens_and_bins_are_those_of_the_hypotheses(tmp_path):
    model = FakeModel()
    model.max_length = 4
    record, columns = _measured(model, tmp_path)
    best = _best(model)
    assert any(ids[-1] != EOS for ids in best.values()) and any(ids[-1] == EOS for ids in best.values())
    assert columns["token"] == [best[sentence].tolist() for sentence in range(31)]
    scored = model.token_scores("test", list(range(31)), [best[sentence] for sentence in range(31)], 1.0)
    expected = [of_sentence.probability for of_sentence in scored]
    confidence, hit, kept, token = (
        np.concatenate(columns[name]) for name in ("token_confidence", "token_hit", "token_kept", "token")
    )
    np.testing.assert_allclose(confidence, torch.cat(expected), rtol=1e-6)
    others = kept & (token != EOS)
    bins = Bins.of(confidence[others], hit[others])
    np.testing.assert_array_equal(record.bins.count, bins.count)
    np.testing.assert_array_equal(record.bins.hits, bins.hits)
    np.testing.assert_allclose(record.bins.confidence, bins.confidence, rtol=1e-6)
    fine = Bins.of(confidence[others], hit[others], FINE_BINS)
    assert record.smooth_ece == pytest.approx(smooth_ece(fine), rel=1e-5)
    entropy = torch.cat([of_sentence.entropy for of_sentence in scored]).numpy()
    for name, score in (("probability", confidence), ("entropy", -entropy)):
        area = normalised_aurc(score[others], 1.0 - hit[others])[0]
        assert record.token_naurc[name] == pytest.approx(area, abs=0.01)
    assert list(record.token_naurc) == list(TOKEN_SCORES)
    assert record.accuracy == bins.accuracy and record.bins_by_class["eos"].n == (token == EOS).sum()
    assert record.n_tokens == len(token) and record.n_left_out == (~kept).sum()
    assert record.n_tokens == record.bins.n + record.n_left_out + record.bins_by_class["eos"].n
    items = read_items(tmp_path, record)
    lengths = [len(tokens) for tokens in columns["token"]]
    np.testing.assert_array_equal(items.n, np.bincount(np.repeat(np.arange(31), lengths), others))
    np.testing.assert_array_equal(items.bins.sum(0)[2], bins.hits)
    assert "nll" not in columns and "token_nll" not in columns


def test_tokens_and_scores_are_kept_at_1_and_at_the_fitted_temperature_only(tmp_path):
    model = FakeModel()
    columns = {t: set(_measured(model, tmp_path, t)[1]) for t in (0.5, 0.8, 1.0)}
    added = {"token", "token_confidence", "token_hit", "token_kept", "scores", "chrf"}
    assert columns[0.8] == columns[1.0] == columns[0.5] | added
    assert not columns[0.5] & added


def test_windows_change_nothing_and_equal_hypotheses_are_compared_once(tmp_path, monkeypatch):
    model = FakeModel()
    references = References(model, "test")
    whole, columns = _measured(model, tmp_path, 1.0, references)
    assert references.compare.cache_info().misses == 31
    monkeypatch.setattr(windows, "WINDOW_SENTENCES", 10)
    cut, others = _measured(model, tmp_path, 1.0, references)
    assert references.compare.cache_info().misses == 31 and references.compare.cache_info().hits == 31
    assert cut.smooth_ece == pytest.approx(whole.smooth_ece, rel=1e-6)
    same = {"seconds": 0, "bins": whole.bins, "bins_by_class": None, "confidence": 0, "smooth_ece": 0}
    assert replace(cut, **same) == replace(whole, **same)
    np.testing.assert_allclose(cut.bins.confidence, whole.bins.confidence, rtol=1e-6)
    assert columns.keys() == others.keys() and all(columns[name] == others[name] for name in columns)


def test_a_search_that_loses_a_sentence_is_an_error_and_leaves_no_file(tmp_path):
    model = FakeModel()
    batches = model.batches
    model.batches = lambda split, sentences: batches(split, sentences)[1:]
    with pytest.raises(MeasureError, match="of sentences 0 to 30 28 were measured, and not all 31"):
        _measured(model, tmp_path)
    assert list(tmp_path.iterdir()) == []
