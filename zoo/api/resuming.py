"""A run that is there: opened, or continued from its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.api.loading import load
from zoo.api.running import describe_length, run_training
from zoo.engine.evaluation import installed_metrics
from zoo.engine.joining import joined
from zoo.engine.processes import Processes
from zoo.engine.run_directory import ReadOnlyRunDirectory, RunDirectory
from zoo.errors import UsageError
from zoo.installed import registry
from zoo.interfaces import Callback
from zoo.launch import launch
from zoo.runs import Run
from zoo.spec import RunSpec, TrainingOptions


def resume(
    out: str | Path,
    *,
    epochs: int = 0,
    steps: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str = "auto",
    threads: int = 0,
    allow_changed: bool = False,
    progress: bool = True,
    evaluate_test: bool = True,
) -> Run:
    """Continue a run from its checkpoint, bit for bit as if it had never stopped.

    Args:
        out: The run directory.
        epochs: Train until so many epochs are complete, also where the run was complete before;
            0: as many as it was started with. The schedule is computed for the new end. A run
            that was stopped early goes on, too, and counts evaluations without improvement anew.
        steps: Train until so many steps are taken, in place of ``epochs``.
        callbacks: Further callbacks, beside those that the run names.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch during the training; 0: as many as it was started with.
        allow_changed: Whether the run may go on where versions, threads, the number of processes,
            the kind of device or the places of files have changed. ``config.json`` then says what
            has, from which step on, and the result is no longer promised to be the same bits.
        progress: Whether to show progress.
        evaluate_test: As for :func:`zoo.train`.

    Raises:
        ZooError: There is no run, it cannot be resumed, its configuration was edited, or it has
            more epochs already.

    Example:
        >>> import zoo
        >>> run = zoo.train("sample-lstm", out="runs/b", settings={"steps": 2}, progress=False)
        >>> zoo.resume("runs/b", progress=False).interrupted  # It was complete.
        False
        >>> zoo.resume("runs/b", steps=4, progress=False).history["step"][-1]
        4
    """
    with joined(device) as processes:
        return resume_joined(
            out, epochs, steps, callbacks, device, threads, progress, evaluate_test=evaluate_test,
            allow_changed=allow_changed or launch().restarts > 0, processes=processes,
        )  # fmt: skip


def resume_joined(
    out: str | Path,
    epochs: int,
    steps: int,
    callbacks: Sequence[Callback],
    device: str,
    threads: int,
    progress: bool,
    *,
    evaluate_test: bool,
    allow_changed: bool,
    processes: Processes,
) -> Run:
    """Continue a run as :func:`resume` does, in processes that have found each other."""
    directory = (RunDirectory if processes.is_main else ReadOnlyRunDirectory)(Path(out))
    directory.read_config()  # Nothing is made where there is no run.
    with directory.lock():
        started = RunSpec.from_json(directory.read_config(), registry())
        started = replace(started, metrics=installed_metrics(started.metrics, registry()))
        spec = _extended(started, epochs, steps)
        before, now = describe_length(started), describe_length(spec)
        notes = [f"resumed: to {now}"] if epochs or steps else []
        if spec.training != started.training:
            what = _change_of_length(started.training, spec.training)
            schedule = "the schedule is that of the new length"
            if what == "shortened":
                schedule = f"steps so far had the schedule of {before}"
            notes = [f"{what}: {now} in place of {before}; {schedule}"]
        return run_training(
            spec, directory, callbacks, device, threads, progress,
            resume=True, extend=bool(epochs or steps), allow_changed=allow_changed,
            evaluate_test=evaluate_test, notes=notes, processes=processes,
        )  # fmt: skip


def open_run(out: str | Path) -> Run:
    """Return the run of a run directory, without training.

    Args:
        out: The run directory.

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
    directory = RunDirectory(Path(out))
    directory.read_config()
    return Run(directory.path, load, interrupted=None)


def _change_of_length(before: TrainingOptions, now: TrainingOptions) -> str:
    """Return what a length in place of another one is called."""
    if bool(before.steps) != bool(now.steps):
        return "changed"  # Steps are not compared with epochs.
    return (
        "extended" if (now.steps or now.epochs) > (before.steps or before.epochs) else "shortened"
    )


def _extended(spec: RunSpec, epochs: int, steps: int) -> RunSpec:
    """Return the run with another length, where one is given."""
    if epochs and steps:
        raise UsageError("epochs and steps are both given", fix="give one of them")
    if not epochs and not steps:
        return spec
    try:
        if epochs:
            return replace(spec, training=replace(spec.training, epochs=epochs, steps=0))
        return replace(spec, training=replace(spec.training, steps=steps))
    except ValueError as error:
        raise UsageError("the run cannot have this length", why=str(error)) from error
