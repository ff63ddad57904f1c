"""The hooks a plugin can implement: the whole of the plugin door.

A plugin is a module named by an entry point in the group ``zoo``::

    [project.entry-points.zoo]
    mgu = "zoo_mgu"

Hooks return records; they import no torch, so that listing what is installed stays fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from zoo.records import ModelInfo, TaskInfo

ENTRY_POINT_GROUP = "zoo"

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_models() -> Sequence[ModelInfo]:  # type: ignore[empty-body]
    """Announce recurrent architectures.

    Example:
        >>> import zoo
        >>> @zoo.hookimpl
        ... def zoo_models():
        ...     return [
        ...         zoo.ModelInfo(
        ...             name="mgu",
        ...             summary="Minimal gated unit",
        ...             target="zoo_mgu.model:MGU",
        ...             causal=True,
        ...             options={"hidden_size": zoo.Option(64, "units in the state", minimum=1)},
        ...         )
        ...     ]
    """


@hookspec
def zoo_tasks() -> Sequence[TaskInfo]:  # type: ignore[empty-body]
    """Announce tasks.

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
