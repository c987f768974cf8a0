"""A fairseq checkpoint as a model: its identity, its predictions and its data, whoever made them."""

import datetime
import os
import shutil
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary

from mt_ls.calibration.confidence import token_scores
from mt_ls.measure import fairseq_model
from mt_ls.measure.binarised import subword_scheme
from mt_ls.measure.configuration import architecture_of, precision_of, smoothing_of
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import BatchLimits, MeasureError
from mt_ls.records import Model, read
from mt_ls.smoothing.kinds import Smoothing

STOCK, OWN = "label_smoothed_cross_entropy", "label_smoothed_cross_entropy_with_calibration"


@pytest.mark.parametrize(
    ("criterion", "smoothing"),
    [
        (None, None),
        ({}, None),
        ({"_name": "cross_entropy"}, Smoothing()),
        ({"_name": STOCK, "label_smoothing": 0.1}, Smoothing("uniform", 0.1, "fairseq")),
        ({"_name": STOCK, "label_smoothing": 0.0}, Smoothing()),
        ({"_name": STOCK, "label_smoothing": None}, Smoothing()),
        ({"_name": OWN, "label_smoothing": 0.1, "smoothing_convention": "paper"}, Smoothing("uniform", 0.1)),
        (
            {"_name": OWN, "label_smoothing": 0.1, "smoothing_convention": "fairseq"},
            Smoothing("uniform", 0.1, "fairseq"),
        ),
        ({"_name": OWN, "label_smoothing": 0.0, "smoothing_convention": "fairseq"}, Smoothing()),
        (
            {"_name": OWN, "label_smoothing": 0.2, "smoothing_convention": "paper", "smoothing_kind": "unigram"},
            Smoothing("unigram", 0.2),
        ),
    ],
)
def test_the_smoothing_is_that_of_the_criterion(criterion, smoothing):
    assert smoothing_of(None if criterion is None else SimpleNamespace(**criterion)) == smoothing


@pytest.mark.parametrize(
    ("common", "precision"),
    [
        ({}, None),
        ({"fp16": False, "bf16": False}, None),
        ({"fp16": True, "bf16": False}, "fp16"),
        ({"fp16": False, "memory_efficient_fp16": True}, "fp16"),
        ({"bf16": True}, "bf16"),
        ({"memory_efficient_bf16": True}, "bf16"),
    ],
)
def test_the_precision_is_that_of_the_training(common, precision):
    assert precision_of(SimpleNamespace(**common)) == precision


def test_the_architecture_is_the_registered_name():
    assert architecture_of(SimpleNamespace(_name="transformer_iwslt_de_en", arch="transformer")) == (
        "transformer_iwslt_de_en"
    )
    assert architecture_of(SimpleNamespace(_name=None, arch="fconv")) == "fconv"
    assert architecture_of(SimpleNamespace()) is None


@pytest.mark.parametrize(
    ("symbols", "scheme"),
    [(["▁the", "ing"], "sentencepiece"), (["th@@", "e"], "subword_nmt"), (["the", "dog"], "none")],
)
def test_subwords_are_recognised(symbols, scheme):
    dictionary = Dictionary()
    for symbol in symbols:
        dictionary.add_symbol(symbol)
    assert subword_scheme(dictionary) == scheme


@pytest.fixture(scope="module")
def model(data, checkpoint):
    return FairseqModel(checkpoint, data)


def test_a_checkpoint_says_who_was_measured(model, checkpoint):
    provenance = model.provenance("test")
    assert provenance.model == Model(
        corpus="synthetic",
        architecture="transformer_mt_ls_micro",
        smoothing=Smoothing("uniform", 0.1),
        checkpoint="last",
    )
    state = torch.load(checkpoint, weights_only=True)
    assert provenance.updates == state["optimizer_history"][-1]["num_updates"]
    assert (provenance.run, provenance.seed, provenance.unit, provenance.device) == (
        "synthetic_a0.1_s1",
        1,
        "spm",
        "cpu",
    )
    assert {"mt_ls", "torch", "fairseq", "sacrebleu"} <= provenance.versions.keys()


def test_a_stock_checkpoint_without_seed_in_half_precision(data, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["criterion"] = {"_name": STOCK, "label_smoothing": 0.1}
    state["cfg"]["common"]["fp16"] = True
    state["cfg"]["common"]["seed"] = None
    path = tmp_path / "run" / "checkpoints" / "checkpoint_best.pt"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    provenance = FairseqModel(path, data, run="mine").provenance("test")
    assert provenance.model.smoothing == Smoothing("uniform", 0.1, "fairseq")
    assert provenance.model.precision == "fp16" and provenance.model.checkpoint == "best"
    assert provenance.seed is None and provenance.run == "mine"
    assert FairseqModel(path, data).provenance("test").run == "run-best"
    state["cfg"]["criterion"] = {"_name": STOCK, "label_smoothing": 1.5}
    torch.save(state, path)
    with pytest.raises(
        MeasureError,
        match=r"checkpoint_best.pt: its configuration has no valid label smoothing: label smoothing must",
    ):
        FairseqModel(path, data)


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("task", {"_name": "language_modeling"}, "is of the task language_modeling: only translation models can be"),
        ("task", {"_name": "translation_lev"}, "is of the task translation_lev: only models that predict token after"),
        ("task", {"_name": "mine"}, "is of the task mine, which fairseq does not have here"),
        ("task", {"_name": None}, "is of the task None, which fairseq does not have here"),
        (
            "task",
            {"source_lang": "en", "target_lang": "fr"},
            "translates en to fr, and .* has no dict.fr.txt, but dict.de",
        ),
        ("model", {"_name": "mine"}, "is of the architecture mine, which fairseq does not have here"),
        ("criterion", {"label_smoothing": "high"}, "has no valid label smoothing: could not convert"),
        ("criterion", {"label_smoothing": [0.1]}, "has no valid label smoothing: float"),
        ("common", {"seed": "first"}, "its configuration has no valid seed: 'first' is no whole number"),
        ("common", {"seed": [1]}, r"its configuration has no valid seed: \[1\] is no whole number"),
        ("common", {"seed": 1.5}, "its configuration has no valid seed: 1.5 is no whole number"),
        (None, {"cfg": None}, "not a fairseq checkpoint: it holds no configuration"),
        (None, {"model": None}, "not a fairseq checkpoint: its contents are not those that fairseq saves"),
        (
            None,
            {"optimizer_history": [{}]},
            "not a fairseq checkpoint: it lacks what fairseq saves, such as 'best_loss'",
        ),
        (None, {"model": {}}, "does not fit the data"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(data, checkpoint, tmp_path, section, changes, message):
    state = torch.load(checkpoint, weights_only=True)
    changed = state["cfg"][section] if section else state
    changed = vars(changed) if isinstance(changed, Namespace) else changed
    changed |= changes
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(MeasureError, match=rf"^{tmp_path}/x\.pt: .*{message}"):
        FairseqModel(tmp_path / "x.pt", data)


def test_a_configuration_without_smoothing_and_seed_is_measured(data, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["criterion"]["label_smoothing"] = None
    state["cfg"]["common"] = None
    torch.save(state, tmp_path / "x.pt")
    provenance = FairseqModel(tmp_path / "x.pt", data).provenance("test")
    assert provenance.model.smoothing == Smoothing() and provenance.seed is None
    state["cfg"]["criterion"] = None
    torch.save(state, tmp_path / "x.pt")
    assert FairseqModel(tmp_path / "x.pt", data).provenance("test").model.smoothing is None


def test_data_that_name_no_languages_are_refused(data, checkpoint, tmp_path):
    for name in ("dict.en.txt", "dict.de.txt"):
        shutil.copy(data / name, tmp_path)
    with pytest.raises(MeasureError, match=r"no file SPLIT\.SOURCE-TARGET\.LANGUAGE\.idx names a pair of languages"):
        FairseqModel(checkpoint, tmp_path)
    with pytest.raises(MeasureError, match="fairseq takes ':' in a path for a list of folders"):
        FairseqModel(checkpoint, shutil.copytree(tmp_path, tmp_path / "a:b"))


def test_tokens_beyond_the_dictionary_are_refused(data, checkpoint):
    model = FairseqModel(checkpoint, data)
    model.task.target_dictionary.symbols = model.data.target_dictionary.symbols[:40]
    with pytest.raises(MeasureError, match=r"split test has a token [4-7]\d, and a dictionary only 40: the dictionary"):
        model.forced("test", list(range(211)))


def test_a_batch_that_is_too_small_for_a_sentence_is_refused(data, checkpoint):
    with pytest.raises(
        MeasureError, match=r"--max-tokens 8: sentence \d+ of test has (\d+) tokens: allow at least \1$"
    ):
        FairseqModel(checkpoint, data, limits=BatchLimits(max_tokens=8)).batches("test", range(1))


def test_a_sentence_longer_than_the_devices_batch_has_its_own(data, checkpoint, monkeypatch):
    monkeypatch.setattr(fairseq_model, "_CPU_TOKENS", 5)
    batches = FairseqModel(checkpoint, data).batches("test", range(211))
    assert sorted(sentence for batch in batches for sentence in batch) == list(range(211))


def test_batches_hold_every_sentence_once(data, checkpoint):
    model = FairseqModel(checkpoint, data, limits=BatchLimits(max_sentences=7))
    assert model.n_sentences("test") == 211
    batches = model.batches("test", range(60, 120))
    assert sorted(sentence for batch in batches for sentence in batch) == list(range(60, 120))
    assert max(map(len, batches)) == 7
    small = FairseqModel(checkpoint, data, limits=BatchLimits(max_tokens=50)).batches("test", range(211))
    assert all(len(batch) * max(len(model.target("test", s)) + 1 for s in batch) <= 50 for batch in small)


def test_batches_without_limits_are_as_large_as_suits_the_device(data, checkpoint, monkeypatch):
    model, limited = (FairseqModel(checkpoint, data, limits=BatchLimits(n)) for n in (None, 500))
    monkeypatch.setattr(fairseq_model, "_CPU_TOKENS", 500)
    assert model.batches("test", range(211)) == limited.batches("test", range(211))
    assert len(model.batches("test", range(211))) > 3
    model.device = limited.device = torch.device("cuda")
    assert len(model.batches("test", range(211))) == 1
    assert len(limited.batches("test", range(211))) > 3


def test_predictions_are_those_of_fairseqs_forward(model, loaded):
    (network,), task, sample = loaded
    order = sample["id"].argsort()
    real = sample["target"][order].ne(task.target_dictionary.pad())
    with torch.no_grad():
        logits = network(**sample["net_input"])[0][order][real]
    tokens = model.forced("test", list(range(211)))
    order = torch.argsort(tokens.sentence, stable=True)
    assert torch.equal(tokens.target[order], sample["target"][sample["id"].argsort()][real])
    torch.testing.assert_close((tokens.states @ model.projection.t())[order], logits, atol=1e-4, rtol=1e-4)
    assert model.target("test", 5) == tokens.target[tokens.sentence == 5].tolist()[:-1]


def test_a_model_without_projection_gives_log_probabilities(model, monkeypatch):
    tokens = model.forced("test", [3, 4])
    expected = (tokens.states @ model.projection.t()).log_softmax(-1)
    monkeypatch.setattr(model, "projection", None)
    torch.testing.assert_close(model.forced("test", [3, 4]).states, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_token_scores_are_in_the_order_of_the_sentences(model, temperature):
    """A batch of sentences of different lengths, which fairseq sorts; against predictions of the targets."""
    sentences = [9, 2, 30, 17]
    hypotheses = [torch.tensor([*model.target("test", sentence), model.eos]) for sentence in sentences]
    scored = model.token_scores("test", sentences, hypotheses, temperature)
    tokens = model.forced("test", sentences)
    expected = token_scores((tokens.states @ model.projection.t()).detach(), tokens.target, temperature)
    for sentence, own in zip(sentences, scored, strict=True):
        for found, column in zip(own, expected, strict=True):
            torch.testing.assert_close(found, column[..., tokens.sentence == sentence], atol=1e-5, rtol=1e-4)


def test_references_without_text_beside_them_are_decoded(data, checkpoint, tmp_path, model):
    shutil.copytree(data, tmp_path / "foreign")
    shutil.rmtree(tmp_path / "foreign" / "text")
    (tmp_path / "foreign" / "manifest.json").unlink()
    foreign = FairseqModel(checkpoint, tmp_path / "foreign")
    assert foreign.references("test") == model.references("test")
    assert foreign.text_of(torch.tensor([*foreign.target("test", 0), foreign.eos])) == model.references("test")[0]
    hashes = [foreign.provenance(split).sha["data"] for split in ("test", "valid", "test")]
    assert foreign.provenance("test").model.corpus == "foreign"
    assert hashes[0] == hashes[2] != hashes[1] and len(hashes[0]) == 64
    (tmp_path / "foreign" / "text").mkdir()
    (tmp_path / "foreign" / "text" / "test.de").write_text("Ein Satz\n")
    with pytest.raises(MeasureError, match=r"test\.de: 1 lines, but the split has 211 sentences"):
        foreign.references("test")


def test_tokens_of_the_vocabulary_have_ids(model):
    token = model.token_id("▁der")
    assert model.data.target_dictionary[token] == "▁der" and model.token_id("▁xyz") is None


def test_a_sentence_that_does_not_fit_is_an_error_and_not_a_gap(data, checkpoint):
    model = FairseqModel(checkpoint, data)
    model.network.max_positions = lambda: (8, 1024)  # every source has eight words and EOS
    with pytest.raises(MeasureError, match="test: 211 of 211 sentences are longer than the model's positions"):
        model.batches("test", range(10))


class _Foreign:
    """A type that no fairseq checkpoint holds, and whose unpickling has an effect."""

    def __reduce__(self):
        return os.mkdir, (str(_Foreign.trap),)


@pytest.mark.parametrize(("held", "name"), [(_Foreign(), "posix.mkdir"), (datetime.date(2019, 6, 6), "datetime.date")])
def test_a_checkpoint_with_foreign_types_is_refused_by_name(data, checkpoint, tmp_path, held, name):
    _Foreign.trap = tmp_path / "trap"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "extra_state": held}, tmp_path / "foreign.pt")
    with pytest.raises(MeasureError, match=rf"foreign\.pt: asks for {name}, .*TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"):
        FairseqModel(tmp_path / "foreign.pt", data)
    assert not _Foreign.trap.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"corpus": "x"}', '{"corpus": "", "hash": "y"}'])
def test_a_manifest_that_is_none_is_refused(data, checkpoint, tmp_path, content):
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "manifest.json").write_text(content)
    with pytest.raises(MeasureError, match=r"manifest\.json: not a manifest .* make the data again"):
        FairseqModel(checkpoint, tmp_path / "data")


def test_the_hash_is_that_of_the_weights_whatever_else_the_file_holds(data, checkpoint, tmp_path, model):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "last_optimizer_state": None}, tmp_path / "smaller.pt")
    same = FairseqModel(tmp_path / "smaller.pt", data).provenance("test").sha["checkpoint"]
    next(iter(state["model"].values()))[0] += 1
    torch.save(state, tmp_path / "other.pt")
    other = FairseqModel(tmp_path / "other.pt", data).provenance("test").sha["checkpoint"]
    assert same == model.provenance("test").sha["checkpoint"] != other


def test_batch_sizes_change_nothing(data, checkpoint, tmp_path):
    records = {}
    for size in (5, 100):
        path = tmp_path / str(size) / "records.jsonl"
        model = FairseqModel(checkpoint, data, limits=BatchLimits(max_sentences=size))
        measure(model, Plan(beam=3), path)
        records[size] = {(record.mode, record.temperature == 1): record for record in read(path)}
    for key, record in records[5].items():
        other = records[100][key]
        assert record.n_tokens == other.n_tokens and record.bleu == other.bleu
        assert record.temperature == pytest.approx(other.temperature, abs=2e-4)
        assert record.bins.ece() == pytest.approx(other.bins.ece(), abs=1e-4)
        assert record.nll == (None if other.nll is None else pytest.approx(other.nll, abs=1e-4))


def test_the_module_knows_fairseqs_default_length():
    from fairseq.dataclass.configs import GenerationConfig

    assert fairseq_model.FairseqModel.max_length == GenerationConfig.max_len_b
