"""Evaluation of trained weights by file, run directory or recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.api.loading import load
from zoo.engine.progress import evaluation_progress, say
from zoo.engine.run_directory import RunDirectory
from zoo.installed import registry
from zoo.records import Recipe
from zoo.runs import data_of_run


def evaluate(
    name: str | Path,
    data: str | Path = "",
    *,
    split: str = "test",
    shuffle_steps: bool = False,
    metrics: Sequence[str] = (),
    device: str = "cpu",
    threads: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluate a weights file, a run directory or a recipe with weights.

    The result for a run directory is stored in it, for the weights file that is exported. Of
    other data than that of the training it is said what was read.
    Result and errors are those of :meth:`zoo.TrainedModel.evaluate`. The data is by default that
    of the training: of a run directory what its configuration says, be it a path; of
    a recipe its data set, which is downloaded; of a weights file a data set that is in the cache
    already.

    Args:
        name: As for :func:`load`.
        data: A path or the name of a data set; empty: see above.
        split: ``train``, ``validation``, ``test`` or ``all``.
        shuffle_steps: Put the steps of every example into random order first.
        metrics: Names of further metrics.
        device: ``cpu``, ``cuda`` ...
        threads: Threads of torch; 0: one for each processor.
        progress: Whether to show the progress.
    """
    model = load(name, device)
    prepared = model.prepare(data or training_data(name))
    if progress and prepared.digest != model.info["data"]["sha256"]:
        say(*prepared.notes)
    result = model.evaluate(
        prepared,
        split=split,
        shuffle_steps=shuffle_steps,
        metrics=metrics,
        threads=threads,
        progress=evaluation_progress(split, shown=progress),
    )
    directory = RunDirectory(Path(name))
    if directory.exists() and not shuffle_steps:
        return directory.store_evaluation(split, result)
    return result


def training_data(name: str | Path) -> str | None:
    """Return the data that trained weights are evaluated on where none is given.

    Args:
        name: As for :func:`load`.

    Returns:
        A path or the name of a data set: of a run that of its configuration, of a recipe its data
        set. None for a weights file, which says itself what it was trained on.

    Raises:
        UsageError: The data of a run is not in the cache: a directory starts no download.
    """
    directory = RunDirectory(Path(name))
    if directory.exists():
        return data_of_run(directory)
    return None if Path(name).exists() else registry().get(Recipe, str(name)).data or None
