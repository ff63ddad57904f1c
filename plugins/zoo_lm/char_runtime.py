"""The character language model by NumPy: generates and embeds without torch."""

from __future__ import annotations

from collections.abc import Collection

from zoo.interfaces import (
    Array,
    BuildRuntimeModel,
    CompilesTokenLoop,
    OutputLayer,
    RuntimeModel,
    Tensors,
    TokenLoop,
)
from zoo_lm.characters import Characters
from zoo_lm.options import CharLMOptions
from zoo_lm.runtime import KNOWN_OPTIONS, LanguageModel, TokenPredictor


class CharPredictor(TokenPredictor):
    """What :class:`zoo_lm.char_network.CharPredictor` is, of arrays.

    Args:
        embedding: (V, E), or None for one-hot vectors.
        model: The model.
        output: The output layer.
    """

    def __init__(self, embedding: Array | None, model: RuntimeModel, output: OutputLayer) -> None:
        super().__init__(embedding, model)
        self.output = output

    def logits(self, outputs: Array) -> Array:
        """Return logits (..., V) of outputs (..., F) of the model."""
        found: Array = outputs @ self.output.weight.T + self.output.bias
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
        bias, stored = tensors.take("fc.bias", size), tensors.quantized("fc.weight")
        return CharPredictor(embedding, model, OutputLayer(weight, bias, stored))

    def draw_loop(self, network: CharPredictor, num_steps: int) -> TokenLoop | None:
        """Return the compiled loop of one text; see :class:`zoo.interfaces.DrawsTokens`."""
        if not isinstance(network.model, CompilesTokenLoop):
            return None
        return network.model.token_loop(network.embedding, network.output, num_steps)
