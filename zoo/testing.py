"""For the tests of plugins: every check of a model or a task as a test by its name.

In a test module::

    from zoo.testing import check_model

    @check_model("mgu")
    def test_model(check):
        check()

Needs pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from zoo.checks import subjects
from zoo.checks.result import Check, CheckSkipped
from zoo.checks.subjects import Subject
from zoo.installed import registry
from zoo.records import ModelInfo, TaskInfo


def check_model(*models: str | ModelInfo) -> pytest.MarkDecorator:
    """Return a decorator that runs a test with each check of some models.

    Args:
        *models: Names of installed models, or their records.

    Raises:
        UsageError: No such model is installed.
    """
    infos = [registry().get(ModelInfo, m) if isinstance(m, str) else m for m in models]
    return _parametrize([subjects.model(info) for info in infos])


def check_task(*tasks: str | TaskInfo, data: str | Path | None = None) -> pytest.MarkDecorator:
    """Return a decorator that runs a test with each check of some tasks.

    Args:
        *tasks: Names of installed tasks, or their records.
        data: A file; None: the sample that a task carries.

    Raises:
        UsageError: No such task is installed.
    """
    path = Path(data) if data else None
    infos = [registry().get(TaskInfo, t) if isinstance(t, str) else t for t in tasks]
    return _parametrize([subjects.task(info, path) for info in infos])


def _parametrize(found: list[Subject]) -> pytest.MarkDecorator:
    parameters = [
        pytest.param(partial(_run, check, subject.case), id=f"{subject.name}-{check.name}")
        for subject in found
        for check in subject.checks
    ]
    return pytest.mark.parametrize("check", parameters)


def _run(check: Check[Any], case: Any) -> None:
    """Run a check; pytest sees it fail or skip."""
    function: Callable[[Any], None] = check.function
    try:
        function(case)
    except CheckSkipped as reason:
        pytest.skip(str(reason))
