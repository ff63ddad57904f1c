"""The network of the character language model."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.interfaces import BuildModel
from zoo.nn import Linear, OneHot
from zoo_lm.network import TokenPredictor
from zoo_lm.options import CharLMOptions


class CharPredictor(TokenPredictor):
    """A predictor of the next character, with a linear output layer.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_characters: V, the size of the vocabulary.
    """

    def __init__(
        self, build_model: BuildModel, options: CharLMOptions, num_characters: int
    ) -> None:
        onehot = options.input == "onehot"
        embedding = (
            OneHot(num_characters) if onehot else nn.Embedding(num_characters, options.embed_size)
        )
        super().__init__(build_model, options, embedding)
        self.fc = Linear(self.rnn.output_size, num_characters)

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (..., V) of outputs (..., F) of the model."""
        logits: Tensor = self.fc(features)
        return logits
