"""A run that is resumed with another length: more epochs or steps than it was started with."""

from __future__ import annotations

import warnings

from torch.optim.lr_scheduler import ReduceLROnPlateau

from zoo.engine.schedule import build_scheduler
from zoo.engine.state import Scheduler
from zoo.engine.trainer import Trainer
from zoo.errors import UsageError


def extend(trainer: Trainer) -> None:
    """Have a training that was restored from its checkpoint go on to the end that its run has now.

    Parameters, moments of the optimizer and the best value stay. The schedule is made anew for the
    new number of steps and brought to the step that is reached; a plateau, which knows no number
    of steps, stays as it is. A training that was complete starts to count evaluations without
    improvement again. Nothing changes where it has come as far already.

    Raises:
        UsageError: The training has come further already.
    """
    training, state = trainer.spec.training, trainer.state
    total, reached, unit = training.epochs, state.epoch, "epochs"
    if training.steps:
        total, reached, unit = training.steps, state.step, "steps"
    if total < reached:
        raise UsageError(
            f"the run has {reached:,} {unit} already",
            where=str(trainer.directory.path),
            fix=f"give {reached:,} or more",
        )
    if total == reached:
        return
    if state.done:
        state.done, state.evaluations_since_best = False, 0
    if not isinstance(trainer.scheduler, ReduceLROnPlateau):
        trainer.scheduler = _schedule(trainer)


def _schedule(trainer: Trainer) -> Scheduler:
    """Return a schedule over all steps of the training, at the step that is reached."""
    for group in trainer.optimizer.param_groups:  # As they were before the first step.
        group["lr"] = group.pop("initial_lr", group["lr"])
    scheduler = build_scheduler(trainer.spec, trainer.optimizer, trainer.total_steps)
    with warnings.catch_warnings():  # The optimizer has taken these steps in another process.
        warnings.simplefilter("ignore")
        if not isinstance(scheduler, ReduceLROnPlateau):
            for _ in range(trainer.state.step):
                scheduler.step()
    return scheduler
