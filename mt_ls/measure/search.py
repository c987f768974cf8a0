"""Beam search over a window of sentences: fairseq's own, or CTranslate2's where it finds the same hypotheses faster.

CTranslate2 (optional: ``pip install ctranslate2``) runs the same float32 model in C++. A temperature T enters as an
output projection divided by T. It is used only for a single Transformer that its converter knows, on a CPU, and only
after it has found exactly fairseq's hypotheses for a sample of the very sentences. A hypothesis that ran into the
length limit is searched again by fairseq, whose forced ending it does not share.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, Protocol

import torch

from .fairseq_model import Checkpoint, MeasureError, Window

MAX_LENGTH = 200  # fairseq's default, in tokens before EOS
_SAMPLE = 48


class Search(Protocol):
    """A beam search. ``name`` is that of its library."""

    name: str

    def best(self, window: Window, temperature: float) -> dict[int, torch.Tensor]:
        """The token ids (L,) of the best hypothesis of each sentence of the window, EOS included."""
        ...


class FairseqSearch:
    """The search of the checkpoint's own task."""

    name = "fairseq"

    def __init__(self, model: Checkpoint, beam: int, lenpen: float) -> None:
        self._model = model
        self._options = {"beam": beam, "lenpen": lenpen, "nbest": 1, "max_len_b": MAX_LENGTH}

    def best(self, window: Window, temperature: float) -> dict[int, torch.Tensor]:
        """See `Search`."""
        found = {}
        models, task = self._model.models, self._model.task
        generator = task.build_generator(models, Namespace(**self._options, temperature=temperature))
        for sample in window.batches:
            hypotheses = task.inference_step(generator, models, sample)
            for sentence, ranked in zip(sample["id"].tolist(), hypotheses, strict=True):
                found[sentence] = ranked[0]["tokens"].cpu()
        return found


class CTranslate2Search:
    """CTranslate2's search. Raises MeasureError, with the reason, for a model that it cannot run."""

    name = "ctranslate2"

    def __init__(self, model: Checkpoint, beam: int, lenpen: float) -> None:
        self._model = model
        self._beam = beam
        self._lenpen = lenpen
        self._exact = FairseqSearch(model, beam, lenpen)
        self._translators: dict[float, Any] = {}
        self._threads = torch.get_num_threads()
        if model.device.type != "cpu":
            raise MeasureError("the model runs on a GPU")
        try:
            self._translator(1.0)
        except ImportError:
            raise MeasureError("the package ctranslate2 is not installed") from None
        except (ValueError, KeyError, AttributeError, NotImplementedError) as error:
            raise MeasureError(f"its converter does not know this model ({' '.join(str(error).split())})") from None

    def best(self, window: Window, temperature: float) -> dict[int, torch.Tensor]:
        """See `Search`."""
        dictionary = self._model.task.target_dictionary
        found = {}
        for sentence, tokens in self._translate(window, temperature):
            if len(tokens) < MAX_LENGTH:
                found[sentence] = torch.tensor([*map(dictionary.index, tokens), dictionary.eos()])
        unfinished = window.sentences - found.keys()
        if unfinished:
            found |= self._exact.best(window.subset(unfinished), temperature)
        return found

    def _translate(self, window: Window, temperature: float) -> Iterator[tuple[int, list[str]]]:
        dictionary = self._model.task.source_dictionary
        special = {dictionary.pad(), dictionary.eos()}
        translator = self._translator(temperature)
        asked = []
        for sample in window.batches:  # a batch at a time: what it gives must not depend on the others
            rows = sample["net_input"]["src_tokens"].tolist()
            sources = [[dictionary[token] for token in row if token not in special] for row in rows]
            results = translator.translate_batch(
                sources,
                beam_size=self._beam,
                length_penalty=self._lenpen,
                max_decoding_length=MAX_LENGTH,
                max_input_length=0,
                max_batch_size=2048,
                batch_type="tokens",
                asynchronous=True,
            )
            asked.append((sample["id"].tolist(), results))
        for sentences, results in asked:
            yield from ((s, found.result().hypotheses[0]) for s, found in zip(sentences, results, strict=True))

    def _translator(self, temperature: float) -> Any:
        import ctranslate2

        if temperature not in self._translators:
            self._translators.clear()  # one at a time: memory
            with tempfile.TemporaryDirectory(prefix="mt_ls_ct2_") as folder:  # it is read whole
                _converter(self._model, temperature).convert(folder, force=True)
                self._translators[temperature] = ctranslate2.Translator(
                    folder, inter_threads=self._threads, intra_threads=1
                )
            torch.set_num_threads(self._threads)  # the translator has set OpenMP's, which are torch's too, to its own 1
        return self._translators[temperature]


def _converter(model: Checkpoint, temperature: float) -> Any:
    """CTranslate2's converter of a fairseq model, fed with the loaded model, its output projection divided by T."""
    from ctranslate2.converters import fairseq as theirs
    from ctranslate2.converters.converter import Converter

    class LoadedModelConverter(Converter):
        def _load(self) -> Any:
            spec = theirs._get_model_spec(model.cfg.model)
            network = model.models[0]
            with torch.no_grad():
                theirs.set_transformer_encoder(spec.encoder, network.encoder)
                theirs.set_transformer_decoder(spec.decoder, network.decoder)
                spec.decoder.projection.weight = (network.decoder.output_projection.weight / temperature).numpy()
            spec.register_source_vocabulary(theirs._get_vocab(model.task.source_dictionary))
            spec.register_target_vocabulary(theirs._get_vocab(model.task.target_dictionary))
            spec.config.decoder_start_token = spec.config.eos_token
            spec.config.add_source_eos = True
            return spec

    return LoadedModelConverter()


def exact_search(model: Checkpoint, split: str, beam: int, lenpen: float, engine: str) -> tuple[Search, str | None]:
    """The fastest search that is exact here, and why it is not CTranslate2's (None if it is). ``engine``: "auto", or
    "fairseq" to have no other."""
    fairseq_search = FairseqSearch(model, beam, lenpen)
    if engine == "fairseq":
        return fairseq_search, None
    try:
        fast = CTranslate2Search(model, beam, lenpen)
    except MeasureError as error:
        return fairseq_search, str(error)
    different = model.workers.from_first(lambda: _sample_that_differs(model, split, fairseq_search, fast))
    if different:
        return fairseq_search, f"it finds another hypothesis for sentence {different[0]} of {split}"
    return fast, None


def _sample_that_differs(model: Checkpoint, split: str, one: Search, other: Search) -> list[int]:
    window = next(model.windows(split, shared=False))
    spread = range(window.first, window.first + window.n, max(1, window.n // _SAMPLE))
    sample = window.subset(set(spread))
    ours, theirs = one.best(sample, 1.0), other.best(sample, 1.0)
    return [sentence for sentence in sorted(ours) if not torch.equal(ours[sentence], theirs[sentence])]
