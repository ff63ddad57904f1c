"""From a name and the user's settings to a RunSpec; every bad setting is reported at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zoo.errors import DataError, UsageError, ZooWarning, did_you_mean
from zoo.options import options_of
from zoo.records import (
    CallbackInfo,
    DatasetInfo,
    ModelInfo,
    OptimizerInfo,
    Recipe,
    Record,
    SchedulerInfo,
    TaskInfo,
)
from zoo.registry import Registry
from zoo.spec import SAMPLE, Component, NetworkSpec, RunSpec, TrainingOptions, dataset_of
from zoo.values import Option

R = TypeVar("R", bound=Record)


def resolve(
    name: str,
    registry: Registry,
    settings: Mapping[str, object] | None = None,
    *,
    data: str = "",
    seed: int = 1,
    init: str = "",
    callbacks: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> RunSpec:
    """Return the run of a recipe or ``TASK/MODEL`` under the user's settings.

    Args:
        name: A recipe, or ``TASK/MODEL``.
        registry: What is installed.
        settings: Values by key. A key is ``hidden_size`` or, where more than one part of the run
            has such an option, ``model.hidden_size``. A string is read as it is after ``--set``.
        data: A path or the name of a data set; empty for what the recipe says.
        seed: Seed of everything that is drawn.
        init: The weights that training starts from.
        callbacks: Names of callbacks; their options are set by ``NAME.option``.
        metrics: Names of further metrics.

    Raises:
        UsageError: A name is unknown, task and model do not go together, or settings are unknown
            or of a wrong type; all bad settings are in one message.
    """
    recipe = find_recipe(name, registry)
    data = data or recipe.data
    given = dict(settings or {})
    task = registry.get(TaskInfo, recipe.task)
    model = registry.get(ModelInfo, recipe.model)
    choices = _Choices(registry, recipe, given)
    submodels = {
        part: choices.get(ModelInfo, f"task.{part}", declared.default)
        for part, declared in task.submodels.items()
    }
    defaults = TrainingOptions()
    optimizer = choices.get(OptimizerInfo, "training.optimizer", defaults.optimizer)
    scheduler = choices.get(SchedulerInfo, "training.schedule", defaults.schedule)
    called = {callback: registry.get(CallbackInfo, callback) for callback in callbacks}

    classes = {"task": task.options, "model": model.options, "training": TrainingOptions}
    classes |= {part: info.options for part, info in submodels.items()}
    classes |= {"optimizer": optimizer.options, "scheduler": scheduler.options}
    classes |= {callback: info.options for callback, info in called.items()}
    sections = {section: options_of(cls) for section, cls in classes.items()}
    values = _Values(sections, choices.problems)
    chosen = {key for part in submodels for key in (part, f"task.{part}")}
    values.add_recipe(recipe, chosen, choices.replaced)
    values.add({key: value for key, value in given.items() if key not in chosen})
    made: dict[str, Any] = {section: values.make(section, cls) for section, cls in classes.items()}
    values.check(recipe.name)
    return RunSpec(
        name=recipe.name,
        network=NetworkSpec(
            Component(task, made["task"]),
            Component(model, made["model"]),
            {part: Component(info, made[part]) for part, info in submodels.items()},
        ),
        training=made["training"],
        optimizer=Component(optimizer, made["optimizer"]),
        scheduler=Component(scheduler, made["scheduler"]),
        callbacks={part: Component(info, made[part]) for part, info in called.items()},
        metrics=tuple(metrics),
        data=data,
        dataset=find_dataset(data, registry),
        seed=seed,
        init=init,
    )


def names(registry: Registry) -> list[str]:
    """Return what can be trained: the recipes, and every ``TASK/MODEL``."""
    models = registry.names(ModelInfo)
    pairs = [f"{task}/{model}" for task in registry.names(TaskInfo) for model in models]
    return [*registry.names(Recipe), *pairs]


def find_recipe(name: str, registry: Registry) -> Recipe:
    """Return the recipe of a name, or one without settings for ``TASK/MODEL``.

    Raises:
        UsageError: It is neither.
    """
    if registry.has(Recipe, name):
        return registry.get(Recipe, name)
    task, slash, model = name.partition("/")
    if slash:
        return Recipe(name=name, summary="", task=task, model=model)
    raise UsageError(
        f"no recipe {name!r}{did_you_mean(name, names(registry))}",
        fix="see `zoo list` for recipes, or name a TASK/MODEL such as sentiment/gru",
    )


def find_dataset(data: str, registry: Registry) -> DatasetInfo | None:
    """Return the data set that ``data`` names, or None for a path or the sample.

    Raises:
        DataError: It is neither a name nor a path.
    """
    dataset = dataset_of(data, registry)
    if dataset is None and data not in ("", SAMPLE) and not Path(data).exists():
        known = [SAMPLE, *registry.names(DatasetInfo)]
        raise DataError(
            f"no data {data!r}{did_you_mean(data, known)}",
            why="it is neither a path nor the name of a data set",
            fix=f"names are {', '.join(known)}",
        )
    return dataset


class _Choices:
    """The records that settings such as ``training.optimizer`` choose by name.

    Attributes:
        problems: What is wrong with the names.
        replaced: Names of the options of what the recipe chooses and the user replaces.
    """

    def __init__(self, registry: Registry, recipe: Recipe, given: Mapping[str, object]) -> None:
        self._registry, self._recipe, self._given = registry, recipe, given
        self.problems: list[str] = []
        self.replaced: set[str] = set()

    def get(self, kind: type[R], key: str, default: str) -> R:
        """Return the record of the user's choice, the recipe's or the default one."""
        bare = key.rpartition(".")[2]
        before = str(self._recipe.settings.get(key, default))
        name = str(self._given.get(bare, self._given.get(key, before)))
        if not self._registry.has(kind, name):
            near = did_you_mean(name, self._registry.names(kind))
            self.problems.append(f"{bare}: no {kind.kind} {name!r}{near}")
            name = default  # Other settings are checked all the same.
        if name != before and self._registry.has(kind, before):
            self.replaced |= options_of(self._registry.get(kind, before).options).keys()
        return self._registry.get(kind, name)


class _Values:
    """The values of every section of a run, and what is wrong with them."""

    def __init__(
        self, sections: Mapping[str, Mapping[str, Option]], problems: Iterable[str]
    ) -> None:
        self._sections = sections
        self._values: dict[str, dict[str, object]] = {section: {} for section in sections}
        self._problems = list(problems)

    def add_recipe(self, recipe: Recipe, chosen: set[str], replaced: set[str]) -> None:
        """Take the settings of a recipe, in the types that the file has.

        Options of an optimizer, a schedule or a submodel that the user replaces apply where the
        new one has them, too.
        """
        for key, value in recipe.settings.items():
            if key in chosen:
                continue
            try:
                section, found = self._find(key)
                # TOML has no null: "none" is written as after --set.
                value = None if found.optional and value == "none" else value
                self._values[section][found.name] = found.check(value)
            except ValueError as error:
                section, _, name = key.rpartition(".")
                if section in ("task", "model") or name not in replaced:
                    where = f"{recipe.source}, recipes.{recipe.name}"
                    self._problems.append(f"{key}: {error} (in {where})")

    def add(self, settings: Mapping[str, object]) -> None:
        """Take the settings of the user; strings are parsed."""
        for key, value in settings.items():
            try:
                section, found = self._find(key)
                parsed = found.parse(value) if isinstance(value, str) else found.check(value)
                self._values[section][found.name] = parsed
            except ValueError as error:
                self._problems.append(f"{key}: {error}")

    def make(self, section: str, cls: Any) -> Any:
        """Return the options of a section, or None where they are not valid."""
        try:
            return cls(**self._values[section])
        except ValueError as error:
            self._problems.append(f"{section}: {error}")
            return None

    def check(self, name: str) -> None:
        """Raise UsageError with everything that is wrong, if anything is."""
        if not self._problems:
            return
        number = len(self._problems)
        raise UsageError(
            f"{'a bad setting' if number == 1 else f'{number} bad settings'} for {name}",
            why="; ".join(self._problems),
            fix=f"see `zoo show {name}` for the options",
        )

    def _find(self, key: str) -> tuple[str, Option]:
        """Return the section and the option that a key means.

        Raises:
            ValueError: There is none, or more than one.
        """
        section, dot, bare = key.rpartition(".")
        sections = [section] if dot else list(self._sections)
        if section == "training":  # Recipes give those of optimizer and schedule there, too.
            sections += ["optimizer", "scheduler"]
        places = [(home, self._sections.get(home, {})) for home in sections]
        found = [(home, declared[bare]) for home, declared in places if bare in declared]
        if not found:
            found = [
                (home, o) for home, declared in places for o in declared.values()
                if bare in o.old_names
            ]  # fmt: skip
            if len(found) == 1:
                message = f"option {bare!r} is now called {found[0][1].name!r}"
                warnings.warn(message, ZooWarning, stacklevel=2)
        if len(found) == 1:
            return found[0]
        if found:
            dotted = [f"{home}.{o.name}" for home, o in found]
            raise ValueError(f"ambiguous; say {' or '.join(dotted)}")
        known = [name for declared in self._sections.values() for name in declared]
        raise ValueError(f"unknown setting{did_you_mean(bare, known)}")
