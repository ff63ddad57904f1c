"""Options: declared once, as the fields of a frozen dataclass, and read by everything else.

A plugin declares the options of a model or a task as a subclass of :class:`Options`. The class is
the single source of names, types, defaults, bounds and help texts: ``zoo show`` lists them,
``--set`` and ``registry.toml`` are checked against them, and the model or task receives the
instance. No torch is imported here.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, TypeVar

from zoo.values import SCALARS, Option, Value


def option(
    default: Value,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    old_names: tuple[str, ...] = (),
    old_names_since: str = "",
    old_names_removed: str = "",
    old_values: Mapping[str, str] | None = None,
    is_path: bool = False,
) -> Any:
    """Return a dataclass field that declares an option.

    The type is the field's annotation: ``int``, ``float``, ``bool``, ``str``, one of these with
    ``| None``, or ``tuple[int, ...]`` and the like.

    Args:
        default: The value used where none is given.
        help: One line that says what the value means, with its unit.
        choices: The allowed strings, where they can be listed.
        minimum: The smallest allowed number.
        maximum: The largest allowed number.
        old_names: Names that this option had in earlier versions.
        old_names_since: The version that deprecates them.
        old_names_removed: The version that will not know them any more.
        old_values: Values of earlier versions and what they are called now.
        is_path: Whether the value is the path of a file; an export keeps the file's name alone.

    Example:
        >>> from dataclasses import dataclass
        >>> import zoo
        >>> @dataclass(frozen=True)
        ... class GRUOptions(zoo.Options):
        ...     hidden_size: int = zoo.option(64, "units in the hidden state", minimum=1)
        >>> GRUOptions(hidden_size=128)
        GRUOptions(hidden_size=128)
    """
    declared = {
        "default": default,
        "help": help,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "old_names": old_names,
        "old_names_since": old_names_since,
        "old_names_removed": old_names_removed,
        "old_values": old_values or {},
        "is_path": is_path,
    }
    return field(default=default, metadata={"option": declared})


@dataclass(frozen=True)
class Options:
    """Base class of options: a frozen dataclass whose fields are made by :func:`option`.

    Values are checked when an instance is made. A subclass that has rules across fields overrides
    :meth:`validate`.

    Attributes:
        dropped: Options of earlier versions that are gone, and the value with which they did
            nothing. Files that have this value still load.
        before: Options that were added later, and the value that stands for what was done before.
            Files that lack them have this value, and not the default one.

    Raises:
        ValueError: A value has another type than its field or is out of bounds.
    """

    dropped: ClassVar[Mapping[str, Value]] = {}
    before: ClassVar[Mapping[str, Value]] = {}

    def __post_init__(self) -> None:
        for name, declared in options_of(type(self)).items():
            try:
                value = declared.check(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            object.__setattr__(self, name, value)
        self.validate()

    def validate(self) -> None:
        """Check rules that concern more than one field; does nothing by default.

        Raises:
            ValueError: The values do not go together; the message says why.
        """


def options_of(cls: type[Options]) -> Mapping[str, Option]:
    """Return the options that a class declares, by name, in order.

    Raises:
        TypeError: A field is not made by :func:`option`, or has a type that options cannot have.
    """
    # A frozen dataclass has no __hash__ for mypy, which takes the class for an instance.
    return _options_of(cls)  # type: ignore[arg-type]


@cache
def _options_of(cls: type[Options]) -> Mapping[str, Option]:
    hints = typing.get_type_hints(cls)
    names = {declared.name for declared in fields(cls)}
    for name, hint in hints.items():
        if name not in names and typing.get_origin(hint) is not ClassVar:
            raise TypeError(
                f"{name!r} of {cls.__name__} is not a field; is {cls.__name__} decorated with "
                "@dataclass(frozen=True)?"
            )
    found = {}
    for declared in fields(cls):
        if "option" not in declared.metadata:
            raise TypeError(
                f"field {declared.name!r} of {cls.__name__} is not made by zoo.option()"
            )
        kind, optional, many = _parse_hint(hints[declared.name], declared.name)
        found[declared.name] = Option(
            name=declared.name, type=kind, optional=optional, many=many,
            **declared.metadata["option"],
        )  # fmt: skip
    return types.MappingProxyType(found)


def _parse_hint(hint: Any, name: str) -> tuple[type, bool, bool]:
    """Return the scalar type of an annotation, and whether it is optional and a tuple."""
    arms = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    optional = type(None) in arms
    kinds = [arm for arm in arms if arm is not type(None)]
    many = len(kinds) == 1 and typing.get_origin(kinds[0]) is tuple
    if many:
        kinds = [arm for arm in typing.get_args(kinds[0]) if arm is not Ellipsis]
    if len(kinds) != 1 or kinds[0] not in SCALARS:
        raise TypeError(f"option {name!r} cannot have the type {hint!r}")
    return kinds[0], optional, many


def to_json(options: Options) -> dict[str, Any]:
    """Return the values as JSON has them: tuples are lists.

    Args:
        options: The options.
    """
    values = {name: getattr(options, name) for name in options_of(type(options))}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


AnyOptions = TypeVar("AnyOptions", bound=Options)


def from_json(cls: type[AnyOptions], values: Mapping[str, object]) -> AnyOptions:
    """Make an instance of stored values.

    Options that were added since have their defaults, or what the class's ``before`` says.

    Args:
        cls: The class of the options.
        values: Values by name, as JSON has them.

    Raises:
        ValueError: A value is not allowed, or a name is unknown.
    """
    known = options_of(cls)
    today = {old: name for name, declared in known.items() for old in declared.old_names}
    current: dict[str, Any] = {}
    for name, value in values.items():
        if name in cls.dropped:
            # Lists in JSON are tuples here.
            if (tuple(value) if isinstance(value, list) else value) != cls.dropped[name]:
                raise ValueError(f"option {name!r} is no longer supported: it is {value!r}")
            continue
        name_today = today.get(name, name)
        if name_today not in known:
            raise ValueError(f"there is no option {name!r}")
        if name_today in current:
            raise ValueError(f"option {name_today!r} is given twice, also under an old name")
        current[name_today] = value
    return cls(**{**cls.before, **current})
