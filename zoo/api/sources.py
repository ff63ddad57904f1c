"""Files beside the data: parts of their own and further texts, where a task takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.files import absolute
from zoo.options import options_of
from zoo.records import TaskInfo

# Options of tasks, and what their files are called.
FURTHER = {"validation_data": "validation", "test_data": "test", "more_data": "further"}


def with_files(settings: Mapping[str, object], files: Mapping[str, str]) -> dict[str, object]:
    """Return settings with the files, by paths that lead there from any folder.

    Args:
        settings: Those of the user, which may name such files, too.
        files: Paths by the names of the options in :data:`FURTHER`; empty where there is none.
    """
    given = dict(settings)
    for key, value in settings.items():
        if key.removeprefix("task.") in FURTHER:
            given[key] = absolute(str(value))
    return given | {f"task.{part}": absolute(file) for part, file in files.items() if file}


def check_files(task: TaskInfo, files: Mapping[str, str]) -> None:
    """Refuse files that are not there or that the task does not take.

    Raises:
        UsageError: The task has no option for such a file.
        DataError: There is none at the path.
    """
    for part, file in files.items():
        if file and part not in options_of(task.options):
            raise UsageError(
                f"task {task.name!r} takes no {FURTHER[part]} data of its own",
                fix=f"leave out {file}; `zoo show {task.name}` lists how it divides its data",
            )
        if file and not Path(file).exists():
            raise DataError(f"no {FURTHER[part]} data {file!r}", why="there is no such file")
