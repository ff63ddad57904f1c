"""The state of a training: what changes from step to step, apart from parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from zoo.interfaces import State
from zoo.spec import TrainingOptions

Scheduler = LRScheduler | ReduceLROnPlateau


@dataclass(slots=True)
class TrainState:
    """Where a training is.

    Args:
        epoch: The epoch that the next batch belongs to, from 0.
        batch: The index of the next batch in that epoch.
        step: Optimizer steps taken.
        best: The best value of the monitored metric; None before the first evaluation.
        is_best: Whether the last evaluation was the best, or equal to it.
        evaluations_since_best: Evaluations since ``best`` was reached.
        evaluated: The step of the last evaluation.
        seconds: Time spent, over all processes that trained the run.
        done: Whether the training is complete.
        recurrent: The state carried to the next batch, for tasks that carry it.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float | None = None
    is_best: bool = False
    evaluations_since_best: int = 0
    evaluated: int = 0
    seconds: float = 0.0
    done: bool = False
    recurrent: State | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the recurrent state and what earlier versions do not know."""
        left_out = ("recurrent", "evaluated")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}

    def where(self) -> str:
        """Return what messages say of the step that is being taken."""
        return f"step {self.step + 1}, epoch {self.epoch}"

    def advance(self, batch: int, *, epoch_ends: bool) -> None:
        """Count an optimizer step; ``batch`` is the index of the next batch of the epoch."""
        self.step += 1
        self.batch = batch
        if epoch_ends:
            self.epoch, self.batch = self.epoch + 1, 0

    def is_last_step(self, training: TrainingOptions) -> bool:
        """Return whether the training has come to its end."""
        if training.steps:
            return self.step >= training.steps
        return self.epoch >= training.epochs

    def evaluation_is_due(self, training: TrainingOptions, *, epoch_ends: bool) -> bool:
        """Return whether the step that was just taken is followed by an evaluation."""
        every = training.evaluate_every
        return self.done or (self.step % every == 0 if every else epoch_ends)

    def evaluation_is_pending(self, training: TrainingOptions) -> bool:
        """Return whether the checkpoint was written instead of an evaluation, after a signal."""
        return (
            self.step > 0
            and self.evaluated != self.step
            and self.evaluation_is_due(training, epoch_ends=self.batch == 0)
        )

    def record(self, value: float, *, higher_is_better: bool) -> None:
        """Record the monitored metric of an evaluation."""
        self.evaluated = self.step
        gain = 0.0 if self.best is None else value - self.best
        if not higher_is_better:
            gain = -gain
        # Of equal values the later weights are the better ones: they have seen more.
        self.is_best = gain >= 0
        if self.best is None or gain > 0:
            self.best, self.evaluations_since_best = value, 0
        else:
            self.evaluations_since_best += 1
