"""Trained weights: loading, evaluation and export by file, run directory or recipe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.engine.progress import progress_bar
from zoo.engine.run_directory import RunDirectory
from zoo.environment import choose_device
from zoo.errors import DiskError, WeightsError, ZooWarning, did_you_mean
from zoo.installed import registry
from zoo.records import MetricInfo, Recipe
from zoo.registry import Registry
from zoo.settings import find_dataset
from zoo.trained import TrainedModel
from zoo.weights import loading
from zoo.weights.file import read


def load(name: str | Path, device: str = "cpu") -> TrainedModel:
    """Load trained weights. No setting of the process is changed.

    Args:
        name: A weights file, a run directory, or a recipe whose weights are published.
        device: ``cpu``, ``cuda`` ...

    Raises:
        WeightsError: The file is not a weights file, or has been changed.
        PluginError: A plugin that it needs is not installed.

    Example:
        >>> import zoo
        >>> zoo.load("imdb-bilstm").name
        'imdb-bilstm'
    """
    known = registry()
    weights = read(locate_weights(name, known))
    spec, task, network = loading.build(weights, known)
    target = choose_device(device)
    return TrainedModel(
        network.to(target),
        task,
        spec,
        weights,
        find_dataset=lambda data: find_dataset(data, known),
        find_metric=lambda metric: known.get(MetricInfo, metric),
    )


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
    Arguments, result and errors are those of :meth:`zoo.TrainedModel.evaluate`; the data of a run
    directory is by default that of its training.
    """
    model = load(name, device)
    directory = RunDirectory(Path(name))
    if not data and directory.exists():
        data = directory.read_config()["data"]
    elif not data and not Path(name).exists():
        data = registry().get(Recipe, str(name)).data
    result = model.evaluate(
        data,
        split=split,
        shuffle_steps=shuffle_steps,
        metrics=metrics,
        threads=threads,
        progress=progress_bar if progress else (lambda batches: batches),
    )
    if directory.exists() and not shuffle_steps:
        try:
            directory.add_evaluation(split, result)
        except DiskError as error:
            message = f"the evaluation is not stored for the export: {error}"
            warnings.warn(message, ZooWarning, stacklevel=2)
    return result


def export(
    run: str | Path, path: str | Path, *, dtype: str = "float32", overwrite: bool = False
) -> None:
    """Write the weights of a run directory, and what was measured with them, as one file.

    Raises:
        UsageError: There is no run, or the file exists and is not to be overwritten.
        WeightsError: A 16-bit dtype changes the outputs by too much.
        DiskError: The file cannot be written.
    """
    directory = RunDirectory(Path(run))
    directory.read_config()
    model = load(run)
    model.save(path, dtype=dtype, metrics=directory.read_evaluations(), overwrite=overwrite)


def locate_weights(name: str | Path, known: Registry) -> Path:
    """Return the weights file of a path, a run directory or a recipe with weights.

    Raises:
        WeightsError: There is none.
    """
    path = Path(name)
    if path.is_dir():
        directory = RunDirectory(path)
        if directory.exists() and not directory.weights.exists():
            raise WeightsError(
                "no weights yet", where=str(path), fix="continue with `zoo train ... --resume`"
            )
        return directory.weights
    if path.exists():
        return path
    recipe = known.get(Recipe, str(name)) if known.has(Recipe, str(name)) else None
    published = recipe.weights_path if recipe else None
    if published is None:
        why = "the recipe has no published weights" if recipe else "no such file, run or recipe"
        near = "" if recipe else did_you_mean(str(name), known.names(Recipe))
        raise WeightsError(
            f"no weights {str(name)!r}{near}",
            why=why,
            fix="give a file that `zoo export` made",
        )
    return published
