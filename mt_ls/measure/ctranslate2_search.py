"""CTranslate2's beam search of a fairseq Transformer on a CPU (optional: ``pip install ctranslate2``).

CTranslate2 runs the float32 model in C++. A temperature T enters as an output projection divided by T. Where a
hypothesis reaches the length limit fairseq searches again: CTranslate2 does not force an ending as fairseq does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .protocol import MeasureError
from .windows import regrouped

if TYPE_CHECKING:
    from .fairseq_model import FairseqModel


class CTranslate2Search:
    """See `Search`. Raises MeasureError, with the reason, for a model that CTranslate2 cannot run."""

    name = "ctranslate2"
    at_once = False

    def __init__(self, model: FairseqModel, beam: int, lenpen: float) -> None:
        self._model = model
        self._beam = beam
        self._lenpen = lenpen
        self._own = model.search(beam, lenpen)
        self._translators: dict[float, Any] = {}
        self._threads = torch.get_num_threads()
        if model.device.type != "cpu":
            raise MeasureError("the model runs on a GPU, and CTranslate2 is used on a CPU only")
        try:
            self._translator(1.0)
        except ImportError:
            raise MeasureError("the package ctranslate2 is not installed") from None
        except (ValueError, KeyError, AttributeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())
            raise MeasureError(f"CTranslate2's converter does not know this model ({reason})") from None

    def best(
        self, split: str, batches: list[list[int]], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """See `Search`."""
        for number, temperature in enumerate(temperatures):
            for sentence, ids in self._best(split, batches, temperature).items():
                yield sentence, number, ids

    def _best(self, split: str, batches: list[list[int]], temperature: float) -> dict[int, torch.Tensor]:
        """The hypothesis of each sentence at one temperature."""
        dictionary = self._model.data.target_dictionary
        hypotheses = {
            sentence: torch.tensor([*map(dictionary.index, tokens), dictionary.eos()])
            for sentence, tokens in self._translate(split, batches, temperature)
            if len(tokens) < self._model.max_length
        }
        unfinished = {sentence for batch in batches for sentence in batch} - hypotheses.keys()
        if unfinished:
            again = self._own.best(split, regrouped(batches, unfinished), [temperature])
            hypotheses |= {sentence: ids for sentence, _, ids in again}
        return hypotheses

    def _translate(self, split: str, batches: list[list[int]], temperature: float) -> Iterator[tuple[int, list[str]]]:
        """The sentences of the batches, each with the tokens of its hypothesis without EOS."""
        translator = self._translator(temperature)
        pending = []
        for batch in batches:  # a call a batch: a result must not depend on the other batches
            results = translator.translate_batch(
                [self._model.data.source_tokens(split, sentence) for sentence in batch],
                beam_size=self._beam,
                length_penalty=self._lenpen,
                max_decoding_length=self._model.max_length,
                max_input_length=0,
                max_batch_size=2048,
                batch_type="tokens",
                asynchronous=True,
            )
            pending.append((batch, results))
        for batch, results in pending:
            yield from ((s, result.result().hypotheses[0]) for s, result in zip(batch, results, strict=True))

    def _translator(self, temperature: float) -> Any:
        """The translator at a temperature; only the last one is kept, because each holds the weights."""
        import ctranslate2

        if temperature not in self._translators:
            self._translators.clear()
            with tempfile.TemporaryDirectory(prefix="mt_ls_ct2_") as folder:  # the constructor reads all of it
                _converter(self._model, temperature).convert(folder, force=True)
                self._translators[temperature] = ctranslate2.Translator(
                    folder, inter_threads=self._threads, intra_threads=1
                )
            torch.set_num_threads(self._threads)  # the translator has set OpenMP's threads, which torch shares, to 1
        return self._translators[temperature]


def _converter(model: FairseqModel, temperature: float) -> Any:
    """CTranslate2's converter of the loaded model, with its output projection divided by the temperature."""
    from ctranslate2.converters import fairseq as converters
    from ctranslate2.converters.converter import Converter

    class LoadedModelConverter(Converter):
        def _load(self) -> Any:
            spec = converters._get_model_spec(model.cfg.model)
            network = model.network
            with torch.no_grad():
                converters.set_transformer_encoder(spec.encoder, network.encoder)
                converters.set_transformer_decoder(spec.decoder, network.decoder)
                spec.decoder.projection.weight = (network.decoder.output_projection.weight / temperature).numpy()
            spec.register_source_vocabulary(converters._get_vocab(model.data.source_dictionary))
            spec.register_target_vocabulary(converters._get_vocab(model.data.target_dictionary))
            spec.config.decoder_start_token = spec.config.eos_token
            spec.config.add_source_eos = True
            return spec

    return LoadedModelConverter()
