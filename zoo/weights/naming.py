"""What a weights file is called where a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.records import Recipe
from zoo.spec import SAMPLE


def display_name(header: Mapping[str, Any], recipe: Recipe | None) -> str:
    """Return what a model is called where a person reads it.

    Args:
        header: The header of its weights file.
        recipe: The recipe of its name, if there is one.
    """
    name: str = header["run"]["name"]
    data = header["data"]
    if recipe is None:
        # The data of a recipe always has a name.
        same = "/" in name or bool(data["name"])
    else:
        # DISTRIBUTION:NAME, where two plugins have data of that name.
        names = [source.rpartition(":")[2] for source in (data["name"], recipe.data or SAMPLE)]
        same = names[0] == names[1]
        same = same or data["sha256"] == recipe.metrics.get("data_sha256")
    return name if same else f"{name}, on other data than the recipe's"
