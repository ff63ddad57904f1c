"""The network: an encoder, a decoder, and attention between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.interfaces import BuildModel, State
from zoo.nn import decode_step, forward_embedded, length_mask
from zoo_seq2seq.options import Seq2SeqOptions

END = 0
"""The token id that ends a target, and that the decoder reads first."""


class GlobalAttention(nn.Module):
    """Attention over all steps of the source, with the score ``general``.

    ``h~ = tanh(W_c [c; h])``, where the context ``c`` is the mean of source vectors ``s`` under
    weights ``softmax(h^T W_a s)``.

    Source: T. Luong, H. Pham, C. Manning, Effective approaches to attention-based neural machine
    translation, arXiv:1508.04025 (2015), section 3.1, equations 5, 7 and 8.

    Args:
        query_size: Q, size of a decoder output h.
        memory_size: M, size of an encoder output s.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.score = nn.Linear(query_size, memory_size, bias=False)
        self.combine = nn.Linear(memory_size + query_size, query_size, bias=False)

    def forward(self, queries: Tensor, memory: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return attentional vectors (B, U, Q), and weights (B, U, T) that are zero at padding.

        Args:
            queries: (B, U, Q) outputs of the decoder.
            memory: (B, T, M) outputs of the encoder.
            lengths: (B,) number of steps of each row of the memory.
        """
        scores = self.score(queries) @ memory.transpose(1, 2)
        mask = length_mask(lengths, memory.shape[1])
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(2)
        context = weights @ memory
        return torch.tanh(self.combine(torch.cat((context, queries), dim=2))), weights


class Generated(NamedTuple):
    """Decoded targets.

    Args:
        token_ids: (B, U), END from the end of each row on.
        log_probabilities: (B,) of each row, the end token included.
        ended: (B,) whether a row has an end, or stopped at the largest length.
    """

    token_ids: Tensor
    log_probabilities: Tensor
    ended: Tensor


class AttentionSeq2Seq(nn.Module):
    """Encoder -> attention <- decoder; the attentional vectors give the logits of the target.

    The decoder starts from its own initial state and reads the target tokens so far. What it needs
    of the source reaches it through attention alone, so that encoder and decoder can be any two
    models, of different sizes, and the encoder may read in both directions.

    Args:
        build_model: Builds the encoder, and the submodel ``decoder``.
        options: The task's options.
        num_source_tokens: Size of the source vocabulary.
        num_target_tokens: V, the size of the target vocabulary, the end token included.
    """

    def __init__(
        self,
        build_model: BuildModel,
        options: Seq2SeqOptions,
        num_source_tokens: int,
        num_target_tokens: int,
    ) -> None:
        super().__init__()
        self.options = options
        self.source_embedding = nn.Embedding(num_source_tokens, options.embed_size)
        self.encoder = build_model(options.embed_size)
        self.target_embedding = nn.Embedding(num_target_tokens, options.embed_size)
        self.decoder = build_model.submodel("decoder", options.embed_size)
        self.attention = GlobalAttention(self.decoder.output_size, self.encoder.output_size)
        self.fc = nn.Linear(self.decoder.output_size, num_target_tokens)

    def forward(
        self, inputs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
    ) -> Tensor:
        """Return logits (B, U, V) of the targets under teacher forcing.

        Args:
            inputs: (B, T) token ids of the sources.
            lengths: (B,).
            targets: (B, U) token ids; the decoder reads them shifted by one step.
            target_lengths: (B,).
        """
        memory = self.encode(inputs, lengths)
        previous = nn.functional.pad(targets[:, :-1], (1, 0), value=END)
        queries, _ = forward_embedded(self.decoder, self.target_embedding, previous, target_lengths)
        return self._logits(queries, memory, lengths)

    def encode(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the encoder's outputs (B, T, M) of token ids (B, T)."""
        return forward_embedded(self.encoder, self.source_embedding, inputs, lengths)[0]

    @torch.inference_mode()
    def generate(self, inputs: Tensor, lengths: Tensor, max_tokens: int) -> Generated:
        """Decode greedily, until every row has its end token or ``max_tokens`` tokens.

        Args:
            inputs: (B, T) token ids of the sources.
            lengths: (B,).
            max_tokens: The largest number of tokens of a target, without the end token.
        """
        memory = self.encode(inputs, lengths)
        step = decode_step(self.decoder, self.target_embedding)
        token_ids = torch.full_like(lengths, END)
        state: State | None = None
        log_probabilities = memory.new_zeros(len(memory))
        ended = torch.zeros_like(lengths, dtype=torch.bool)
        generated: list[Tensor] = []
        # One step more than tokens: the end token of a target of the largest length.
        for _ in range(max_tokens + 1):
            queries, state = step(token_ids, state)
            logits = self._logits(queries[:, None], memory, lengths)[:, 0]
            best, token_ids = logits.log_softmax(1).max(1)
            token_ids = token_ids.masked_fill(ended, END)
            log_probabilities += best.masked_fill(ended, 0.0)
            generated.append(token_ids)
            ended = ended | (token_ids == END)
            if ended.all():
                break
        return Generated(torch.stack(generated, dim=1), log_probabilities, ended)

    def _logits(self, queries: Tensor, memory: Tensor, lengths: Tensor) -> Tensor:
        attended, _ = self.attention(queries, memory, lengths)
        attended = nn.functional.dropout(attended, self.options.dropout, self.training)
        logits: Tensor = self.fc(attended)
        return logits
