"""The network of the bidirectional language model: two directions, one output layer."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo.interfaces import BuildModel
from zoo.nn import Linear
from zoo_lm.options import WordBiLMOptions
from zoo_lm.word_network import WordPredictor


class BidirectionalPredictor(WordPredictor):
    """A predictor of the words after and before each word.

    Features have one more dimension than those of :class:`WordPredictor`: (..., 2, E), and logits
    (..., 2, V), for the word after and the word before.

    Args:
        build_model: Builds the model, one whose directions are apart.
        options: The task's options.
        num_words: V, the size of the vocabulary, words in order of decreasing frequency.

    Raises:
        UsageError: No half of the model's outputs depends on words before alone, and the other on
            words after.
    """

    num_directions = 2

    def __init__(self, build_model: BuildModel, options: WordBiLMOptions, num_words: int) -> None:
        super().__init__(build_model, options, num_words)
        size = options.embed_size
        self.backward_projection = Linear(self.rnn.output_size // 2, size)
        if not self._directions_are_apart(size):
            raise UsageError(
                "the model does not read in two directions apart",
                why="half of its outputs are to depend on the words before, half on those after",
                fix="use one of `zoo list --models` that is bidirectional, with one layer and "
                "merge=concat",
            )

    def project(self, outputs: Tensor) -> Tensor:
        """Return features (..., 2, E) of the model's outputs (..., F)."""
        forward, backward = outputs.chunk(2, dim=-1)
        return torch.stack((self.projection(forward), self.backward_projection(backward)), dim=-2)

    @torch.no_grad()
    def _directions_are_apart(self, size: int) -> bool:
        steps = 3
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(1, steps, size, generator=generator).repeat(3, 1, 1)
        rows[1, 0] += 1  # Changes what is read forwards.
        rows[2, -1] += 1  # Changes what is read backwards.
        was_training = self.rnn.training
        outputs, _ = self.rnn.eval()(rows, torch.full((3,), steps))
        self.rnn.train(was_training)
        forward, backward = outputs.chunk(2, dim=-1)
        return forward.shape == backward.shape and bool(
            torch.allclose(forward[0, :-1], forward[2, :-1])
            and torch.allclose(backward[0, 1:], backward[1, 1:])
        )
