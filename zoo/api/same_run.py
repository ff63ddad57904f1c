"""Whether a run that is resumed was started with what the user asks for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.api.sources import with_files
from zoo.engine.run_directory import RunDirectory
from zoo.errors import UsageError, listed
from zoo.files import absolute
from zoo.installed import registry
from zoo.options import Options, options_of
from zoo.settings import resolve
from zoo.spec import Component, RunSpec


def check_same_run(
    out: str | Path,
    name: str,
    *,
    data: str = "",
    validation: str = "",
    test: str = "",
    settings: Mapping[str, object] | None = None,
    init: str | None = None,
    callbacks: Sequence[str] = (),
    metrics: Sequence[str] = (),
    seed: int | None = None,
) -> None:
    """Check that a run was started with what is asked for now, as far as it is given.

    Args:
        out: The run directory.
        name: A recipe or ``TASK/MODEL``; empty: any.
        data: A path or a name.
        validation: A file of its own for the validation.
        test: A file of its own for the test.
        settings: Those of the user.
        init: The weights that it started from; empty: none; None: any.
        callbacks: Names of callbacks.
        metrics: Names of further metrics.
        seed: The seed.

    Raises:
        UsageError: Something differs; the message names it.
    """
    directory = RunDirectory(Path(out))
    started = RunSpec.from_json(directory.read_config(), registry())
    if started.name.startswith(f"{name}/"):  # A task, whose model was chosen for the data.
        name = started.name
    settings = with_files(settings or {}, {"validation_data": validation, "test_data": test})
    asked = resolve(
        name or started.name,
        registry(),
        settings,
        suggested=_chosen(started),
        initial=_sizes(started) if name in ("", started.name) else {},
        data=absolute(data) or started.data,
        seed=started.seed if seed is None else seed,
        init=started.init if init is None else absolute(init),
        callbacks=callbacks or tuple(started.callbacks),
        metrics=metrics or started.metrics,
    )
    different = [
        key
        for key in ("name", "data", "seed", "init", "metrics")
        if getattr(started, key) != getattr(asked, key)
    ]
    if list(started.callbacks) != list(asked.callbacks):
        different.append("callbacks")
    given = {key.rpartition(".")[::2] for key in settings}
    for part, model in asked.network.submodels.items():
        if _given("task", {part}, given) and model.info != started.network.submodels[part].info:
            different.append(f"task.{part}")
    sections = _options_by_section(started)
    for section, values in _options_by_section(asked).items():
        different += [
            f"{section}.{key}"
            for key, declared in options_of(type(values)).items()
            if _given(section, {key, *declared.old_names}, given)
            and getattr(values, key) != getattr(sections.get(section), key, None)
        ]
    if different:
        raise UsageError(
            "the run was started with other settings",
            where=str(out),
            why=f"{listed(different)} differ",
            fix="leave them out to continue it as it was started; --epochs and --steps extend it",
        )


def _chosen(spec: RunSpec) -> dict[str, str]:
    """Return the parts that a run chose by name, so that settings of their options are known."""
    submodels = spec.network.submodels.items()
    return {
        "training.optimizer": spec.optimizer.info.name,
        "training.schedule": spec.scheduler.info.name,
        **{f"task.{part}": model.info.name for part, model in submodels},
    }


def _sizes(spec: RunSpec) -> dict[str, Any]:
    """Return settings of task and model: what is given is checked beside them.

    The weights that the run started from have decided some, and may be gone.
    """
    network = spec.network
    parts: dict[str, Component[Any]] = {"task": network.task, "model": network.model}
    return {
        f"{part}.{name}": value
        for part, component in parts.items()
        for name, value in component.to_json()["options"].items()
    }


def _given(section: str, names: set[str], given: set[tuple[str, str]]) -> bool:
    """Return whether one of the names of an option is among the sections and names given."""
    homes = {"", section} | ({"training"} if section in ("optimizer", "scheduler") else set())
    return any(home in homes and name in names for home, name in given)


def _options_by_section(spec: RunSpec) -> dict[str, Options]:
    network = spec.network
    components: dict[str, Component[Any]] = {
        "task": network.task, "model": network.model, **network.submodels,
        "optimizer": spec.optimizer, "scheduler": spec.scheduler, **spec.callbacks,
    }  # fmt: skip
    sections = {name: component.options for name, component in components.items()}
    return {**sections, "training": spec.training}
