"""``registry.toml`` to rows: the data sets that can be fetched and the runs that were published."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.records import DatasetRow, RunRow, Value, WeightsRow

ENVIRONMENT_VARIABLE = "ZOO_REGISTRY"
SECTIONS = ("model", "task", "training")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The rows of one ``registry.toml``."""

    path: Path
    data: Mapping[str, DatasetRow] = field(default_factory=dict)
    runs: Mapping[str, RunRow] = field(default_factory=dict)

    def weights_path(self, row: RunRow) -> Path | None:
        """Return where the published weights of ``row`` lie, or None if it has none.

        Those of the zoo's own registry lie inside the package, those of another one beside it.
        """
        if row.weights is None:
            return None
        own = self.path == shipped_path()
        return (Path(__file__).parent if own else self.path.parent) / row.weights.file


def default_path() -> Path:
    """Return the registry that the user named in ``ZOO_REGISTRY``, or else the zoo's own."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else shipped_path()


def shipped_path() -> Path:
    """Return the zoo's own registry: inside the installed package, or above it in a checkout."""
    package = Path(__file__).parent
    inside = package / "registry.toml"
    return inside if inside.exists() else package.parent / "registry.toml"


def read(path: Path | None = None) -> Catalog:
    """Read and check a registry file.

    Raises:
        UsageError: The file is missing, is not TOML, has an unknown key or a value of a wrong
            type; the message names file, row and key.
    """
    path = path or default_path()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("cannot read the registry", where=str(path), why=str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("registry is not TOML", where=str(path), why=str(error)) from error
    _no_other_keys(document, {"data", "runs"}, str(path))
    data = {
        name: _record(DatasetRow, name, table, f"{path}, row data.{name}")
        for name, table in _tables(document, "data", str(path)).items()
    }
    runs = {
        name: _run(name, table, f"{path}, row runs.{name}", data)
        for name, table in _tables(document, "runs", str(path)).items()
    }
    return Catalog(path, data, runs)


def matching(names: Mapping[str, Any], pattern: str) -> list[str]:
    """Return the sorted names that match a shell pattern such as ``*lstm*``; empty means all."""
    return sorted(name for name in names if fnmatchcase(name, pattern or "*"))


def _run(name: str, table: dict[str, Any], where: str, data: Mapping[str, DatasetRow]) -> RunRow:
    table = dict(table)
    table["settings"] = _settings(table.get("settings", {}), where)
    metrics = table.setdefault("metrics", {})
    if not isinstance(metrics, dict):
        raise UsageError("metrics is not a table", where=where)
    for key, value in metrics.items():
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"key {key!r} of metrics is not a plain value", where=where)
    if "weights" in table:
        weights = table["weights"]
        if not isinstance(weights, dict):
            raise UsageError("weights is not a table", where=where)
        table["weights"] = _record(WeightsRow, None, weights, f"{where}, weights")
    row: RunRow = _record(RunRow, name, table, where)
    if row.data and row.data not in data:
        raise UsageError(f"data {row.data!r} is not a row of the data table", where=where)
    return row


def _settings(table: object, where: str) -> dict[str, Value]:
    """Flatten ``model.hidden_size = 64`` to the key that ``--set`` takes."""
    if not isinstance(table, dict):
        raise UsageError("settings is not a table", where=where)
    settings: dict[str, Value] = {}
    for section, values in table.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise UsageError(
                f"key {section!r} of settings", where=where, why=f"not a table {_either(SECTIONS)}"
            )
        for key, value in values.items():
            if not isinstance(value, bool | int | float | str):
                raise UsageError(f"setting {section}.{key} is not a plain value", where=where)
            settings[f"{section}.{key}"] = value
    return settings


_TYPES: dict[str, tuple[type[Any], str]] = {
    "str": (str, "a text"),
    "int": (int, "a whole number"),
    "tuple[str, ...]": (list, "a list of texts"),
}


def _record(cls: Any, name: str | None, table: dict[str, Any], where: str) -> Any:
    """Build a record from a table, holding it to the record's own fields."""
    known = {f.name: f for f in fields(cls) if f.name != "name"}
    _no_other_keys(table, set(known), where)
    for key, f in known.items():
        if key not in table:
            if f.default is MISSING and f.default_factory is MISSING:
                raise UsageError(f"key {key!r} is missing", where=where)
            continue
        kind, described = _TYPES.get(str(f.type), (object, ""))
        value: Any = table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UsageError(f"key {key!r} is not {described}", where=where, why=f"got {value!r}")
        if kind is list:
            if not all(isinstance(item, str) for item in value):
                raise UsageError(f"key {key!r} is not {described}", where=where)
            table = {**table, key: tuple(value)}
    return cls(**table) if name is None else cls(name=name, **table)


def _tables(document: dict[str, Any], key: str, where: str) -> dict[str, dict[str, Any]]:
    tables = document.get(key, {})
    if not isinstance(tables, dict):
        raise UsageError(f"key {key!r} is not a table", where=where)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"row {key}.{name} is not a table", where=where)
    return tables


def _no_other_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise UsageError(
            f"unknown key {unknown[0]!r}", where=where, why=f"known keys are {_either(known)}"
        )


def _either(names: Any) -> str:
    return ", ".join(sorted(names))
