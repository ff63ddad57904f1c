"""The tagging task: words in, as many tags out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import Batch, Data, MakeModel, Metrics, Prediction, State, Step, Sums, Task
from zoo.intervals import wilson
from zoo.layers import real
from zoo_tagging.data import load

PAD, UNKNOWN = 0, 1


class Tagger(nn.Module):
    """Embedding -> model -> Linear, at every step.

    Args:
        make_model: Builds the model.
        words: Size of the vocabulary.
        tags: Size of the tag set.
        embed_size: Numbers in a word's vector.
        word_dropout: Share of words made unknown in training, so that unknown words, too, are
            tagged by what stands around them.
    """

    def __init__(
        self, make_model: MakeModel, words: int, tags: int, embed_size: int, word_dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embed_size, padding_idx=PAD)
        self.rnn = make_model(embed_size)
        self.fc = nn.Linear(self.rnn.output_size, tags)
        self.word_dropout = word_dropout

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Return logits (B, T, tags) of word numbers (B, T), and the model's state."""
        if self.training:
            dropped = torch.rand(inputs.shape, device=inputs.device) < self.word_dropout
            inputs = inputs.masked_fill(dropped & (inputs != PAD), UNKNOWN)
        outputs, state = self.rnn(self.embedding(inputs), lengths)
        return self.fc(outputs), state


class Tagging(Task):
    """Many-to-many in step: the tag of every word.

    The options are those of the plugin's record; see ``zoo show tagging``.
    """

    def __init__(self, *, embed_size: int, word_dropout: float) -> None:
        self.embed_size = embed_size
        self.word_dropout = word_dropout
        self._learned([], [])

    def _learned(self, words: list[str], tags: list[str]) -> None:
        self.words = words
        self.tags = tags
        self._number = {word: number for number, word in enumerate(words)}

    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Read tagged sentences: four fifths to train on, a tenth each to validate and to test."""
        sentences, digest = load(path)
        order = np.random.default_rng(seed).permutation(len(sentences))
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if not len(validation):
            raise DataError(f"{len(sentences)} sentences are too few", where=str(path))

        tags = sorted({tag for sentence in sentences for _, tag in sentence})
        if learn:
            known = {word for row in train for word, _ in sentences[row]}
            self._learned(["<pad>", "<unk>", *sorted(known)], tags)
        elif strange := set(tags) - set(self.tags):
            raise DataError(
                f"tag {min(strange)!r} is not among those learned",
                where=str(path),
                why=f"they are {', '.join(self.tags)}",
            )
        everything = Ragged.of(
            [self.encode(word for word, _ in sentence) for sentence in sentences],
            [[self.tags.index(tag) for _, tag in sentence] for sentence in sentences],
            per_step=True,
        )
        return Data(
            splits={
                "train": everything.select(train),
                "validation": everything.select(validation),
                "test": everything.select(test),
                "all": everything,
            },
            digest=digest,
            summary=f"{len(sentences)} sentences of {path.name if path else 'the sample'}",
        )

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the numbers of words."""
        return [self._number.get(word, UNKNOWN) for word in words]

    def assets(self) -> dict[str, Any]:
        return {"vocabulary": self.words, "labels": self.tags}

    def restore(self, assets: Mapping[str, Any]) -> None:
        for name in ("vocabulary", "labels"):
            texts = assets[name]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} is not a list of texts")
        self._learned(assets["vocabulary"], assets["labels"])

    def network(self, make_model: MakeModel) -> Tagger:
        return Tagger(
            make_model, len(self.words), len(self.tags), self.embed_size, self.word_dropout
        )

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits, _ = network(batch.inputs, batch.lengths)
        words = real(batch.lengths, logits.shape[1])
        logits, tags = logits[words], batch.targets[words]  # (N, tags) and (N,), without padding
        losses = nn.functional.cross_entropy(logits, tags, reduction="none")
        sums = {
            "loss": losses.detach().sum(),
            "hits": (logits.argmax(1) == tags).sum(),
            "tags": torch.bincount(tags, minlength=len(self.tags)),
        }
        return Step(losses.mean(), sums)

    def metrics(self, sums: Sums) -> Metrics:
        """Return the accuracy over words, its interval, the baseline of the commonest tag, loss."""
        words = float(sums["tags"].sum())
        low, high = wilson(float(sums["hits"]), words)
        return {
            "examples": int(words),
            "accuracy": float(sums["hits"]) / words,
            "accuracy_low": low,
            "accuracy_high": high,
            "baseline": float(sums["tags"].max()) / words,
            "loss": float(sums["loss"]) / words,
        }

    def probe(self) -> Batch:
        """Two rows of unlike length that run through the vocabulary."""
        rows = [np.arange(12) % len(self.words), np.arange(5) % len(self.words)]
        return Ragged.of(rows, rows, per_step=True).batch(np.arange(2))

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[Prediction]:
        """Yield the tags of each text, such as ``P V D N``, and how probable all of them are."""
        for text in texts:
            tags, probability = self._tag(network, text.lower().split())
            yield Prediction(text, " ".join(tags), probability)

    @torch.inference_mode()
    def _tag(self, network: nn.Module, words: Sequence[str]) -> tuple[list[str], float]:
        if not words:
            return [], 1.0
        device = next(network.parameters()).device
        inputs = torch.tensor([self.encode(words)], device=device)
        logits, _ = network(inputs, torch.tensor([len(words)], device=device))
        # Given the text, the network takes tags to be independent: probabilities multiply.
        best, tags = logits[0].softmax(1).max(1)
        return [self.tags[tag] for tag in tags], float(best.prod())
