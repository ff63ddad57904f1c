"""Recipes for zoo, with weights and data: the weekday that a phrase names, and its language."""

from __future__ import annotations

from pathlib import Path

import zoo


@zoo.hookimpl
def zoo_recipes() -> list[Path]:
    return [Path(__file__).with_name("recipes.toml")]
