"""The network of the date task: an encoder and a decoder of the same architecture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel, State

ISO = "0123456789-"
STEPS = len("1986-03-03")
START = len(ISO)  # The token that the decoder reads first; it is never generated.


class EncoderDecoder(nn.Module):
    """An encoder whose last state is the decoder's initial state; they share no weights.

    Both are built as the same model, so that the state of one fits the other.

    Source: I. Sutskever, O. Vinyals, Q. Le, Sequence to sequence learning with neural networks,
    NeurIPS 2014.

    Args:
        build_model: Builds the encoder and the decoder.
        num_characters: V, the size of the source vocabulary.
        embed_size: Dimensions of the embeddings.
    """

    def __init__(self, build_model: BuildModel, num_characters: int, embed_size: int) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(num_characters, embed_size)
        self.encoder = build_model(embed_size)
        self.target_embedding = nn.Embedding(len(ISO) + 1, embed_size)
        self.decoder = build_model(embed_size)
        self.fc = nn.Linear(self.decoder.output_size, len(ISO))

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return logits (B, STEPS, len(ISO)) under teacher forcing.

        Args:
            inputs: (B, T) token ids of the source.
            lengths: (B,).
            targets: (B, STEPS) token ids, which the decoder reads shifted by one step.
        """
        state = self.encode(inputs, lengths)
        previous = nn.functional.pad(targets[:, :-1], (1, 0), value=START)
        return self.decode(previous, state)[0]

    @torch.inference_mode()
    def generate(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Decode greedily.

        Returns:
            Token ids (B, STEPS), and the probability of each row (B,).
        """
        state = self.encode(inputs, lengths)
        token_ids = torch.full_like(lengths, START)
        generated, probabilities = [], []
        for _ in range(STEPS):
            logits, state = self.decode(token_ids[:, None], state)
            probability, token_ids = logits[:, 0].softmax(1).max(1)
            generated.append(token_ids)
            probabilities.append(probability)
        return torch.stack(generated, dim=1), torch.stack(probabilities, dim=1).prod(1)

    def encode(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the encoder's state after the last token of each row (B, T)."""
        state: State = self.encoder(self.source_embedding(inputs), lengths)[1]
        return state

    def decode(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (B, T, len(ISO)) of the tokens after those in (B, T), and the state."""
        lengths = torch.full_like(previous[:, 0], previous.shape[1])
        outputs, state = self.decoder(self.target_embedding(previous), lengths, state)
        return self.fc(outputs), state
