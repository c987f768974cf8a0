"""Tiny Hugging Face models with each kind of target, trained for a second and saved, and text files of their pairs."""

import json

import sentencepiece
import torch
from tokenizers.pre_tokenizers import ByteLevel

from mt_ls.measure.huggingface_data import quiet_transformers

hf = quiet_transformers()

SOURCES = [
    f"the {noun} {verb} the {other} ."
    for noun in ("dog", "cat", "old man")
    for verb in ("sees", "hears", "likes")
    for other in ("bird", "house", "red car")
]
REFERENCES = [
    f"{noun} {verb} {other} ."
    for noun in ("der Hund", "die Katze", "der alte Mann")
    for verb in ("sieht", "hört", "mag")
    for other in ("den Vogel", "das Haus", "das rote Auto")
]
_SIZES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
}


def text_files(folder, n=27):
    """The first ``n`` pairs in two files."""
    paths = folder / "test.en", folder / "test.de"
    for path, lines in zip(paths, (SOURCES, REFERENCES), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines[:n]), encoding="utf-8")
    return paths


def _spm(folder, name):
    text = folder / "text"
    text.write_text("\n".join([*SOURCES, *REFERENCES]), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / name), vocab_size=90, hard_vocab_limit=False, minloglevel=2
    )
    text.unlink()
    model = folder / f"{name}.model"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    return model, [pieces.id_to_piece(i) for i in range(3, len(pieces))]


def _saved(network, tokenizer, folder, updates=40):
    """Train for some updates, so that predictions are better than a uniform guess, and save."""
    torch.manual_seed(1)
    for name, values in network.named_buffers():
        if name == "final_logits_bias":
            values.copy_(torch.randn_like(values) / 2)
            values[:, tokenizer.pad_token_id] = -20.0  # as in Marian's models, which begin a target with zeros
    pairs = list(zip(SOURCES, REFERENCES, strict=True))
    batch = tokenizer([s for s, _ in pairs], text_target=[r for _, r in pairs], padding=True, return_tensors="pt")
    batch["labels"][batch["labels"] == tokenizer.pad_token_id] = -100
    optimizer = torch.optim.Adam(network.train().parameters(), lr=0.01)
    for _ in range(updates):
        optimizer.zero_grad()
        network(**batch).loss.backward()
        optimizer.step()
        network.get_input_embeddings().weight.data[tokenizer.pad_token_id] = 0.0
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def marian(folder):
    """A Marian model, whose last layer has a bias."""
    folder.mkdir()
    model, pieces = _spm(folder, "source")
    (folder / "target.spm").write_bytes(model.read_bytes())
    model.rename(folder / "source.spm")
    (folder / "source.vocab").unlink()
    vocabulary = {token: i for i, token in enumerate(["</s>", "<unk>", *pieces, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = hf.MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang="en",
        target_lang="de",
    )
    pad = vocabulary["<pad>"]
    config = hf.MarianConfig(
        vocab_size=len(vocabulary),
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=None,
        bos_token_id=None,
        **_SIZES,
    )
    network = hf.MarianMTModel(config)
    network.generation_config.bad_words_ids = [[pad]]
    return _saved(network, tokenizer, folder)


def m2m(folder):
    """An M2M-100 model: a target begins with its language."""
    folder.mkdir()
    model, pieces = _spm(folder, "sentencepiece")
    (folder / "vocab.json").write_text(
        json.dumps({token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])})
    )
    tokenizer = hf.M2M100Tokenizer(str(folder / "vocab.json"), str(model), src_lang="en", tgt_lang="de")
    config = hf.M2M100Config(
        vocab_size=max(tokenizer.lang_token_to_id.values()) + 9,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        **_SIZES,
    )
    return _saved(hf.M2M100ForConditionalGeneration(config), tokenizer, folder)


def nllb(folder):
    """An NLLB model: its tokenizer is a byte-pair encoding, and a target begins with its language."""
    folder.mkdir()
    characters = sorted({character for line in [*SOURCES, *REFERENCES] for character in line if character != " "})
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "▁", *characters]
    tokenizer = hf.NllbTokenizer(
        {token: i for i, token in enumerate(tokens)}, [], src_lang="eng_Latn", tgt_lang="deu_Latn"
    )
    config = hf.M2M100Config(
        vocab_size=len(tokenizer),
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        **_SIZES,
    )
    return _saved(hf.M2M100ForConditionalGeneration(config), tokenizer, folder, updates=120)


def mbart(folder, tokenizer_class=hf.MBartTokenizer):
    """An mBART model. A target begins with its language in place of the decoder's first token, or, of mBART-50, after
    it."""
    folder.mkdir()
    _, pieces = _spm(folder, "sentencepiece")
    vocabulary = [(token, -float(i)) for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])]
    tokenizer = tokenizer_class(vocab=vocabulary, src_lang="en_XX", tgt_lang="de_DE")
    config = hf.MBartConfig(
        vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, **_SIZES
    )
    return _saved(hf.MBartForConditionalGeneration(config), tokenizer, folder)


def mbart50(folder):
    """An mBART-50 model."""
    return mbart(folder, hf.MBart50Tokenizer)


def bart(folder):
    """A BART model: its tokens are bytes, and a target begins with <s>, which the model forces."""
    folder.mkdir()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet())]
    tokenizer = hf.BartTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[])
    config = hf.BartConfig(
        vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, **_SIZES
    )
    network = hf.BartForConditionalGeneration(config)
    network.generation_config.forced_bos_token_id = 0
    return _saved(network, tokenizer, folder, updates=120)


def t5(folder):
    """A T5 model: positions are relative, and the decoder begins with the padding."""
    folder.mkdir()
    _, pieces = _spm(folder, "sentencepiece")
    vocabulary = [(token, -float(i)) for i, token in enumerate(["<pad>", "</s>", "<unk>", *pieces])]
    tokenizer = hf.T5Tokenizer(vocab=vocabulary, extra_ids=0)
    config = hf.T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    return _saved(hf.T5ForConditionalGeneration(config), tokenizer, folder)
