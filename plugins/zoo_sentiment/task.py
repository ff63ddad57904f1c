"""The sentiment task: reviews in, a label out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import Batch, Data, MakeModel, Metrics, Prediction, State, Step, Sums, Task
from zoo.intervals import wilson
from zoo_sentiment import vocabulary
from zoo_sentiment.corpus import Corpus, load
from zoo_sentiment.lookup import Lookup
from zoo_sentiment.network import UNKNOWN, Classifier
from zoo_sentiment.tokens import spaced

Array = npt.NDArray[Any]


class Sentiment(Task):
    """Many-to-one: the label of a text.

    The options are those of the plugin's record; see ``zoo show sentiment``.
    """

    def __init__(
        self,
        *,
        input: str,
        embed_size: int,
        embed_std: float,
        fc_size: int,
        pooling: str,
        ngram_bits: int,
        word_dropout: float,
        embed_dropout: float,
        dropout: float,
        max_tokens: int,
        keep: str,
        min_count: int,
        max_vocab: int,
        vectors: str,
        validation: float,
        test: float,
        split: str,
        text_column: str,
        label_column: str,
    ) -> None:
        self.embed_size = embed_size if input == "embedding" else 0
        self.embed_std = embed_std
        self.fc_size = fc_size
        self.pooling = pooling
        self.ngram_bits = ngram_bits
        self.word_dropout = word_dropout
        self.embed_dropout = embed_dropout
        self.dropout = dropout
        self.max_tokens = max_tokens
        self.keep = keep
        self.min_count = min_count
        self.max_vocab = max_vocab
        self.vectors = vectors
        self.validation = validation
        self.test = test
        self.split = split
        self.columns = (text_column, label_column)
        self._pretrained: Tensor | None = None
        self._learned([], [])

    def _learned(self, words: list[str], labels: list[str]) -> None:
        self.words = words
        self.labels = labels
        self._lookup = Lookup(words, UNKNOWN)

    # Data

    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Read reviews, and learn the vocabulary from the training part alone."""
        corpus = load(path, *self.columns)
        rows = self._parts(corpus, seed)
        if learn:
            _check_labels(corpus, rows)
            self._learn(corpus, rows["train"])
        elif strange := sorted(set(corpus.labels) - set(self.labels)):
            raise DataError(
                f"label {strange[0]!r} is not among those learned",
                where=str(path),
                why=f"they are {', '.join(self.labels)}",
            )
        known = self._lookup.numbers([" ".join(corpus.words).encode()])[0].astype(np.int32)
        label = np.array([self.labels.index(label) for label in corpus.labels])[corpus.label]
        everything = self._cut(Ragged(known[corpus.values], corpus.starts, corpus.lengths, label))
        splits = {name: everything.select(part) for name, part in rows.items()}
        return Data(
            splits={**splits, "all": everything},
            digest=corpus.digest,
            summary=f"{len(corpus.lengths)} reviews of {path.name if path else 'the sample'}",
        )

    def _learn(self, corpus: Corpus, rows: Array) -> None:
        counts = np.bincount(
            np.concatenate([_steps(corpus, row) for row in rows]), minlength=len(corpus.words)
        )
        seen = Counter({corpus.words[i]: int(counts[i]) for i in np.flatnonzero(counts)})
        self._learned(vocabulary.learn(seen, self.min_count, self.max_vocab), corpus.labels)
        if self.vectors:
            self._pretrained = vocabulary.vectors(Path(self.vectors), self.words, self.embed_size)

    def _parts(self, corpus: Corpus, seed: int) -> dict[str, Array]:
        """Return row numbers of the parts. The book's split is torch's random_split."""
        generator = torch.Generator().manual_seed(seed)
        rest = np.flatnonzero(~corpus.is_test)
        test = np.flatnonzero(corpus.is_test)
        if not len(test):
            rest, test = self._hold_out(corpus, rest, self.test, generator)
        train, validation = self._hold_out(corpus, rest, self.validation, generator)
        return {"train": train, "validation": validation, "test": test}

    def _hold_out(
        self, corpus: Corpus, rows: Array, share: float, generator: torch.Generator
    ) -> tuple[Array, Array]:
        """Split rows in two, by review or by film."""
        if self.split == "film":
            if (corpus.film[rows] < 0).any():
                raise DataError("films are not known", fix="use --set split=random")
            films = np.unique(corpus.film[rows])
            order = torch.randperm(len(films), generator=generator).numpy()
            sizes = np.bincount(corpus.film[rows], minlength=films.max() + 1)[films[order]]
            taken = films[order][np.cumsum(sizes) <= round(len(rows) * share)]
            held = np.isin(corpus.film[rows], taken)
            return rows[~held], rows[held]
        order = torch.randperm(len(rows), generator=generator).numpy()
        kept = len(rows) - round(len(rows) * share)
        return rows[order[:kept]], rows[order[kept:]]

    def _cut(self, reviews: Ragged) -> Ragged:
        """Keep the words that are read, and give an empty review one unknown word."""
        values, starts, lengths = reviews.values, reviews.starts, reviews.lengths
        if not self.max_tokens and lengths.min() > 0:
            return reviews
        if self.keep == "head" and lengths.min() > 0:
            kept = np.minimum(lengths, self.max_tokens)
            return Ragged(values, starts, kept, reviews.targets)
        rows = [
            self._kept(values[start : start + length])
            for start, length in zip(starts, lengths, strict=True)
        ]
        return Ragged.of(rows, reviews.targets)

    def _kept(self, words: Array) -> Array:
        if not len(words):
            return np.array([UNKNOWN], dtype=np.int32)
        limit = self.max_tokens
        if not limit or len(words) <= limit:
            return words
        if self.keep == "head":
            return words[:limit]
        if self.keep == "tail":
            return words[-limit:]
        head = limit // 2
        return np.concatenate([words[:head], words[len(words) - (limit - head) :]])

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Return the numbers of the words of texts that are read; a text's target is its place."""
        values, lengths = self._lookup.numbers([spaced(text) for text in texts])
        starts = np.cumsum(lengths) - lengths
        return self._cut(Ragged(values, starts, lengths, np.arange(len(texts))))

    # Network

    def assets(self) -> dict[str, Any]:
        return {"vocabulary": self.words, "labels": self.labels}

    def restore(self, assets: Mapping[str, Any]) -> None:
        words, labels = assets["vocabulary"], assets["labels"]
        for name, texts in (("vocabulary", words), ("labels", labels)):
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} is not a list of texts")
        self._learned(words, labels)

    def network(self, make_model: MakeModel) -> nn.Module:
        network = Classifier(
            make_model,
            words=len(self.words),
            answers=1 if len(self.labels) == 2 else len(self.labels),
            embed_size=self.embed_size,
            embed_std=self.embed_std,
            fc_size=self.fc_size,
            pooling=self.pooling,
            ngram_bits=self.ngram_bits,
            word_dropout=self.word_dropout,
            embed_dropout=self.embed_dropout,
            dropout=self.dropout,
        )
        if self._pretrained is not None and network.embedding is not None:
            network.embedding.weight.data.copy_(self._pretrained)
        return network

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits = network(batch.inputs, batch.lengths)[0]
        answers = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
        losses = _losses(logits, batch.targets)
        kinds = len(self.labels)
        pairs = torch.bincount(batch.targets * kinds + answers, minlength=kinds * kinds)
        return Step(
            losses.mean(), {"loss": losses.detach().sum(), "confusion": pairs.view(kinds, kinds)}
        )

    def metrics(self, sums: Sums) -> Metrics:
        """Return accuracy with its interval, the majority baseline, loss, F1 and confusion.

        F1 is that of the last label where there are two, else the mean over labels.
        """
        confusion = sums["confusion"]
        examples = float(confusion.sum())
        hits = float(confusion.diag().sum())
        low, high = wilson(hits, examples)
        f1 = 2 * confusion.diag() / (confusion.sum(0) + confusion.sum(1)).clamp(min=1)
        return {
            "examples": int(examples),
            "accuracy": hits / examples,
            "accuracy_low": low,
            "accuracy_high": high,
            "baseline": float(confusion.sum(1).max()) / examples,
            "loss": float(sums["loss"]) / examples,
            "f1": float(f1[-1] if len(self.labels) == 2 else f1.mean()),
            "labels": self.labels,
            "confusion": confusion.long().tolist(),
        }

    def probe(self) -> Batch:
        """Two rows of unlike length over the commonest words."""
        words = max(len(self.words), 2)
        rows = [
            np.arange(12) % (words - 1) + 1,
            np.arange(5)[::-1] % (words - 1) + 1,
        ]
        return Ragged.of(rows, [0, 1]).batch(np.arange(2))

    # Answers

    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[Prediction]:
        """Return the label of each text, and the probability of every label."""
        if not texts:
            return []
        scores = self._scores(network, self.encode(texts))
        best_labels = scores.argmax(1).tolist()
        return [
            Prediction(text, self.labels[best], row[best], dict(zip(self.labels, row, strict=True)))
            for text, best, row in zip(texts, best_labels, scores.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def _scores(self, network: nn.Module, rows: Ragged) -> Tensor:
        """Return the probability of every label (M, K) for each row."""
        device = next(network.parameters()).device
        scores = torch.empty(rows.examples, len(self.labels))
        for batch in rows.ordered():
            logits = network(batch.inputs.to(device), batch.lengths.to(device))[0].cpu()
            if logits.shape[1] == 1:
                logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
            scores[batch.targets] = logits.softmax(1)
        return scores


def _check_labels(corpus: Corpus, parts: Mapping[str, Array]) -> None:
    """Refuse parts that nothing can be learned from or told by."""
    for name, rows in parts.items():
        if len(np.unique(corpus.label[rows])) < 2:
            raise DataError(
                f"{name} part has fewer than two labels",
                why=f"it has {len(rows)} of {len(corpus.label)} reviews",
                fix="give more data, or change task.validation or task.test",
            )


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy (B,) of logits (B, 1) of the second label, or (B, K) of each."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], targets.to(logits.dtype), reduction="none"
        )
    return nn.functional.cross_entropy(logits, targets, reduction="none")


def _steps(corpus: Corpus, row: int) -> Array:
    start = corpus.starts[row]
    return corpus.values[start : start + corpus.lengths[row]]
