"""The network around a model that reads a text: embedding, model, pooling, linear layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.interfaces import Batch, BuildModel, HasParameterGroups, HasReadout, State
from zoo.nn import OneHot, dropout, forward_embedded, pool
from zoo_text.batches import TextBatch
from zoo_text.embedding import SubwordEmbedding
from zoo_text.hashed_ngrams import HashedNGrams
from zoo_text.linear import NGramLinear
from zoo_text.options import TextOptions
from zoo_text.vocabulary import PAD, UNKNOWN


class TextNetwork(nn.Module):
    """Embedding -> model -> pooling -> linear layers, and a linear model of n-grams beside it.

    Args:
        build_model: Builds the model.
        options: The task's options.
        num_tokens: V, the size of the vocabulary, or the number of subword units.
        num_outputs: K, such as 1 for two labels, else one for each label.
        num_ngrams: Features of the linear model; None: there is none.
        calibrated: Whether there are a temperature and a threshold.
    """

    temperature: Tensor
    threshold: Tensor
    linear_threshold: Tensor

    def __init__(
        self,
        build_model: BuildModel,
        options: TextOptions,
        num_tokens: int,
        num_outputs: int,
        num_ngrams: int | None = None,
        *,
        calibrated: bool = False,
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding: nn.Embedding | OneHot | SubwordEmbedding
        if options.tokens != "words":
            self.embedding = SubwordEmbedding(num_tokens, options.embed_size)
            nn.init.normal_(self.embedding.weight[:-1].data, std=options.embed_std)
        elif options.input == "onehot":
            self.embedding = OneHot(num_tokens)
        else:
            self.embedding = nn.Embedding(num_tokens, options.embed_size, padding_idx=PAD)
            self.embedding.weight.data.mul_(options.embed_std)
        self.rnn = build_model(self.embedding.embedding_dim)
        pooled_size = self.rnn.output_size * len(options.pooling.split("+"))
        self.fc1 = nn.Linear(pooled_size, options.fc_size) if options.fc_size else None
        self.fc2 = nn.Linear(options.fc_size or pooled_size, num_outputs)
        bits = options.ngram_bits
        self.ngrams = HashedNGrams(bits, num_outputs) if bits else None
        self.linear: NGramLinear | None = None
        if num_ngrams is not None:
            self.linear = NGramLinear(num_ngrams, num_outputs)
        # Parameters that a model never trains.
        self.constant = {name for name, p in self.named_parameters() if not p.requires_grad}
        if calibrated:
            self.register_buffer("temperature", torch.ones(()))
            self.register_buffer("threshold", torch.full((), 0.5))
            self.register_buffer("linear_threshold", torch.full((), 0.5))

    def forward(
        self,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        units: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Return the outputs (B, K) of the recurrent part, and the model's state.

        Args:
            token_ids: (B, T) rows of the vocabulary; with subwords, of the U distinct tokens of
                the batch.
            lengths: (B,).
            state: As for the model.
            units: (N,) hashes of the units of the distinct tokens, token after token.
            starts: (U + 1,) where each token's units start.
        """
        # What is read out of the state needs no outputs.
        return_outputs = self.options.pooling != "last" or not isinstance(self.rnn, HasReadout)
        outputs, end = self.model_outputs(
            token_ids, lengths, state, units, starts, return_outputs=return_outputs
        )
        logits = self.head(outputs, lengths, end)
        if self.ngrams is not None:
            logits = logits + self.ngrams(token_ids, lengths)
        return logits, end

    def head(self, outputs: Tensor, lengths: Tensor, state: State) -> Tensor:
        """Return (B, K) of what the model returned: outputs (B, T, F), and the state."""
        pooled = pool(self.rnn, outputs, lengths, state, self.options.pooling)
        pooled = dropout(pooled, self.options.dropout, self.training)
        if self.fc1 is not None:
            pooled = self.fc1(pooled).relu()
        logits: Tensor = self.fc2(pooled)
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return embedding and model, if they have a learning rate of their own.

        See :class:`zoo.interfaces.HasParameterGroups`. Parts of the model that have groups of
        their own keep these.
        """
        share = self.options.encoder_learning_rate
        if share == 1:
            return []
        own = {
            id(parameter)
            for module in self.rnn.modules()
            if isinstance(module, HasParameterGroups)
            for group in module.parameter_groups()
            for parameter in group["params"]
        }
        encoder = [*self.embedding.parameters(), *self.rnn.parameters()]
        return [{"params": [p for p in encoder if id(p) not in own], "lr_scale": share}]

    def forward_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return what the model alone adds to the outputs (B, K), for vectors (B, T, E) of tokens.

        It is differentiable by the vectors.
        """
        outputs, end = self.rnn(vectors, lengths)
        return self.head(outputs, lengths, end)

    def token_vectors(self, batch: Batch) -> Tensor:
        """Return the vectors (B, T, E) of the tokens of a batch."""
        if isinstance(self.embedding, SubwordEmbedding):
            assert isinstance(batch, TextBatch)
            assert batch.units is not None
            assert batch.starts is not None
            weight = self.embedding(batch.units, batch.starts)
            return nn.functional.embedding(batch.inputs, weight)
        vectors: Tensor = self.embedding(batch.inputs)
        return vectors

    def unknown_vector(self) -> Tensor:
        """Return the vector (E,) of a token that the training did not know."""
        if isinstance(self.embedding, SubwordEmbedding):
            return torch.zeros_like(self.embedding.weight[0])
        vector: Tensor = self.embedding(torch.tensor(UNKNOWN, device=self.fc2.weight.device))
        return vector

    def model_outputs(
        self,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        units: Tensor | None = None,
        starts: Tensor | None = None,
        *,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        """Return what the model returns for token ids (B, T): outputs (B, T, F), and the state.

        Outputs may be empty where ``return_outputs`` is False.
        """
        if self.training and not isinstance(self.embedding, OneHot):
            vectors = self.training_vectors(token_ids, units, starts)
            result: tuple[Tensor, State] = self.rnn(vectors, lengths, state)
            return result
        table = self.embedding
        if isinstance(table, SubwordEmbedding):
            assert units is not None
            assert starts is not None
            table = nn.Embedding.from_pretrained(table(units, starts))
        elif (dropped := self._dropped(token_ids)) is not None:
            token_ids = token_ids.masked_fill(dropped & (token_ids != PAD), UNKNOWN)
        return forward_embedded(
            self.rnn, table, token_ids, lengths, state, return_outputs=return_outputs
        )

    def training_vectors(
        self, token_ids: Tensor, units: Tensor | None = None, starts: Tensor | None = None
    ) -> Tensor:
        """Return vectors (B, T, E) of token ids as a training step reads them, with dropout.

        Args:
            token_ids: As for :meth:`forward`, and so are ``units`` and ``starts``.
            units: See there.
            starts: See there.
        """
        dropped = self._dropped(token_ids)
        if isinstance(self.embedding, SubwordEmbedding):
            assert units is not None
            assert starts is not None
            vectors = nn.functional.embedding(token_ids, self.embedding(units, starts))
            if dropped is not None:
                vectors = vectors.masked_fill(dropped[..., None], 0.0)
        else:
            if dropped is not None:
                token_ids = token_ids.masked_fill(dropped & (token_ids != PAD), UNKNOWN)
            vectors = self.embedding(token_ids)
        return dropout(vectors, self.options.embed_dropout, self.training)

    def _dropped(self, token_ids: Tensor) -> Tensor | None:
        """Return which tokens (B, T) are replaced by an unknown one in this training step."""
        if not self.training or not self.options.word_dropout:
            return None
        return torch.rand(token_ids.shape, device=token_ids.device) < self.options.word_dropout

    def linear_outputs(self, batch: TextBatch) -> Tensor | None:
        """Return the outputs (B, K) of the linear model; None where there is none."""
        if batch.linear is not None:
            return batch.linear
        if self.linear is None or batch.ngrams is None:
            return None
        outputs: Tensor = self.linear(batch.ngrams, len(batch))
        return outputs

    def combine(self, recurrent: Tensor, linear: Tensor | None) -> Tensor:
        """Return ``((1 - w) recurrent + w linear) / temperature``, w being ``ngram_weight``."""
        outputs = recurrent
        if linear is not None:
            weight = self.options.ngram_weight
            outputs = (1 - weight) * recurrent + weight * linear
        return outputs / self.temperature if hasattr(self, "temperature") else outputs
