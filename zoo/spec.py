"""RunSpec: everything that decides a run apart from the bytes of the data, in one record.

It is made once, from a recipe or ``TASK/MODEL`` and the user's settings, and passed down whole.
Its JSON form is the same in a run directory, in a weights file and in ``zoo show --json``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from zoo import options
from zoo.entry_points import DISTRIBUTION
from zoo.errors import UsageError, WeightsError, ZooWarning
from zoo.options import Options, option
from zoo.records import (
    CallbackInfo,
    DatasetInfo,
    ModelInfo,
    OptimizerInfo,
    Record,
    SchedulerInfo,
    TaskInfo,
)
from zoo.registry import Registry

SAMPLE = "sample"


@dataclass(frozen=True)
class TrainingOptions(Options):
    """How a network is trained; the ``training`` options of ``--set``."""

    epochs: int = option(10, "passes over the training data, where steps is 0", minimum=1)
    steps: int = option(0, "optimizer steps; 0: as many as epochs takes", minimum=0)
    batch_size: int = option(32, "rows in a batch", minimum=1, maximum=1_000_000)
    accumulate: int = option(1, "batches whose gradients are added up for a step", minimum=1)
    optimizer: str = option("adam", "the optimizer; `zoo list --optimizers` names them")
    schedule: str = option(
        "constant", "how the learning rate changes; `zoo list --schedulers` names the schedules"
    )
    learning_rate: float = option(1e-3, "peak learning rate", minimum=0.0)
    clip_norm: float = option(0.0, "largest gradient norm; 0: no clipping", minimum=0.0)
    clip_value: float = option(0.0, "largest gradient element; 0: no clipping", minimum=0.0)
    average: float = option(
        0.0, "decay of an exponential moving average of the weights, which is then what is "
        "evaluated and saved; 0: none", minimum=0.0, maximum=0.999999,
    )  # fmt: skip
    patience: int = option(
        0, "evaluations without improvement after which training stops; 0: never", minimum=0
    )
    evaluate_every: int = option(0, "steps between evaluations; 0: once an epoch", minimum=0)
    checkpoint_every: float = option(
        600.0, "seconds between checkpoints, which every evaluation writes as well; 0: none other",
        minimum=0.0,
    )  # fmt: skip
    log_every: int = option(50, "steps between lines in metrics.jsonl", minimum=1)
    precision: str = option(
        "float32",
        "arithmetic of training; bfloat16: automatic mixed precision, for GPUs and for processors "
        "with AMX; others train in float32",
        choices=("float32", "bfloat16"),
    )
    selection: str = option("best", "weights that are saved for export", choices=("best", "last"))


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Component(Generic[R]):
    """A record with its options: a configured task, model, optimizer, scheduler or callback."""

    info: R
    options: Options

    def to_json(self) -> dict[str, Any]:
        """Return name, options, distribution and version."""
        plugin = self.info.plugin
        return {
            "name": self.info.name,
            "options": options.to_json(self.options),
            "distribution": plugin.distribution if plugin else "",
            "version": plugin.version if plugin else "",
        }

    @classmethod
    def from_json(
        cls, kind: type[R], document: Mapping[str, Any], registry: Registry
    ) -> Component[R]:
        """Return the component of its JSON form.

        Raises:
            UsageError: Nothing of that name is installed, or an option is no longer allowed.
            PluginError: More than one plugin declares the name.
        """
        info = find(kind, document, registry)
        try:
            return cls(info, options.from_json(info.options, document["options"]))
        except ValueError as error:
            distribution, version = document["distribution"], document["version"]
            made_by = f"{distribution} {version}" if distribution else "a program"
            raise UsageError(
                f"{kind.kind} {info.name!r} was made by {made_by}",
                why=f"{info.plugin} does not take its options: {error}",
                fix=f"pip install {distribution}=={version}" if distribution else "",
            ) from error


def find(kind: type[R], document: Mapping[str, Any], registry: Registry) -> R:
    """Return the record of a component's JSON form; a file names the distribution as well."""
    name, distribution = document["name"], document["distribution"]
    try:
        full_name = f"{distribution}:{name}" if distribution else name
        return registry.get(kind, full_name, prefer=(DISTRIBUTION,))
    except UsageError:
        info = registry.get(kind, name)
        owner = info.plugin.distribution if info.plugin else ""
        message = f"{kind.kind} {name!r} is of {distribution}; that of {owner} is used instead"
        warnings.warn(message, ZooWarning, stacklevel=2)
        return info


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What a network is made of.

    Args:
        task: The task around the model.
        model: The model that the user named.
        submodels: Further models that the task builds, by the name it gives them.
    """

    task: Component[TaskInfo]
    model: Component[ModelInfo]
    submodels: Mapping[str, Component[ModelInfo]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        task = self.task.info
        parts = [("", self.model, task.needs_causal, task.needs_bidirectional)]
        for name, declared in task.submodels.items():
            parts.append((f" as {name}", self.submodels[name], declared.needs_causal, False))
        for part, model, needs_causal, needs_bidirectional in parts:
            if needs_bidirectional if model.info.causal else needs_causal:
                needed, reads = "causal", "both directions"
                if model.info.causal:
                    needed, reads = "bidirectional", "one direction"
                raise UsageError(
                    f"model {model.info.name!r} cannot be used{part} for task {task.name!r}",
                    why=f"{task.name} needs a {needed} model{part}, and {model.info.name} "
                    f"reads in {reads}",
                    fix=f"see `zoo list --models` for {needed} ones",
                )

    def to_json(self) -> dict[str, Any]:
        """Return the part of a run's JSON form that describes the network."""
        return {
            "task": self.task.to_json(),
            "model": self.model.to_json(),
            "submodels": {name: model.to_json() for name, model in self.submodels.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], registry: Registry) -> NetworkSpec:
        """Return the network of a run's JSON form; errors as for :meth:`Component.from_json`."""
        task = Component.from_json(TaskInfo, document["task"], registry)
        return cls(
            task=task,
            model=Component.from_json(ModelInfo, document["model"], registry),
            submodels={
                name: Component.from_json(ModelInfo, document["submodels"][name], registry)
                for name in task.info.submodels
            },
        )


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a run is.

    Args:
        name: The recipe, or ``TASK/MODEL``.
        network: Task, model and their options.
        training: How the network is trained.
        optimizer: The optimizer and its options.
        scheduler: The learning-rate schedule and its options.
        callbacks: Callbacks named by the user, with their options.
        metrics: Names of further metrics.
        data: A path, the name of a data set, or empty for the sample of the task.
        dataset: The data set, where ``data`` is the name of one.
        seed: Seed of everything that is drawn.
        init: The weights that training starts from; empty: fresh ones.
    """

    name: str
    network: NetworkSpec
    training: TrainingOptions
    optimizer: Component[OptimizerInfo]
    scheduler: Component[SchedulerInfo]
    callbacks: Mapping[str, Component[CallbackInfo]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    data: str = ""
    dataset: DatasetInfo | None = None
    seed: int = 1
    init: str = ""

    @property
    def task(self) -> TaskInfo:
        """The record of the task."""
        return self.network.task.info

    def to_json(self) -> dict[str, Any]:
        """Return the form that is written into run directories and weights files."""
        return {
            "name": self.name,
            **self.network.to_json(),
            "training": options.to_json(self.training),
            "optimizer": self.optimizer.to_json(),
            "scheduler": self.scheduler.to_json(),
            "callbacks": {name: c.to_json() for name, c in self.callbacks.items()},
            "metrics": list(self.metrics),
            "data": self.data,
            "seed": self.seed,
            "init": self.init,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], registry: Registry) -> RunSpec:
        """Return the run of its JSON form.

        Raises:
            UsageError: A name or an option is no longer known or allowed.
            PluginError: More than one plugin declares a name.
            WeightsError: The document is not of that form.
        """
        try:
            data = document["data"]
            return cls(
                name=document["name"],
                network=NetworkSpec.from_json(document, registry),
                training=options.from_json(TrainingOptions, document["training"]),
                optimizer=Component.from_json(OptimizerInfo, document["optimizer"], registry),
                scheduler=Component.from_json(SchedulerInfo, document["scheduler"], registry),
                callbacks={
                    name: Component.from_json(CallbackInfo, callback, registry)
                    for name, callback in document["callbacks"].items()
                },
                metrics=tuple(document["metrics"]),
                data=data,
                dataset=dataset_of(data, registry),
                seed=document["seed"],
                init=document["init"],
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise WeightsError(
                "the configuration of the run is damaged", why=repr(error)
            ) from error


def dataset_of(data: str, registry: Registry) -> DatasetInfo | None:
    """Return the data set that ``data`` names, or None for a path or the sample."""
    return registry.get(DatasetInfo, data) if registry.has(DatasetInfo, data) else None


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run's JSON form, by the name that they have after ``--set``."""
    sections = {
        "task": config["task"]["options"],
        "model": config["model"]["options"],
        **{name: part["options"] for name, part in config["submodels"].items()},
        "optimizer": config["optimizer"]["options"],
        "scheduler": config["scheduler"]["options"],
        "training": config["training"],
    }
    chosen = {name: part["name"] for name, part in config["submodels"].items()}
    return chosen | {
        f"{section}.{name}": value
        for section, values in sections.items()
        for name, value in values.items()
    }
