"""Declarations: what is known of a record without importing its plugin; also as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zoo.options import options_of
from zoo.records import PluginInfo, Record, TaskInfo
from zoo.values import SCALARS, Option

# What of a record is listed and shown, beside name, summary and options; with the types.
FACTS: Mapping[str, Mapping[str, type]] = {
    "model": {"causal": bool},
    "task": {
        "needs_causal": bool, "needs_bidirectional": bool, "monitor": str,
        "higher_is_better": bool, "for_any_data": bool,
    },
    "metric": {"tasks": tuple},
    "callback": {"default": bool},
    "exporter": {"suffix": str},
}  # fmt: skip
Answer = dict[str, Any]
"""What a plugin declares, or ``{"error": ...}``, as JSON; with the ``files`` that it was read from.

These are None where it was not asked, because no process could be started.
"""

_TYPES = {kind.__name__: kind for kind in SCALARS}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A record without what needs its plugin: classes and functions.

    Args:
        kind: ``model``, ``task`` ...
        name: The name of the record.
        summary: Its line of description.
        facts: Further fields of the record, by name. Of a task also ``submodels``, and whether
            it ``suggests`` settings.
        options: Its options, by name.
        plugin: Who declares it.
    """

    kind: str
    name: str
    summary: str
    facts: Mapping[str, Any]
    options: Mapping[str, Option]
    plugin: PluginInfo | None = None


def declare(record: Record) -> Declaration:
    """Return the declaration of a record."""
    facts: dict[str, Any] = {}
    for key in FACTS.get(record.kind, ()):
        value = getattr(record, key)
        facts[key] = list(value) if isinstance(value, tuple) else value
    if isinstance(record, TaskInfo):
        facts["suggests"] = bool(record.suggest)
        facts["submodels"] = {part: asdict(model) for part, model in record.submodels.items()}
    return Declaration(
        kind=record.kind,
        name=record.name,
        summary=record.summary,
        facts=facts,
        options=options_of(record.options),
        plugin=record.plugin,
    )


def to_json(declaration: Declaration) -> dict[str, Any]:
    """Return a declaration without its plugin, as JSON has it."""
    options = [
        {**asdict(option), "type": option.type.__name__} for option in declaration.options.values()
    ]
    return {
        "kind": declaration.kind,
        "name": declaration.name,
        "summary": declaration.summary,
        "facts": dict(declaration.facts),
        "options": options,
    }


def from_json(document: Mapping[str, Any], plugin: PluginInfo) -> Declaration:
    """Return the declaration of its JSON form.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The document is not of that form.
    """
    options = (_option(option) for option in document["options"])
    return Declaration(
        kind=str(document["kind"]),
        name=str(document["name"]),
        summary=str(document["summary"]),
        facts={**document["facts"]},
        options={option.name: option for option in options},
        plugin=plugin,
    )


def _option(document: Mapping[str, Any]) -> Option:
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in document.items()
    }
    return Option(**{**values, "type": _TYPES[document["type"]]})
