"""Names to weights files: a file, a run directory, or the published weights of a recipe."""

from __future__ import annotations

from pathlib import Path

from zoo import recipes
from zoo.errors import PluginError, UsageError, WeightsError, did_you_mean
from zoo.files import digest
from zoo.installed import registry
from zoo.records import Recipe, WeightsInfo
from zoo.registry import Registry
from zoo.weights.file import Weights, inspect
from zoo.weights.naming import display_name


def header_facts(name: str | Path) -> tuple[Weights, str]:
    """Return the header of a weights file, and what the model is called; no tensor is read.

    Args:
        name: As for :func:`load`.

    Raises:
        WeightsError: There is no such file, or it is no weights file.
    """
    # Plugins are needed for names of recipes only: any of them may bring one.
    known = Registry() if Path(name).exists() else registry()
    found = inspect(locate_weights(name, known))
    return found, display_name(found.header, recipe_of(found.header["run"]["name"], known))


def locate_weights(name: str | Path, known: Registry) -> Path:
    """Return the weights file of a path, a run directory or a recipe with weights.

    Args:
        name: As for :func:`zoo.load`.
        known: The records that are installed.

    Raises:
        WeightsError: There is none, or the file of the recipe is not the published one.
    """
    path = Path(name)
    if path.is_dir():
        from zoo.engine.run_directory import RunDirectory  # It takes a while, and most give no run.

        directory = RunDirectory(path)
        if directory.exists() and not directory.weights.exists():
            raise WeightsError(
                "no weights yet", where=str(path), fix="continue with `zoo train ... --resume`"
            )
        return directory.weights
    if path.exists():
        return path
    recipe = known.get(Recipe, str(name)) if known.has(Recipe, str(name)) else None
    if recipe is None or recipe.weights is None:
        why = "the recipe has no published weights" if recipe else "no such file, run or recipe"
        near = "" if recipe else did_you_mean(str(name), known.names(Recipe))
        raise WeightsError(
            f"no weights {str(name)!r}{near}",
            why=why,
            fix="give a file that `zoo export` made",
        )
    published = recipe.folder / recipe.weights.file
    _check_published(published, recipe.weights)
    return published


def _check_published(path: Path, published: WeightsInfo) -> None:
    """Refuse a file that is not the one that a recipe has published."""
    if not path.is_file():
        raise WeightsError(
            "the published file is missing", where=str(path), fix="install the package again"
        )
    size = path.stat().st_size
    why = f"it has {size:,} bytes, not {published.bytes:,}" if size != published.bytes else ""
    if not why and (found := digest(path)) != published.sha256:
        why = f"its sha256 is {found}"
    if why:
        raise WeightsError(
            "the file is not the published one",
            where=str(path),
            why=why,
            fix="install the package again",
        )


def recipe_of(name: str, known: Registry) -> Recipe | None:
    """Return the recipe that a header names: an installed one, or one that ships with zoo."""
    if "/" in name:  # TASK/MODEL.
        return None
    try:
        return known.get(Recipe, name)
    except (UsageError, PluginError):
        return recipes.read(recipes.shipped_path()).recipes.get(name)
