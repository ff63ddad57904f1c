"""One option: its type, default and bounds, and how its value is read from text."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from zoo.errors import UsageError, shortened

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...] | None
"""What an option can hold. Lists in TOML and JSON are tuples here; ``none`` is None."""

# The types of options and of the elements of lists, in words.
SCALARS: Mapping[type, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
}
LARGEST_SEED = 2**32 - 1
"""What every generator of random numbers takes, that of NumPy's RandomState included."""

LARGEST_INTEGER = 2**63 - 1
"""What an element of a tensor and a number in TOML can be."""

_SHOWN = 60
"""Characters of a value that are shown in a message."""

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type, default, meaning and bounds.

    Args:
        name: The name of the field.
        type: ``bool``, ``int``, ``float`` or ``str``: of the value or, where ``many``, of its
            elements.
        default: The value used where none is given.
        help: One line that says what the value means, with its unit.
        choices: The allowed strings, where they can be listed.
        minimum: The smallest allowed number.
        maximum: The largest allowed number.
        optional: Whether ``None`` is allowed, written ``none``.
        many: Whether the value is a tuple, written with commas: ``64,32``.
        old_names: Names that this option had in earlier versions.
        old_names_since: The version that deprecates them.
        old_names_removed: The version that will not have them any more.
        old_values: Values of earlier versions and what they are called now.
        is_path: Whether the value is the path of a file; an export keeps the file's name alone.
    """

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False
    many: bool = False
    old_names: tuple[str, ...] = ()
    old_names_since: str = ""
    old_names_removed: str = ""
    old_values: Mapping[str, str] = field(default_factory=dict)
    is_path: bool = False

    def check(self, value: object) -> Value:
        """Return ``value`` in the option's type.

        Raises:
            ValueError: ``value`` has another type or is out of bounds; the message says which.
        """
        if value is None and self.optional:
            return None
        if not self.many:
            return self._check_scalar(value)
        if not isinstance(value, list | tuple):
            raise ValueError(f"{shown(value)} is not {self.described}")
        return tuple(self._check_scalar(item) for item in value)

    def parse(self, text: str) -> Value:
        """Read the value from the text after ``--set key=``.

        Raises:
            ValueError: The text is not a value of this option.
        """
        if self.optional and text.lower() == "none":
            return None
        if self.many:
            items = [item.strip() for item in text.split(",")] if text.strip() else []
            return tuple(self._parse_scalar(item) for item in items)
        return self._parse_scalar(text)

    @property
    def described(self) -> str:
        """The type in words, such as ``an integer or none``."""
        kind = f"a list, each element {SCALARS[self.type]}" if self.many else SCALARS[self.type]
        return f"{kind} or none" if self.optional else kind

    @property
    def _element(self) -> str:
        """The type of an element in words; the same as ``described`` where there is one."""
        return SCALARS[self.type] if self.many else self.described

    def _check_scalar(self, value: object) -> Scalar:
        if self.type is int and _is_number(value, numbers.Integral):
            value = int(value)  # Of NumPy, for instance.
        if self.type is float and _is_number(value, numbers.Real):
            try:
                value = float(value)
            except OverflowError:
                raise ValueError("an integer of that size is not a finite number") from None
        if type(value) is not self.type:
            raise ValueError(f"{shown(value)} is not {self._element}")
        if isinstance(value, str):
            value = self.old_values.get(value, value)
            if self.choices and value not in self.choices:
                raise ValueError(f"{shown(value)} is not one of {', '.join(self.choices)}")
        elif isinstance(value, int | float):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{value} is not a finite number")
            if self.minimum is not None and value < self.minimum:
                raise ValueError(f"{shown(value)} is less than {self.minimum:g}")
            if self.maximum is not None and value > self.maximum:
                raise ValueError(f"{shown(value)} is more than {self.maximum:g}")
            if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                raise ValueError(f"{shown(value)} is not an integer of 64 bits")
        assert isinstance(value, bool | int | float | str)
        return value

    def _parse_scalar(self, text: str) -> Scalar:
        if self.type is str:
            return self._check_scalar(text)
        if self.type is bool:
            if text.lower() not in _BOOLEANS:
                raise ValueError(f"{shown(text)} is not true or false")
            return _BOOLEANS[text.lower()]
        try:
            value = self.type(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is not {self._element}") from None
        return self._check_scalar(value)


def check_seed(seed: object) -> None:
    """Check a seed.

    Raises:
        UsageError: It is not an integer from 0 to :data:`LARGEST_SEED`.
    """
    if not _is_number(seed, numbers.Integral) or not 0 <= seed <= LARGEST_SEED:
        why = f"{shown(seed)} is not an integer from 0 to {LARGEST_SEED}"
        raise UsageError("the seed cannot be used", why=why)


def shown(value: object) -> str:
    """Return a value as a message shows it: cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # An integer of more digits than Python writes.
        text = "an integer of many digits"
    return shortened(text, _SHOWN)


def _is_number(value: object, kind: type[Any]) -> TypeGuard[Any]:
    return isinstance(value, kind) and not isinstance(value, bool)
