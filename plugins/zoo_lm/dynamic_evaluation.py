"""Dynamic evaluation: the network goes on learning from the text that it is evaluated on."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from zoo.api import load
from zoo.api.evaluation import training_data
from zoo.data.sequence import TokenSequence
from zoo.errors import DivergedError, UsageError
from zoo.interfaces import Batch, Data, Metrics, State, Task

LEARNING_RATES = (0.02, 0.05)
"""What the learning rate is chosen from."""

DECAYS = (0.0, 0.002)
"""What the decay is chosen from."""

STEPS = 20
"""Tokens of a segment, as in the paper's experiments on characters."""

Measured = dict[str, Any]
"""A measurement on the validation split: ``learning_rate``, ``decay`` and ``loss``.

The loss is None where it was not finite.
"""


def evaluate_dynamic(
    name: str | Path,
    data: str | Path = "",
    *,
    split: str = "test",
    learning_rates: Sequence[float] = LEARNING_RATES,
    decays: Sequence[float] = DECAYS,
    steps: int = STEPS,
    device: str = "cpu",
    report: Callable[[Measured], None] = lambda measured: None,
) -> dict[str, Any]:
    """Evaluate a language model that takes a step of gradient descent after each segment.

    A segment is predicted with carried state, and its loss counted, before the network learns from
    it: theta - eta grad L + lambda (theta_0 - theta), where theta_0 are the trained weights. The
    result says what the network and its adaptation reach together; it is no measure of the
    network alone, and not comparable with ``loss`` of :func:`zoo.api.evaluate`.

    Learning rate and decay are those with the smallest loss on the validation split. On each split
    the network starts from the trained weights. No file is changed.

    Source: B. Krause, E. Kahembwe, I. Murray, S. Renals, Dynamic evaluation of neural sequence
    models, ICML 2018 (arXiv:1709.07432), section 3, with stochastic gradient descent.

    Args:
        name: A weights file, a run directory, or a recipe with weights, of a language model.
        data: A path or the name of a data set; empty: as for :func:`zoo.api.evaluate`.
        split: ``validation``, ``test`` or ``all``.
        learning_rates: eta is chosen from these and 0, which is no adaptation.
        decays: lambda is chosen from these, from 0 to 1.
        steps: Tokens of a segment.
        device: ``cpu``, ``cuda`` ...
        report: Called after each measurement on the validation split.

    Returns:
        The metrics, ``static_loss`` (of the same split without adaptation), the chosen
        ``learning_rate`` and ``decay``, all measurements on ``validation``, and what was measured:
        ``weights_sha256``, ``data_sha256``.

    Raises:
        UsageError: The task does not read one long sequence, there is no such split, or a number
            is out of range.
        DataError: The data is missing, or has what the network did not learn.
        DivergedError: The loss of the split is not finite.
    """
    _check_numbers(learning_rates, decays, steps)
    model = load(name, device)
    prepared = model.prepare(data or training_data(name))
    validation, chosen = (_sequence(prepared, part, model) for part in ("validation", split))
    measured: list[Measured] = []
    # Without learning there is nothing that decays.
    rules = [(0.0, 0.0), *itertools.product(filter(None, learning_rates), decays)]
    for learning_rate, decay in rules:
        try:
            found = adapt(model.task, model.module, validation, learning_rate, decay, steps)["loss"]
        except DivergedError:
            found = None
        measured.append({"learning_rate": learning_rate, "decay": decay, "loss": found})
        report(measured[-1])
    finite = [index for index, each in enumerate(measured) if each["loss"] is not None]
    learning_rate, decay = rules[min(finite, key=lambda index: measured[index]["loss"])]
    static = adapt(model.task, model.module, chosen, 0.0, 0.0, steps)
    values = static
    if learning_rate:
        values = adapt(model.task, model.module, chosen, learning_rate, decay, steps)
    return {
        "name": model.display_name,
        "weights_sha256": model.weights_sha256,
        "split": split,
        "data": prepared.summary,
        "data_sha256": prepared.digest,
        "training_data": prepared.digest == model.info["data"]["sha256"],
        "evaluation": "dynamic",
        "learning_rate": learning_rate,
        "decay": decay,
        "steps": steps,
        "static_loss": static["loss"],
        **values,
        "validation": measured,
    }


def adapt(
    task: Task,
    network: nn.Module,
    split: TokenSequence,
    learning_rate: float,
    decay: float,
    steps: int,
) -> Metrics:
    """Return the metrics of a split under dynamic evaluation; the network stays as it is.

    Args:
        task: Computes the loss of a segment and the metrics.
        network: The trained network.
        split: What is predicted, from its beginning to its end.
        learning_rate: eta; 0: no adaptation.
        decay: lambda, the share of the way back to the trained weights after each segment.
        steps: Tokens of a segment.

    Raises:
        DivergedError: The loss of a segment is not finite.
    """
    if learning_rate:
        network = copy.deepcopy(network)
    network.eval()
    trained = [p for p in network.parameters() if p.requires_grad] if learning_rate else []
    initial = [parameter.detach().clone() for parameter in trained]
    device = next(network.parameters()).device
    sums: dict[str, Tensor] = {}
    state: State | None = None
    segments = _segments(split, steps) if learning_rate else split.eval_batches()
    for batch in segments:
        # Layers of cuDNN have no backward pass in evaluation mode.
        with (
            torch.set_grad_enabled(bool(learning_rate)),
            torch.backends.cudnn.flags(enabled=not learning_rate),
        ):
            step = task.step(network, batch.to(device), None if batch.reset_state else state)
        for name, value in step.metric_sums.items():
            sums[name] = sums.get(name, 0) + value.detach().double()
        # Gradients flow back through one segment.
        state = tuple(part.detach() for part in step.state) if step.state else None
        if not learning_rate:
            continue
        if not math.isfinite(float(step.loss.detach())):
            raise DivergedError(
                "the loss is not finite",
                where=f"dynamic evaluation with learning rate {learning_rate}",
                fix="use a smaller learning rate",
            )
        gradients = torch.autograd.grad(step.loss, trained, allow_unused=True)
        with torch.no_grad():
            for parameter, start, gradient in zip(trained, initial, gradients, strict=True):
                if decay:
                    parameter.lerp_(start, decay)
                if gradient is not None:
                    parameter.sub_(gradient, alpha=learning_rate)
    return task.metrics({name: value.cpu() for name, value in sums.items()})


def _segments(split: TokenSequence, steps: int) -> Iterator[Batch]:
    """Yield a split as one row, a segment a batch."""
    for at in range(0, split.num_examples, steps):
        length = min(steps, split.num_examples - at)
        yield split.batch(np.array([at]), length, reset_state=at == 0)


def _sequence(data: Data, name: str, model: zoo.TrainedModel) -> TokenSequence:
    split = data.splits.get(name)
    if split is None:
        raise UsageError(
            f"no split {name!r}", where=data.summary, fix=f"splits are {', '.join(data.splits)}"
        )
    if not isinstance(split, TokenSequence):
        raise UsageError(
            "dynamic evaluation needs a language model",
            where=model.name,
            why="its task does not read one long sequence of tokens",
        )
    return split


def _check_numbers(learning_rates: Sequence[float], decays: Sequence[float], steps: int) -> None:
    for name, values, largest in (
        ("learning rate", learning_rates, math.inf),
        ("decay", decays, 1.0),
    ):
        if not values:
            raise UsageError(f"no {name} is given")
        for value in values:
            if not 0 <= value <= largest or math.isinf(value):
                allowed = "from 0 to 1" if largest == 1 else "0 or more"
                raise UsageError(f"{name} {value} is out of range", fix=f"it is {allowed}")
    if steps < 1:
        raise UsageError(f"a segment of {steps} tokens", fix="it has at least 1")
