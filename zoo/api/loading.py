"""Trained weights by file, run directory or recipe: computed by torch, or by NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from zoo.api.locating import locate_weights, recipe_of
from zoo.environment import choose_device, computing, may_have_gpu, torch_is_installed, versions
from zoo.errors import NeedsTorchError, UsageError, ZooError, did_you_mean
from zoo.installed import registry
from zoo.records import MetricInfo
from zoo.registry import Registry
from zoo.settings import find_dataset
from zoo.weights import checking
from zoo.weights.file import read

if TYPE_CHECKING:
    from zoo.runtime import InferenceModel
    from zoo.trained import TrainedModel

RUNTIMES = ("torch", "numpy", "auto")


@overload
def load(
    name: str | Path, device: str = "cpu", *, probe: bool = True, runtime: Literal["torch"] = ...
) -> TrainedModel: ...
@overload
def load(
    name: str | Path,
    device: str = "cpu",
    *,
    probe: bool = True,
    runtime: Literal["numpy", "auto"],
) -> InferenceModel: ...
def load(
    name: str | Path, device: str = "cpu", *, probe: bool = True, runtime: str = "torch"
) -> InferenceModel:
    """Load trained weights. No setting of the process is changed.

    The first time that a file is loaded, its probe is computed: the outputs, token ids and answers
    that the file says the network must give. That they agree is remembered in the cache.

    Args:
        name: A weights file, a run directory, or a recipe whose weights are published.
        device: ``cpu``, ``cuda`` ...
        probe: Whether to check the probe.
        runtime: What computes. ``torch``: a :class:`zoo.TrainedModel`. ``numpy``: a
            :class:`zoo.runtime.InferenceModel`, which predicts, generates, embeds and verifies on
            the CPU, and torch is not imported. ``auto``: NumPy where it can, and otherwise torch.

    Raises:
        WeightsError: The file is not a weights file, or has been changed; the probe does not
            agree; or the file of a recipe is not the published one.
        PluginError: A plugin that it needs is not installed.
        NeedsTorchError: NumPy cannot compute it, or torch is not installed.
        UsageError: There is no such device or runtime.

    Warns:
        ZooWarning: zoo, torch or a plugin has another version than at the training. It is said
            the first time, and again only where outputs differ by more than the probe allows.

    Example:
        >>> import zoo
        >>> zoo.load("imdb-bilstm").name
        'imdb-bilstm'
    """
    if runtime not in RUNTIMES:
        fix = f"choose one of {', '.join(RUNTIMES)}"
        raise UsageError(f"no runtime {runtime!r}{did_you_mean(runtime, RUNTIMES)}", fix=fix)
    known = registry()
    path = locate_weights(name, known)
    if runtime != "torch":
        try:
            return _load_arrays(name, path, known, device, probe=probe)
        except ZooError:
            # What NumPy refuses is asked of torch, which says what is wrong.
            if runtime == "numpy" or not torch_is_installed():
                raise
    if not torch_is_installed():
        raise NeedsTorchError("torch is not installed")
    return _load_torch(name, path, known, device, probe=probe)


def _load_arrays(
    name: str | Path, path: Path, known: Registry, device: str, *, probe: bool
) -> InferenceModel:
    from zoo.runtime import InferenceModel, building

    if device != "cpu" and (device != "auto" or may_have_gpu()):
        raise NeedsTorchError(f"the device {device!r} needs torch")
    weights = read(path, torch=False)
    spec, task, network = building.build(weights, known)
    if probe:
        checking.check(
            weights, spec, lambda: building.compare(weights, task, network), building.versions(),
            quiet=not Path(name).exists(),
        )  # fmt: skip
    return InferenceModel(
        network, task, spec, weights, recipe_of(weights.header["run"]["name"], known)
    )


def _load_torch(
    name: str | Path, path: Path, known: Registry, device: str, *, probe: bool
) -> TrainedModel:
    from zoo.engine.run_directory import RunDirectory
    from zoo.trained import TrainedModel
    from zoo.weights import loading
    from zoo.weights import probe as probes

    weights = read(path)
    config = RunDirectory(Path(name)).read_config() if Path(name).is_dir() else None
    spec, task, network = loading.build(weights, known, config=config)
    target = choose_device(device)
    if probe:
        # The versions of published weights are not news: they are said by `zoo verify`.
        quiet = not Path(name).exists()
        with computing():
            checking.check(
                weights, spec, lambda: probes.compare(weights, task, network), versions(),
                quiet=quiet,
            )  # fmt: skip
    return TrainedModel(
        network.to(target),
        task,
        spec,
        weights,
        find_dataset=lambda data: find_dataset(data, known),
        find_metric=lambda metric: known.get(MetricInfo, metric),
        recipe=recipe_of(weights.header["run"]["name"], known),
    )
