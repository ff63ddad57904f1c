"""The training loop. There is one, and it knows neither words nor layers."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from zoo.building import build
from zoo.engine import checkpoint
from zoo.engine.evaluation import evaluate_split, get_split
from zoo.engine.faults import check_step, named, naming_plugin
from zoo.engine.finite import check_metrics, diverged, not_finite
from zoo.engine.interruption import InterruptedTrainingError, snapshot
from zoo.engine.log_window import LogWindow
from zoo.engine.parameters import averaged_copy, clip_gradients, parameter_groups
from zoo.engine.run_directory import RunDirectory
from zoo.engine.state import Scheduler, TrainState
from zoo.errors import DataError, PluginError, WeightsError, ZooWarning, listed
from zoo.interfaces import Batch, Calibrates, Callback, Data, HasPenalty, Metrics, Task
from zoo.records import MetricInfo
from zoo.spec import RunSpec

T = TypeVar("T")


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
        origin: What checkpoints say of the training besides its state, in JSON values.
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
        self.origin: Mapping[str, Any] = {}
        self.device = next(network.parameters()).device
        self.state = TrainState()
        steps_per_epoch = self._steps_per_epoch()
        self.total_steps = training.steps or training.epochs * steps_per_epoch
        groups = parameter_groups(network, training.learning_rate)
        with naming_plugin(named(spec.optimizer.info, "target")):
            optimizer = build(spec.optimizer, groups, training.learning_rate)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise PluginError(f"{training.optimizer!r} is no torch optimizer")
        with naming_plugin(named(spec.scheduler.info, "target")):
            scheduler = build(spec.scheduler, optimizer, self.total_steps)
        if not isinstance(scheduler, Scheduler):
            raise PluginError(f"{training.schedule!r} is no torch learning-rate scheduler")
        self.optimizer, self.scheduler = optimizer, scheduler
        self.averaged = averaged_copy(network, training.average)
        self.stop_reason = ""
        self._penalties = [m for m in network.modules() if isinstance(m, HasPenalty)]
        self._window = LogWindow()
        self._started = self._saved = time.monotonic()
        self._is_first_step = True
        self._interrupted = self._interruptible = False
        self._left_out: set[str] = set()  # Metrics of training steps that were not finite.

    @property
    def eval_network(self) -> nn.Module:
        """The network that is evaluated and saved: the moving average, if there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def fit(self) -> None:
        """Train until the end, or until a callback or a signal stops it.

        Raises:
            DivergedError: The loss or a parameter is not finite; the last checkpoint stays.
            DataError: An epoch has no batches.
            PluginError: A callback, the task or the model failed; the message names it.
        """
        training, state = self.spec.training, self.state
        self._started = time.monotonic() - state.seconds
        self._saved = time.monotonic()
        self._call("on_train_begin")
        if self._evaluation_is_pending():
            self._evaluate()
            self._save_checkpoint()
        while not self.finished:
            batches = self._unless_interrupted(self._train_batches)
            if batches is None:
                self._save_checkpoint()
                break
            for first in range(state.batch, len(batches), training.accumulate):
                after = min(first + training.accumulate, len(batches))
                if not self._step(batches, first, after):
                    break  # There is nothing since the last checkpoint, if there is one.
                epoch_ends = after == len(batches)
                state.advance(after, epoch_ends=epoch_ends)
                state.done = self._is_last_step()
                state.seconds = time.monotonic() - self._started
                self._call("on_step_end")
                if state.step % training.log_every == 0 or state.done:
                    self._log()
                # After the log, which says the learning rate of this step.
                if not isinstance(self.scheduler, ReduceLROnPlateau):
                    with self._naming(named(self.spec.scheduler.info, "step")):
                        self.scheduler.step()
                if self._evaluation_is_due(epoch_ends):
                    self._evaluate()
                    self._save_checkpoint()
                elif self.finished or self._checkpoint_is_due():
                    self._save_checkpoint()
                if self.finished:
                    break
        self._call("on_train_end")

    def _train_batches(self) -> Sequence[Batch]:
        """Return the batches of the epoch, of which some may have been trained on."""
        training, state = self.spec.training, self.state
        split = get_split(self.data, "train")
        with self._naming(self._task("train_batches of the data")):
            batches = split.train_batches(self.spec.seed, state.epoch, training.batch_size)
            count = len(batches)
        if not count:
            why = f"epoch {state.epoch} has no batches"
            raise DataError("the training split is empty", where=self.data.summary, why=why)
        if state.batch >= count:  # Batches are a function of seed and epoch alone, or should be.
            raise DataError(
                "the training split has become smaller",
                where=self.data.summary,
                why=f"epoch {state.epoch} has {count:,} batches and had more than {state.batch:,}",
            )
        return batches

    def _step(self, batches: Sequence[Batch], first: int, after: int) -> bool:
        """Take an optimizer step on some batches; False where a signal came before it was taken."""

        def compute_gradients() -> bool:
            for index in range(first, after):
                self._backward(batches, index, 1 / (after - first))
            return True

        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        if self._is_first_step:
            # It may compile for a while, and there is nothing yet that would be lost.
            if not self._unless_interrupted(compute_gradients):
                return False
            self._is_first_step = False
        else:
            compute_gradients()
        with self._naming(named(self.spec.optimizer.info, "step")):
            clip_gradients(self.network, self.spec.training)
            self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return True

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

    def interrupt(self) -> None:
        """End the training as soon as nothing is lost by it; for handlers of signals.

        Raises:
            InterruptedTrainingError: What goes on can be left out and done again; the trainer
                catches it.
        """
        self.stop("interrupted")
        self._interrupted = True
        if self._interruptible:
            raise InterruptedTrainingError

    def resume(self) -> None:
        """Restore the checkpoint of the run, if it got as far as writing one.

        Raises:
            WeightsError: The file is not a checkpoint of this run, or it is missing.
        """
        if self.directory.checkpoint.exists():
            self.state = checkpoint.load(
                self.directory.checkpoint,
                self.network,
                self.optimizer,
                self.scheduler,
                self.averaged,
                self._window,
                higher_is_better=self.spec.task.higher_is_better,
            )
        else:
            self._check_start()
        # A process that was killed while it extended the run may have left it unfinished.
        self.state.done = self.state.done or self._is_last_step()
        self.directory.rewind(self.state.step)

    def _check_start(self) -> None:
        """Refuse to start a run again that has lost its checkpoint: its results would be too."""
        kinds = [line["kind"] for line in self.directory.read_metrics()]
        # The first evaluation is logged before the checkpoint is written, all others after it.
        if kinds.count("evaluation") > 1:
            raise WeightsError(
                "the checkpoint of the run is missing",
                where=str(self.directory.checkpoint),
                why=f"the run was evaluated {kinds.count('evaluation'):,} times",
                fix="put the file back, or start again in another --out",
            )

    def _backward(self, batches: Sequence[Batch], index: int, share: float) -> None:
        """Compute the loss of a batch and add its gradients, multiplied by ``share``."""
        mixed = self.spec.training.precision != "float32"
        state, who = self.state, self._task("step")
        with self._naming(who):
            batch = batches[index].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
                step = self.task.step(
                    self.network, batch, None if batch.reset_state else state.recurrent
                )
                check_step(step, who)
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
        with self._naming(self._task("metrics")):
            computed = self.task.metrics(window.sums.total())
        metrics = {
            **self._finite(computed),
            "batch_loss": float(window.loss),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "rows_per_second": window.rows_per_second(),
        }
        self._call("on_log", metrics)

    def _finite(self, metrics: Metrics) -> Metrics:
        """Return metrics of training steps without those that are not finite; a warning says so.

        They choose nothing, and a metric may have no value on a few batches, such as a ROC area
        where these have one class.
        """
        left_out = not_finite(metrics)
        if new := left_out - self._left_out:
            self._left_out |= new
            warnings.warn(
                f"training {listed(sorted(new))} is not finite at step {self.state.step} and left "
                "out of the log; the loss is finite",
                ZooWarning,
                stacklevel=2,
            )
        return {name: value for name, value in metrics.items() if name not in left_out}

    def _is_last_step(self) -> bool:
        training, state = self.spec.training, self.state
        if training.steps:
            return state.step >= training.steps
        return state.epoch >= training.epochs

    def _evaluation_is_due(self, epoch_ends: bool) -> bool:
        every = self.spec.training.evaluate_every
        return self.state.done or (self.state.step % every == 0 if every else epoch_ends)

    def _evaluation_is_pending(self) -> bool:
        """Return whether the checkpoint was written instead of an evaluation, after a signal."""
        state = self.state
        return (
            state.step > 0
            and state.evaluated != state.step
            and self._evaluation_is_due(state.batch == 0)
        )

    def _evaluate(self) -> None:
        metrics = self._unless_interrupted(self._measure)
        if metrics is None:
            self.state.done = False  # The resumed training evaluates first.
            return
        info = self.spec.task
        check_metrics(metrics, self.eval_network, info, self.state.step)
        monitored = float(metrics[info.monitor])
        self.state.record(monitored, higher_is_better=info.higher_is_better)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(-monitored if info.higher_is_better else monitored)
        self._call("on_evaluate", metrics)

    def _measure(self) -> Metrics:
        split = get_split(self.data, "validation")
        if isinstance(self.task, Calibrates):
            self.eval_network.eval()
            with naming_plugin(self._task("calibrate"), lambda: f"step {self.state.step}"):
                self.task.calibrate(self.eval_network, split)
        return evaluate_split(self.task, self.eval_network, split, self.metrics)

    def _unless_interrupted(self, action: Callable[[], T]) -> T | None:
        """Return what an action returns that trains no parameter; None where a signal ends it.

        What it has changed until then is put back, so that it can be done again.
        """
        if self._interrupted:
            return None
        networks = [self.network, *([] if self.averaged is None else [self.averaged])]
        put_back = snapshot(networks, self.state, self._window, self.device)
        try:
            try:
                self._interruptible = True
                return action()
            finally:
                self._interruptible = False
        except InterruptedTrainingError:
            self._interruptible = False
            put_back()
            return None

    def _save_checkpoint(self) -> None:
        self._write_checkpoint()
        done = self.state.done
        self._call("on_checkpoint", self.directory.checkpoint)
        if self.state.done != done:  # A callback has completed the training.
            self._write_checkpoint()

    def _checkpoint_is_due(self) -> bool:
        every = self.spec.training.checkpoint_every
        return bool(every) and time.monotonic() - self._saved >= every

    def _write_checkpoint(self) -> None:
        if not self.state.step:
            return  # Nothing was trained: the run starts again.
        self.state.seconds = time.monotonic() - self._started
        self.save_checkpoint()
        self._saved = time.monotonic()

    def save_checkpoint(self) -> None:
        """Write a checkpoint of the training as it is.

        Raises:
            DivergedError: A parameter is not finite; the checkpoint that is there stays.
            DiskError: It cannot be written.
        """
        self.directory.sync_metrics()
        checkpoint.save(
            self.directory.checkpoint, self.state, self.network, self.optimizer, self.scheduler,
            self.averaged, self._window, self.origin,
        )  # fmt: skip

    def _check_loss(self, loss: Tensor, step: int) -> None:
        if not math.isfinite(value := float(loss.detach())):
            raise diverged(f"loss is {value}", step)

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            with naming_plugin(
                f"callback {type(callback).__name__}",
                lambda: f"{method}, step {self.state.step}",
                "the last checkpoint, if there is one, is complete",
            ):
                getattr(callback, method)(self, *arguments)

    def _naming(self, who: str) -> AbstractContextManager[None]:
        return naming_plugin(who, lambda: f"step {self.state.step + 1}, epoch {self.state.epoch}")

    def _task(self, part: str) -> str:
        return named(self.spec.task, part)

    def _steps_per_epoch(self) -> int:
        return -(-len(self._train_batches()) // self.spec.training.accumulate)
