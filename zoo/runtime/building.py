"""Networks of arrays from weights files."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from zoo.errors import NeedsTorchError, UsageError
from zoo.interfaces import ProbesTexts, QuantizedMatrix, RuntimeModel, RuntimeTask, Tensors
from zoo.options import options_of
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry, resolve_target
from zoo.spec import Component, NetworkSpec
from zoo.weights import comparison, quantization
from zoo.weights.comparison import Comparison
from zoo.weights.components import UNFIT, misfit, not_finite, spec_of, unfit, upgraded
from zoo.weights.file import Weights
from zoo.weights.quantization import SUFFIX


def build(weights: Weights, registry: Registry) -> tuple[NetworkSpec, RuntimeTask, Any]:
    """Build the task and the network that a weights file describes.

    Args:
        weights: The file, with its tensors as it stores them.
        registry: What is installed.

    Raises:
        NeedsTorchError: The task or the model has no runtime, or an option is not known to it.
        PluginError: As for :func:`zoo.weights.loading.build`, as is ``WeightsError``.
    """
    header = upgraded(weights, registry)
    where = str(weights.path)
    try:
        spec = spec_of(header, registry)
        if spec.submodels:
            raise NeedsTorchError("a task with submodels needs torch", where=where)
        task = cast("RuntimeTask", _target(spec.task, where)(spec.task.options))
        task.load_state_dict(header["task_state"])
        model = _target(spec.model, where)

        def build_model(input_size: int, inner: Tensors) -> RuntimeModel:
            return cast("RuntimeModel", model(input_size, spec.model.options, inner))

        tensors = _tensors(weights)
        network = task.network(build_model, tensors)
    except NeedsTorchError:
        raise
    except (UsageError, *UNFIT) as error:
        raise unfit(weights, error) from error
    if problems := tensors.problems():
        raise misfit(weights, problems)
    if infinite := tensors.not_finite():
        raise not_finite(infinite[0], where)
    return spec, task, network


def _tensors(weights: Weights) -> Tensors:
    """Return the tensors of a file.

    Raises:
        ValueError: Integers or scales of 8-bit weights are malformed.
    """
    arrays = {name: tensor.array() for name, tensor in weights.tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in weights.tensors.items()}
    dtype, quantized = weights.header["dtype"], {}
    if dtype == quantization.QUANTIZED:
        dtype = "float32"
        for name in quantization.quantized_names(dtypes):
            scale, of_scale = arrays.pop(name + SUFFIX), dtypes.pop(name + SUFFIX)
            if problem := quantization.problem(name, arrays[name], scale, of_scale):
                raise ValueError(problem)
            quantized[name] = QuantizedMatrix(arrays[name], scale)
            arrays[name], dtypes[name] = quantization.dequantize(*quantized[name]), dtype
    return Tensors(arrays, dtypes, dtype, quantized=quantized)


def _target(component: Component[TaskInfo] | Component[ModelInfo], where: str) -> Any:
    """Return the runtime of a component.

    Raises:
        NeedsTorchError: There is none, or it does not know an option.
    """
    info = component.info
    if not info.runtime:
        raise NeedsTorchError(f"{info.kind} {info.name!r} needs torch", where=where)
    runtime = resolve_target(info.runtime)
    default = type(component.options)()
    for name in options_of(type(component.options)).keys() - set(runtime.known_options):
        if (value := getattr(component.options, name)) != getattr(default, name):
            raise NeedsTorchError(
                f"{info.kind} {info.name!r} needs torch", where=where, why=f"{name} is {value!r}"
            )
    return runtime


def compare(weights: Weights, task: RuntimeTask, network: Any) -> Comparison:
    """Compute the probe of a file; see :func:`zoo.weights.comparison.compare`."""

    def outputs(stored: Mapping[str, Any]) -> Any:
        batch = {name: np.asarray(value) for name, value in stored.items()}
        comparison.check_batch(batch)
        return task.probe_outputs(network, batch)

    answers = task.probe_answers if isinstance(task, ProbesTexts) else None
    return comparison.compare(
        weights, outputs, None if answers is None else lambda texts: answers(network, texts)
    )


def versions() -> dict[str, str]:
    """Return the versions of what computes, in place of those of :mod:`zoo.environment`."""
    return {"runtime": "numpy", "python": platform.python_version(), "numpy": np.__version__}
