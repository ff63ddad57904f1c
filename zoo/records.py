"""Records: what plugins and recipe files declare. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from zoo.options import Options
from zoo.values import Scalar, Value


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin that is installed, whether it works or not.

    Args:
        name: The name of its entry point.
        distribution: The package to install to get it.
        version: The version of that package.
        provides: Names of what it adds, by kind: ``model``, ``task``, ``recipe`` ...
        error: Why it is not usable; empty if it is.
    """

    name: str
    distribution: str
    version: str
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""

    def __str__(self) -> str:
        # What is registered by a program has neither.
        return f"{self.distribution} {self.version}".strip() or self.name


Upgrade = Callable[[dict[str, Any], str], dict[str, Any]]
"""(header of a weights file, version of the plugin that wrote it) to a header for this version."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every declaration has.

    Args:
        name: What users type; lower case with hyphens.
        summary: One line for ``zoo list``.
        target: ``"module:name"``, imported when it is used and not before; or, for what is
            registered in a program by :func:`zoo.register`, the class itself.
        options: The options, as a subclass of :class:`zoo.Options`.
        plugin: Who declared it; set by zoo.
    """

    kind: ClassVar[str] = ""

    name: str
    summary: str
    target: str | Callable[..., Any]
    options: type[Options] = Options
    plugin: PluginInfo | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Record):
    """A recurrent architecture. ``target(input_size, options)`` is a torch module.

    Args:
        causal: Whether the output at step t depends on steps 1..t alone.
        runtime: ``"module:name"`` of a :class:`zoo.interfaces.RuntimeModel`, by which files answer
            without torch; empty: torch computes.
        upgrade: Brings a weights file of an earlier version of the plugin to this one.
    """

    kind: ClassVar[str] = "model"

    causal: bool
    runtime: str | Callable[..., Any] = ""
    upgrade: Upgrade | None = None


@dataclass(frozen=True, slots=True)
class Submodel:
    """A second model that a task builds, beside the one that the user names.

    Args:
        summary: One line on what it does in the task.
        default: The name of the model that is used where none is given.
        needs_causal: Whether only causal models will do.
    """

    summary: str
    default: str
    needs_causal: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a task would train on some data, returned by the function that ``suggest`` names.

    Args:
        model: The name of a model.
        settings: Settings that differ from those of the task, keys as after ``--set``:
            ``task.text_column``, ``training.epochs``. Those of the model (``model.hidden_size``)
            are left out where the user names another one.
        notes: What the data was taken for, in a line or a few.
        init: A recipe with weights that training starts from, where the user names neither a model
            nor weights. It is left out where no such recipe is installed, where it has no weights,
            where these do not fit what the user sets, and where ``suits`` is false.
        init_settings: Settings that count above the others where training starts from weights:
            those of ``init`` or of the user.
        suits: Whether the weights of ``init`` suit the data, by what their rows stand for (see
            :class:`zoo.interfaces.NamesRows`); None: they do.
    """

    model: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    init: str = ""
    init_settings: Mapping[str, Value] = field(default_factory=dict)
    suits: Callable[[Mapping[str, Any]], bool] | None = field(default=None, compare=False)


Suggest = Callable[[Path | None, Any], Suggestion | None]
"""(path of the data, options of the task) to a suggestion; None: the data is not for the task.

The path is None for the sample. The options are an instance of the task's class that has the
settings of the user. Data that is for the task and broken is a :class:`zoo.errors.DataError`.
"""


SettingsFrom = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Value]]
"""(options, rows) of the task of other weights to settings under which these weights fit.

The options are those of that task, by name; the rows are what :class:`zoo.interfaces.NamesRows` of
it returns, by parameter name. Keys of the settings are as after ``--set``: ``task.embed_size``.
"""


@dataclass(frozen=True, kw_only=True)
class TaskInfo(Record):
    """A task. ``target(options)`` is a :class:`zoo.interfaces.Task`.

    Args:
        monitor: The validation metric by which the best weights are chosen.
        higher_is_better: Which way ``monitor`` improves.
        needs_causal: Whether only causal models will do.
        needs_bidirectional: Whether only models that are not causal will do.
        submodels: Further models of the task's network, by name. ``--set NAME=gru`` chooses one,
            ``--set NAME.hidden_size=32`` sets its options.
        settings: Settings of ``TASK/MODEL`` that differ from the defaults of the options, keys as
            after ``--set``. What the chosen model, optimizer or schedule lacks and another has is
            left out.
        suggest: ``"module:function"`` or the function: looks at data and suggests a model and
            settings, see :data:`Suggest`. Empty: the task has no suggestions.
        for_any_data: Whether the task is asked early about data that no task is named for. False
            where a more general task should be asked first; of these zoo's own are asked last.
        settings_from: ``"module:function"`` or the function: settings of the task under which
            initial weights (``--init``) fit, see :data:`SettingsFrom`. Empty: those weights decide
            settings of the model alone.
        runtime: ``"module:name"`` of a :class:`zoo.interfaces.RuntimeTask`, by which files answer
            without torch; empty: torch computes.
        upgrade: Brings a weights file of an earlier version of the plugin to this one.
    """

    kind: ClassVar[str] = "task"

    monitor: str
    higher_is_better: bool
    needs_causal: bool = False
    needs_bidirectional: bool = False
    submodels: Mapping[str, Submodel] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    suggest: str | Suggest = ""
    for_any_data: bool = True
    settings_from: str | SettingsFrom = ""
    runtime: str | Callable[..., Any] = ""
    upgrade: Upgrade | None = None

    def can_use(self, model: ModelInfo) -> bool:
        """Return whether the network may be built around a model.

        Args:
            model: The model.
        """
        return not (self.needs_bidirectional if model.causal else self.needs_causal)


@dataclass(frozen=True, kw_only=True)
class OptimizerInfo(Record):
    """An optimizer. ``target(parameter_groups, learning_rate, options)`` is a torch optimizer."""

    kind: ClassVar[str] = "optimizer"


@dataclass(frozen=True, kw_only=True)
class SchedulerInfo(Record):
    """A learning-rate schedule. ``target(optimizer, total_steps, options)`` is a torch scheduler.

    It is stepped after every optimizer step; ``ReduceLROnPlateau`` after every evaluation, with
    the monitored metric, or its negative where higher is better: make it with ``mode="min"``.
    """

    kind: ClassVar[str] = "scheduler"


@dataclass(frozen=True, kw_only=True)
class CallbackInfo(Record):
    """A callback. ``target(options)`` is a :class:`zoo.interfaces.Callback`, made once a run.

    Args:
        default: Whether ``zoo train`` adds it unless it is given ``--no-NAME``. Such a callback
            follows a run and is no part of it: it is not in the run's configuration.
    """

    kind: ClassVar[str] = "callback"

    default: bool = False


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Record):
    """A further metric. ``target(task)`` is a :class:`zoo.interfaces.Metric`, made once a pass.

    Args:
        tasks: Names of the tasks that it can be computed for; empty: any.
    """

    kind: ClassVar[str] = "metric"

    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommandInfo(Record):
    """A command of ``zoo``. ``target`` names a :class:`click.Command`."""

    kind: ClassVar[str] = "command"


@dataclass(frozen=True, kw_only=True)
class ExporterInfo(Record):
    """A further format of ``zoo export``.

    ``target(model, data)`` gets a :class:`zoo.TrainedModel` and the :class:`zoo.interfaces.Data`
    of its training, or None where that is not at hand, and returns a
    :class:`zoo.interfaces.ExportedFile`.

    Args:
        suffix: How the names of its files end, in lower case: ``.onnx``.
    """

    kind: ClassVar[str] = "exporter"

    suffix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A data set of the ``data`` table of a recipe file: a download, or a file beside it.

    Args:
        name: What a recipe's ``data`` key refers to.
        summary: One line on what it is.
        url: Where it is downloaded; empty where it is a file.
        file: The file beside the recipe file; empty where it is downloaded.
        sha256: Digest of the file.
        bytes: Length of the file.
        contains: Texts that must stand in a download whose digest is another one. Empty: only
            the very file that the digest names is accepted.
        folder: The folder that ``file`` is relative to.
        plugin: Who declared it.
    """

    kind: ClassVar[str] = "dataset"

    name: str
    summary: str
    url: str = ""
    file: str = ""
    sha256: str
    bytes: int
    contains: tuple[str, ...] = ()
    folder: Path = field(default=Path(), repr=False)
    plugin: PluginInfo | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """Published weights of a recipe: a file beside the recipe file.

    Args:
        file: The weights file, relative to the folder of the recipe file.
        sha256: Digest of the file.
        bytes: Length of the file.
    """

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A published recipe, from the ``recipes`` table of a recipe file.

    Args:
        name: What users type: ``what-how``.
        summary: One line for ``zoo list``.
        task: Name of the task.
        model: Name of the model.
        data: Name of a data set; empty for the sample that the task carries.
        init: Recipe with weights that training starts from; empty: fresh ones.
        settings: Values that differ from the defaults, under the keys that ``--set`` takes.
        metrics: What was measured, and on what.
        seconds: How long the training takes on two cores, from the data to the score; 0 where it
            was not measured.
        rate: Examples a second of an evaluation on two cores: texts, or tokens of a language model;
            0 where it was not measured.
        weights: The published weights, if there are any.
        folder: The folder that ``weights.file`` is relative to.
        source: The recipe file.
        plugin: Who declared it.
    """

    kind: ClassVar[str] = "recipe"

    name: str
    summary: str
    task: str
    model: str
    data: str = ""
    init: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Scalar] = field(default_factory=dict)
    seconds: float = 0
    rate: float = 0
    weights: WeightsInfo | None = None
    folder: Path = Path()
    source: Path = Path()
    plugin: PluginInfo | None = field(default=None, compare=False)

    @property
    def weights_path(self) -> Path | None:
        """Where the published weights lie, or None if there are none."""
        return self.folder / self.weights.file if self.weights else None
