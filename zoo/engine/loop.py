"""The training loop. There is one, and it knows neither words nor layers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo.config import Configuration, Training
from zoo.engine import checkpoint
from zoo.engine.checkpoint import Position
from zoo.engine.evaluation import Adder, part, score
from zoo.engine.optimisation import Plateau, clip, optimiser, rate_factor
from zoo.engine.rundir import RunDirectory
from zoo.errors import DivergedError
from zoo.interfaces import Batch, Data, Split, Task


class Observer(Protocol):
    """Is told what happens; a progress bar, for instance."""

    def on_step(self, progress: float, position: Position, loss: float) -> None:
        """A step was taken; ``progress`` is the share of the training that is done."""
        ...

    def on_evaluation(self, line: Mapping[str, Any]) -> None:
        """The validation split was scored."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    position: Position
    interrupted: bool


def train(
    configuration: Configuration,
    task: Task,
    data: Data,
    network: nn.Module,
    run: RunDirectory,
    keep: Callable[[nn.Module, Mapping[str, Any]], None],
    observer: Observer,
    *,
    resume: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a network, evaluating, logging and checkpointing as it goes.

    Args:
        configuration: Says how.
        task: Computes the loss of a batch.
        data: Its ``train`` split is learned from; ``validation`` chooses the kept weights.
        network: Is trained in place, on the device that it is on.
        run: Where the log and the checkpoint go.
        keep: Is given the network and its validation metrics whenever these weights are the ones
            to keep.
        observer: Is told of every step and evaluation.
        resume: Go on from the run's checkpoint, if it got as far as writing one.
        interrupted: Is asked after every step; True saves and stops.

    Raises:
        DivergedError: The loss is not a number any more; the last checkpoint stays.
    """
    training = configuration.training
    split = part(data, "train")
    update = optimiser(network, training)
    plateau = Plateau()
    averaged = _averaged(network, training)
    position, state = Position(), None
    if resume and run.checkpoint.exists():
        position, state = checkpoint.load(run.checkpoint, network, update, plateau, averaged)
    run.rewind(position.step)
    kept = averaged.module if averaged is not None else network
    device = next(network.parameters()).device
    started = time.monotonic() - position.seconds
    recent = Recent()

    def save() -> None:
        position.seconds = time.monotonic() - started
        checkpoint.save(run.checkpoint, position, network, update, plateau, averaged, state)

    for batch, progress, ends_epoch in _batches(split, configuration, position):
        factor = rate_factor(training, progress) * plateau.factor
        for group in update.param_groups:
            group["lr"] = training.learning_rate * factor

        network.train()
        # Cleared first: a task may back-propagate a part of its loss itself.
        update.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=training.precision != "float32"):
            step = task.step(network, batch.to(device), None if batch.fresh else state)
        loss = float(step.loss.detach())
        if not math.isfinite(loss):
            raise _diverged(f"loss is {loss}", position.step + 1)
        step.loss.backward()  # type: ignore[no-untyped-call]
        clip(network.parameters(), training)
        update.step()
        if averaged is not None:
            averaged.update_parameters(network)
        # Truncated backpropagation through time: the state goes on, its history does not.
        state = tuple(part.detach() for part in step.state) if step.state else None

        position.step += 1
        position.batch += 1
        if ends_epoch:
            position.epoch, position.batch = position.epoch + 1, 0
        position.done = position.step == training.steps or (
            not training.steps and position.epoch == training.epochs
        )
        recent.add(loss, len(batch.inputs), step.sums)
        observer.on_step(progress, position, loss)
        if position.step % training.log_every == 0 or position.done:
            line = recent.line(task, update.param_groups[0]["lr"])
            run.log(_line("train", position, time.monotonic() - started) | line)
            recent = Recent()

        due = (
            position.step % training.evaluate_every == 0 if training.evaluate_every else ends_epoch
        )
        if due or position.done:
            metrics = task.evaluate(part(data, "validation"), lambda s: score(task, kept, s))
            _check_finite(metrics, position)
            gain = _gain(configuration, metrics, position)
            if training.schedule == "plateau":
                plateau.see(gain > 0)
            # Of equals the later: it has seen more.
            best = gain >= 0
            if best or training.selection == "last":
                keep(kept, {**metrics, "epoch": position.epoch, "step": position.step})
            if training.patience and position.stale >= training.patience:
                position.done = True
            line = _line("evaluation", position, time.monotonic() - started) | metrics
            run.log({**line, "best": best})
            observer.on_evaluation({**line, "best": best})
            save()
        if position.done:
            break
        if interrupted():
            save()
            return Outcome(position, interrupted=True)
    return Outcome(position, interrupted=False)


class Recent:
    """What happened since the last line of the log."""

    def __init__(self) -> None:
        self.adder = Adder()
        self.rows = 0
        self.loss = math.nan
        self.since = time.monotonic()

    def add(self, loss: float, rows: int, sums: Mapping[str, torch.Tensor]) -> None:
        """Take note of a step."""
        self.adder.add(sums)
        self.rows += rows
        self.loss = loss

    def line(self, task: Task, rate: float) -> dict[str, Any]:
        """Return the metrics of these steps, the loss of the last batch, and the pace."""
        seconds = max(time.monotonic() - self.since, 1e-9)
        return {
            **task.metrics(self.adder.sums),
            "batch_loss": self.loss,
            "learning_rate": rate,
            "rows_per_second": round(self.rows / seconds, 1),
        }


def _batches(
    split: Split, configuration: Configuration, position: Position
) -> Iterator[tuple[Batch, float, bool]]:
    """Yield batches from the position on, how far the training is, and whether an epoch ends."""
    training = configuration.training
    while not position.done:
        epoch = position.epoch
        batches = split.epoch(configuration.seed, epoch, training.batch_size)
        for number in range(position.batch, len(batches)):
            if training.steps:
                progress = position.step / training.steps
            else:
                progress = (epoch + number / len(batches)) / training.epochs
            yield batches[number], progress, number + 1 == len(batches)


def _averaged(network: nn.Module, training: Training) -> AveragedModel | None:
    if not training.average:
        return None
    decay = get_ema_multi_avg_fn(training.average)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=decay)


def _check_finite(metrics: Mapping[str, Any], position: Position) -> None:
    """Keep weights that score no number out of files: the checkpoint before them is a good one."""
    for name, value in metrics.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _diverged(f"validation {name} is {value}", position.step)


def _diverged(what: str, step: int) -> DivergedError:
    return DivergedError(
        what,
        where=f"step {step}",
        why="the training diverged",
        fix="start anew with a lower learning_rate or with clip_norm; the last checkpoint is kept",
    )


def _gain(configuration: Configuration, metrics: Mapping[str, Any], position: Position) -> float:
    """Return by how much validation is better than the best so far, and take note."""
    value = float(metrics[configuration.task.monitor])
    sign = 1 if configuration.task.higher_is_better else -1
    gain = math.inf if position.best is None else sign * (value - position.best)
    if gain > 0:
        position.best, position.stale = value, 0
    else:
        position.stale += 1
    return gain


def _line(kind: str, position: Position, seconds: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "step": position.step,
        "epoch": position.epoch,
        "seconds": round(seconds, 3),
    }
