"""The network of the text tasks as a graph: from token ids and hashes to probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.interfaces import Batch, Data
from zoo.nn import OneHot
from zoo_onnx.graph import BOOL, DOUBLE, FLOAT, INT64, UINT64, Graph
from zoo_onnx.layers import ModelValues
from zoo_onnx.models import add_model
from zoo_onnx.translation import NUMBER_OF_EXAMPLES, Arrays, Translation, arrays, counted
from zoo_text.batches import TextBatch, TextSplit
from zoo_text.classification import TextClassification
from zoo_text.embedding import SubwordEmbedding
from zoo_text.hashed_ngrams import HashedNGrams
from zoo_text.hashing import BUCKET_SCALE, PAIR, SIGNED_GOLDEN
from zoo_text.linear import NGramLinear
from zoo_text.multilabel import TextMultilabel
from zoo_text.network import TextNetwork
from zoo_text.regression import TextRegression
from zoo_text.task import TextTask
from zoo_text.vocabulary import UNKNOWN


class TextTranslation(Translation):
    """The graph of a :class:`zoo_text.network.TextNetwork`.

    Inputs are the fields of :class:`zoo_text.batches.TextBatch`: hashes of units and n-grams are
    looked up in the graph. Outputs are calibrated as those of ``zoo predict`` are.

    Args:
        task: The task.
        network: Its network, in evaluation mode.
    """

    def __init__(self, task: TextTask, network: TextNetwork) -> None:
        self.task, self.network = task, network
        self.graph = graph = Graph()
        self.state = {}
        token_ids = graph.input("token_ids", INT64, ("batch", "steps"))
        lengths = graph.input("lengths", INT64, ("batch",))
        self._mask = _length_mask(graph, token_ids, lengths)
        vectors, is_known = self._vectors(token_ids)
        logits = self._head(add_model(graph, network.rnn, vectors, lengths), lengths)
        if network.ngrams is not None:
            added = _hashed_ngrams(graph, network.ngrams, token_ids, self._mask)
            logits = graph.add("Add", logits, added)
        if network.linear is not None:
            weight = network.options.ngram_weight
            recurrent = graph.add("Mul", logits, graph.constant(1 - weight))
            linear = graph.add("Mul", self._linear(network.linear, lengths), graph.constant(weight))
            logits = graph.add("Add", recurrent, linear)
        if task.calibrated:
            logits = graph.add("Div", logits, graph.constant(network.temperature))
        known = self._known_share(is_known, lengths)
        if isinstance(network.embedding, SubwordEmbedding):
            has_known = graph.unsqueeze(graph.add("Greater", known, graph.constant(0.0)), 1)
            bias = graph.constant(task.initial_bias().float())
            logits = graph.add("Where", has_known, logits, bias)
        graph.output("logits", logits, FLOAT, ("batch", task.num_outputs))
        self._answers(logits)
        graph.output("known", known, FLOAT, ("batch",))

    def _vectors(self, token_ids: str) -> tuple[str, str]:
        """Return the vectors (B, T, E) of tokens, and which tokens (B, T) are known."""
        graph, embedding = self.graph, self.network.embedding
        if not isinstance(embedding, SubwordEmbedding):
            same = graph.add("Equal", token_ids, graph.constant(UNKNOWN))
            return add_embedding(graph, embedding, token_ids), graph.add("Not", same)
        units = graph.input("units", INT64, ("units",))
        starts = graph.input("starts", INT64, ("tokens + 1",))
        rows = graph.table(embedding.keys, units)
        number = graph.add("Sub", graph.size(starts, 0), graph.constant([1]))
        # Unit n is of the token whose units start last before it: starts are added up.
        inner = graph.slice(starts, 1, -1, 0)
        size = graph.shape(graph.add("Add", graph.size(units, 0), graph.constant([1])))
        ones = graph.fill(1, graph.size(inner, 0))
        marks = graph.add(
            "ScatterElements", graph.fill(0, size), inner, ones, axis=0, reduction="add"
        )
        token = graph.slice(graph.add("CumSum", marks, graph.constant(0)), 0, -1, 0)
        found = graph.add("Gather", graph.constant(embedding.weight), rows)
        table = graph.add_up(found, token, number, embedding.embedding_dim)
        missing = graph.add("Equal", rows, graph.constant(len(embedding.keys)))
        is_known = graph.add("Cast", graph.add("Not", missing), to=FLOAT)
        known = graph.add("Greater", graph.add_up(is_known, token, number), graph.constant(0.0))
        return graph.add("Gather", table, token_ids), graph.add("Gather", known, token_ids)

    def _known_share(self, is_known: str, lengths: str) -> str:
        both = self.graph.add("And", is_known, self._mask)
        count = self.graph.reduce("Sum", self.graph.add("Cast", both, to=FLOAT), 1)
        return self.graph.add("Div", count, self.graph.add("Cast", lengths, to=FLOAT))

    def _head(self, values: ModelValues, lengths: str) -> str:
        """Return (B, K) of what the model gave: pooling and linear layers."""
        graph, network, parts = self.graph, self.network, []
        mask = graph.unsqueeze(self._mask, 2)
        for how in network.options.pooling.split("+"):
            if how == "last":
                parts.append(values.readout)
                continue
            padding = 0.0 if how == "mean" else -np.inf
            masked = graph.add("Where", mask, values.outputs, graph.constant(padding))
            if how == "max":
                parts.append(graph.reduce("Max", masked, 1))
                continue
            total, size = graph.reduce("Sum", masked, 1), graph.add("Cast", lengths, to=FLOAT)
            parts.append(graph.add("Div", total, graph.unsqueeze(size, 1)))
        pooled = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        if network.fc1 is not None:
            pooled = graph.add("Relu", graph.linear(pooled, network.fc1.weight, network.fc1.bias))
        return graph.linear(pooled, network.fc2.weight, network.fc2.bias)

    def _linear(self, linear: NGramLinear, lengths: str) -> str:
        """Return the outputs (B, K) of the linear model of n-grams."""
        graph, width = self.graph, len(linear.bias)
        keys = graph.input("ngram_keys", INT64, ("n-grams",))
        counts = graph.input("ngram_counts", INT64, ("n-grams",))
        segments = graph.input("ngram_segments", INT64, ("n-grams",))
        number = graph.size(lengths, 0)
        rows = graph.table(linear.keys, keys)
        # One more row, of zeros, is that of n-grams without a weight.
        idf, weight = (
            graph.add("Gather", graph.constant(torch.cat((t, torch.zeros_like(t[:1])))), rows)
            if len(t)
            else graph.fill(0.0, graph.shape(graph.size(keys, 0), *t.shape[1:]))
            for t in (linear.idf, linear.weight)
        )
        logs = graph.add("Log", graph.add("Cast", counts, to=FLOAT))
        values = graph.add("Mul", graph.add("Add", logs, graph.constant(1.0)), idf)
        twice = graph.add("Mul", number, graph.constant([2]))
        squares = graph.add_up(graph.add("Mul", values, values), segments, twice)
        norm = graph.add("Gather", graph.add("Sqrt", squares), segments)
        # That of a text without such n-grams is zero, and so are its values.
        norm = graph.add("Max", norm, graph.constant(np.finfo(np.float32).tiny, np.float32))
        scaled = graph.add("Mul", weight, graph.unsqueeze(graph.add("Div", values, norm), 1))
        outputs = graph.add_up(scaled, graph.add("Mod", segments, number), number, width)
        return graph.add("Add", outputs, graph.constant(linear.bias))

    def _answers(self, logits: str) -> None:
        """Add what the task says of the logits as outputs."""
        graph, task, labels = self.graph, self.task, self.task.known_labels() or []
        if isinstance(task, TextRegression):
            exact = graph.add("Cast", logits, to=DOUBLE)
            scaled = graph.add("Mul", exact, graph.constant(task.deviation, np.float64))
            value = graph.add("Add", scaled, graph.constant(task.mean, np.float64))
            graph.output("values", value, DOUBLE, ("batch", 1))
            return
        threshold = float(getattr(self.network, "threshold", 0.5))
        if isinstance(task, TextMultilabel):
            probabilities = graph.add("Sigmoid", logits)
            chosen = graph.add("Greater", probabilities, graph.constant(threshold))
            graph.output("labels", chosen, BOOL, ("batch", len(labels)))
        elif task.num_outputs == 1:
            zero = graph.add("Mul", logits, graph.constant(0.0))
            both = graph.add("Concat", zero, logits, axis=1)
            probabilities = graph.add("Softmax", both, axis=1)
            # Of one half the logit decides: a probability is rounded.
            score, bound = logits, 0.0
            if threshold != 0.5:
                score, bound = graph.slice(probabilities, 1, 2, 1), threshold
            above = graph.add("Greater", score, graph.constant(bound))
            above = graph.add("Squeeze", above, graph.constant([1]))
            graph.output("label", graph.add("Cast", above, to=INT64), INT64, ("batch",))
        else:
            probabilities = graph.add("Softmax", logits, axis=1)
            best = graph.add("ArgMax", logits, axis=1, keepdims=0)
            graph.output("label", best, INT64, ("batch",))
        graph.output("probabilities", probabilities, FLOAT, ("batch", len(labels)))

    # Comparison

    def examples(self, data: Data | None) -> tuple[str, Iterator[Batch]]:
        """Return texts of the data and, where there are fewer than a thousand, made-up ones."""
        texts: list[str] = []
        split = None if data is None else data.splits["all"]
        if isinstance(split, TextSplit):
            rows = np.linspace(0, split.num_examples - 1, NUMBER_OF_EXAMPLES).astype(np.int64)
            texts = [split.text(int(row)) for row in np.unique(rows)]
        real = len(texts)
        texts += _made_up(self.task, NUMBER_OF_EXAMPLES - real)
        batches = self.task.split(texts, np.arange(len(texts))).eval_batches()
        return counted("texts", real, len(texts) - real), iter(batches)

    def runs(self, batch: Batch) -> Iterator[tuple[Arrays, Arrays]]:
        assert isinstance(batch, TextBatch)
        logits = self.task.probe_outputs(self.network, batch)
        expected = {"logits": logits, "known": self.task.known(self.network, batch).float()}
        if isinstance(self.task, TextMultilabel):
            expected["probabilities"] = logits.sigmoid()
        elif isinstance(self.task, TextClassification):
            both = torch.cat((torch.zeros_like(logits), logits), 1)
            expected["probabilities"] = (both if logits.shape[1] == 1 else logits).softmax(1)
        yield self.inputs(batch), arrays(**expected)

    def inputs(self, batch: TextBatch) -> Arrays:
        """Return the inputs of the graph of a batch."""
        given: dict[str, Any] = {"token_ids": batch.inputs, "lengths": batch.lengths}
        if isinstance(self.network.embedding, SubwordEmbedding):
            given |= {"units": batch.units, "starts": batch.starts}
        if self.network.linear is not None:
            given |= {
                "ngram_keys": batch.ngram_keys, "ngram_counts": batch.ngram_counts,
                "ngram_segments": batch.ngram_segments,
            }  # fmt: skip
        return arrays(**given)


def add_embedding(graph: Graph, embedding: nn.Module, token_ids: str) -> str:
    """Return the vectors (B, T, E) of token ids (B, T)."""
    if isinstance(embedding, OneHot):
        depth, values = graph.constant(embedding.num_embeddings), graph.constant([0.0, 1.0])
        return graph.add("OneHot", token_ids, depth, values, axis=-1)
    assert isinstance(embedding.weight, Tensor)
    return graph.add("Gather", graph.constant(embedding.weight), token_ids)


def _length_mask(graph: Graph, token_ids: str, lengths: str) -> str:
    """Return (B, T) booleans: True at the steps of each row."""
    return graph.add("Less", graph.count(graph.size(token_ids, 1)), graph.unsqueeze(lengths, 1))


def _hashed_ngrams(graph: Graph, ngrams: HashedNGrams, token_ids: str, mask: str) -> str:
    """Return what the hashed linear model adds to the logits (B, K)."""
    left, right = graph.slice(token_ids, 0, -1, 1), graph.slice(token_ids, 1, None, 1)
    pairs = graph.add("Add", graph.add("Mul", left, graph.constant(PAIR)), right)
    pairs = graph.add("Add", pairs, graph.constant(1))
    keys = graph.add("Concat", token_ids, pairs, axis=1)
    mixed = graph.add("Cast", graph.add("Mul", keys, graph.constant(SIGNED_GOLDEN)), to=UINT64)
    shift = graph.constant(64 - ngrams.bits, np.uint64)
    buckets = graph.add("BitShift", mixed, shift, direction="RIGHT")
    buckets = graph.add("Cast", buckets, to=INT64)
    # Sorted, with padding at the end, so that a bucket counts once however often it occurs.
    last = graph.constant(1 << ngrams.bits)
    inside = graph.add("Concat", mask, graph.slice(mask, 1, None, 1), axis=1)
    ranked = graph.add("Where", inside, buckets, last)
    ranked, _ = graph.add_several(
        2, "TopK", ranked, graph.size(ranked, 1), axis=1, largest=0, sorted=1
    )
    before = graph.add("Pad", graph.slice(ranked, 0, -1, 1), graph.constant([0, 1, 0, 0]),
                       graph.constant(-1))  # fmt: skip
    differs = graph.add("Not", graph.add("Equal", ranked, before))
    first = graph.add("And", differs, graph.add("Less", ranked, last))
    rows = graph.add("Where", first, ranked, graph.constant(0))
    weights = graph.add("Gather", graph.constant(ngrams.weight), rows)
    counted = graph.add("Cast", first, to=FLOAT)
    total = graph.reduce("Sum", graph.add("Mul", weights, graph.unsqueeze(counted, 2)), 1)
    number = graph.unsqueeze(graph.reduce("Sum", counted, 1), 1)
    factor = graph.add("Div", graph.constant(BUCKET_SCALE), graph.add("Sqrt", number))
    return graph.add("Mul", total, factor)


def _made_up(task: TextTask, number: int) -> list[str]:
    """Return texts of words of the probe and of random letters; the first one is empty."""
    generator = np.random.default_rng(0)
    words = [word for text in task.probe_texts() for word in text.split()]
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABC0123456789.,'!?\u00e9\u7684"))
    words += ["".join(generator.choice(letters, generator.integers(1, 12))) for _ in range(500)]
    sizes = generator.integers(1, 200, number)
    sizes[:1] = 0
    return [" ".join(generator.choice(words, size)) for size in sizes]
