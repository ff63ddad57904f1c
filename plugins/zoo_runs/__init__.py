"""Tables and comparisons of runs, and sweeps: ``zoo runs``, ``zoo compare``, ``zoo sweep``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import CommandInfo, hookimpl

if TYPE_CHECKING:
    from zoo import Run
    from zoo_runs.comparison import Comparison
    from zoo_runs.results import Sweep, Trial
    from zoo_runs.summary import RunSummary


@hookimpl
def zoo_commands() -> list[CommandInfo]:
    return [
        CommandInfo(
            name="runs",
            summary="List the runs of a folder, with their scores.",
            target="zoo_runs.runs_command:command",
        ),
        CommandInfo(
            name="compare",
            summary="Compare two runs, and say whether they differ significantly.",
            target="zoo_runs.compare_command:command",
        ),
        CommandInfo(
            name="sweep",
            summary="Train with several settings and seeds, and choose the best.",
            target="zoo_runs.sweep_command:command",
        ),
    ]


def list_runs(
    folder: str | Path = "runs", *, sort: str = "", filters: Sequence[str] = ()
) -> list[RunSummary]:
    """Return the runs of a folder and of the folders in it, without loading a network.

    Args:
        folder: The folder; it may be a run itself.
        sort: A metric, such as ``accuracy``, or one of ``path``, ``name``, ``score``, ``step``,
            ``epoch``, ``seconds``, ``state``; in ascending order, or with ``-`` before it in
            descending order. Runs without the value come last. Empty: by path.
        filters: ``KEY=VALUE`` each: a setting (``model.hidden_size=64`` or ``hidden_size=64``), or
            ``name``, ``path``, ``task``, ``model``, ``data``, ``seed``, ``init``, ``state``. The
            value may be a pattern such as ``sent*``. All of them have to match.

    Raises:
        UsageError: There is no such folder, no run has what ``sort`` or a filter names, or a
            filter is not of that form.

    Example:
        >>> import zoo
        >>> from zoo_runs import list_runs
        >>> run = zoo.train("sample-lstm", out="runs/l", settings={"steps": 2}, progress=False)
        >>> [found.state for found in list_runs("runs", filters=["path=l"])]
        ['complete']
    """
    from zoo_runs.listing import find

    return find(Path(folder), sort, filters)


def compare(
    first: Run | str | Path,
    second: Run | str | Path,
    *,
    split: str = "test",
    resamples: int = 2000,
    seed: int = 1,
) -> Comparison:
    """Compare two runs on the same examples, and test whether their scores differ.

    Args:
        first: A run, or its directory.
        second: Another one. Both tasks implement :class:`zoo.interfaces.ScoresExamples`.
        split: ``train``, ``validation`` or ``test`` of the data of the trainings.
        resamples: Samples of the paired bootstrap.
        seed: Seed of these samples.

    Raises:
        UsageError: There is no run in a directory, or the runs are of different kinds.
        DataError: The split of one run has other examples than that of the other.
        WeightsError: The files of a run are damaged.

    Example:
        >>> import zoo
        >>> from zoo_runs import compare
        >>> small = {"steps": 4, "hidden_size": 4}
        >>> a = zoo.train("sample-lstm", out="runs/a4", settings=small, progress=False)
        >>> compare(a, "runs/a4").scores[0].p_value
        1.0
    """
    from zoo_runs.comparison import compare_runs

    return compare_runs(first, second, split, resamples, seed)


def sweep(
    name: str = "",
    data: str | Path = "",
    *,
    space: Mapping[str, object],
    settings: Mapping[str, object] | None = None,
    seeds: int = 3,
    trials: int = 0,
    out: str | Path | None = None,
    storage: str = "",
    test: bool = True,
    init: str | Path | None = None,
    device: str = "auto",
    threads: int = 0,
    progress: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
) -> Sweep:
    """Train with several settings and seeds, and choose the best setting on the validation part.

    Every training is an ordinary run in a folder ``trial-N/seed-S``. A later call with the same
    arguments goes on: what is complete is not trained again, and what was interrupted or killed is
    resumed. Several processes may call it at once and share the work.

    Args:
        name: A recipe, or ``TASK/MODEL``; empty: what suits the data, as for :func:`zoo.train`.
        data: A path, or the name of a data set.
        space: The settings that vary: a list of values, or a string as after ``--set``: values
            with commas (semicolons where the setting is a list), ``LOW:HIGH``, ``LOW:HIGH:STEP``
            or ``LOW:HIGH:log``.
        settings: Settings that are the same in all runs.
        seeds: Runs of each setting, with the seeds 1, 2, ...
        trials: How many settings are sampled; 0: all combinations of the values.
        out: The folder; by default ``runs/NAME-sweep``. Processes that share a sweep have the same.
        storage: Where Optuna keeps the study: a URL such as ``sqlite:///study.db``; empty: a file
            in the folder.
        test: Whether the best setting, and no other, is evaluated on the test part at the end.
        init: Weights that every run starts from, as for :func:`zoo.train`. Those that are
            suggested for the data are left out where they need another value than one of ``space``.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch; 0: one for each processor.
        progress: Whether to show the progress of each training.
        on_trial: Called with each trial that this process has completed.

    Returns:
        The sweep. Ctrl-C ends it after the current step; ``interrupted`` is true then.

    Raises:
        UsageError: Optuna is not installed, a setting is wrong, or the folder has another sweep.
        ZooError: As for :func:`zoo.train`; a training that diverges ends its trial alone.

    Example:
        >>> from zoo_runs import sweep
        >>> found = sweep(
        ...     "sample-lstm", space={"hidden_size": [2, 4]}, settings={"steps": 2}, seeds=1,
        ...     out="runs/sizes", test=False,
        ... )
        >>> [trial.settings for trial in found.trials]
        [{'hidden_size': '2'}, {'hidden_size': '4'}]
    """
    from zoo_runs.sweeping import run_sweep

    return run_sweep(
        name, data, space=space, settings=settings or {}, seeds=seeds, trials=trials, out=out,
        storage=storage, test=test, init=init, device=device, threads=threads, progress=progress,
        on_trial=on_trial,
    )  # fmt: skip
