"""Trained weights as a file of their own, in zoo's format or in that of an exporter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo.api.loading import load
from zoo.api.quantizing import write_quantized
from zoo.discovery import printing_to_stderr
from zoo.engine.faults import named, naming_plugin
from zoo.engine.run_directory import RunDirectory
from zoo.errors import PluginError, UsageError, ZooError, listed
from zoo.files import refuse_existing, write_atomically
from zoo.installed import registry
from zoo.interfaces import Data, ExportedFile
from zoo.records import ExporterInfo
from zoo.registry import resolve_target
from zoo.runs import data_of_run
from zoo.trained import TrainedModel
from zoo.weights.quantization import QUANTIZED

WEIGHTS_SUFFIX = ".safetensors"


def export(
    name: str | Path,
    path: str | Path,
    *,
    dtype: str = "",
    quantize: str = "",
    data: str | Path = "",
    split: str = "test",
    allow_worse: bool = False,
    overwrite: bool = False,
) -> str:
    """Write weights, and what was measured with them, as one file.

    The end of its name chooses the format: ``.safetensors``, or nothing, is a weights file; the
    others are those of exporters, such as ``.onnx`` (``zoo list --exporters``).

    Args:
        name: As for :func:`load`. A file is written anew in the format of this version.
        path: Where to.
        dtype: ``float32``, ``float16`` or ``bfloat16``, of a weights file; empty: as the weights
            are.
        quantize: ``int8``: matrices become 8-bit integers with a scale for each row, after the
            network was evaluated with and without; empty: they do not.
        data: What it is evaluated on, as for :func:`evaluate`; empty: the data of a run directory,
            and of a file or a recipe none.
        split: The part of that data.
        allow_worse: Whether the file is written even if the quantized network is worse than it may
            be.
        overwrite: Whether an existing file is replaced.

    Returns:
        How the file was checked, in a line; empty for a weights file that is not quantized, which
        is checked by :func:`verify`.

    Raises:
        UsageError: There is no run, no such format, the file exists and is not to be overwritten,
            or the format cannot hold the network.
        WeightsError: What is exported does not verify, a 16-bit dtype changes the outputs by too
            much, quantized weights are worse by more than 0.002 nats of loss or 0.001 of accuracy,
            or the file of an exporter does not compute the same.
        DataError: The data is missing, or unfit for what the network learned.
        DiskError: The file cannot be written.
    """
    target = Path(path)
    exporter = find_exporter(target)
    directory = RunDirectory(Path(name))
    if Path(name).is_dir():
        directory.read_config()
    if exporter is not None:
        option = "dtype" if dtype else "quantize" if quantize else ""
        _check_arguments(target, option, overwrite=overwrite)
    _check_quantization(quantize, dtype, data, split, allow_worse=allow_worse)
    model = load(name, probe=False)  # It is verified before it is saved.
    measured = directory.read_evaluations() if directory.exists() else {}
    if quantize:
        prepared = model.prepare(data) if data else None
        if prepared is None and directory.exists():
            prepared = _data(model, directory)
        return write_quantized(
            model, target, measured, prepared, split, allow_worse=allow_worse, overwrite=overwrite
        )
    if exporter is None:
        model.save(path, dtype=dtype, metrics=measured, overwrite=overwrite)
        return ""
    made = _convert(exporter, model, measured, _data(model, directory))
    write_atomically(target, made.content)
    return made.note


def find_exporter(path: Path) -> ExporterInfo | None:
    """Return the exporter that the end of a file's name chooses; None: it is a weights file.

    Args:
        path: The file to be written.

    Raises:
        UsageError: No format has files of that name.
        PluginError: More than one plugin declares the format, or the plugin does not load.
    """
    suffix = path.suffix.lower()
    if suffix in ("", WEIGHTS_SUFFIX):
        return None
    known = registry()
    declared = known.declarations(ExporterInfo)
    found = [each.name for each in declared if each.facts["suffix"] == suffix]
    if not found:
        suffixes = [WEIGHTS_SUFFIX, *sorted({each.facts["suffix"] for each in declared})]
        raise UsageError(
            f"no format has files named *{suffix}",
            where=str(path),
            fix=f"end the name in {listed(suffixes)}",
        )
    if len(found) > 1:
        raise PluginError(
            f"several exporters write *{suffix}",
            why=f"they are {listed(found)}",
            fix="load the plugin of one alone with ZOO_PLUGINS",
        )
    return known.get(ExporterInfo, found[0])


def _check_arguments(path: Path, option: str, *, overwrite: bool) -> None:
    """Refuse what cannot be written before anything is computed."""
    if option:
        raise UsageError(
            f"{option} is for weights files, and {path.name} is none",
            fix=f"leave --{option} out, or end the name in {WEIGHTS_SUFFIX}",
        )
    if not overwrite:
        refuse_existing(path)


def _check_quantization(
    quantize: str, dtype: str, data: str | Path, split: str, *, allow_worse: bool
) -> None:
    """Refuse arguments that do not go together."""
    if quantize not in ("", QUANTIZED):
        raise UsageError(f"cannot quantize to {quantize!r}", fix=f"choose {QUANTIZED}")
    if quantize and dtype:
        raise UsageError("--quantize and --dtype are both given", fix="give one of them")
    of_quantization = {"--data": data, "--allow-worse": allow_worse, "--split": split != "test"}
    given = [name for name, is_given in of_quantization.items() if is_given]
    if given and not quantize:
        raise UsageError(f"{given[0]} is given without --quantize", fix="leave it out")


def _convert(
    exporter: ExporterInfo, model: TrainedModel, measured: Mapping[str, Any], data: Data | None
) -> ExportedFile:
    """Convert a model. The exporter gets it as it is in its weights file, which is verified."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        model.save(file, metrics=measured)
        weights = load(file, probe=False)
    function = resolve_target(exporter.target)
    with naming_plugin(named(exporter, "target")), printing_to_stderr():
        made = function(weights, data)
    if not isinstance(made, ExportedFile):
        raise PluginError(
            f"exporter {exporter.name!r} returned a {type(made).__name__} and no "
            "zoo.interfaces.ExportedFile"
        )
    return made


def _data(model: TrainedModel, directory: RunDirectory) -> Data | None:
    """Return the data of the training; None where it is not at hand, as nothing is downloaded."""
    try:
        return model.prepare(data_of_run(directory) if directory.exists() else None)
    except ZooError:
        return None
