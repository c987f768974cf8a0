"""Models of Hugging Face against `transformers` itself, and wrong inputs of theirs, each with one line."""

import copy
import json
import re
import shutil

import pytest
import torch
from commands import ROOT, module, run
from huggingface import REFERENCES, SOURCES, bart, m2m, marian, mbart, mbart50, nllb, t5, text_files
from trees import run_recipe

from mt_ls.measure import __main__ as command
from mt_ls.measure import audit
from mt_ls.measure import huggingface_model as module_of_model
from mt_ls.measure.huggingface_model import HuggingFaceModel
from mt_ls.measure.protocol import BatchLimits, MeasureError
from mt_ls.measure.text_pairs import read_texts
from mt_ls.records import read

MODELS = {make.__name__: make for make in (marian, m2m, nllb, mbart, mbart50, bart, t5)}
_MBART = ("en_XX", "de_DE")
LANGUAGES = dict.fromkeys(MODELS, (None, None)) | {
    "m2m": ("en", "de"),
    "nllb": ("eng_Latn", "deu_Latn"),
    "mbart": _MBART,
    "mbart50": _MBART,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the models and their text files."""
    folder = tmp_path_factory.mktemp("huggingface")
    for name, make in MODELS.items():
        make(folder / name)
    text_files(folder)
    return folder


@pytest.fixture(scope="module")
def texts(folder):
    return read_texts([folder / "test.en", folder / "test.de"])


@pytest.fixture(scope="module", params=[*LANGUAGES])
def model(request, folder, texts):
    return HuggingFaceModel(str(folder / request.param), texts, LANGUAGES[request.param])


def forced_nll(model, split="test"):
    """The NLL of each sentence of a split, in nats."""
    nll = {}
    for batch in model.batches(split, range(model.n_sentences(split))):
        tokens = model.forced(split, batch)
        values = torch.nn.functional.cross_entropy(tokens.states, tokens.target, reduction="none")
        nll |= {sentence: values[tokens.sentence == sentence].sum().item() for sentence in batch}
    return [nll[sentence] for sentence in sorted(nll)]


def test_the_nll_is_the_loss_of_transformers(model):
    sources, references = model.data._texts.splits["test"]
    measured = forced_nll(model)
    assert len(measured) == len(sources) == 13
    for source, reference, nll in zip(sources, references, measured, strict=True):
        batch = model.data.tokenizer([source], text_target=[reference], return_tensors="pt")
        labels = batch.pop("labels")
        logits = model.network(**batch, labels=labels).logits
        # What a tokenizer puts before a target is given, as its language; behind EOS there may be a language, too.
        own = slice(len(model.data.prefix), labels[0].tolist().index(model.eos, len(model.data.prefix)) + 1)
        loss = torch.nn.functional.cross_entropy(logits[0, own], labels[0, own], reduction="sum")
        assert nll == pytest.approx(loss.item(), rel=1e-5)


def test_the_sum_of_a_target_without_a_prefix_is_the_loss_that_transformers_prints(folder, texts):
    model = HuggingFaceModel(str(folder / "marian"), texts)
    batch = model.data.tokenizer(texts.splits["test"].sources, text_target=texts.splits["test"].references,
                            return_tensors="pt", padding=True)  # fmt: skip
    batch["labels"][batch["labels"] == model.data.tokenizer.pad_token_id] = -100
    tokens = sum(len(model.target("test", sentence)) + 1 for sentence in range(13))
    assert sum(forced_nll(model)) / tokens == pytest.approx(model.network(**batch).loss.item(), rel=1e-5)


def test_no_prediction_depends_on_its_batch(model, folder, texts):
    single = HuggingFaceModel(str(folder / model._run), texts, LANGUAGES[model._run], BatchLimits(max_sentences=1))
    assert len(single.batches("test", range(13))) == 13 > len(model.batches("test", range(13)))
    assert forced_nll(single) == pytest.approx(forced_nll(model), rel=1e-5)


def test_the_language_of_a_target_is_given_and_is_no_prediction(folder, texts):
    model = HuggingFaceModel(str(folder / "m2m"), texts, ("en", "de"))
    german = model.data.tokenizer.get_lang_id("de")
    assert model.given == [model.eos, german]
    assert german not in model.target("test", 0)
    other = HuggingFaceModel(str(folder / "m2m"), texts, ("en", "fr"))
    assert forced_nll(other) != pytest.approx(forced_nll(model), rel=1e-3)


def test_a_search_finds_what_generate_finds_and_its_tokens_have_the_probabilities_of_transition_scores(model):
    batch = list(range(5))
    found = {sentence: ids for sentence, _, ids in model.search(1, 1.0).best("test", [batch], [1.0])}
    tokenizer, network = model.data.tokenizer, model.network
    inputs = tokenizer(model.data._texts.splits["test"].sources[:5], padding=True, return_tensors="pt")
    forced = {"forced_bos_token_id": model.data.prefix[0]} if model.data.prefix else {}
    if model.data.start is not None:
        forced["decoder_start_token_id"] = model.data.start
    out = network.generate(
        **inputs,
        num_beams=1,
        do_sample=False,
        max_new_tokens=60,
        output_scores=True,
        return_dict_in_generate=True,
        **forced,
    )
    scores = network.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
    scored = model.token_scores("test", batch, [found[s] for s in batch], 1.0)
    probabilities = [own.probability for own in scored]
    for sentence, ids, log_probabilities, own in zip(batch, out.sequences, scores, probabilities, strict=True):
        first = len(model.data.prefix)
        n = min(len(found[sentence]), len(ids) - 1 - first)  # the limit of 60 tokens counts the language
        assert torch.equal(ids[1 + first :][:n], found[sentence][:n])
        assert own.log()[:n] == pytest.approx(log_probabilities[first:][:n], abs=1e-4)


def test_a_search_is_the_same_in_parts(model, monkeypatch):
    batch = list(range(13))
    whole = {sentence: ids for sentence, _, ids in model.search(3, 1.0).best("test", [batch], [1.0])}
    monkeypatch.setitem(module_of_model._STEP_LOGITS, "cpu", 0)
    monkeypatch.setattr(module_of_model, "_LEAST_SENTENCES", 5)
    parts = {sentence: ids for sentence, _, ids in model.search(3, 1.0).best("test", [batch], [1.0])}
    assert list(parts) == list(whole) == batch
    assert all(torch.equal(parts[sentence], whole[sentence]) for sentence in batch)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_temperature_divides_the_logits_of_a_search(model, beam):
    network, batches = model.network, [list(range(13))]
    search = model.search(beam, 0.6)
    found = [ids for _, _, ids in search.best("test", batches, [1.6])]
    divided = copy.deepcopy(network)
    with torch.no_grad():
        divided.lm_head = copy.deepcopy(divided.lm_head)
        divided.lm_head.weight = torch.nn.Parameter(divided.lm_head.weight / 1.6)
        if hasattr(divided, "final_logits_bias"):
            divided.final_logits_bias /= 1.6
    model.network = divided
    try:
        expected = [ids for _, _, ids in model.search(beam, 0.6).best("test", batches, [1.0])]
    finally:
        model.network = network
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    unscaled = [ids for _, _, ids in search.best("test", batches, [1.0])]
    if beam == 4:
        assert any(not torch.equal(one, other) for one, other in zip(found, unscaled, strict=True))


def test_the_bias_of_the_last_layer_counts(folder, texts):
    model = HuggingFaceModel(str(folder / "marian"), texts)
    before = forced_nll(model)
    model.network.final_logits_bias.zero_()
    assert forced_nll(model) != pytest.approx(before, rel=1e-2)


def test_of_two_files_the_halves_are_disjoint_and_of_four_each_pair_is_whole(folder, texts):
    assert texts.splits["test"].sources == SOURCES[1::2] and texts.splits["valid"].references == REFERENCES[::2]
    files = [folder / "test.en", folder / "test.de"]
    four = read_texts([*files, *files])
    assert four.splits["test"].sources == four.splits["valid"].sources == SOURCES
    assert len({texts.sha, four.sha}) == 2 and texts.corpus == "test.en"


def test_the_command_measures_both_modes_and_goes_on(folder, tmp_path, capsys):
    records = tmp_path / "records.jsonl"
    arguments = [
        str(folder / "test.en"),
        str(folder / "test.de"),
        "--hf",
        str(folder / "m2m"),
        "--records",
        str(records),
    ]
    arguments += ["--source-language", "en", "--target-language", "de", "--cpu", "--temperatures", "1.3"]
    assert command.main(arguments) == 0
    assert "m2m on test: 13 of 13 sentences" in capsys.readouterr().out
    first = records.read_text()
    kinds = {(record.mode, round(record.temperature, 1)) for record in read(records)}
    assert len(kinds) == 6 and {("forced", 1.0), ("forced", 1.3), ("beam", 1.0), ("beam", 1.3)} < kinds
    assert all(record.fitted_on == "valid" and record.unit == "subword" for record in read(records))
    assert all(record.versions.keys() >= {"transformers", "tokenizers"} for record in read(records))
    assert command.main(arguments) == 0 and records.read_text() == first


@pytest.mark.slow
def test_an_audit_is_one_command(folder, tmp_path):
    out = tmp_path / "out"
    process = run_recipe(
        ROOT,
        ROOT / "recipes" / "audit.sh",
        "--hf",
        "marian",
        "test.en",
        "test.de",
        cwd=folder,
        OUT=str(out),
        TEMPERATURES="1.3",
    )
    assert process.returncode == 0, process.stderr
    assert re.match(r"marian: (use|keep) T = ", process.stdout)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "marian" in page and "beam ECE" in page


def wrong_inputs(folder, tmp_path):
    """(arguments, words of the line) of what cannot be measured."""
    english, german, m = folder / "test.en", folder / "test.de", folder / "marian"
    short = tmp_path / "short"
    short.write_text("one\n")
    gap = tmp_path / "gap"
    gap.write_text("one\n\nthree\n" * 9)
    plain = tmp_path / "plain"
    plain.mkdir()
    cut = tmp_path / "cut"
    shutil.copytree(m, cut)
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    lacking = tmp_path / "lacking"
    shutil.copytree(m, lacking)
    config = json.loads((lacking / "config.json").read_text())
    (lacking / "config.json").write_text(json.dumps(config | {"decoder_layers": 2}))
    dumb = tmp_path / "dumb"
    shutil.copytree(m, dumb, ignore=shutil.ignore_patterns("*token*", "*.spm", "vocab.json"))
    foreign = tmp_path / "foreign"
    shutil.copytree(folder / "m2m", foreign)
    shutil.copy(m / "config.json", foreign)
    shutil.copy(m / "model.safetensors", foreign)
    long = tmp_path / "long"
    long.write_text("bird " * 200 + "\n" + "bird\n" * 26)
    return [
        ([english, german, "--hf", tmp_path / "none"], "none: no such folder"),
        ([english, german, "--hf", "nobody/none"], "nobody/none: cannot be loaded as a sequence-to-sequence model"),
        ([english, german, "--hf", plain], "no config.json"),
        ([english, german, "--hf", english], "a file, where the folder of a Hugging Face model belongs"),
        ([english, german, "--hf", cut], "cannot be loaded as a sequence-to-sequence model"),
        ([english, german, "--hf", lacking], "its weights lack model.decoder.layers.1"),
        ([english, german, "--hf", dumb], "its tokenizer cannot be loaded"),
        ([english, german, "--hf", foreign, "--source-language", "en", "--target-language", "de"], "another model's"),
        ([english, german, "--hf", m, "--target-language", "de"], "takes no language"),
        ([english, german, "--hf", folder / "m2m", "--source-language", "en"], "name one with --target-language"),
        (
            [english, german, "--hf", folder / "m2m", "--source-language", "en", "--target-language", "xx"],
            "no language 'xx'",
        ),
        ([english, "--hf", m], "1 text files"),
        ([english, german, english, "--hf", m], "3 text files"),
        ([english, short, "--hf", m], "short: 1 lines for 27 of"),
        ([gap, german, "--hf", m], "gap, line 2: is empty"),
        ([short, short, "--hf", m], "at least two are needed"),
        ([english, tmp_path / "no", "--hf", m], "no: no such file"),
        ([english, plain, "--hf", m], "a folder, where a text file belongs"),
        ([long, german, "--hf", m], "longer than the model's 64 positions"),
        ([english, german, "--hf", m, "--gen-subset", "dev"], "no split 'dev'"),
        ([english, german, "--hf", m, "--pieces", "a", "b", "c"], "--pieces needs hidden states"),
        ([english, german, "--hf", m, "--max-tokens", "3"], "--max-tokens 3"),
        ([english, german, "--path", m], "2 paths for a checkpoint"),
        ([english, "--path", m, "--source-language", "en"], "are for a model with --hf"),
    ]


def test_a_wrong_input_is_one_line(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for arguments, words in wrong_inputs(folder, tmp_path):
        capsys.readouterr()
        records = tmp_path / "out" / "records.jsonl"
        assert command.main([*map(str, arguments), "--records", str(records), "--cpu"]) == 2, arguments
        out, err = capsys.readouterr()
        assert not out and words in err and err.count("\n") == 1, (arguments, err)
        assert not records.exists()


def test_an_audit_refuses_what_is_wrong_before_it_measures(folder, tmp_path, capsys):
    files = [str(folder / "test.en"), str(folder / "test.de")]
    out = ["--out", str(tmp_path / "out"), "--cpu"]
    marian_folder = str(folder / "marian")
    for arguments, words in (
        ([*files, "--hf", marian_folder, "--hf", marian_folder], "is named twice"),
        ([*files, "--hf", marian_folder, "--hf", str(folder / "m2m")], "m2m: translates between several languages"),
        ([*files, "--source-language", "en"], "are for models with --hf"),
        ([files[0], str(tmp_path / "no"), "--hf", marian_folder], "no such file or folder"),
    ):
        assert audit.main([*arguments, *out]) == 2
        err = capsys.readouterr().err
        assert words in err.splitlines()[-1], err
        assert not list((tmp_path / "out").rglob("*.jsonl"))


def test_without_transformers_a_line_says_what_to_install(folder, tmp_path):
    (tmp_path / "transformers.py").write_text("raise ModuleNotFoundError('no', name='transformers')")
    arguments = [folder / "test.en", folder / "test.de", "--hf", folder / "marian", "--records", tmp_path / "r"]
    process = run(module("mt_ls.measure", *arguments), env={"PYTHONPATH": str(tmp_path)})
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    assert "pip install 'mt_ls[hf]'" in process.stderr


def test_a_search_in_half_precision_is_fairseqs_alone(model):
    with pytest.raises(MeasureError, match="leave out --search-precision"):
        model.search(3, 1.0, "fp16")
