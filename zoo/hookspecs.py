"""The hooks a plugin can implement: the whole of the plugin interface.

A plugin is a module named by an entry point in the group ``zoo``::

    [project.entry-points.zoo]
    mgu = "zoo_mgu"

Hooks return records. They import no torch, so that listing what is installed stays fast; what a
record names is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pluggy

from zoo.records import (
    CallbackInfo,
    CommandInfo,
    ExporterInfo,
    MetricInfo,
    ModelInfo,
    OptimizerInfo,
    SchedulerInfo,
    TaskInfo,
)

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_models() -> Sequence[ModelInfo]:  # type: ignore[empty-body]
    """Declare recurrent architectures.

    Example:
        >>> from dataclasses import dataclass
        >>> import zoo
        >>> @dataclass(frozen=True)
        ... class MGUOptions(zoo.Options):
        ...     hidden_size: int = zoo.option(64, "units in the hidden state", minimum=1)
        >>> @zoo.hookimpl
        ... def zoo_models():
        ...     return [
        ...         zoo.ModelInfo(
        ...             name="mgu",
        ...             summary="Minimal gated unit",
        ...             target="zoo_mgu.model:MGU",
        ...             causal=True,
        ...             options=MGUOptions,
        ...         )
        ...     ]
    """


@hookspec
def zoo_tasks() -> Sequence[TaskInfo]:  # type: ignore[empty-body]
    """Declare tasks.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_tasks():
        ...     return [
        ...         zoo.TaskInfo(
        ...             name="parity",
        ...             summary="Is the number of ones even?",
        ...             target="zoo_parity.task:Parity",
        ...             monitor="accuracy",
        ...             higher_is_better=True,
        ...         )
        ...     ]
    """


@hookspec
def zoo_recipes() -> Sequence[Path]:  # type: ignore[empty-body]
    """Bring recipes: paths of TOML files in the format of ``registry.toml``.

    Weights files are named relative to the TOML file.

    Example:
        >>> import zoo
        >>> from pathlib import Path
        >>> @zoo.hookimpl
        ... def zoo_recipes():
        ...     return [Path("recipes.toml").absolute()]  # Path(__file__).with_name(...) in a file
    """


@hookspec
def zoo_callbacks() -> Sequence[CallbackInfo]:  # type: ignore[empty-body]
    """Declare callbacks, which ``zoo train --callback NAME`` adds to a training.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_callbacks():
        ...     return [
        ...         zoo.CallbackInfo(
        ...             name="bell",
        ...             summary="Rings when the training ends",
        ...             target="zoo_bell:Bell",
        ...         )
        ...     ]
    """


@hookspec
def zoo_commands() -> Sequence[CommandInfo]:  # type: ignore[empty-body]
    """Declare commands of ``zoo``; a target is imported when its command is run.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_commands():
        ...     return [
        ...         zoo.CommandInfo(
        ...             name="count",
        ...             summary="Count the parameters of a weights file.",
        ...             target="zoo_count.cli:command",
        ...         )
        ...     ]
    """


@hookspec
def zoo_optimizers() -> Sequence[OptimizerInfo]:  # type: ignore[empty-body]
    """Declare optimizers, which ``--set optimizer=NAME`` chooses.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_optimizers():
        ...     return [
        ...         zoo.OptimizerInfo(
        ...             name="radam",
        ...             summary="Rectified Adam",
        ...             target="zoo_radam:make",
        ...         )
        ...     ]
    """


@hookspec
def zoo_schedulers() -> Sequence[SchedulerInfo]:  # type: ignore[empty-body]
    """Declare learning-rate schedules, which ``--set schedule=NAME`` chooses.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_schedulers():
        ...     return [
        ...         zoo.SchedulerInfo(
        ...             name="inverse-sqrt",
        ...             summary="Falls with the square root of the step",
        ...             target="zoo_inverse_sqrt:make",
        ...         )
        ...     ]
    """


@hookspec
def zoo_metrics() -> Sequence[MetricInfo]:  # type: ignore[empty-body]
    """Declare further metrics of tasks, which ``--metric NAME`` adds.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_metrics():
        ...     return [
        ...         zoo.MetricInfo(
        ...             name="top-3",
        ...             summary="Share of examples whose label is among the three likeliest",
        ...             target="zoo_top3:Top3",
        ...             tasks=("sentiment",),
        ...         )
        ...     ]
    """


@hookspec
def zoo_exporters() -> Sequence[ExporterInfo]:  # type: ignore[empty-body]
    """Declare formats of ``zoo export``, which the end of a file's name chooses.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_exporters():
        ...     return [
        ...         zoo.ExporterInfo(
        ...             name="npz",
        ...             summary="Weights as arrays of NumPy",
        ...             suffix=".npz",
        ...             target="zoo_npz.export:export",
        ...         )
        ...     ]
    """


@hookspec
def zoo_environment() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return facts for ``zoo env``, by name, such as the version of a library that is used.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_environment():
        ...     return {"my backend": "available"}
    """
