"""The checks of tasks: right tasks pass, and each fault fails the check meant for it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked_tasks import BROKEN, Sign, record

from zoo.checks.result import Result, run_checks
from zoo.checks.task_case import TaskCase
from zoo.checks.tasks import TASK_CHECKS
from zoo.installed import registry
from zoo.interfaces import Task
from zoo.records import TaskInfo


def several_labels(words: set[str], number: int) -> str:
    del number
    return "|".join(sorted(words))


def number_of(words: set[str], number: int) -> str:
    return f"{sum(map(len, words)) + 0.0137 * number:.4f}"


TABLES = {"text-multilabel": several_labels, "text-regression": number_of}


def results(info: TaskInfo, path: Path | None = None) -> list[Result]:
    return run_checks(f"task {info.name}", TASK_CHECKS, TaskCase(info, path=path))


def failures(info: TaskInfo, path: Path | None = None) -> list[Result]:
    return [result for result in results(info, path) if result.status == "failed"]


def test_a_right_task_passes_every_check() -> None:
    assert {result.status for result in results(record(Sign))} == {"passed"}


@pytest.mark.parametrize("name", registry().names(TaskInfo))
def test_a_task_of_ours_passes(name: str, text_file: Path, tmp_path: Path) -> None:
    path = text_file if name == "char-lm" else None
    if name in TABLES:
        words = ["fine", "long", "dull", "plot", "cast"]
        rows = [
            (f"a {one} {other} film {n}", TABLES[name]({one, other}, n))
            for n in range(8) for one in words for other in words
        ]  # fmt: skip
        path = tmp_path / "table.csv"
        path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    found = results(registry().get(TaskInfo, name), path)
    assert [result for result in found if result.status == "failed"] == []
    assert "passed" in [result.status for result in found if result.check == "learns"]


@pytest.mark.parametrize("task", BROKEN, ids=lambda task: task.__name__)
def test_a_fault_fails_its_check_and_no_other(task: type[Task]) -> None:
    found = failures(record(task))
    assert [result.check for result in found] == [BROKEN[task]], found
    assert found[0].found
