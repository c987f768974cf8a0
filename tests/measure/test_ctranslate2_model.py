"""Folders of CTranslate2 against the models that they were converted from, and wrong ones, each with one line."""

import json
import shutil
from pathlib import Path

import ctranslate2
import pytest
import torch
from huggingface import marian, mbart, text_files

from mt_ls.measure import audit
from mt_ls.measure.ctranslate2_model import CTranslate2Model
from mt_ls.measure.ctranslate2_search import _converter
from mt_ls.measure.fairseq_data import read_data
from mt_ls.measure.fairseq_model import FairseqModel
from mt_ls.measure.huggingface_data import HuggingFaceData
from mt_ls.measure.huggingface_model import HuggingFaceModel
from mt_ls.measure.loading import on_texts
from mt_ls.measure.plan import Plan, measure
from mt_ls.measure.protocol import BatchLimits, MeasureError
from mt_ls.measure.text_pairs import read_texts
from mt_ls.records import read


def converted(source, folder, quantization=None):
    """The folder that CTranslate2's converter writes of a Hugging Face model, with its tokenizer."""
    files = [
        file.name
        for file in source.iterdir()
        if "token" in file.name or file.suffix in (".spm",) or "vocab" in file.name
    ]
    converter = ctranslate2.converters.TransformersConverter(str(source), copy_files=files)
    converter.convert(str(folder), quantization=quantization)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A Marian model and its conversion on the same text."""
    folder = tmp_path_factory.mktemp("ctranslate2")
    text_files(folder)
    source = marian(folder / "marian")
    texts = read_texts([folder / "test.en", folder / "test.de"])
    own = HuggingFaceModel(str(source), texts)
    folder = converted(source, folder / "converted")
    return own, CTranslate2Model(folder, HuggingFaceData(str(folder), texts))


def nll_of(model, split="test"):
    total = {}
    for batch in model.batches(split, range(model.n_sentences(split))):
        tokens = model.forced(split, batch)
        nll = torch.nn.functional.cross_entropy(tokens.states, tokens.target, reduction="none")
        total |= {sentence: nll[tokens.sentence == sentence].tolist() for sentence in batch}
    return [total[sentence] for sentence in sorted(total)]


def test_the_forced_pass_of_a_conversion_is_that_of_its_source(pair):
    own, other = pair
    for one, two in zip(nll_of(own), nll_of(other), strict=True):
        assert two == pytest.approx(one, abs=1e-4)


def test_the_logits_have_the_log_probabilities_of_score_batch(pair):
    _, model = pair
    sources = [model.data.source_tokens("test", sentence) for sentence in range(5)]
    targets = [[model.data.token(number) for number in model.data.target("test", sentence)] for sentence in range(5)]
    scored = model.translator.score_batch(sources, targets)
    for result, nll in zip(scored, nll_of(model)[:5], strict=True):
        assert [-value for value in result.log_probs] == pytest.approx(nll, abs=1e-4)


def test_a_search_finds_what_the_library_finds_and_its_tokens_sum_to_the_score(pair):
    _, model = pair
    batch = list(range(6))
    found = [ids for _, _, ids in model.search(3, 1.0).best("test", [batch], [1.0])]
    sources = [model.data.source_tokens("test", sentence) for sentence in batch]
    results = model.translator.translate_batch(
        sources, beam_size=3, length_penalty=1.0, max_decoding_length=200, return_scores=True
    )
    probabilities = [own.probability for own in model.token_scores("test", batch, found, 1.0)]
    for ids, result, own in zip(found, results, probabilities, strict=True):
        assert [model._tokens[number] for number in ids.tolist() if number != model.eos] == result.hypotheses[0]
        if ids[-1] == model.eos:
            assert own.log().mean().item() == pytest.approx(result.scores[0], abs=1e-3)


@pytest.fixture(scope="module")
def of_fairseq(data, checkpoint, tmp_path_factory):
    """A fairseq checkpoint and its conversion, on the same binarised data."""
    own = FairseqModel(checkpoint, data)
    folder = tmp_path_factory.mktemp("fairseq") / "converted"
    _converter(own, 1.0).convert(str(folder))
    return own, CTranslate2Model(folder, read_data(data))


def test_the_records_of_a_converted_checkpoint_are_those_of_the_checkpoint(of_fairseq, tmp_path):
    plan = Plan(split="test", temperatures=(0.8,), beam=3)
    files = [tmp_path / name / "records.jsonl" for name in ("own", "converted")]
    for model, file in zip(of_fairseq, files, strict=True):
        file.parent.mkdir()
        measure(model, plan, file)
    own, other = ({(r.mode, round(r.temperature, 3)): r for r in read(file)} for file in files)
    assert own.keys() - other.keys() == {("beam", t) for mode, t in own if mode == "beam" and t != 1.0}
    for key, record in other.items():
        assert record.n_tokens == own[key].n_tokens and record.n_sentences == own[key].n_sentences == 211
        assert record.accuracy == pytest.approx(own[key].accuracy, abs=1e-3)
        assert record.bins.ece() == pytest.approx(own[key].bins.ece(), abs=1e-3)
        if key[0] == "forced":
            assert record.nll == pytest.approx(own[key].nll, abs=1e-4)
            assert record.fitted_temperature == pytest.approx(own[key].fitted_temperature, abs=1e-3)
        else:
            assert record.bleu["score"] == pytest.approx(own[key].bleu["score"], abs=0.05)
    assert record.model.checkpoint == "CTranslate2 float32" and record.unit == "spm"


def test_quantised_weights_are_measured_as_they_are(pair, tmp_path):
    own, _ = pair
    folder = converted(Path(own.data.name), tmp_path / "int8", "int8")
    model = CTranslate2Model(folder, own.data)
    assert model.provenance("test").model.checkpoint.startswith("CTranslate2 int8")
    nll = [sum(values) for values in nll_of(model)]
    assert nll == pytest.approx([sum(values) for values in nll_of(own)], rel=0.2)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("cut", lambda f: (f / "model.bin").write_bytes(b"cut"), "CTranslate2 cannot load it"),
        ("config", lambda f: (f / "config.json").write_text("{"), "cannot"),
        (
            "foreign",
            lambda f: (f / "shared_vocabulary.json").write_text(
                json.dumps(["</s>", "<unk>", *(f"x{i}" for i in range(43))])
            ),
            "is another model's",
        ),
        ("plain", lambda f: [file.unlink() for file in f.glob("*token*")], "tokenizer cannot be loaded"),
    ],
)
def test_a_wrong_folder_is_one_line(pair, tmp_path, capsys, name, change, words):
    _, other = pair
    folder = tmp_path / name
    shutil.copytree(other.path, folder)
    change(folder)
    files = [str(other.path.parent / name) for name in ("test.en", "test.de")]
    assert audit.main([*files, "--hf", str(folder), "--out", str(tmp_path / "out"), "--cpu"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert words in err[-1] and str(folder) in err[-1], err
    assert len(err) <= 2 and not list((tmp_path / "out").rglob("*.jsonl"))


def test_a_tokenizer_that_chooses_the_first_token_is_refused(pair, tmp_path):
    _, other = pair
    source = mbart(tmp_path / "mbart")
    for name in ("model.bin", "shared_vocabulary.json"):
        shutil.copy(other.path / name, source)
    texts = read_texts([other.path.parent / name for name in ("test.en", "test.de")])
    with pytest.raises(MeasureError, match="name the Hugging Face model itself"):
        on_texts(str(source), texts, ("en_XX", "de_DE"), BatchLimits(), torch.device("cpu"), None)
