"""Event files of TensorBoard."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

_numbers = itertools.count()  # Of the event files of this process.


class EventFile:
    """Appends events to a new file, in the thread of the caller.

    ``torch.utils.tensorboard.SummaryWriter`` writes in a thread of its own, which ends with a
    traceback where the disk is full.

    Args:
        folder: Where the file is made.
        purge_step: TensorBoard leaves out what earlier files of the folder have from this step on.

    Raises:
        OSError: It cannot be written; so do the methods.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        self._file = (folder / f"{stem}.{os.getpid()}.{next(_numbers)}").open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        self._write(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add a number."""
        self._write(step=step, summary=summary.scalar(name, value))

    def add_text(self, name: str, text: str, step: int) -> None:
        """Add a text in Markdown."""
        self._write(step=step, summary=summary.text(name, text))

    def add_hparams(self, settings: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Add a row of the HPARAMS page: settings, and the names of scalars beside them."""
        for part in summary.hparams(dict(settings), dict.fromkeys(metrics, 0.0)):
            self._write(summary=part)

    def flush(self) -> None:
        """Have everything in the file."""
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, **event: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())
