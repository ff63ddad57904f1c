"""What the language model tasks share: the loss of the next token, vectors, outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.interfaces import (
    Batch,
    DecodeStep,
    Explanation,
    HasInitialState,
    Metrics,
    MetricSums,
    Outcomes,
    Split,
    State,
    Step,
    Task,
)
from zoo_lm import explaining
from zoo_lm.metrics import compute_metrics, sum_losses
from zoo_lm.network import TokenPredictor
from zoo_lm.options import LMOptions
from zoo_lm.outcomes import of_tokens
from zoo_lm.probing import answers
from zoo_lm.vectors import embed_tokens
from zoo_lm.vocabulary import Vocabulary

Options = TypeVar("Options", bound=LMOptions)


class LanguageModel(Vocabulary, Task, Generic[Options]):
    """Many-to-many in step: predicts the next token at every token.

    Args:
        options: The task's options.

    Attributes:
        unit: What a token is, in messages.
    """

    unit: ClassVar[str]

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where each token of :meth:`encode` is in a text: start and end, in characters."""

    # Training

    @abstractmethod
    def losses(
        self, network: nn.Module, features: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the losses (B, T) in nats, and the logits (B, T, V) where they were computed.

        Args:
            network: What :meth:`network` returned.
            features: (B, T, D) what logits are computed from.
            targets: (B, T) the tokens that follow.
        """

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        assert isinstance(network, TokenPredictor)
        if network.training and state and self.options.reset_probability:
            state = reset_rows(network.rnn, state, self.options.reset_probability)
        features, end = network.features(batch.inputs, batch.lengths, state)
        losses, logits = self.losses(network, features, batch.targets)
        sums = sum_losses(losses.detach())
        return Step(losses.mean(), sums, end, None if logits is None else logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the metrics of :func:`zoo_lm.metrics.compute_metrics`."""
        return compute_metrics(metric_sums)

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return the loss of each token; see :class:`zoo.interfaces.ScoresExamples`."""
        return of_tokens(network, split)

    # The probe of a weights file

    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return token ids, the text that they stand for, and logits of what follows."""
        return answers(self, network, texts)

    # Use

    def explain(self, network: nn.Module, texts: Sequence[str], target: str) -> list[Explanation]:
        """Return the surprise of every token; see :class:`zoo.interfaces.Explains`."""
        return explaining.explain(self, network, texts, target)

    def decode_step(self, network: nn.Module) -> DecodeStep:
        assert isinstance(network, TokenPredictor)
        return network.decode_step()

    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        An empty text is read as the token that generation starts from.

        Raises:
            DataError: A text cannot be encoded; the message names what the vocabulary lacks.
        """
        return embed_tokens(network, self.encode_texts(texts), per_step=per_step)


def reset_rows(model: nn.Module, state: State, probability: float) -> State:
    """Return a state (any, B, H) in which rows are, with a probability, those of a fresh start."""
    rows = state[0].shape[1]
    keep = torch.rand(rows, device=state[0].device)[:, None] >= probability
    if isinstance(model, HasInitialState):
        initial = model.get_initial_state(rows)
    else:
        initial = tuple(map(torch.zeros_like, state))
    return tuple(
        torch.where(keep, part, start.to(part)) for part, start in zip(state, initial, strict=True)
    )
