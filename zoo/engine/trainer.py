"""The training loop. There is one, and it knows neither words nor layers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from zoo.building import build
from zoo.engine import checkpoint
from zoo.engine.evaluation import evaluate_split, get_split
from zoo.engine.log_window import LogWindow
from zoo.engine.parameters import averaged_copy, clip_gradients, parameter_groups
from zoo.engine.run_directory import RunDirectory
from zoo.engine.state import Scheduler, TrainState
from zoo.errors import DataError, DivergedError, PluginError, ZooError
from zoo.interfaces import Batch, Calibrates, Callback, Data, HasPenalty, Task
from zoo.records import MetricInfo
from zoo.spec import RunSpec


class Trainer:
    """One training of a network.

    Args:
        spec: Says how.
        task: Computes the loss of a batch.
        data: Its ``train`` split is learned from, ``validation`` is evaluated.
        network: Is trained in place, on the device that it is on.
        directory: Where checkpoints go.
        callbacks: Follow the training, in this order.
        metrics: Further metrics of evaluations.

    Attributes:
        state: Where the training is.
        optimizer: The torch optimizer.
        scheduler: The torch learning-rate scheduler.
        total_steps: Steps of the whole training.
        stop_reason: Why :meth:`stop` was called; empty if it was not.
    """

    def __init__(
        self,
        spec: RunSpec,
        task: Task,
        data: Data,
        network: nn.Module,
        directory: RunDirectory,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[MetricInfo] = (),
    ) -> None:
        self.spec, self.task, self.data, self.network = spec, task, data, network
        self.directory, self.callbacks, self.metrics = directory, callbacks, metrics
        training = spec.training
        self.device = next(network.parameters()).device
        self.state = TrainState()
        steps_per_epoch = self._steps_per_epoch()
        self.total_steps = training.steps or training.epochs * steps_per_epoch
        groups = parameter_groups(network, training.learning_rate)
        optimizer = build(spec.optimizer, groups, training.learning_rate)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise PluginError(f"{training.optimizer!r} is no torch optimizer")
        scheduler = build(spec.scheduler, optimizer, self.total_steps)
        if not isinstance(scheduler, Scheduler):
            raise PluginError(f"{training.schedule!r} is no torch learning-rate scheduler")
        self.optimizer, self.scheduler = optimizer, scheduler
        self.averaged = averaged_copy(network, training.average)
        self.stop_reason = ""
        self._penalties = [m for m in network.modules() if isinstance(m, HasPenalty)]
        self._window = LogWindow()
        self._started = time.monotonic()

    @property
    def eval_network(self) -> nn.Module:
        """The network that is evaluated and saved: the moving average, if there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def fit(self) -> None:
        """Train until the end, or until a callback stops it.

        Raises:
            DivergedError: The loss is not finite; the last checkpoint stays.
            PluginError: A callback failed; the message names it.
        """
        training, state = self.spec.training, self.state
        train_split = get_split(self.data, "train")
        self._started = time.monotonic() - state.seconds
        self._call("on_train_begin")
        while not self.finished:
            batches = train_split.train_batches(self.spec.seed, state.epoch, training.batch_size)
            for first in range(state.batch, len(batches), training.accumulate):
                after = min(first + training.accumulate, len(batches))
                self.network.train()
                self.optimizer.zero_grad(set_to_none=True)
                for index in range(first, after):
                    self._backward(batches[index], 1 / (after - first))
                clip_gradients(self.network, training)
                self.optimizer.step()
                if self.averaged is not None:
                    self.averaged.update_parameters(self.network)

                epoch_ends = after == len(batches)
                state.advance(after, epoch_ends=epoch_ends)
                state.done = self._is_last_step()
                state.seconds = time.monotonic() - self._started
                self._call("on_step_end")
                if state.step % training.log_every == 0 or state.done:
                    self._log()
                # After the log, which says the learning rate of this step.
                if not isinstance(self.scheduler, ReduceLROnPlateau):
                    self.scheduler.step()
                if self._evaluation_is_due(epoch_ends):
                    self._evaluate()
                    self._save_checkpoint()
                elif self.finished:
                    self._save_checkpoint()
                if self.finished:
                    break
        self._call("on_train_end")

    @property
    def finished(self) -> bool:
        """Whether the training is complete or was stopped."""
        return self.state.done or bool(self.stop_reason)

    def stop(self, reason: str, *, complete: bool = False) -> None:
        """End the training after this step, with a checkpoint.

        Args:
            reason: Why, in a few words.
            complete: Whether the training counts as complete; if not, it can be resumed.
        """
        self.stop_reason = reason or "stopped by a callback"
        self.state.done = self.state.done or complete

    def resume(self) -> None:
        """Restore the checkpoint of the run, if it got as far as writing one.

        Raises:
            WeightsError: The file is not a checkpoint of this run.
        """
        if self.directory.checkpoint.exists():
            self.state = checkpoint.load(
                self.directory.checkpoint,
                self.network,
                self.optimizer,
                self.scheduler,
                self.averaged,
                higher_is_better=self.spec.task.higher_is_better,
            )
        # A process that was killed while it extended the run may have left it unfinished.
        self.state.done = self.state.done or self._is_last_step()
        self.directory.rewind(self.state.step)

    def _backward(self, batch: Batch, share: float) -> None:
        """Compute the loss of a batch and add its gradients, multiplied by ``share``."""
        mixed = self.spec.training.precision != "float32"
        state = self.state
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            step = self.task.step(
                self.network, batch, None if batch.reset_state else state.recurrent
            )
            loss = sum((module.penalty() for module in self._penalties), start=step.loss)
        if self.device.type == "cpu":  # Elsewhere reading a value waits for the device.
            self._check_loss(loss, state.step + 1)
        (loss if share == 1 else loss * share).backward()
        # Truncated backpropagation through time: the state is carried, its history is not.
        state.recurrent = tuple(part.detach() for part in step.state) if step.state else None
        self._window.add(loss.detach(), len(batch), step.metric_sums)

    def _log(self) -> None:
        window, self._window = self._window, LogWindow()
        self._check_loss(window.loss, self.state.step)
        metrics = {
            **self.task.metrics(window.sums.total()),
            "batch_loss": float(window.loss),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "rows_per_second": window.rows_per_second(),
        }
        self._call("on_log", metrics)

    def _is_last_step(self) -> bool:
        training, state = self.spec.training, self.state
        if training.steps:
            return state.step >= training.steps
        return state.epoch >= training.epochs

    def _evaluation_is_due(self, epoch_ends: bool) -> bool:
        every = self.spec.training.evaluate_every
        return self.state.done or (self.state.step % every == 0 if every else epoch_ends)

    def _evaluate(self) -> None:
        split = get_split(self.data, "validation")
        if isinstance(self.task, Calibrates):
            self.eval_network.eval()
            self.task.calibrate(self.eval_network, split)
        metrics = evaluate_split(self.task, self.eval_network, split, self.metrics)
        for name, value in metrics.items():
            # Weights that score NaN are never saved; the checkpoint before them is a good one.
            if isinstance(value, float) and not math.isfinite(value):
                raise _diverged(f"validation {name} is {value}", self.state.step)
        info = self.spec.task
        if info.monitor not in metrics:
            raise PluginError(
                f"task {info.name!r} has no metric {info.monitor!r} to monitor",
                why=f"it has {', '.join(metrics)}",
            )
        monitored = float(metrics[info.monitor])
        self.state.record(monitored, higher_is_better=info.higher_is_better)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(-monitored if info.higher_is_better else monitored)
        self._call("on_evaluate", metrics)

    def _save_checkpoint(self) -> None:
        self._write_checkpoint()
        done = self.state.done
        self._call("on_checkpoint", self.directory.checkpoint)
        if self.state.done != done:  # A callback has completed the training.
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        self.state.seconds = time.monotonic() - self._started
        path = self.directory.checkpoint
        checkpoint.save(
            path, self.state, self.network, self.optimizer, self.scheduler, self.averaged
        )

    def _check_loss(self, loss: Tensor, step: int) -> None:
        if not math.isfinite(value := float(loss.detach())):
            raise _diverged(f"loss is {value}", step)

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            try:
                getattr(callback, method)(self, *arguments)
            except ZooError:
                raise
            except Exception as error:
                raise PluginError(
                    f"callback {type(callback).__name__} failed",
                    where=f"{method}, step {self.state.step}",
                    why=f"{type(error).__name__}: {error}",
                    fix="the last checkpoint, if there is one, is complete",
                ) from error

    def _steps_per_epoch(self) -> int:
        training = self.spec.training
        batches = get_split(self.data, "train").train_batches(
            self.spec.seed, 0, training.batch_size
        )
        if not len(batches):
            raise DataError("the training split is empty", where=self.data.summary)
        return -(-len(batches) // training.accumulate)


def _diverged(what: str, step: int) -> DivergedError:
    return DivergedError(
        what,
        where=f"step {step}",
        why="the training diverged",
        fix="start again with a lower learning_rate or with clip_norm; the last checkpoint is kept",
    )
