"""The network of a language model as a graph: from token ids and a state to logits and a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.sequence import TokenSequence
from zoo.errors import UsageError
from zoo.interfaces import Batch, Data, HasInitialState, State
from zoo_lm.char_network import CharPredictor
from zoo_lm.network import TokenPredictor
from zoo_lm.word_network import WordPredictor
from zoo_onnx.graph import FLOAT, INT64, Graph
from zoo_onnx.models import add_model
from zoo_onnx.texts import add_embedding
from zoo_onnx.translation import (
    NUMBER_OF_EXAMPLES,
    Arrays,
    Translation,
    arrays,
    counted,
    random_lengths,
)

# Steps of a window that is read for the comparison, and windows of a batch.
_STEPS, _ROWS = 60, 50
# Logits of a batch: several arrays of them are compared at once.
_MAX_LOGITS = 1 << 24


class LanguageModelTranslation(Translation):
    """The graph of a :class:`zoo_lm.network.TokenPredictor`, of characters or of words.

    Args:
        network: The network, in evaluation mode.
    """

    def __init__(self, network: TokenPredictor) -> None:
        self.network = network
        self.graph = graph = Graph()
        token_ids = graph.input("token_ids", INT64, ("batch", "steps"))
        lengths = graph.input("lengths", INT64, ("batch",))
        self.initial = initial = initial_state(network.rnn)
        shapes = [(len(part), "batch", part.shape[2]) for part in initial]
        state = [
            graph.input(name, FLOAT, shape)
            for name, shape in zip(_state_names(len(initial)), shapes, strict=True)
        ]
        vectors = add_embedding(graph, network.embedding, token_ids)
        found = add_model(graph, network.rnn, vectors, lengths, state)
        logits = _add_logits(graph, network, found.outputs)
        graph.output("logits", logits, FLOAT, ("batch", "steps", network.embedding.num_embeddings))
        for name, value, shape in zip(state, found.state, shapes, strict=True):
            graph.output(f"{name}_out", value, FLOAT, shape)
        self.state: Mapping[str, Mapping[str, Any]] = {
            name: {
                "output": f"{name}_out",
                "shape": shape,
                "initial": part.tolist() if bool(part.any()) else 0.0,
            }
            for name, part, shape in zip(state, initial, shapes, strict=True)
        }

    def examples(self, data: Data | None) -> tuple[str, Iterator[Batch]]:
        """Return windows of the data, or of texts that the network generates.

        They have different lengths. Random characters would not do: a network may follow them
        chaotically, so that a difference in the last digit grows with every step.
        """
        size = self.network.embedding.num_embeddings
        rows = max(1, min(_ROWS, _MAX_LOGITS // (_STEPS * size)))
        split = None if data is None else data.splits["all"]
        if isinstance(split, TokenSequence):
            batches = replace(split, bptt_steps=_STEPS).windows(rows).eval_batches()
            # The last two may have fewer rows, and a single window that is shorter.
            full = max(1, len(batches) - 2)
            number = min(full, -(-NUMBER_OF_EXAMPLES // rows))
            chosen = [batches[int(n)] for n in np.linspace(0, full - 1, number)]
            what = counted("windows", sum(map(len, chosen)), 0)
        else:
            token_ids = self._generated(NUMBER_OF_EXAMPLES).split(rows)
            chosen = [Batch(ids, torch.full((len(ids),), _STEPS), ids) for ids in token_ids]
            what = f"{NUMBER_OF_EXAMPLES:,} generated texts"
        lengths = (random_lengths(batch.lengths, seed) for seed, batch in enumerate(chosen))
        return what, (replace(b, lengths=n) for b, n in zip(chosen, lengths, strict=True))

    @torch.inference_mode()
    def _generated(self, number: int) -> Tensor:
        """Return token ids (number, steps) that are drawn from what the network predicts."""
        generator, step = torch.Generator().manual_seed(0), self.network.decode_step()
        size = self.network.embedding.num_embeddings
        token_ids = [torch.randint(size, (number,), generator=generator)]
        state: State | None = None
        while len(token_ids) < _STEPS:
            logits, state = step(token_ids[-1], state)
            drawn = torch.multinomial(logits.softmax(1), 1, generator=generator)
            token_ids.append(drawn[:, 0])
        return torch.stack(token_ids, dim=1)

    def runs(self, batch: Batch) -> Iterator[tuple[Arrays, Arrays]]:
        """Yield the batch from the initial state, and again from the state after it."""
        state: State | None = None
        for _ in range(2):
            begun = self.initial if state is None else state
            parts = (part.expand(-1, len(batch), -1) for part in begun)
            given = dict(zip(self.state, parts, strict=True))
            logits, state = self.network(batch.inputs, batch.lengths, state)
            # What is at padding is left open.
            mask = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
            ends = dict(zip((f"{name}_out" for name in self.state), state, strict=True))
            yield (
                arrays(token_ids=batch.inputs, lengths=batch.lengths, **given),
                arrays(logits=logits.masked_fill(~mask[..., None], torch.nan), **ends),
            )


def _add_logits(graph: Graph, network: TokenPredictor, outputs: str) -> str:
    """Return logits (B, T, V) of the model's outputs (B, T, F)."""
    if isinstance(network, CharPredictor):
        return graph.linear(outputs, network.fc.weight, network.fc.bias)
    assert isinstance(network, WordPredictor)
    features = graph.linear(outputs, network.projection.weight, network.projection.bias)
    if network.adaptive is None:
        assert isinstance(network.embedding, nn.Embedding)
        # The vectors are tied: the embedding looks them up in the same constant.
        weight = graph.constant(network.embedding.weight)
        products = graph.add("MatMul", features, graph.add("Transpose", weight, perm=[1, 0]))
        return graph.add("Add", products, graph.constant(network.bias))
    return _add_adaptive(graph, network.adaptive, features)


def _add_adaptive(graph: Graph, adaptive: nn.AdaptiveLogSoftmaxWithLoss, features: str) -> str:
    """Return logarithms of probabilities (B, T, V), as ``AdaptiveLogSoftmaxWithLoss.log_prob``."""
    head = graph.add("LogSoftmax", _linear(graph, features, adaptive.head), axis=-1)
    first = adaptive.shortlist_size
    parts = [graph.slice(head, 0, first, 2)]
    for number, tail in enumerate(adaptive.tail):
        assert isinstance(tail, nn.Sequential)
        hidden = features
        for layer in tail:
            hidden = _linear(graph, hidden, layer)
        cluster = graph.slice(head, first + number, first + number + 1, 2)
        inner = graph.add("LogSoftmax", hidden, axis=-1)
        parts.append(graph.add("Add", inner, cluster))
    return graph.add("Concat", *parts, axis=-1)


def _linear(graph: Graph, values: str, layer: nn.Module) -> str:
    assert isinstance(layer, nn.Linear)
    return graph.linear(values, layer.weight, layer.bias)


def initial_state(model: nn.Module) -> State:
    """Return the state of one row before its first step, tensors (any, 1, any).

    Raises:
        UsageError: It is not known: a model of another package starts from another one than zeros.
    """
    if isinstance(model, HasInitialState):
        return model.get_initial_state(1)
    size: Any = model.input_size
    vectors, lengths = torch.randn(1, 3, size), torch.tensor([3])
    outputs, end = model(vectors, lengths)
    zeros = tuple(torch.zeros_like(part) for part in end)
    found: Tensor = model(vectors, lengths, zeros)[0]
    if not torch.allclose(outputs, found, atol=1e-6):
        raise UsageError(
            f"the model {type(model).__name__} cannot be exported to ONNX",
            why="its initial state is not zero, and a graph is given a state",
        )
    return zeros


def _state_names(count: int) -> list[str]:
    """Return the names of so many parts of a state: h and c, as in torch, or h, state_1 ..."""
    return ["h", "c"] if count == 2 else ["h", *(f"state_{n}" for n in range(1, count))]
