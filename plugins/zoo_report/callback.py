"""The callback that writes a page at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.interfaces import Callback
from zoo.options import Options

if TYPE_CHECKING:
    from zoo import Run


class Report(Callback):
    """Writes ``report.html`` into the run directory when a run is complete.

    Args:
        options: None so far.
    """

    def __init__(self, options: Options) -> None:
        del options

    def on_run_end(self, run: Run) -> str:
        from zoo_report.report import write

        return f"report: {write([run])}"
