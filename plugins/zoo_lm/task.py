"""What tasks that predict the next token share: the loss, generation, explanations, outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

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
)
from zoo_lm import explaining
from zoo_lm.metrics import compute_metrics, sum_losses
from zoo_lm.network import TokenPredictor
from zoo_lm.options import LMOptions
from zoo_lm.outcomes import of_tokens
from zoo_lm.token_task import TokenTask

Options = TypeVar("Options", bound=LMOptions)


class LanguageModel(TokenTask[Options]):
    """Many-to-many in step: predicts the next token at every token."""

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

    # Use

    def explain(self, network: nn.Module, texts: Sequence[str], target: str) -> list[Explanation]:
        """Return the surprise of every token; see :class:`zoo.interfaces.Explains`."""
        return explaining.explain(self, network, texts, target)

    def decode_step(self, network: nn.Module) -> DecodeStep:
        assert isinstance(network, TokenPredictor)
        return network.decode_step()


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
