"""A training from its RunSpec to its Run: device, threads, callbacks, locks."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from zoo.api.weights import load
from zoo.engine.callbacks import StopOnSignal
from zoo.engine.evaluation import check_metrics
from zoo.engine.progress import ProgressDisplay
from zoo.engine.run_directory import RunDirectory
from zoo.engine.setup import InitialWeights, set_up
from zoo.environment import choose_device, computing, retain_memory
from zoo.installed import registry
from zoo.interfaces import Callback
from zoo.records import MetricInfo
from zoo.runs import Run
from zoo.spec import RunSpec


def run_training(
    spec: RunSpec,
    directory: RunDirectory,
    callbacks: Sequence[Callback],
    device: str,
    threads: int,
    progress: bool,
    *,
    resume: bool = False,
    extend: bool = False,
    notes: Sequence[str] = (),
) -> Run:
    """Train a run to its end, or until it is stopped.

    Args:
        spec: The run.
        directory: Its files.
        callbacks: Callbacks that are objects; the run names the others.
        device: Where to compute.
        threads: Threads of torch; 0: one for each processor.
        progress: Whether to show progress, and the notes, on stderr.
        resume: Whether to continue from the checkpoint.
        extend: Whether the run that is resumed was given a length.
        notes: What is said before the first step.

    Raises:
        ZooError: Any of them.
        TypeError: A callback is none.
    """
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"{callback!r} is not a zoo.Callback")
    target = choose_device(device)
    metrics = [registry().get(MetricInfo, metric) for metric in spec.metrics]
    check_metrics(metrics, spec.task)
    initial = None
    if spec.init and not directory.checkpoint.exists():
        source = load(spec.init, str(target))
        initial = InitialWeights(source.task, source.module)
    retain_memory()
    with ExitStack() as stack:
        stack.enter_context(computing(threads))
        stack.enter_context(torch.random.fork_rng())
        shown = [ProgressDisplay()] if progress else []
        if resume:  # Before anything is read: the metrics log is rewound.
            stack.enter_context(directory.lock())
        trainer, taken = set_up(
            spec, directory, target, [*callbacks, *shown, StopOnSignal()], metrics,
            init=initial, resume=resume, extend=extend,
        )  # fmt: skip
        for callback in trainer.callbacks:
            stack.callback(callback.close)
        said = [*notes, *([f"start: {spec.init}: {taken}"] if taken is not None else [])]
        if progress:
            sys.stderr.writelines(f"{line}\n" for line in said)
        if not resume:  # There is no folder to lock before.
            stack.enter_context(directory.lock())
        trainer.fit()
    return Run(
        directory.path,
        load,
        interrupted=not trainer.state.done,
        stop_reason=trainer.stop_reason,
        transfer=str(taken) if taken is not None else "",
        data=trainer.data,
        device=str(target),
        threads=threads,
        progress=progress,
    )


def new_directory(name: str) -> Path:
    """Return a path under ``runs/`` that does not exist yet, for a run of this name."""
    stem = f"{re.sub('[/:]', '-', name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = Path("runs") / stem
    number = 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{stem}-{number}"
    return path
