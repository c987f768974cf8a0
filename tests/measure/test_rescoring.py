"""Translations scored again by the model that wrote them: the fault of a file's probabilities is named."""

import json
import re

import pytest
import torch
from huggingface import m2m, marian, text_files
from translations import write_generated

from mt_ls.measure import text
from mt_ls.measure.huggingface_model import HuggingFaceModel
from mt_ls.measure.score_check import Sentence, Token, check_against_model
from mt_ls.measure.text_pairs import Pairs, Texts
from mt_ls.records import RecordError

MODELS = {"marian": (marian, ()), "m2m": (m2m, ("--source-language", "en", "--target-language", "de"))}


@pytest.fixture(scope="module", params=[*MODELS])
def system(request, tmp_path_factory):
    """(The folder of a model's translations with its tokens, the model's folder, its options)."""
    make, languages = MODELS[request.param]
    folder = tmp_path_factory.mktemp("rescoring")
    name = make(folder / "model")
    sources, references = text_files(folder)
    pairs = Pairs(*(path.read_text(encoding="utf-8").splitlines() for path in (sources, references)))
    model = HuggingFaceModel(str(name), Texts({"test": pairs}, "", ""), languages[1::2] or (None, None))
    out = folder / "system"
    out.mkdir()
    batch = list(range(27))
    found = {sentence: ids for sentence, _, ids in model.search(2, 1.0).best("test", [batch], [1.0])}
    scores = model.token_scores("test", batch, [found[sentence] for sentence in batch], 1.0)
    (out / "hypotheses.txt").write_text(
        "".join(f"{model.text_of(found[sentence])}\n" for sentence in batch), encoding="utf-8"
    )
    (out / "references.txt").write_bytes(references.read_bytes())
    lines = [
        {"sentence": sentence, "token": model.data.token(number), "probability": probability}
        for sentence, own in zip(batch, scores, strict=True)
        for number, probability in zip(found[sentence].tolist(), own.probability.tolist(), strict=True)
    ]
    (out / "tokens.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return out, name, ["--sources", str(sources), *languages]


def _measure(folder, *options):
    return text.main([str(folder), "--records", str(folder / "records.jsonl"), *map(str, options)])


def test_the_probabilities_of_a_models_own_tokens_agree_with_it(system, capsys):
    folder, model, options = system
    assert _measure(folder, "--hf", model, *options) == 0
    line = r"\S+ of 27 sentences (\d+) of (\d+) tokens with a probability below 0.61 agree with the model\n"
    agreeing, n = re.fullmatch(line, capsys.readouterr().err).groups()
    assert agreeing == n != "0"


def test_probabilities_of_other_tokens_are_refused(system, tmp_path, capsys):
    folder, model, options = system
    other = tmp_path / "other"
    other.mkdir()
    for name in ("hypotheses.txt", "references.txt"):
        (other / name).write_bytes((folder / name).read_bytes())
    tokens = [json.loads(line) for line in (folder / "tokens.jsonl").read_text().splitlines()]
    shifted = [{**token, "probability": tokens[i - 1]["probability"]} for i, token in enumerate(tokens)]
    (other / "tokens.jsonl").write_text("".join(f"{json.dumps(token)}\n" for token in shifted))
    assert _measure(other, "--hf", model, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the probability of a token is that of the one before (sentence 0, token " in line
    assert not (other / "records.jsonl").exists()


def test_a_checkpoint_of_fairseq_scores_its_translations(data, checkpoint, tmp_path, capsys):
    write_generated(tmp_path, data, checkpoint, "valid")
    assert _measure(tmp_path, "--path", checkpoint, "--sources", data, "--split", "valid") == 0
    agreeing, n = re.search(r"of 48 sentences (\d+) of (\d+) tokens", capsys.readouterr().err).groups()
    assert agreeing == n != "0"
    assert _measure(tmp_path, "--path", checkpoint, "--sources", data) == 2
    assert "200 translations, and the sources of the model are 211: name theirs" in capsys.readouterr().err


def _checked(logs, by_model):
    tokens = [Token(str(place), float(log.exp())) for place, log in enumerate(logs)]
    return check_against_model("file", [Sentence(tokens)], {0: by_model})


RIGHT = -torch.tensor([0.7, 0.1, 2.0, 1.3, 0.6, 3.1, 0.9])


@pytest.mark.parametrize(
    ("given", "fault", "most"),
    [
        (torch.cat([RIGHT[1:], -torch.ones(1)]), "the probability of a token is that of the next one", "5 of 5"),
        (torch.cat([-torch.ones(1), RIGHT[:-1]]), "the probability of a token is that of the one before", "5 of 5"),
        (RIGHT / torch.tensor(2.0).log(), "the scores of tokens are logarithms of base 2, not natural ones", "6 of 6"),
        (RIGHT / torch.tensor(10.0).log(), "the scores of tokens are logarithms of base 10, not natural", "6 of 6"),
        (RIGHT / 7, "the scores of tokens are divided by the length of their sentence already", "6 of 6"),
        (3 * RIGHT, "the probabilities do not belong to these tokens", None),
    ],
)
def test_each_fault_is_named_with_its_evidence(given, fault, most):
    with pytest.raises(RecordError, match=re.escape(f"file: {fault}")) as error:
        _checked(given, RIGHT)
    place = int(((given - RIGHT).abs() > 0.1 * (1 + RIGHT.abs())).nonzero()[0])
    line = str(error.value)
    assert f"(sentence 0, token '{place}': {given[place]:.3f} nats, and {RIGHT[place]:.3f} by the model; " in line
    assert (f", and so {most})" in line) if most else ("and so" not in line)


def test_a_model_in_half_precision_agrees_and_sure_tokens_tell_nothing():
    assert _checked(RIGHT * 1.05, RIGHT) == "6 of 6 tokens with a probability below 0.61 agree with the model"
    sure = -torch.full((5,), 0.01)
    assert _checked(sure / torch.tensor(2.0).log(), sure).startswith("0 of 0 tokens")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hf", "x"], "--hf needs --sources: what the model translated"),
        (["--path", "x"], "--path needs --sources"),
        (["--sources", "x"], "--sources needs the model that translated them: --path or --hf"),
        (["--hf", "x", "--path", "y", "--sources", "z"], "--path and --hf name two models"),
        (["--path", "x", "--sources", "z", "--target-language", "de"], "are for a model with --hf"),
        (["--path", "/none.pt", "--sources", "/none"], "/none: no such data folder"),
        (["--hf", "/none", "--sources", "/none"], "/none: cannot be read"),
    ],
)
def test_a_wrong_option_is_one_line(system, options, message, capsys, tmp_path):
    folder, _, _ = system
    assert text.main([str(folder), "--records", str(tmp_path / "records.jsonl"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mt_ls.measure_text: error: ") and message in line


def test_tokens_of_another_model_are_named(system, tmp_path, capsys):
    folder, model, options = system
    other = tmp_path / "other"
    other.mkdir()
    (other / "hypotheses.txt").write_text("häuschen\n" * 27, encoding="utf-8")
    (other / "references.txt").write_bytes((folder / "references.txt").read_bytes())
    lines = [{"sentence": i, "token": "häuschen", "probability": 0.5} for i in range(27)]
    (other / "tokens.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert _measure(other, "--hf", model, *options) == 2
    assert "the model has no token 'häuschen' of sentence 0: name the one that wrote it" in capsys.readouterr().err
