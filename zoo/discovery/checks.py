"""What types do not say about records: names, types of what is listed, options and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zoo.discovery.declarations import FACTS
from zoo.options import Options, options_of
from zoo.records import CallbackInfo, ExporterInfo, Record, TaskInfo

# What the options of every run are grouped by, beside submodels and callbacks: the parts of keys
# such as ``model.hidden_size``.
SECTIONS = ("task", "model", "training", "optimizer", "scheduler")


def check(record: Record) -> None:
    """Check name, summary, facts, options and their defaults, names of submodels.

    Raises:
        TypeError: Something is not of the type that :mod:`zoo.records` says.
        ValueError: The name is malformed or taken, or a default is not allowed.
    """
    check_name(record.kind, record.name)
    what = f"{record.kind} {record.name!r}"
    if not (isinstance(record.options, type) and issubclass(record.options, Options)):
        raise TypeError(f"{what}: options is {record.options!r}, not a subclass of zoo.Options")
    for key, kind in {"summary": str, **FACTS.get(record.kind, {})}.items():
        value = getattr(record, key)
        if type(value) is not kind:
            raise TypeError(f"{what}: {key} is {value!r}, not a {kind.__name__}")
    if not (isinstance(record.target, str) or callable(record.target)):
        raise TypeError(f"{what}: target is {record.target!r}, not 'module:name'")
    options_of(record.options)
    try:
        record.options()  # Checks the defaults.
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    submodels = tuple(record.submodels) if isinstance(record, TaskInfo) else ()
    for submodel in submodels:
        check_name("submodel", submodel)
    if isinstance(record, TaskInfo) and not (
        isinstance(record.settings, Mapping) and all(type(key) is str for key in record.settings)
    ):
        raise TypeError(f"{what}: settings is {record.settings!r}, not values by key")
    if isinstance(record, ExporterInfo) and not re.fullmatch(r"\.[a-z0-9]+", record.suffix):
        raise ValueError(f"{what}: suffix is {record.suffix!r}, not a dot and lower-case letters")
    sections = (record.name,) if isinstance(record, CallbackInfo) else submodels
    if taken := sorted({*sections} & {*SECTIONS}):
        raise ValueError(f"{what}: options of every run are grouped under {taken[0]!r} already")


def check_name(kind: str, name: object) -> None:
    """Refuse names that `--set`, ``TASK/MODEL`` and ``DISTRIBUTION:NAME`` cannot have.

    Raises:
        TypeError: The name is not a string.
        ValueError: It has other characters, or more than a hundred.
    """
    if type(name) is not str or not name:
        raise TypeError(f"the name of a {kind} is not a string: {name!r}")
    if not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError(f"{kind} {name!r}: names have letters, digits, hyphens and dots")
    if len(name) > 100:
        raise ValueError(f"{kind} {name[:20]!r}...: names have at most 100 characters")
