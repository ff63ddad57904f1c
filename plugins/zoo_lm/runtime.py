"""What the language models share by NumPy: they generate and embed without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.ragged import Ragged
from zoo.interfaces import Array, ArrayDecodeStep, ArrayState, RuntimeModel
from zoo_lm.vocabulary import Vocabulary

# Options of :class:`zoo_lm.options.LMOptions` that make a network, or change training alone.
KNOWN_OPTIONS = frozenset({
    "embed_size",
    # In training alone, or of the data:
    "embed_dropout", "dropout", "locked_dropout", "reset_probability", "bptt_steps", "batching",
    "validation_size", "test_size",
})  # fmt: skip


class TokenPredictor(ABC):
    """What :class:`zoo_lm.network.TokenPredictor` is, of arrays.

    Args:
        embedding: (V, E), or None for one-hot vectors.
        model: The model.
    """

    def __init__(self, embedding: Array | None, model: RuntimeModel) -> None:
        self.embedding, self.model = embedding, model

    @abstractmethod
    def logits(self, outputs: Array) -> Array:
        """Return logits (..., V) of outputs (..., F) of the model."""

    def model_outputs(self, token_ids: Array, lengths: Array) -> Array:
        """Return the model's outputs (B, T, F) for token ids (B, T)."""
        return self.model(self.embedding, token_ids, lengths)[0]

    def decode_step(self) -> ArrayDecodeStep:
        """Return a function from token ids (N,) and a state to logits (N, V) and the next state."""
        step = self.model.decode_step(self.embedding)

        def predict(token_ids: Array, state: ArrayState | None) -> tuple[Array, ArrayState]:
            outputs, end = step(token_ids, state)
            return self.logits(outputs), end

        return predict


class LanguageModel(Vocabulary):
    """See :class:`zoo_lm.task.LanguageModel`."""

    def probe_outputs(self, network: TokenPredictor, batch: Mapping[str, Array]) -> Array:
        """Return logits (B, T, S) of the tokens of :meth:`probe_columns`."""
        outputs = network.model_outputs(batch["inputs"], batch["lengths"])
        return network.logits(outputs)[..., self.probe_columns()]

    def probe_answers(self, network: TokenPredictor, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        found = []
        for text in texts:
            token_ids = self.encode(text, "the probe") or [self.start_token()]
            outputs = network.model_outputs(np.array([token_ids]), np.array([len(token_ids)]))
            logits = network.logits(outputs[0, -1:])[0, self.probe_columns()]
            answer = self.decode(token_ids)
            found.append({"token_ids": token_ids, "answer": answer, "outputs": logits.tolist()})
        return found

    def decode_step(self, network: TokenPredictor) -> ArrayDecodeStep:
        """Return a function from token ids (N,) and a state to logits (N, V) and the next state."""
        return network.decode_step()

    def embed(
        self, network: TokenPredictor, texts: Sequence[str], *, per_step: bool
    ) -> list[Array]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        See :meth:`zoo_lm.task.LanguageModel.embed`.
        """
        rows = Ragged.of(self.encode_texts(texts), range(len(texts)))
        vectors: list[Array] = [np.empty(0)] * len(texts)
        for chosen in rows.eval_batches().plan:
            token_ids, lengths, numbers = rows.padded(chosen)
            outputs = network.model_outputs(token_ids, lengths)
            for row, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
                read = outputs[row, :length]
                vectors[number] = read.copy() if per_step else read.sum(0) / np.float32(length)
        return vectors
