"""The recipes as somebody uses them who has installed the package."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import zoo

PACKAGE = Path(__file__).parent.parent
RECIPES = ("weekdays-bigru", "weekday-languages-bigru")


def run(*arguments: object) -> str:
    """Run a command in a process of its own; return what it prints to stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipes_and_the_data_are_listed() -> None:
    text = run("list", "--recipes", "--json")
    listed = {recipe["name"]: recipe for recipe in json.loads(text)["recipes"]}
    for name in RECIPES:
        assert listed[name]["data"] == "weekdays"
        assert listed[name]["weights"]["bytes"] < 300_000
    assert "weekdays" in run("list", "--datasets")


def test_phrases_are_answered_without_training() -> None:
    phrases = ("see you on wendesday", "kommenden Freitag um 10 Uhr", "el próximo lunes")
    days = run("predict", RECIPES[0], *phrases).splitlines()
    assert [line.split("\t")[0] for line in days] == ["wednesday", "friday", "monday"]
    languages = run("predict", RECIPES[1], *phrases).splitlines()
    assert [line.split("\t")[0] for line in languages] == ["english", "german", "spanish"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_published_score_is_measured_again_offline(name: str) -> None:
    found = run("verify", name, "--data", "weekdays")
    assert "sha256 agrees" in found
    assert "accuracy_low agrees" in found


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_trains_on_the_data_of_the_package(name: str, tmp_path: Path) -> None:
    settings = {"epochs": 2}
    done = zoo.train(name, out=tmp_path / "run", settings=settings, progress=False)
    scores = done.metrics["validation"]
    assert scores["accuracy_low"] > scores["baselines"]["majority"]
    assert done.config["data"] == "weekdays"


def test_no_pattern_of_the_test_part_is_in_the_training_part() -> None:
    with resources.files("zoo_weekdays").joinpath("weekdays.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts: dict[str, set[str]] = {"train": set(), "test": set()}
    for row in rows:
        texts[row["split"]].add(row["text"])
    assert not texts["train"] & texts["test"]
    assert {row["weekday"] for row in rows if row["split"] == "test"} == {
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    }  # fmt: skip


def test_the_data_is_what_its_program_writes(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_data", PACKAGE / "make_data.py")
    assert spec
    assert spec.loader
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    program.main(tmp_path / "weekdays.csv")
    written = (tmp_path / "weekdays.csv").read_bytes()
    assert written == resources.files("zoo_weekdays").joinpath("weekdays.csv").read_bytes()
