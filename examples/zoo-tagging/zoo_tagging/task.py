"""The tagging task: words in, one tag for each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Metrics,
    MetricSums,
    State,
    Step,
    TagsPrediction,
    Task,
)
from zoo.intervals import wilson
from zoo.nn import length_mask
from zoo_tagging.data import load
from zoo_tagging.options import TaggingOptions

PAD, UNKNOWN = 0, 1


class Tagger(nn.Module):
    """Embedding -> model -> Linear, at every step.

    Args:
        build_model: Builds the model.
        options: The task's options. Word dropout makes the network tag unknown words by their
            context.
        num_words: Size of the vocabulary.
        num_tags: Size of the tag set.
    """

    def __init__(
        self, build_model: BuildModel, options: TaggingOptions, num_words: int, num_tags: int
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(num_words, options.embed_size, padding_idx=PAD)
        self.rnn = build_model(options.embed_size)
        self.fc = nn.Linear(self.rnn.output_size, num_tags)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Return logits (B, T, num_tags) of token ids (B, T), and the model's state."""
        if self.training:
            dropped = torch.rand(inputs.shape, device=inputs.device) < self.options.word_dropout
            inputs = inputs.masked_fill(dropped & (inputs != PAD), UNKNOWN)
        outputs, state = self.rnn(self.embedding(inputs), lengths)
        return self.fc(outputs), state


class Tagging(Task):
    """Many-to-many in step: the tag of every word.

    Args:
        options: See ``zoo show tagging``.
    """

    def __init__(self, options: TaggingOptions) -> None:
        self.options = options
        self._set_vocabulary([], [])

    def _set_vocabulary(self, words: list[str], tags: list[str]) -> None:
        self.words = words
        self.tags = tags
        self._token_ids = {word: token_id for token_id, word in enumerate(words)}

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read tagged sentences: 80 % for training, 10 % each for validation and test."""
        sentences, digest = load(path)
        order = np.random.default_rng(seed).permutation(len(sentences))
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if not len(validation):
            raise DataError(f"{len(sentences)} sentences are too few", where=str(path))

        tags = sorted({tag for sentence in sentences for _, tag in sentence})
        if fit:
            known = {word for row in train for word, _ in sentences[row]}
            self._set_vocabulary(["<pad>", "<unk>", *sorted(known)], tags)
        elif unknown := set(tags) - set(self.tags):
            raise DataError(
                f"tag {min(unknown)!r} was not in the training data",
                where=str(path),
                why=f"its tags are {', '.join(self.tags)}",
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
        """Return the token ids of words."""
        return [self._token_ids.get(word, UNKNOWN) for word in words]

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": self.words, "labels": self.tags}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("vocabulary", "labels"):
            texts = state[name]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} is not a list of strings")
        self._set_vocabulary(state["vocabulary"], state["labels"])

    def network(self, build_model: BuildModel) -> Tagger:
        return Tagger(build_model, self.options, len(self.words), len(self.tags))

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits, _ = network(batch.inputs, batch.lengths)
        mask = length_mask(batch.lengths, logits.shape[1])
        flat, tags = logits[mask], batch.targets[mask]  # (N, num_tags) and (N,), without padding
        losses = nn.functional.cross_entropy(flat, tags, reduction="none")
        sums = {
            "loss": losses.detach().sum(),
            "hits": (flat.argmax(1) == tags).sum(),
            "tags": torch.bincount(tags, minlength=len(self.tags)),
        }
        return Step(losses.mean(), sums, outputs=logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return accuracy over words with its interval, the commonest tag's as baseline, loss."""
        words = float(metric_sums["tags"].sum())
        low, high = wilson(float(metric_sums["hits"]), words)
        return {
            "examples": int(words),
            "accuracy": float(metric_sums["hits"]) / words,
            "accuracy_low": low,
            "accuracy_high": high,
            "baseline": float(metric_sums["tags"].max()) / words,
            "loss": float(metric_sums["loss"]) / words,
        }

    def probe(self) -> Batch:
        """Return two rows of different lengths that run through the vocabulary."""
        rows = [np.arange(12) % len(self.words), np.arange(5) % len(self.words)]
        return Ragged.of(rows, rows, per_step=True).batch(np.arange(2))

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[TagsPrediction]:
        """Yield the tags of each text, and the probability of all of them together."""
        for text in texts:
            tags, probability = self._tag(network, text.lower().split())
            yield TagsPrediction(text, tags, probability)

    @torch.inference_mode()
    def _tag(self, network: nn.Module, words: Sequence[str]) -> tuple[tuple[str, ...], float]:
        if not words:
            return (), 1.0
        device = next(network.parameters()).device
        inputs = torch.tensor([self.encode(words)], device=device)
        logits, _ = network(inputs, torch.tensor([len(words)], device=device))
        # The network takes tags to be independent given the text: their probabilities multiply.
        best, tags = logits[0].softmax(1).max(1)
        return tuple(self.tags[tag] for tag in tags), float(best.prod())
