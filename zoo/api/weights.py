"""Trained weights: loading and evaluation by file, run directory or recipe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zoo.api.locating import locate_weights, recipe_of
from zoo.engine.progress import progress_bar
from zoo.engine.run_directory import RunDirectory
from zoo.environment import choose_device
from zoo.errors import DiskError, ZooWarning
from zoo.installed import registry
from zoo.records import MetricInfo, Recipe
from zoo.settings import find_dataset
from zoo.spec import SAMPLE, dataset_of
from zoo.trained import TrainedModel
from zoo.trained.measured import check_downloaded
from zoo.weights import checking, loading
from zoo.weights.file import read


def load(name: str | Path, device: str = "cpu", *, probe: bool = True) -> TrainedModel:
    """Load trained weights. No setting of the process is changed.

    The first time that a file is loaded, its probe is computed: the outputs, token ids and answers
    that the file says the network must give. That they agree is remembered in the cache.

    Args:
        name: A weights file, a run directory, or a recipe whose weights are published.
        device: ``cpu``, ``cuda`` ...
        probe: Whether to check the probe.

    Raises:
        WeightsError: The file is not a weights file, or has been changed; the probe does not
            agree; or the file of a recipe is not the published one.
        PluginError: A plugin that it needs is not installed.

    Warns:
        ZooWarning: zoo, torch or a plugin has another version than at the training. It is said
            the first time, and again only where outputs differ by more than the probe allows.

    Example:
        >>> import zoo
        >>> zoo.load("imdb-bilstm").name
        'imdb-bilstm'
    """
    known = registry()
    path = locate_weights(name, known)
    is_file, is_folder = Path(name).is_file(), Path(name).is_dir()
    weights = read(path)
    config = RunDirectory(Path(name)).read_config() if is_folder else None
    spec, task, network = loading.build(weights, known, config=config)
    target = choose_device(device)
    if probe:
        # The versions of published weights are not news: they are said by `zoo verify`.
        checking.check(weights, spec, task, network, quiet=not (is_file or is_folder))
    return TrainedModel(
        network.to(target),
        task,
        spec,
        weights,
        find_dataset=lambda data: find_dataset(data, known),
        find_metric=lambda metric: known.get(MetricInfo, metric),
        recipe=recipe_of(weights.header["run"]["name"], known),
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
