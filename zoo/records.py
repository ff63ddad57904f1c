"""What the zoo knows about a model, a task, a plugin, a data set and a run. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = bool | int | float | str
"""What an option can hold; also what a value in ``registry.toml`` or after ``--set`` can be."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a model, a task or the training: its default, its meaning and its bounds.

    The type of the default is the type of the option.

    Args:
        default: The value used where none is given.
        help: One line that says what the value means, with its unit.
        choices: The allowed values, where they can be listed.
        minimum: The smallest allowed number.
        maximum: The largest allowed number.
    """

    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def check(self, value: object) -> Value:
        """Return ``value`` in the option's type.

        Raises:
            ValueError: ``value`` has another type or is out of bounds; the text says which.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not {_KINDS[kind]}")
        assert isinstance(value, bool | int | float | str)
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        if isinstance(value, int | float):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{value} is not a finite number")
            if self.minimum is not None and value < self.minimum:
                raise ValueError(f"{value} is less than {self.minimum:g}")
            if self.maximum is not None and value > self.maximum:
                raise ValueError(f"{value} is more than {self.maximum:g}")
        return value

    def parse(self, text: str) -> Value:
        """Read the value from the text after ``--set key=``.

        Raises:
            ValueError: The text is not a value of this option.
        """
        kind = type(self.default)
        if kind is str:
            return self.check(text)
        if kind is bool:
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() not in words:
                raise ValueError(f"{text!r} is not true or false")
            return words[text.lower()]
        try:
            return self.check(kind(text))
        except ValueError as error:
            if "could not convert" in str(error) or "invalid literal" in str(error):
                raise ValueError(f"{text!r} is not {_KINDS[kind]}") from None
            raise


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A recurrent architecture, as a plugin announces it.

    Args:
        name: What users type; lower case with dashes.
        summary: One line for ``zoo list``.
        target: ``"module:Class"``, imported when the model is built and not before.
        causal: Whether the output at step t depends on steps 1..t alone.
        options: Every keyword of the class after ``input_size``, with its default.
        one_hot: Whether ``forward`` also takes (B, T) indices in place of one-hot vectors.
    """

    name: str
    summary: str
    target: str
    causal: bool
    options: Mapping[str, Option] = field(default_factory=dict)
    one_hot: bool = False


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task, as a plugin announces it.

    Args:
        name: What users type; lower case with dashes.
        summary: One line for ``zoo list``.
        target: ``"module:Class"``, imported when the task is built and not before.
        monitor: The validation metric by which the best checkpoint is chosen.
        higher_is_better: Which way ``monitor`` improves.
        needs_causal: Whether only causal models will do.
        options: Every keyword of the class, with its default.
    """

    name: str
    summary: str
    target: str
    monitor: str
    higher_is_better: bool
    needs_causal: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin that is installed, whether it works or not.

    Args:
        name: The name of its entry point.
        distribution: The package to install to get it.
        version: The version of that package.
        models: Names of the models it adds.
        tasks: Names of the tasks it adds.
        error: Why it is not usable; empty if it is.
    """

    name: str
    distribution: str
    version: str
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A data set that can be downloaded, from the ``data`` table of ``registry.toml``.

    Args:
        name: What a run's ``data`` key refers to.
        summary: One line on what it is.
        url: Where it lies.
        sha256: Digest of the file.
        bytes: Length of the file.
        contains: Texts that must stand in the file where its digest is another one. Empty: only
            the very file that the digest names will do.
    """

    name: str
    summary: str
    url: str
    sha256: str
    bytes: int
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """Published weights of a run: a file that ships inside the package."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A published run, from the ``runs`` table of ``registry.toml``.

    Args:
        name: What users type: ``what-how``.
        summary: One line for ``zoo list``.
        task: Name of the task.
        model: Name of the model.
        data: Name of a data set; empty for the sample that the task carries.
        settings: Values that differ from the defaults, under the keys that ``--set`` takes.
        metrics: What was measured, and on what.
        weights: The published weights, if there are any.
    """

    name: str
    summary: str
    task: str
    model: str
    data: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, Value] = field(default_factory=dict)
    weights: WeightsRow | None = None
