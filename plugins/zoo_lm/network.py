"""The network around a causal model that predicts the next character."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.interfaces import BuildModel, DecodeStep, State
from zoo.nn import Linear, OneHot, decode_step, forward_embedded
from zoo_lm.options import CharLMOptions


class CharPredictor(nn.Module):
    """Embedding -> dropout -> model -> dropout -> Linear.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_characters: V, the size of the vocabulary.
    """

    def __init__(
        self, build_model: BuildModel, options: CharLMOptions, num_characters: int
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding: nn.Embedding | OneHot
        if options.input == "onehot":
            self.embedding = OneHot(num_characters)
        else:
            self.embedding = nn.Embedding(num_characters, options.embed_size)
        self.rnn = build_model(self.embedding.embedding_dim)
        self.fc = Linear(self.rnn.output_size, num_characters)

    def forward(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return logits (B, T, V) of token ids (B, T), and the state after each row."""
        outputs, end = self.model_outputs(token_ids, lengths, state)
        outputs = nn.functional.dropout(outputs, self.options.dropout, self.training)
        return self.fc(outputs), end

    def model_outputs(
        self, token_ids: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return what the model returns for token ids (B, T): outputs (B, T, F), and the state."""
        if self.training and isinstance(self.embedding, nn.Embedding):
            vectors = self.embedding(token_ids)
            vectors = nn.functional.dropout(vectors, self.options.embed_dropout, self.training)
            result: tuple[Tensor, State] = self.rnn(vectors, lengths, state)
            return result
        return forward_embedded(self.rnn, self.embedding, token_ids, lengths, state)

    def decode_step(self) -> DecodeStep:
        """Return a function from token ids (N,) and a state to logits (N, V) and the next state.

        It computes with the weights as they are now, and without dropout.
        """
        step = decode_step(self.rnn, self.embedding)
        weight, bias = self.fc.weight.detach(), self.fc.bias.detach()

        def predict(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            outputs, end = step(token_ids, state)
            return nn.functional.linear(outputs, weight, bias), end

        return predict
