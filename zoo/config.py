"""Row plus overrides to one validated configuration; every bad setting is told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from zoo.catalog import SECTIONS, Catalog
from zoo.errors import UsageError, WeightsError
from zoo.records import ModelInfo, Option, RunRow, TaskInfo, Value
from zoo.registry import Registry, suggestion


def _option(default: Any, help: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"option": Option(default, help, **bounds)})


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained; the fields are the ``training`` options of ``--set``."""

    epochs: int = _option(10, "passes over the training data, where steps is 0", minimum=1)
    steps: int = _option(0, "optimiser steps; 0: as many as epochs takes", minimum=0)
    batch_size: int = _option(32, "rows in a batch", minimum=1)
    optimizer: str = _option("adam", "update rule", choices=("adam", "adamw", "sgd"))
    learning_rate: float = _option(1e-3, "peak step size", minimum=0.0)
    beta2: float = _option(
        0.999, "decay of Adam's squared-gradient average", minimum=0.0, maximum=0.999999
    )
    momentum: float = _option(0.0, "momentum of SGD", minimum=0.0, maximum=1.0)
    weight_decay: float = _option(0.0, "weight decay", minimum=0.0)
    schedule: str = _option(
        "constant",
        "how the step size moves",
        choices=("constant", "linear", "cosine", "one-cycle", "plateau"),
    )
    warmup: float = _option(
        0.0, "share of the training over which the step size rises", minimum=0.0, maximum=1.0
    )
    clip_norm: float = _option(0.0, "largest gradient norm; 0: no clipping", minimum=0.0)
    clip_value: float = _option(0.0, "largest gradient element; 0: no clipping", minimum=0.0)
    average: float = _option(
        0.0, "decay of the averaged weights that are kept; 0: none", minimum=0.0, maximum=0.999999
    )
    patience: int = _option(
        0, "evaluations without improvement before stopping; 0: never stop", minimum=0
    )
    evaluate_every: int = _option(0, "steps between evaluations; 0: once an epoch", minimum=0)
    log_every: int = _option(50, "steps between lines in metrics.jsonl", minimum=1)
    precision: str = _option(
        "float32",
        "arithmetic; bfloat16: automatic mixed precision, for GPUs",
        choices=("float32", "bfloat16"),
    )
    selection: str = _option("best", "weights that are kept for export", choices=("best", "last"))


TRAINING_OPTIONS: Mapping[str, Option] = {f.name: f.metadata["option"] for f in fields(Training)}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that decides a run, apart from the bytes of the data."""

    name: str
    task: TaskInfo
    model: ModelInfo
    data: str
    seed: int
    task_options: Mapping[str, Value]
    model_options: Mapping[str, Value]
    training: Training

    def to_json(self) -> dict[str, Any]:
        """Return the form that is written into a run directory."""
        return {
            "name": self.name,
            "task": self.task.name,
            "model": self.model.name,
            "data": self.data,
            "seed": self.seed,
            "settings": {
                "model": dict(self.model_options),
                "task": dict(self.task_options),
                "training": asdict(self.training),
            },
        }


def from_json(document: Mapping[str, Any], registry: Registry) -> Configuration:
    """Read what :meth:`Configuration.to_json` wrote.

    Raises:
        UsageError: A setting is no longer known or allowed.
        PluginError: The task or the model is claimed by more than one plugin.
        WeightsError: The document is not of that form.
    """
    try:
        name, data, seed = document["name"], document["data"], document["seed"]
        task, model = document["task"], document["model"]
        flat = {
            f"{section}.{key}": value
            for section in SECTIONS
            for key, value in document["settings"][section].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError("configuration of the run is damaged", why=repr(error)) from error
    return _build(name, registry.task(task), registry.model(model), data, seed, flat)


def resolve(
    name: str,
    registry: Registry,
    catalog: Catalog,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    data: str = "",
    seed: int = 1,
) -> Configuration:
    """Turn ``imdb-lstm`` or ``sentiment/gru`` and ``--set`` overrides into a configuration.

    Args:
        name: A row of the catalog, or ``TASK/MODEL``.
        registry: The installed models and tasks.
        catalog: The rows.
        overrides: Keys and texts as given after ``--set``; a key is ``hidden_size`` or, where
            more than one section has it, ``model.hidden_size``.
        data: A path or the name of a data set; empty for what the row says.
        seed: Seed of everything that is drawn.

    Raises:
        UsageError: The name is unknown, task and model do not go together, or settings are
            unknown or badly typed; all bad settings are in one message.
    """
    row = _row(name, registry, catalog)
    task = registry.task(row.task)
    model = registry.model(row.model)
    options = _sections(task, model)
    settings: dict[str, Value] = dict(row.settings)
    problems: list[str] = []
    for key, text in overrides:
        try:
            full = _full_key(key, options)
            section, _, bare = full.partition(".")
            settings[full] = options[section][bare].parse(text)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    where = f"{catalog.path}, row runs.{row.name}" if name in catalog.runs else ""
    return _build(row.name, task, model, data or row.data, seed, settings, problems, where)


def names(registry: Registry, catalog: Catalog) -> list[str]:
    """Return what can be named: the rows of the catalog, and every ``TASK/MODEL``."""
    pairs = [f"{task.name}/{model.name}" for task in registry.tasks for model in registry.models]
    return [*catalog.runs, *pairs]


def _row(name: str, registry: Registry, catalog: Catalog) -> RunRow:
    if name in catalog.runs:
        return catalog.runs[name]
    task, slash, model = name.partition("/")
    if slash:
        return RunRow(name=name, summary="", task=task, model=model)
    raise UsageError(
        f"no run {name!r}{suggestion(name, names(registry, catalog))}",
        fix="see `zoo list` for rows, or name a TASK/MODEL such as sentiment/gru",
    )


def _sections(task: TaskInfo, model: ModelInfo) -> dict[str, Mapping[str, Option]]:
    return {"model": model.options, "task": task.options, "training": TRAINING_OPTIONS}


def _full_key(key: str, options: Mapping[str, Mapping[str, Option]]) -> str:
    section, dot, bare = key.partition(".")
    if dot:
        if section in options and bare in options[section]:
            return key
    else:
        homes = [section for section in options if key in options[section]]
        if len(homes) == 1:
            return f"{homes[0]}.{key}"
        if homes:
            raise ValueError(f"ambiguous; say {' or '.join(f'{home}.{key}' for home in homes)}")
    known = [name for names in options.values() for name in names]
    raise ValueError(f"unknown setting{suggestion(bare if dot else key, known)}")


def _build(
    name: str,
    task: TaskInfo,
    model: ModelInfo,
    data: str,
    seed: int,
    settings: Mapping[str, Value],
    problems: Sequence[str] = (),
    where: str = "",
) -> Configuration:
    if task.needs_causal and not model.causal:
        raise UsageError(
            f"model {model.name!r} cannot do task {task.name!r}",
            why=f"{task.name} needs a causal model and {model.name} reads both ways",
            fix="see `zoo list --models` for causal ones",
        )
    options = _sections(task, model)
    found = list(problems)
    values: dict[str, dict[str, Value]] = {
        section: {key: option.default for key, option in options[section].items()}
        for section in options
    }
    for full, value in settings.items():
        section, _, key = full.partition(".")
        try:
            _full_key(full, options)
            values[section][key] = options[section][key].check(value)
        except ValueError as error:
            found.append(f"{full}: {error}" + (f" (in {where})" if where else ""))
    training: dict[str, Any] = values["training"]
    if found:
        count = "a bad setting" if len(found) == 1 else f"{len(found)} bad settings"
        raise UsageError(
            f"{count} for {name}",
            why="; ".join(found),
            fix=f"see `zoo show {name}` for the options",
        )
    return Configuration(
        name=name,
        task=task,
        model=model,
        data=data,
        seed=seed,
        task_options=values["task"],
        model_options=values["model"],
        training=Training(**training),
    )
