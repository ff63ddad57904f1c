"""The TensorBoard callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.interfaces import RunStatus, Setting, Tracker
from zoo_tensorboard import TensorBoardOptions

if TYPE_CHECKING:
    from zoo_tensorboard.events import EventFile


class TensorBoard(Tracker):
    """Writes metrics, settings and the paths of files for TensorBoard.

    Metrics are scalars such as ``train/loss``, ``validation/accuracy`` and ``test/accuracy``, by
    step. Settings are a text and, with the metrics on the test part, a row of the HPARAMS page.

    Args:
        options: Where to write.

    Raises:
        UsageError: The package tensorboard is not installed.
    """

    def __init__(self, options: TensorBoardOptions) -> None:
        try:
            from zoo_tensorboard.events import EventFile
        except ImportError as error:
            raise UsageError(
                "the tensorboard callback needs TensorBoard",
                why=str(error),
                fix="pip install 'seqzoo[tensorboard]'",
            ) from error
        self._open = EventFile
        self._log_dir = options.log_dir
        self._events: EventFile | None = None
        self._folder = Path()
        self._settings: Mapping[str, Setting] = {}
        self._last_step = 0
        self._test_metrics: list[str] = []

    def start(self, run_directory: Path, settings: Mapping[str, Setting], step: int) -> None:
        self._folder = Path(self._log_dir or run_directory / "tensorboard")
        self._settings, self._test_metrics = settings, []
        # A resumed run replaces what was logged after the step that it resumes from.
        self._events = self._open(self._folder, purge_step=step + 1)
        self._last_step = step
        self._events.add_text("settings", _table(settings), step)
        self._events.flush()

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        assert self._events is not None
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()
        self._last_step = step
        self._test_metrics += [name for name in metrics if name.startswith("test/")]

    def finish(self, files: Sequence[Path]) -> str:
        assert self._events is not None
        paths = "\n".join(f"* `{file.resolve()}`" for file in files)
        self._events.add_text("files", paths, self._last_step)
        given = {name: value for name, value in self._settings.items() if value != ""}
        # The number of examples is no result of the settings.
        measured = [name for name in self._test_metrics if name != "test/examples"]
        self._events.add_hparams(given, measured)
        self._events.flush()
        return f"tensorboard: tensorboard --logdir {self._folder}"

    def end(self, status: RunStatus) -> None:
        del status
        if self._events is not None:
            self._events.close()


def _table(settings: Mapping[str, Setting]) -> str:
    """Return a table in Markdown."""
    rows = [f"| {name} | {_cell(str(value))} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
