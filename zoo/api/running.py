"""A training from its RunSpec to its Run: device, threads, callbacks, locks."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from zoo.api.loading import load
from zoo.discovery import described
from zoo.engine import checkpoint, origin
from zoo.engine.callbacks import StopOnSignal
from zoo.engine.evaluation import check_metrics
from zoo.engine.processes import ONE_PROCESS, Processes
from zoo.engine.progress import make_display, say, showing_log
from zoo.engine.run_directory import ReadOnlyRunDirectory, RunDirectory
from zoo.engine.setup import InitialWeights, set_up
from zoo.environment import choose_device, computing, num_processors, retain_memory
from zoo.errors import UsageError, ZooWarning
from zoo.installed import registry
from zoo.interfaces import Callback
from zoo.records import MetricInfo
from zoo.runs import Run
from zoo.spec import RunSpec
from zoo.trained import TrainedModel


def run_training(
    spec: RunSpec,
    directory: RunDirectory,
    callbacks: Sequence[Callback],
    device: str,
    threads: int,
    progress: bool,
    *,
    source: TrainedModel | None = None,
    resume: bool = False,
    extend: bool = False,
    allow_changed: bool = False,
    check: bool = True,
    evaluate_test: bool = True,
    notes: Sequence[str] = (),
    processes: Processes = ONE_PROCESS,
) -> Run:
    """Train a run to its end, or until it is stopped. Its directory is locked by the caller.

    Args:
        spec: The run.
        directory: Its files.
        callbacks: Callbacks that are objects; the run names the others.
        device: Where to compute.
        threads: Threads of torch; 0: those of the checkpoint, or one for each processor.
        progress: Whether to show progress, and the notes, on stderr.
        source: The initial weights, where they are loaded already.
        resume: Whether to continue from the checkpoint.
        extend: Whether the run that is resumed was given a length.
        allow_changed: Whether it may go on under other versions or threads, another number of
            processes or another device.
        check: Whether to check models, task and weights file of a new run before its first step.
        evaluate_test: Whether callbacks that follow the end of the run find its score on the test
            part.
        notes: What is said before the first step.
        processes: Train together. The main one alone has callbacks, shows progress and checks.

    Raises:
        ZooError: Any of them.
        TypeError: A callback is none.
    """
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"{callback!r} is not a zoo.Callback")
    if not processes.is_main:
        callbacks, progress, check = (), False, False
    target = choose_device(device)
    known = registry()
    metrics = [known.get(MetricInfo, metric) for metric in spec.metrics]
    check_metrics(metrics, spec.task)
    initial = None
    if spec.init and not directory.checkpoint.exists():
        source = source or load(spec.init, str(target))
        initial = InitialWeights(source.task, source.module)
    if resume and not threads and directory.checkpoint.exists():
        threads = origin.threads(checkpoint.read_header(directory.checkpoint))
    retain_memory()
    with ExitStack() as stack:
        stack.enter_context(computing(threads))
        stack.enter_context(torch.random.fork_rng())
        shown = [make_display()] if progress else []
        if progress:
            stack.enter_context(showing_log())
        trainer, taken = set_up(
            spec, directory, target, [*callbacks, *shown, StopOnSignal()], metrics,
            init=initial, resume=resume, extend=extend, registry=known,
            allow_changed=allow_changed, check=check, processes=processes,
        )  # fmt: skip
        for callback in trainer.callbacks:
            stack.callback(callback.close)
        said = [*notes, *([f"start: {spec.init}: {taken}"] if taken is not None else [])]
        if progress:
            say(*said)
        trainer.fit()
        run = Run(
            directory.path,
            load,
            interrupted=not trainer.state.done,
            stop_reason=trainer.stop_reason,
            transfer=str(taken) if taken is not None else "",
            data=trainer.data,
            device=str(target),
            # The main process evaluates the test part when the others have ended.
            threads=threads or (num_processors() if processes.size > 1 else 0),
            progress=progress,
        )
        if trainer.state.done:
            run.messages = _end_run(run, trainer.callbacks, evaluate_test)
    return run


def _end_run(run: Run, callbacks: Sequence[Callback], evaluate_test: bool) -> tuple[str, ...]:
    """Tell the callbacks that a run is complete, the last one first; return what they answer."""
    follow = [each for each in callbacks if type(each).on_run_end is not Callback.on_run_end]
    if follow and evaluate_test:
        _ = run.test  # Measured and stored.
    messages = []
    for callback in reversed(follow):
        try:
            message = callback.on_run_end(run)
        except Exception as error:  # noqa: BLE001 - the run is complete, whatever follows it does
            name = type(callback).__name__
            text = f"callback {name} failed at the end of the run: {described(error)}"
            warnings.warn(text, ZooWarning, stacklevel=3)
        else:
            messages += [message] if message else []
    return tuple(messages)


def lock_new(
    stack: ExitStack,
    name: str,
    out: str | Path | None = None,
    processes: Processes = ONE_PROCESS,
) -> RunDirectory:
    """Lock the directory of a new run until the stack is closed; of several processes in one.

    Args:
        stack: Holds the lock.
        name: Of what is trained.
        out: The directory; None: one under ``runs/`` that does not exist yet.
        processes: Train in it together.

    Raises:
        UsageError: Another process trains in it, or there is a run.
        DiskError: It cannot be made.
    """
    if not processes.is_main:
        return ReadOnlyRunDirectory(Path(processes.broadcast_text("")))
    directory = _lock_new(stack, name, out)
    processes.broadcast_text(str(directory.path))
    return directory


def _lock_new(stack: ExitStack, name: str, out: str | Path | None) -> RunDirectory:
    if out:
        directory = RunDirectory(Path(out))
        stack.enter_context(directory.lock())
        directory.refuse_existing()
        return directory
    stem = f"{re.sub('[/:]', '-', name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in itertools.count(1):
        directory = RunDirectory(Path("runs") / (stem if number == 1 else f"{stem}-{number}"))
        if not directory.path.exists():
            with contextlib.suppress(UsageError):  # Another process was faster.
                stack.enter_context(directory.lock())
                directory.refuse_existing()
                break
    return directory


def describe_length(spec: RunSpec) -> str:
    """Return how long the training is, in words."""
    number, unit = spec.training.steps, "step"
    if not number:
        number, unit = spec.training.epochs, "epoch"
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
