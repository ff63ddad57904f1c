"""Joining the processes of a training, and which of them reports a failure."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.engine.meeting import meet
from zoo.engine.processes import ONE_PROCESS, Processes, SharedFailureError
from zoo.engine.run_directory import RunDirectory
from zoo.errors import NetworkError, UsageError, ZooError, ZooWarning
from zoo.launch import Launch, launch

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

TIMEOUT_VARIABLE = "ZOO_PROCESS_TIMEOUT"
"""Environment variable with the seconds that processes wait for each other."""
_MEETING, _EXCHANGE = 300.0, 1800.0
# Seconds that a process which fails waits for what another one says.
_REPORTING = 3.0
_FAILED = "failed/"
_TRAININGS = itertools.count(1)  # Of this process.


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, until the end of a training.

    Nothing is joined where this process was started alone.

    Args:
        device: Where they compute, as for :func:`zoo.environment.choose_device`.

    Raises:
        NetworkError: They do not meet in time, or one of them is lost.
        SharedFailureError: A failure that another process reports.
    """
    here = launch()
    if here.size == 1:
        yield ONE_PROCESS
        return
    import torch.distributed as dist

    from zoo.engine.distributed import ProcessGroup

    # Which device it is, and whether it exists, is found out together: one process says so.
    store, number = _open(here, "cpu:gloo,cuda:nccl" if _uses_cuda(device) else "gloo")
    processes = ProcessGroup(here.rank, here.size, here.address)
    # There were more trainings than these processes have begun: others came before them.
    processes.is_restarted = number > next(_TRAININGS)
    try:
        with warnings.catch_warnings():
            if not processes.is_main:
                warnings.simplefilter("ignore", ZooWarning)
            yield processes
    except Exception as error:
        if _is_reported_elsewhere(store, processes, error):
            code = error.exit_code if isinstance(error, ZooError) else 1
            raise SharedFailureError(str(error), code) from error
        raise
    finally:
        dist.destroy_process_group()


def check_launch(processes: Processes, out: str | Path | None, *, tables: bool) -> None:
    """Refuse what several processes, or processes that are started again, cannot train.

    Args:
        processes: Those of the training.
        out: Its run directory, as far as it was given.
        tables: Whether it has data that is in no file.

    Raises:
        UsageError: A table cannot be shared, or a training that is started again would not find
            its run.
    """
    if tables and processes.size > 1:
        raise UsageError(
            "several processes cannot share a table in memory", fix="write it into a file"
        )
    if (most := launch().max_restarts) and not out:
        raise UsageError(
            f"torchrun may start this training again (--max-restarts={most}), and it has no "
            "directory to find its run in",
            fix="name one with --out (out=)",
        )


def is_restarted(processes: Processes, out: str | Path | None) -> bool:
    """Return whether ``torchrun`` has started a training again that has begun a run in ``out``."""
    again = processes.is_restarted or launch().restarts > 0
    found = bool(out and again and RunDirectory(Path(out)).exists())
    return processes.broadcast_text("found" if found else "") == "found"


def _uses_cuda(device: str) -> bool:
    return not device.startswith("cpu") and torch.cuda.is_available()


def _open(here: Launch, backend: str) -> tuple[Store, int]:
    """Open the group of all processes; return a store, and the number of the training in it."""
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore

    seconds = _timeout()
    meeting = timedelta(seconds=seconds or _MEETING)
    try:
        common = _common_store(meeting)
        number = meet(PrefixStore("zoo", common), here.rank, here.size, meeting.total_seconds())
        store = PrefixStore(f"zoo {number}", common)
        dist.init_process_group(
            backend,
            store=store,
            rank=here.rank,
            world_size=here.size,
            timeout=timedelta(seconds=seconds or _EXCHANGE),
        )
    except (RuntimeError, ValueError, TimeoutError) as error:
        raise NetworkError(
            f"process {here.rank} of {here.size} has not met the others",
            where=here.address,
            why=f"within {meeting.total_seconds():.0f} s: {str(error).partition(chr(10))[0]}",
            fix=f"start all {here.size}, let them reach this address, or have them wait longer "
            f"({TIMEOUT_VARIABLE}, in seconds)",
        ) from error
    return store, number


@cache
def _common_store(timeout: timedelta) -> Store:
    """Return the store of the processes; it stays open, as others may still read it."""
    from torch.distributed.rendezvous import rendezvous

    store: Store = next(rendezvous("env://", timeout=timeout))[0]
    return store


def _timeout() -> float:
    """Return the seconds that the environment gives; 0 where it gives none."""
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = float(text or "0")
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 1e7 or (text and not seconds):
        raise UsageError(
            f"{TIMEOUT_VARIABLE}={text!r} in the environment", why="it is no number of seconds"
        )
    return seconds


def _is_reported_elsewhere(store: Store, processes: Processes, error: Exception) -> bool:
    """Return whether another process reports a failure, which may be the same or its cause.

    What all of them fail with is reported by the main one. That a process is lost is reported where
    none has said why.
    """
    from zoo.engine.distributed import LostProcessError

    is_lost = isinstance(error, LostProcessError)
    seconds = _REPORTING
    own = f"{'lost' if is_lost else 'said'}: {error}"
    with suppress(RuntimeError):  # The process that has the store may be the one that is gone.
        store.set(f"{_FAILED}{processes.rank}", own)
    if processes.is_main and not is_lost:
        return False
    if is_lost and processes.is_main:
        seconds = 0.0  # It is ended soon, as torchrun has noticed, too; the cause was said before.
    others = [rank for rank in range(processes.size) if rank != processes.rank]
    ends = time.monotonic() + seconds
    found: dict[int, str] = {}
    while True:
        with suppress(RuntimeError):
            for rank in others:
                if rank not in found and store.check([f"{_FAILED}{rank}"]):
                    found[rank] = store.get(f"{_FAILED}{rank}").decode()
        if is_lost and any(text.startswith("said") for text in found.values()):
            return True
        if found.get(0) == own:
            return True
        if time.monotonic() >= ends:
            return is_lost and 0 in found
        time.sleep(0.05)
