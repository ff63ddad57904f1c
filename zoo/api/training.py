"""Training: a recipe or ``TASK/MODEL`` to a run, and a run that is resumed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
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
from zoo.files import absolute
from zoo.installed import registry
from zoo.interfaces import Callback
from zoo.records import MetricInfo
from zoo.runs import Run
from zoo.settings import resolve
from zoo.spec import RunSpec


def train(
    name: str,
    data: str | Path = "",
    *,
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    callbacks: Sequence[Callback | str] = (),
    metrics: Sequence[str] = (),
    init: str | Path = "",
    seed: int = 1,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
) -> Run:
    """Train a recipe, or a task with a model.

    Args:
        name: A recipe, or ``TASK/MODEL`` such as ``sentiment/gru``.
        data: A path or the name of a data set; empty for what the recipe says.
        out: The run directory; by default a new one under ``runs/``.
        settings: Settings that differ from those of the recipe, as after ``--set``.
        callbacks: Callbacks, or names of installed ones.
        metrics: Names of further metrics of evaluations.
        init: Weights to start from: a weights file, a run directory or a recipe with weights.
            What fits is taken by name; ``run.transfer`` says what was.
        seed: Seed of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch during the training; 0: one for each processor.
        progress: Whether to show progress on stderr or in the notebook.

    Returns:
        The run. Ctrl-C ends the training after the current step, with a checkpoint:
        ``run.interrupted`` is true then and :func:`resume` continues it.

    Raises:
        ZooError: A name, a setting, the data or the weights are wrong; or the training failed.
        TypeError: One of ``callbacks`` is neither a callback nor a name.

    Example:
        >>> import zoo
        >>> run = zoo.train("sample-lstm", out="runs/a", settings={"steps": 20}, progress=False)
        >>> sorted(run.model.info["metrics"])
        ['validation']
    """
    names = tuple(callback for callback in callbacks if isinstance(callback, str))
    spec = resolve(
        name,
        registry(),
        settings,
        data=absolute(data),
        seed=seed,
        init=absolute(init),
        callbacks=names,
        metrics=metrics,
    )
    directory = RunDirectory(Path(out) if out else _new_directory(name))
    directory.refuse_existing()
    objects = [callback for callback in callbacks if not isinstance(callback, str)]
    return _train(spec, directory, objects, device, threads, progress)


def resume(
    out: str | Path,
    *,
    callbacks: Sequence[Callback] = (),
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
) -> Run:
    """Continue a run from its checkpoint, bit for bit as if it had never stopped.

    Args:
        out: The run directory.
        callbacks: Further callbacks, beside those that the run names.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch during the training; 0: one for each processor.
        progress: Whether to show progress.

    Raises:
        ZooError: There is no run, or it cannot be resumed.

    Example:
        >>> import zoo
        >>> run = zoo.train("sample-lstm", out="runs/b", settings={"steps": 2}, progress=False)
        >>> zoo.resume("runs/b", progress=False).interrupted  # It was complete.
        False
    """
    directory = RunDirectory(Path(out))
    spec = RunSpec.from_json(directory.read_config(), registry())
    return _train(spec, directory, callbacks, device, threads, progress, resume=True)


def open_run(out: str | Path) -> Run:
    """Return the run of a run directory, without training.

    Raises:
        UsageError: There is no run.
        WeightsError: Its configuration is damaged or of a later version.

    Example:
        >>> import zoo
        >>> zoo.train("sample-lstm", out="runs/c", settings={"steps": 2}, progress=False).path
        PosixPath('runs/c')
        >>> zoo.open_run("runs/c").history["kind"]
        ['train', 'evaluation']
    """
    RunDirectory(Path(out)).read_config()
    return Run(Path(out), load)


def _train(
    spec: RunSpec,
    directory: RunDirectory,
    callbacks: Sequence[Callback],
    device: str,
    threads: int,
    progress: bool,
    *,
    resume: bool = False,
) -> Run:
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
            init=initial, resume=resume,
        )  # fmt: skip
        for callback in trainer.callbacks:
            stack.callback(callback.close)
        if taken is not None and progress:
            sys.stderr.write(f"start: {spec.init}: {taken}\n")
        if not resume:  # There is no folder to lock before.
            stack.enter_context(directory.lock())
        trainer.fit()
    return Run(
        directory.path,
        load,
        interrupted=not trainer.state.done,
        stop_reason=trainer.stop_reason,
        transfer=str(taken) if taken is not None else "",
    )


def _new_directory(name: str) -> Path:
    stem = f"{re.sub('[/:]', '-', name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = Path("runs") / stem
    number = 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{stem}-{number}"
    return path
