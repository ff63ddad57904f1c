"""The training loop. There is one, and it knows neither words nor layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from zoo.engine import checkpoint, origin
from zoo.engine.epoch import epoch_batches
from zoo.engine.evaluation import evaluate_split, get_split
from zoo.engine.faults import named, naming_plugin
from zoo.engine.finite import FiniteMetrics, check_finite_metrics, check_loss
from zoo.engine.interruption import Interruption, snapshot
from zoo.engine.log_window import LogWindow
from zoo.engine.parameters import averaged_copy
from zoo.engine.processes import ONE_PROCESS, Processes
from zoo.engine.run_directory import RunDirectory
from zoo.engine.schedule import build_optimizer, build_scheduler
from zoo.engine.state import TrainState
from zoo.engine.step import OptimizerStep
from zoo.errors import UsageError
from zoo.interfaces import Batch, Calibrates, Callback, Data, Metrics, Task
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
        processes: Train together. The main one alone has callbacks and writes files.

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
        processes: Processes = ONE_PROCESS,
    ) -> None:
        self.spec, self.task, self.data, self.network = spec, task, data, network
        self.directory, self.callbacks, self.metrics = directory, callbacks, metrics
        self.processes = processes
        training = spec.training
        if training.batch_size < processes.size:
            raise UsageError(
                f"a batch of {training.batch_size} rows cannot be shared by {processes.size} "
                "processes",
                fix="start fewer of them, or set a larger batch_size",
            )
        self.origin: Mapping[str, Any] = {}
        self.device = next(network.parameters()).device
        self.state = TrainState()
        steps_per_epoch = -(-len(self._train_batches()) // training.accumulate)
        self.total_steps = training.steps or training.epochs * steps_per_epoch
        self.optimizer = build_optimizer(spec, network)
        self.scheduler = build_scheduler(spec, self.optimizer, self.total_steps)
        self.averaged = averaged_copy(network, training.average)
        self.stop_reason = ""
        self._optimizer_step = OptimizerStep(
            spec, task, network, self.optimizer, self.averaged, processes
        )
        self._window = LogWindow()
        self._started = self._saved = time.monotonic()
        self._is_first_step = True
        self._interruption = Interruption()
        self._checkpoint_is_agreed = False
        self._finite = FiniteMetrics()

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
        self.processes.check_same(self._facts)
        self._call("on_train_begin")
        if state.evaluation_is_pending(training):
            self._evaluate()
            self._checkpoint()
        while not self.finished:
            batches = self._unless_interrupted(self._train_batches)
            if batches is None:
                self._checkpoint()
                break
            for first in range(state.batch, len(batches), training.accumulate):
                after = min(first + training.accumulate, len(batches))
                if not self._step(batches, first, after):
                    break  # There is nothing since the last checkpoint, if there is one.
                epoch_ends = after == len(batches)
                state.advance(after, epoch_ends=epoch_ends)
                state.done = state.is_last_step(training)
                state.seconds = time.monotonic() - self._started
                self._call("on_step_end")
                if state.step % training.log_every == 0 or state.done:
                    self._log()
                # After the log, which says the learning rate of this step.
                if not isinstance(self.scheduler, ReduceLROnPlateau):
                    with naming_plugin(named(self.spec.scheduler.info, "step"), state.where):
                        self.scheduler.step()
                if state.evaluation_is_due(training, epoch_ends=epoch_ends):
                    self._evaluate()
                    self._checkpoint()
                elif self.finished or self._checkpoint_is_agreed:
                    self._checkpoint()
                if self.finished:
                    break
        self._call("on_train_end")

    def _train_batches(self) -> Sequence[Batch]:
        """Return the batches of the epoch, of which some may have been trained on."""
        with naming_plugin(self._task("train_batches of the data"), self.state.where):
            return epoch_batches(self.data, self.spec, self.state)

    def _step(self, batches: Sequence[Batch], first: int, after: int) -> bool:
        """Take an optimizer step on some batches; False where a signal came before it was taken."""

        def compute_gradients() -> list[Tensor]:
            chosen = range(first, after)
            return self._optimizer_step.compute_gradients(batches, chosen, self.state, self._window)

        # The first one may compile for a while, and there is nothing yet that would be lost.
        losses = (
            self._unless_interrupted(compute_gradients)
            if self._is_first_step
            else compute_gradients()
        )
        if losses is None:
            return False
        self._is_first_step = False
        self._optimizer_step.apply(losses, self.state, self._window)
        return True

    @property
    def finished(self) -> bool:
        """Whether the training is complete or was stopped."""
        return self.state.done or bool(self.stop_reason)

    def stop(self, reason: str, *, complete: bool = False) -> None:
        """End the training after this step, with a checkpoint.

        Of several processes the main one, which has the callbacks, ends all.

        Args:
            reason: Why, in a few words.
            complete: Whether the training counts as complete; if not, it can be resumed.
        """
        self.stop_reason = reason or "stopped by a callback"
        self.state.done = self.state.done or complete

    def interrupt(self) -> None:
        """End the training as soon as nothing is lost by it; for handlers of signals.

        Several processes end after the same step, or the same batches of an evaluation.

        Raises:
            InterruptedTrainingError: What goes on can be left out and done again; the trainer
                catches it.
        """
        if self.processes.size > 1:
            self.processes.interrupted = True
            return
        self.stop("interrupted")
        self._interruption.request()

    def resume(self) -> None:
        """Restore the checkpoint of the run, if it got as far as writing one.

        Raises:
            WeightsError: The file is not a checkpoint of this run, or it is missing.
        """
        if self.directory.checkpoint.exists():
            self.state = checkpoint.load(
                self.directory.checkpoint, self.network, self.optimizer, self.scheduler,
                self.averaged, self._window, higher_is_better=self.spec.task.higher_is_better,
            )  # fmt: skip
            self.processes.distribute(self.state, self._window)
        else:
            checkpoint.check_not_lost(self.directory)
        # A process that was killed while it extended the run may have left it unfinished.
        self.state.done = self.state.done or self.state.is_last_step(self.spec.training)
        self.directory.rewind(self.state.step)

    def _log(self) -> None:
        window, self._window = self.processes.collect_window(self._window), LogWindow()
        check_loss(window.loss, self.state.step)
        metrics: Metrics = {}
        if self.processes.is_main:
            with naming_plugin(self._task("metrics"), self.state.where):
                computed = self.task.metrics(window.sums.total())
            metrics = {
                **self._finite(computed, self.state.step),
                "batch_loss": float(window.loss),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "rows_per_second": window.rows_per_second(),
            }
        self._call("on_log", metrics)

    def _evaluate(self) -> None:
        metrics = self._unless_interrupted(self._measure)
        if metrics is None:
            self.state.done = False  # The resumed training evaluates first.
            self.stop_reason = self.stop_reason or "interrupted"
            return
        info = self.spec.task
        check_finite_metrics(metrics, self.eval_network, info, self.state.step)
        monitored = float(metrics[info.monitor])
        self.state.record(monitored, higher_is_better=info.higher_is_better)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(-monitored if info.higher_is_better else monitored)
        self._call("on_evaluate", metrics)

    def _measure(self) -> Metrics:
        task, network = self.task, self.eval_network
        split = get_split(self.data, "validation")
        self.processes.check_same(self._facts)
        if isinstance(task, Calibrates) and self.processes.is_main:
            network.eval()
            with naming_plugin(self._task("calibrate"), lambda: f"step {self.state.step}"):
                task.calibrate(network, split)
        self.processes.broadcast_buffers(network)
        return evaluate_split(task, network, split, self.metrics, processes=self.processes)

    def _unless_interrupted(self, action: Callable[[], T]) -> T | None:
        """Return what an action returns that trains no parameter; None where a signal ends it.

        What it has changed until then is put back, so that it can be done again.
        """
        networks = [self.network, *([] if self.averaged is None else [self.averaged])]
        return self._interruption.attempt(
            action, lambda: snapshot(networks, self.state, self._window, self.device)
        )

    def _checkpoint(self) -> None:
        """Save a checkpoint, and tell the callbacks."""
        self._save_progress()
        done = self.state.done
        self._call("on_checkpoint", self.directory.checkpoint)
        if self.state.done != done:  # A callback has completed the training.
            self._save_progress()

    def _checkpoint_is_due(self) -> bool:
        """Return whether the last one is long ago."""
        every = self.spec.training.checkpoint_every
        return bool(every) and time.monotonic() - self._saved >= every

    def _save_progress(self) -> None:
        """Save a checkpoint with the time until now."""
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
        state = self.processes.collect_state(self.state)
        window = self.processes.collect_window(self._window)
        if not self.processes.is_main:
            return
        self.directory.sync_metrics()
        checkpoint.save(
            self.directory.checkpoint, state, self.network, self.optimizer, self.scheduler,
            self.averaged, window, self.origin,
        )  # fmt: skip

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            with naming_plugin(
                f"callback {type(callback).__name__}",
                lambda: f"{method}, step {self.state.step}",
                "the last checkpoint, if there is one, is complete",
            ):
                getattr(callback, method)(self, *arguments)
        self._agree()

    def _agree(self) -> None:
        """Take the decisions of callbacks, signals and the clock: in all processes the same."""
        processes = self.processes
        flags = (
            bool(self.stop_reason), self.state.done, processes.interrupted,
            processes.is_main and self._checkpoint_is_due(),
        )  # fmt: skip
        stopped, self.state.done, interrupted, self._checkpoint_is_agreed = processes.any(flags)
        if stopped:
            self.stop_reason = self.stop_reason or "stopped by the main process"
        if interrupted:
            self.stop_reason, self._interruption.is_due = "interrupted", True

    def _facts(self) -> dict[str, Any]:
        """Return what has to be the same in all processes."""
        found = origin.comparable(self.spec, self.data.digest, self.network)
        return {**found, "total steps": self.total_steps, "step": self.state.step}

    def _task(self, part: str) -> str:
        return named(self.spec.task, part)
