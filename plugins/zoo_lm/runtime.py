"""The character language model by NumPy: generates and embeds without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo.data.ragged import Ragged
from zoo.interfaces import (
    Array,
    ArrayDecodeStep,
    ArrayState,
    BuildRuntimeModel,
    CompilesTokenLoop,
    OutputLayer,
    QuantizedMatrix,
    RuntimeModel,
    Tensors,
    TokenLoop,
)
from zoo_lm.characters import Characters
from zoo_lm.options import CharLMOptions


class CharNetwork(NamedTuple):
    """What :class:`zoo_lm.network.CharPredictor` is, of arrays.

    Args:
        embedding: (V, E), or None for one-hot vectors.
        model: The model.
        weight: (V, F) of the output layer.
        bias: (V,).
        quantized: The weight of the output layer as a file stores it in 8 bits.
    """

    embedding: Array | None
    model: RuntimeModel
    weight: Array
    bias: Array
    quantized: QuantizedMatrix | None

    def logits(self, token_ids: Array, lengths: Array) -> Array:
        """Return logits (B, T, V) of token ids (B, T)."""
        outputs, _ = self.model(self.embedding, token_ids, lengths)
        found: Array = outputs @ self.weight.T + self.bias
        return found


class CharLM(Characters):
    """See :class:`zoo_lm.char_task.CharLM`.

    Args:
        options: See ``zoo show char-lm``.
    """

    known_options: Collection[str] = {
        "input", "embed_size",
        # In training alone, or of the data:
        "embed_dropout", "dropout", "locked_dropout", "reset_probability", "bptt_steps",
        "window_steps", "batching", "start", "end", "validation_size", "test_size",
    }  # fmt: skip

    def __init__(self, options: CharLMOptions) -> None:
        self.options = options
        self._set_vocabulary("")

    def network(self, build_model: BuildRuntimeModel, tensors: Tensors) -> CharNetwork:
        """Return the network; see :class:`zoo.interfaces.RuntimeTask`."""
        size, embedding = len(self.characters), None
        width = size
        if self.options.input != "onehot":
            width = self.options.embed_size
            embedding = tensors.take("embedding.weight", size, width)
        model = build_model(width, tensors.within("rnn"))
        weight = tensors.take("fc.weight", size, model.output_size)
        bias, stored = tensors.take("fc.bias", size), tensors.quantized("fc.weight")
        return CharNetwork(embedding, model, weight, bias, stored)

    def probe_outputs(self, network: CharNetwork, batch: Mapping[str, Array]) -> Array:
        """Return logits (B, T, V)."""
        return network.logits(batch["inputs"], batch["lengths"])

    def probe_answers(self, network: CharNetwork, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        found = []
        for text in texts:
            token_ids = self.encode(text, "the probe") or [self.start_token()]
            logits = network.logits(np.array([token_ids]), np.array([len(token_ids)]))[0, -1]
            answer = self.decode(token_ids)
            found.append({"token_ids": token_ids, "answer": answer, "outputs": logits.tolist()})
        return found

    def decode_step(self, network: CharNetwork) -> ArrayDecodeStep:
        """Return a function from token ids (N,) and a state to logits (N, V) and the next state."""
        step = network.model.decode_step(network.embedding)

        def predict(token_ids: Array, state: ArrayState | None) -> tuple[Array, ArrayState]:
            outputs, end = step(token_ids, state)
            return outputs @ network.weight.T + network.bias, end

        return predict

    def draw_loop(self, network: CharNetwork, num_steps: int) -> TokenLoop | None:
        """Return the compiled loop of one text; see :class:`zoo.interfaces.DrawsTokens`."""
        if not isinstance(network.model, CompilesTokenLoop):
            return None
        output = OutputLayer(network.weight, network.bias, network.quantized)
        return network.model.token_loop(network.embedding, output, num_steps)

    def embed(self, network: CharNetwork, texts: Sequence[str], *, per_step: bool) -> list[Array]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        See :meth:`zoo_lm.char_task.CharLM.embed`.
        """
        rows = Ragged.of(self.encode_texts(texts), range(len(texts)))
        vectors: list[Array] = [np.empty(0)] * len(texts)
        for chosen in rows.eval_batches().plan:
            token_ids, lengths, numbers = rows.padded(chosen)
            outputs, _ = network.model(network.embedding, token_ids, lengths)
            for row, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
                read = outputs[row, :length]
                vectors[number] = read.copy() if per_step else read.sum(0) / np.float32(length)
        return vectors
