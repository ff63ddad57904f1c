"""The character language model by NumPy: generates and embeds without torch."""

from __future__ import annotations

from collections.abc import Collection

from zoo.interfaces import Array, BuildRuntimeModel, RuntimeModel, Tensors
from zoo_lm.characters import Characters
from zoo_lm.options import CharLMOptions
from zoo_lm.runtime import KNOWN_OPTIONS, LanguageModel, TokenPredictor


class CharPredictor(TokenPredictor):
    """What :class:`zoo_lm.char_network.CharPredictor` is, of arrays.

    Args:
        embedding: (V, E), or None for one-hot vectors.
        model: The model.
        weight: (V, F) of the output layer.
        bias: (V,).
    """

    def __init__(
        self, embedding: Array | None, model: RuntimeModel, weight: Array, bias: Array
    ) -> None:
        super().__init__(embedding, model)
        self.weight, self.bias = weight, bias

    def logits(self, outputs: Array) -> Array:
        """Return logits (..., V) of outputs (..., F) of the model."""
        found: Array = outputs @ self.weight.T + self.bias
        return found


class CharLM(Characters, LanguageModel):
    """See :class:`zoo_lm.char_task.CharLM`.

    Args:
        options: See ``zoo show char-lm``.
    """

    known_options: Collection[str] = {*KNOWN_OPTIONS, "input", "window_steps", "start", "end"}

    def __init__(self, options: CharLMOptions) -> None:
        self.options = options
        self._set_vocabulary("")

    def network(self, build_model: BuildRuntimeModel, tensors: Tensors) -> CharPredictor:
        """Return the network; see :class:`zoo.interfaces.RuntimeTask`."""
        size, embedding = len(self.characters), None
        width = size
        if self.options.input != "onehot":
            width = self.options.embed_size
            embedding = tensors.take("embedding.weight", size, width)
        model = build_model(width, tensors.within("rnn"))
        weight = tensors.take("fc.weight", size, model.output_size)
        return CharPredictor(embedding, model, weight, tensors.take("fc.bias", size))
