"""What the language model tasks share: splits, the loss of the next token, vectors, outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.data.sequence import TokenSequence
from zoo.errors import DataError
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
from zoo.nn import pool
from zoo_lm import explaining
from zoo_lm.metrics import compute_metrics, sum_losses
from zoo_lm.network import TokenPredictor
from zoo_lm.options import LMOptions
from zoo_lm.outcomes import of_tokens
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

    # Data

    def make_splits(
        self, whole: TokenSequence, validation: int, test: int, where: str
    ) -> dict[str, Split]:
        """Return the splits of a sequence.

        Args:
            whole: The sequence.
            validation: Where the validation split begins.
            test: Where the test split begins.
            where: The source, for messages.

        Raises:
            DataError: One has fewer than two tokens to predict.
        """
        length = len(whole.token_ids)
        splits = {
            "train": whole.slice(0, validation),
            "validation": whole.slice(validation, test),
            "test": whole.slice(test, length),
            "all": whole,
        }
        for name, split in splits.items():
            if split.num_examples < 2:
                raise DataError(
                    f"{name} split has {split.num_examples + 1} {self.unit}s",
                    where=where,
                    why=f"the text has {length}",
                    fix="give a longer text",
                )
        return {**splits}

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

    @torch.inference_mode()
    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return token ids, the text that they stand for, and logits of what follows.

        The answer is not the token that is generated next: two may be about equally likely.
        """
        device = next(network.parameters()).device
        found = []
        for text in texts:
            token_ids = self.encode(text, "the probe") or [self.start_token()]
            inputs = torch.tensor([token_ids], device=device)
            logits = network(inputs, torch.tensor([len(token_ids)], device=device))[0][0, -1]
            outputs = logits[self.probe_columns()].float().cpu().tolist()
            answer = self.decode(token_ids)
            found.append({"token_ids": token_ids, "answer": answer, "outputs": outputs})
        return found

    # Use

    def explain(self, network: nn.Module, texts: Sequence[str], target: str) -> list[Explanation]:
        """Return the surprise of every token; see :class:`zoo.interfaces.Explains`."""
        return explaining.explain(self, network, texts, target)

    def decode_step(self, network: nn.Module) -> DecodeStep:
        assert isinstance(network, TokenPredictor)
        return network.decode_step()

    @torch.inference_mode()
    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        An empty text is read as the token that generation starts from.

        Raises:
            DataError: A text cannot be encoded; the message names what the vocabulary lacks.
        """
        assert isinstance(network, TokenPredictor)
        device = next(network.parameters()).device
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        for batch in Ragged.of(self.encode_texts(texts), range(len(texts))).eval_batches():
            lengths = batch.lengths.to(device)
            outputs, state = network.model_outputs(batch.inputs.to(device), lengths)
            if per_step:
                values = outputs.float().cpu().numpy()
                found = [values[row, :n].copy() for row, n in enumerate(batch.lengths.tolist())]
            else:
                means = pool(network.rnn, outputs, lengths, state, "mean")
                found = list(means.float().cpu().numpy())
            vectors.update(zip(batch.targets.tolist(), found, strict=True))
        return [vectors[index] for index in range(len(texts))]


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
