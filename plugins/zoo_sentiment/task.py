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

from zoo.data.ragged import IntArray, Ragged
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    LabelPrediction,
    Metrics,
    MetricSums,
    RowNames,
    State,
    Step,
    Task,
)
from zoo.nn import pool
from zoo_sentiment.corpus import Corpus, load
from zoo_sentiment.lookup import Lookup
from zoo_sentiment.metrics import (
    compute_metrics,
    confusion_matrix,
    cross_entropy,
    predicted_labels,
)
from zoo_sentiment.network import Classifier
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.splits import check_labels, split_rows
from zoo_sentiment.tokens import spaced
from zoo_sentiment.truncation import truncate
from zoo_sentiment.vocabulary import UNKNOWN, build_vocabulary, load_vectors


class Sentiment(Task):
    """Many-to-one: the label of a text.

    Args:
        options: See ``zoo show sentiment``.
    """

    def __init__(self, options: SentimentOptions) -> None:
        self.options = options
        self._pretrained: Tensor | None = None
        self._set_vocabulary([], [])

    def _set_vocabulary(self, words: list[str], labels: list[str]) -> None:
        self.words = words
        self.labels = labels
        self._lookup = Lookup(words, UNKNOWN)

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read reviews; the vocabulary is built of the training split alone."""
        corpus = load(path, self.options.text_column, self.options.label_column)
        rows = split_rows(corpus, self.options, seed)
        if fit:
            check_labels(corpus, rows)
            self._fit(corpus, rows["train"])
        elif unknown := sorted(set(corpus.labels) - set(self.labels)):
            raise DataError(
                f"label {unknown[0]!r} is not among those of the training",
                where=str(path or "the sample"),
                why=f"they are {', '.join(self.labels)}",
            )
        # From the token ids of the corpus to those of the vocabulary.
        table = self._lookup.token_ids([" ".join(corpus.words).encode()])[0].astype(np.int32)
        label = np.array([self.labels.index(label) for label in corpus.labels])[corpus.label]
        everything = self._truncate(
            Ragged(table[corpus.values], corpus.starts, corpus.lengths, label)
        )
        splits = {name: everything.select(part) for name, part in rows.items()}
        return Data(
            splits={**splits, "all": everything},
            digest=corpus.digest,
            summary=f"{len(corpus.lengths)} reviews of {path.name if path else 'the sample'}",
        )

    def _fit(self, corpus: Corpus, rows: IntArray) -> None:
        token_ids = np.concatenate([corpus.review(row) for row in rows])
        counts = np.bincount(token_ids, minlength=len(corpus.words))
        seen = Counter({corpus.words[i]: int(counts[i]) for i in np.flatnonzero(counts)})
        words = build_vocabulary(seen, self.options.min_count, self.options.max_vocab)
        self._set_vocabulary(words, corpus.labels)
        if self.options.vectors:
            path = Path(self.options.vectors)
            self._pretrained = load_vectors(path, words, self.options.embed_size)

    def _truncate(self, texts: Ragged) -> Ragged:
        return truncate(texts, self.options.max_tokens, self.options.truncation)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Return the token ids of the words that are read; the target of a text is its index."""
        values, lengths = self._lookup.token_ids([spaced(text) for text in texts])
        starts = np.cumsum(lengths) - lengths
        return self._truncate(Ragged(values, starts, lengths, np.arange(len(texts))))

    # Network

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": self.words, "labels": self.labels}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        words, labels = state["vocabulary"], state["labels"]
        for name, values in (("vocabulary", words), ("labels", labels)):
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise ValueError(f"{name} is not a list of strings")
        self._set_vocabulary(words, labels)

    def network(self, build_model: BuildModel) -> nn.Module:
        num_logits = 1 if len(self.labels) == 2 else len(self.labels)
        network = Classifier(build_model, self.options, len(self.words), num_logits)
        if self._pretrained is not None and isinstance(network.embedding, nn.Embedding):
            network.embedding.weight.data.copy_(self._pretrained)
        return network

    def row_names(self, network: nn.Module) -> dict[str, RowNames]:
        """Return the words and labels that rows stand for; see :class:`zoo.interfaces.NamesRows`.

        With one-hot input all parameters of the model depend on the vocabulary.
        """
        labels = RowNames(self.labels, by_row=False)
        names = {"fc2.weight": labels, "fc2.bias": labels}
        if self.options.ngram_bits:
            # A bucket is a hash of token ids.
            names["ngrams.weight"] = RowNames([*self.words, *self.labels], by_row=False)
        if self.options.input == "onehot":
            words = RowNames(self.words, by_row=False)
            of_model = [name for name, _ in network.named_parameters() if name.startswith("rnn.")]
            return names | dict.fromkeys(of_model, words)
        return names | {"embedding.weight": RowNames(self.words)}

    # Training

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits = network(batch.inputs, batch.lengths)[0]
        predicted = predicted_labels(logits)
        losses = cross_entropy(logits, batch.targets)
        confusion = confusion_matrix(batch.targets, predicted, len(self.labels))
        metric_sums = {"loss": losses.detach().sum(), "confusion": confusion}
        return Step(losses.mean(), metric_sums, outputs=logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the metrics of :func:`zoo_sentiment.metrics.compute_metrics`."""
        return compute_metrics(metric_sums, self.labels)

    def probe(self) -> Batch:
        """Return two rows of different lengths of the most frequent words."""
        words = max(len(self.words), 2)
        rows = [
            np.arange(12) % (words - 1) + 1,
            np.arange(5)[::-1] % (words - 1) + 1,
        ]
        return Ragged.of(rows, [0, 1]).batch(np.arange(2))

    # Use

    def predict(self, network: nn.Module, texts: Sequence[str]) -> list[LabelPrediction]:
        """Return the label of each text, and the probability of every label."""
        if not texts:
            return []
        scores = self._scores(network, self.encode(texts))
        best_labels = scores.argmax(1).tolist()
        return [
            LabelPrediction(
                text, self.labels[best], row[best], dict(zip(self.labels, row, strict=True))
            )
            for text, best, row in zip(texts, best_labels, scores.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def _scores(self, network: nn.Module, rows: Ragged) -> Tensor:
        """Return the probability of every label (M, K) for each row."""
        device = next(network.parameters()).device
        scores = torch.empty(rows.num_examples, len(self.labels))
        for batch in rows.eval_batches():
            logits = network(batch.inputs.to(device), batch.lengths.to(device))[0].cpu()
            if logits.shape[1] == 1:
                logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
            scores[batch.targets] = logits.softmax(1)
        return scores

    @torch.inference_mode()
    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the pooled vector (F,) of each text, or the model's outputs (T, F).

        T is the number of words that are read; a text without words is one unknown word.
        """
        if not texts:
            return []
        assert isinstance(network, Classifier)
        device = next(network.parameters()).device
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        for batch in self.encode(texts).eval_batches():
            lengths = batch.lengths.to(device)
            outputs, state = network.model_outputs(batch.inputs.to(device), lengths)
            if per_step:
                values = outputs.float().cpu().numpy()
                found = [values[row, :n].copy() for row, n in enumerate(batch.lengths.tolist())]
            else:
                pooled = pool(network.rnn, outputs, lengths, state, self.options.pooling)
                found = list(pooled.float().cpu().numpy())
            vectors.update(zip(batch.targets.tolist(), found, strict=True))
        return [vectors[index] for index in range(len(texts))]
