"""Reports on runs as pages: ``zoo report``, and one at the end of ``zoo train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import CallbackInfo, CommandInfo, hookimpl

if TYPE_CHECKING:
    from zoo import Run


@hookimpl
def zoo_commands() -> list[CommandInfo]:
    return [
        CommandInfo(
            name="report",
            summary="Write a page about one run, or about several side by side.",
            target="zoo_report.command:command",
        )
    ]


@hookimpl
def zoo_callbacks() -> list[CallbackInfo]:
    return [
        CallbackInfo(
            name="report",
            summary="Writes a page about the run, report.html in its directory",
            target="zoo_report.callback:Report",
            default=True,
        )
    ]


def write_report(runs: Sequence[Run | str | Path], path: str | Path = "") -> Path:
    """Write a page about one run, or about several side by side.

    The page is one HTML file that needs no other file and no network. What cannot be had, such as
    mistakes where the data is gone, is left out, and the page says so.

    Args:
        runs: Runs, or run directories.
        path: The file; it is replaced. Empty: ``report.html``, for a single run in its directory.

    Returns:
        The file that was written.

    Raises:
        UsageError: No run is given, or there is none in a directory.
        WeightsError: The files of a run are damaged.
        DiskError: The page cannot be written.

    Example:
        >>> import zoo
        >>> from zoo_report import write_report
        >>> run = zoo.train("sample-lstm", out="runs/r", settings={"steps": 2}, progress=False)
        >>> write_report([run])
        PosixPath('runs/r/report.html')
    """
    from zoo_report.report import write

    return write(runs, path)
