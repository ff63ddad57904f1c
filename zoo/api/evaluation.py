"""Evaluation of trained weights by file, run directory or recipe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zoo.api.loading import load
from zoo.engine.progress import progress_bar
from zoo.engine.run_directory import RunDirectory
from zoo.errors import DiskError, ZooWarning
from zoo.installed import registry
from zoo.records import Recipe
from zoo.spec import SAMPLE, dataset_of
from zoo.trained.measured import check_downloaded


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

    The result for a run directory is stored in it, for the weights file that is exported.
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
    directory = RunDirectory(Path(name))
    if not data and directory.exists():
        data = data_of(directory)
    elif not data and not Path(name).exists():
        data = registry().get(Recipe, str(name)).data
    result = model.evaluate(
        data,
        split=split,
        shuffle_steps=shuffle_steps,
        metrics=metrics,
        threads=threads,
        progress=partial(progress_bar, description=split)
        if progress
        else (lambda batches: batches),
    )
    if directory.exists() and not shuffle_steps:
        try:
            return directory.add_evaluation(split, result)
        except DiskError as error:
            message = f"the evaluation is not stored for the export: {error}"
            warnings.warn(message, ZooWarning, stacklevel=2)
    return result


def data_of(directory: RunDirectory) -> str:
    """Return the data of a run, which may be a path: a run is evaluated on what it was trained on.

    Args:
        directory: The run directory.

    Raises:
        UsageError: It is a data set that is not in the cache: a directory starts no download.
    """
    data = str(directory.read_config()["data"])
    if (dataset := dataset_of(data, registry())) is not None:
        check_downloaded(dataset, str(directory.config))
    return data or SAMPLE
