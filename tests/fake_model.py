"""A translation model in memory that implements `TranslationModel`, small enough to be checked by hand."""

import random

import torch

from mt_ls.calibration.confidence import token_scores
from mt_ls.measure.protocol import ForcedTokens, MeasureError, Provenance
from mt_ls.records import Model
from mt_ls.smoothing.kinds import Smoothing

WORDS = ["</s>", "der", "die", "das", "Hund", "Katze", "rot"]
EOS = 0
WIDTH = 5


class FakeModel:
    """Hidden states are the sum of a vector of the sentence and one of the previous token.

    Half of the target tokens are the model's best words. ``projects`` is False for a model that gives logits. Batches
    of three sentences are ordered by length, as fairseq's are. ``n_forward`` counts the calls of `forced`.
    """

    eos = EOS
    n_classes = len(WORDS)
    max_length = 9
    searches_at_temperatures = True

    def __init__(self, n_sentences=31, projects=True, fast=None):
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(len(WORDS), WIDTH, generator=generator)
        self.embedding = torch.randn(len(WORDS), WIDTH, generator=generator)
        self.source = {split: torch.randn(n_sentences, WIDTH, generator=generator) for split in ("valid", "test")}
        rng = random.Random(1)
        self.targets = {
            split: [self._target(split, sentence, rng) for sentence in range(n_sentences)] for split in self.source
        }
        self.projection = self.weight if projects else None
        self.n_forward = 0
        self._fast = fast

    def _target(self, split, sentence, rng):
        ids = []
        for _ in range(rng.randint(1, 8)):
            best = self.weight[1:] @ self.states(split, sentence, [*ids, 0])[-1]
            ids.append(1 + int(best.argmax()) if rng.random() < 0.5 else rng.randrange(1, len(WORDS)))
        return ids

    def provenance(self, split):
        return Provenance(
            run="fake_s1",
            model=Model(corpus="fake", architecture="bigram", smoothing=Smoothing()),
            seed=1,
            updates=None,
            unit="word",
            device="cpu",
            sha={"data": "d" * 64, "checkpoint": "c" * 64, "code": "e" * 40},
            versions={"mt_ls": "0.1.0"},
        )

    def n_sentences(self, split):
        if split not in self.targets:
            raise MeasureError(f"no split {split!r}")
        return len(self.targets[split])

    def batches(self, split, sentences):
        order = sorted(sentences, key=lambda sentence: len(self.targets[split][sentence]))
        return [order[start : start + 3] for start in range(0, len(order), 3)]

    def states(self, split, sentence, ids):
        """Hidden states (L, D) before each of ``ids`` (L,)."""
        return self.source[split][sentence] + self.embedding[[EOS, *ids[:-1]]]

    def forced(self, split, sentences):
        self.n_forward += 1
        ids = [[*self.targets[split][sentence], EOS] for sentence in sentences]
        states = torch.cat([self.states(split, *pair) for pair in zip(sentences, ids, strict=True)])
        target = torch.tensor([token for tokens in ids for token in tokens])
        sentence = torch.tensor([s for s, tokens in zip(sentences, ids, strict=True) for _ in tokens])
        return ForcedTokens(states if self.projection is not None else states @ self.weight.t(), target, sentence)

    def search(self, beam, lenpen, precision=None):
        return GreedySearch(self)

    def fast_search(self, beam, lenpen):
        if self._fast is None:
            raise MeasureError("no fast search of a fake")
        return self._fast

    def token_scores(self, split, sentences, hypotheses, temperature):
        scored = []
        for sentence, ids in zip(sentences, hypotheses, strict=True):
            logits = self.states(split, sentence, ids.tolist()) @ self.weight.t()
            scored.append(token_scores(logits, ids, temperature))
        return scored

    def target(self, split, sentence):
        return self.targets[split][sentence]

    def text_of(self, ids):
        return " ".join(WORDS[token] for token in ids.tolist() if token != EOS)

    def references(self, split):
        return [" ".join(WORDS[token] for token in ids) for ids in self.targets[split]]

    def token_id(self, token):
        return WORDS.index(token) if token in WORDS else None


class GreedySearch:
    """The most probable token at each step: the same hypotheses at all temperatures."""

    name = "greedy"
    at_once = False

    def __init__(self, model):
        self._model = model

    def best(self, split, batches, temperatures):
        for batch in batches:
            for sentence in batch:
                for number in range(len(temperatures)):
                    yield sentence, number, self._best(split, sentence)

    def _best(self, split, sentence):
        model, ids = self._model, []
        while len(ids) < model.max_length and EOS not in ids:
            state = model.source[split][sentence] + model.embedding[ids[-1] if ids else EOS]
            ids.append(int((model.weight @ state).argmax()))
        return torch.tensor(ids)


def all_logits(model, split):
    """(logits, target, sentence) of every token of a split, in the order of the sentences."""
    parts = [model.forced(split, [sentence]) for sentence in range(model.n_sentences(split))]
    states, target, sentence = (torch.cat(column) for column in zip(*parts, strict=True))
    return states if model.projection is None else states @ model.weight.t(), target, sentence
