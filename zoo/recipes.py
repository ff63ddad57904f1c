"""Recipe files: ``registry.toml`` and the TOML files of plugins, read into records."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from zoo.deprecation import warn_deprecated
from zoo.entry_points import REGISTRY_VARIABLE
from zoo.errors import UsageError
from zoo.records import DatasetInfo, PluginInfo, Recipe, WeightsInfo

_MOST_BYTES = 4 << 20
# Set by zoo, not by the file.
_OWN_FIELDS = {"name", "folder", "source", "plugin"}


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """The records of one recipe file."""

    path: Path
    datasets: Mapping[str, DatasetInfo] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)


def default_path() -> Path:
    """Return the registry that the user named in ``ZOO_REGISTRY``, or else the one shipped."""
    named = os.environ.get(REGISTRY_VARIABLE)
    return Path(named) if named else shipped_path()


def shipped_path() -> Path:
    """Return zoo's own registry: inside the installed package, or above it in a checkout."""
    package = Path(__file__).parent
    inside = package / "registry.toml"
    return inside if inside.exists() else package.parent / "registry.toml"


def read(path: Path, plugin: PluginInfo | None = None) -> RecipeFile:
    """Read and check a recipe file.

    Args:
        path: A TOML file.
        plugin: The plugin that brings it.

    Raises:
        UsageError: The file is missing, is not TOML, has an unknown key or a value of a wrong
            type; the message names file, recipe and key.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        if path.stat().st_size > _MOST_BYTES:
            raise OSError(f"it has more than {_MOST_BYTES:,} bytes")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("cannot read the recipe file", where=str(path), why=str(error)) from error
    except (ValueError, RecursionError) as error:  # Of integers without end, of deep nesting.
        raise UsageError("recipe file is not TOML", where=str(path), why=str(error)) from error
    if "runs" in document:  # The name of the table in 0.1.
        where = f"table 'runs' in {path}"
        warn_deprecated(where, since="0.2", removed="1.0", use="'recipes'")
        earlier = _tables(document, "runs", str(path))
        document["recipes"] = {**earlier, **_tables(document, "recipes", str(path))}
        del document["runs"]
    _refuse_other_keys(document, {"data", "recipes"}, str(path))
    # Files of zoo's own registry are in the package, also where the registry is above it.
    folder = Path(__file__).parent if path == shipped_path() else path.parent
    datasets = {
        name: _dataset(
            {"name": name, "folder": folder, "plugin": plugin}, table, f"{path}, data.{name}"
        )
        for name, table in _tables(document, "data", str(path)).items()
    }
    own = {"folder": folder, "source": path, "plugin": plugin}
    recipes = {
        name: _recipe({**own, "name": name}, table, f"{path}, recipes.{name}")
        for name, table in _tables(document, "recipes", str(path)).items()
    }
    return RecipeFile(path, datasets, recipes)


def check_data_names(recipes: Iterable[Recipe], datasets: Collection[str]) -> None:
    """Check that the data set of every recipe is declared in some recipe file.

    Raises:
        UsageError: One is not.
    """
    for recipe in recipes:
        # DISTRIBUTION:NAME, where two plugins have data of that name.
        if recipe.data and recipe.data.rpartition(":")[2] not in datasets:
            raise UsageError(
                f"data {recipe.data!r} is not in a data table",
                where=f"{recipe.source}, recipes.{recipe.name}",
            )


def _dataset(own: dict[str, Any], table: dict[str, Any], where: str) -> DatasetInfo:
    dataset: DatasetInfo = _record(DatasetInfo, own, table, where)
    if bool(dataset.url) == bool(dataset.file):
        raise UsageError("a data set has one of the keys 'url' and 'file'", where=where)
    if dataset.file and dataset.contains:
        raise UsageError("key 'contains' is for data sets with a 'url'", where=where)
    return dataset


def _recipe(own: dict[str, Any], table: dict[str, Any], where: str) -> Recipe:
    table = dict(table)
    table["settings"] = _settings(table.get("settings", {}), where)
    metrics = table.setdefault("metrics", {})
    if not isinstance(metrics, dict):
        raise UsageError("metrics is not a table", where=where)
    for key, value in metrics.items():
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"key {key!r} of metrics is not a plain value", where=where)
    if "weights" in table:
        weights = table.pop("weights")
        if not isinstance(weights, dict):
            raise UsageError("weights is not a table", where=where)
        own = {**own, "weights": _record(WeightsInfo, {}, weights, f"{where}, weights")}
    recipe: Recipe = _record(Recipe, own, table, where)
    return recipe


def _settings(table: object, where: str) -> dict[str, Any]:
    """Flatten ``model.hidden_size = 64`` to the key that ``--set`` takes."""
    if not isinstance(table, dict):
        raise UsageError("settings is not a table", where=where)
    settings: dict[str, Any] = {}
    for section, values in table.items():
        if not isinstance(values, dict):
            raise UsageError(
                f"key {section!r} of settings is not a table",
                where=where,
                fix="write settings.model = { hidden_size = 64 }",
            )
        for key, value in values.items():
            if not isinstance(value, bool | int | float | str | list):
                raise UsageError(f"setting {section}.{key} is not a plain value", where=where)
            settings[f"{section}.{key}"] = value
    return settings


_TYPES: Mapping[str, tuple[type[Any] | tuple[type[Any], ...], str]] = {
    "str": (str, "a string"),
    "int": (int, "an integer"),
    "float": ((int, float), "a number"),
    "tuple[str, ...]": (list, "a list of strings"),
}


def _record(cls: Any, own: Mapping[str, Any], table: dict[str, Any], where: str) -> Any:
    """Build a record from a table, checked against the fields of the record."""
    known = {f.name: f for f in fields(cls) if f.name not in _OWN_FIELDS | own.keys()}
    _refuse_other_keys(table, set(known), where)
    values: dict[str, Any] = dict(own)
    for key, f in known.items():
        if key not in table:
            if f.default is MISSING and f.default_factory is MISSING:
                raise UsageError(f"key {key!r} is missing", where=where)
            continue
        kind, described = _TYPES.get(str(f.type), (object, ""))
        value: Any = table[key]
        if not isinstance(value, kind) or (kind is not object and isinstance(value, bool)):
            raise UsageError(f"key {key!r} is not {described}", where=where, why=f"got {value!r}")
        if kind is list:
            if not all(isinstance(item, str) for item in value):
                raise UsageError(f"key {key!r} is not {described}", where=where)
            value = tuple(value)
        values[key] = value
    return cls(**values)


def _tables(document: dict[str, Any], key: str, where: str) -> dict[str, dict[str, Any]]:
    tables = document.get(key, {})
    if not isinstance(tables, dict):
        raise UsageError(f"key {key!r} is not a table", where=where)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{key}.{name} is not a table", where=where)
    return tables


def _refuse_other_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise UsageError(
            f"unknown key {unknown[0]!r}",
            where=where,
            why=f"known keys are {', '.join(sorted(known))}",
        )
