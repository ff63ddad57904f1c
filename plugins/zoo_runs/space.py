"""The settings that a sweep varies: lists of values and ranges, as they are written after --set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from zoo.cli.output import format_value
from zoo.errors import UsageError
from zoo.options import options_of
from zoo.spec import RunSpec

if TYPE_CHECKING:
    from zoo.values import Option

MOST = 10_000
"""Combinations that a grid may have."""

_FORMS = "LOW:HIGH, LOW:HIGH:STEP or LOW:HIGH:log"


@dataclass(frozen=True, slots=True)
class Choices:
    """Values that are listed.

    Args:
        values: Each as it is written after ``--set KEY=``.
    """

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two ends.

    Args:
        low: The smallest.
        high: The largest.
        step: Between two of them; 0: any.
        log: Whether they are drawn by their logarithm.
        whole: Whether they are integers.
    """

    low: float
    high: float
    step: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def count(self) -> int:
        """How many numbers a range with a step has; 0 without one."""
        return round((self.high - self.low) / self.step) + 1 if self.step else 0

    def values(self) -> tuple[str, ...]:
        """Return the numbers of a range with a step; empty without one."""
        return tuple(self.format(self.low + number * self.step) for number in range(self.count))

    def format(self, value: float) -> str:
        """Return a number as it is written after ``--set KEY=``."""
        if self.whole:
            return str(round(value))
        return f"{value:.12g}" if self.step else f"{value:.6g}"

    def __post_init__(self) -> None:
        if self.step:  # The last number that the steps reach.
            count = math.floor((self.high - self.low) / self.step + 1e-9)
            object.__setattr__(self, "high", self.low + count * self.step)


Space = Mapping[str, Choices | Range]


def parse(space: Mapping[str, object], spec: RunSpec) -> dict[str, Choices | Range]:
    """Return the values that settings take.

    Args:
        space: By key a list of values, or a string.
        spec: What is trained; its options say which settings are lists and which are numbers.

    Raises:
        UsageError: A string is of none of the forms.
    """
    return {key: _parse(key, value, _option(key, spec)) for key, value in space.items()}


def varies(text: str) -> bool:
    """Return whether the text after ``--set KEY=`` may stand for several values."""
    return any(sign in text for sign in ",;:")


def grid(space: Space) -> list[dict[str, str]]:
    """Return every combination of values, the last key varying fastest.

    Raises:
        UsageError: A range has no step, or there are too many combinations.
    """
    axes = []
    for key, values in space.items():
        listed = values.values if isinstance(values, Choices) else values.values()
        if not listed:
            raise UsageError(
                f"the range of {key} has too many values to try them all",
                fix=f"give --trials N to sample it, or a step: {key}=LOW:HIGH:STEP",
            )
        axes.append(listed)
    if (number := number_of_combinations(space) or 0) > MOST:
        raise UsageError(
            f"{number:,} combinations are too many to try them all",
            fix="sample some of them with --trials N",
        )
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def is_single(values: Choices | Range) -> TypeGuard[Choices]:
    """Return whether there is one value only."""
    return isinstance(values, Choices) and len(values.values) == 1


def number_of_combinations(space: Space) -> int | None:
    """Return how many combinations of values there are; None: a range has no step."""
    sizes = [
        len(values.values) if isinstance(values, Choices) else values.count
        for values in space.values()
    ]
    return math.prod(sizes) if all(sizes) else None


def _parse(key: str, value: object, option: Option | None) -> Choices | Range:
    if not isinstance(value, str):
        if not isinstance(value, Sequence) or not value:
            raise UsageError(f"{key}: {value!r} is neither a list of values nor a string")
        return _listed(key, [format_value(each) for each in value])
    if option is not None and option.many:
        return _listed(key, value.split(";"))
    if ":" in value and (option is None or option.type in (int, float)):
        return _range(key, value, option)
    return _listed(key, value.split(","))


def _listed(key: str, values: Sequence[str]) -> Choices:
    found = tuple(dict.fromkeys(each.strip() for each in values))
    if "" in found:
        raise UsageError(f"{key}={','.join(values)}: a value is empty")
    return Choices(found)


def _range(key: str, text: str, option: Option | None) -> Range:
    low, _, rest = text.partition(":")
    high, _, how = rest.partition(":")
    try:
        ends = float(low), float(high)
        step = 0.0 if how in ("", "log") else float(how)
    except ValueError:
        raise UsageError(f"{key}={text} is no range", fix=f"write {_FORMS}") from None
    whole = option.type is int if option else all(_is_whole(part) for part in (low, high))
    why = ""
    if not all(map(math.isfinite, (*ends, step))):
        why = "a number is not finite"
    elif ends[0] >= ends[1]:
        why = "the first number is not less than the second"
    elif step < 0 or (how not in ("", "log") and not step):
        why = "the step is not positive"
    elif how == "log" and ends[0] <= 0:
        why = "a logarithm needs numbers above 0"
    elif whole and not all(number.is_integer() for number in (*ends, step)):
        why = "the setting is an integer"
    if why:
        raise UsageError(f"{key}={text} is no range", why=why, fix=f"write {_FORMS}")
    return Range(*ends, step, how == "log", whole)


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("-").isdigit()


def _option(key: str, spec: RunSpec) -> Option | None:
    """Return the option that a key means; None where only another optimizer, say, has it."""
    network = spec.network
    sections = {
        "task": network.task.options,
        "model": network.model.options,
        **{name: part.options for name, part in network.submodels.items()},
        "training": spec.training,
        "optimizer": spec.optimizer.options,
        "scheduler": spec.scheduler.options,
    }
    section, _, name = key.rpartition(".")
    for home, options in sections.items():
        declared = options_of(type(options))
        if name in declared and section in ("", home):
            return declared[name]
    return None
