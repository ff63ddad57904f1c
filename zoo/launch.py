"""Which of several processes this one is, as ``torchrun`` says in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from zoo.errors import UsageError


@dataclass(frozen=True, slots=True)
class Launch:
    """How this process was started: alone, or by ``torchrun`` as one of several.

    Args:
        rank: Its number, from 0.
        size: How many processes there are.
        local_rank: Its number among those of this machine.
        local_size: How many of them are on this machine.
        address: Where they meet, ``HOST:PORT``; empty where there is one process alone.
        restarts: How often ``torchrun`` has started them again.
        max_restarts: How often it may.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    address: str = ""
    restarts: int = 0
    max_restarts: int = 0


def launch() -> Launch:
    """Return what the environment says: ``RANK``, ``WORLD_SIZE`` and what belongs to them.

    Raises:
        UsageError: There are several processes, and a variable is missing or no such number.
    """
    size = _variable("WORLD_SIZE", 1, minimum=1)
    restarts = _variable("TORCHELASTIC_RESTART_COUNT", 0)
    max_restarts = _variable("TORCHELASTIC_MAX_RESTARTS", 0)
    if size == 1:
        return Launch(restarts=restarts, max_restarts=max_restarts)
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise UsageError(
            f"the environment has no {missing[0]}",
            why=f"WORLD_SIZE={size} says that this is one of {size} processes",
            fix="start them with torchrun, or unset WORLD_SIZE",
        )
    address = f"{os.environ['MASTER_ADDR']}:{_variable('MASTER_PORT', 0)}"
    return Launch(
        _variable("RANK", 0, below=size), size, _variable("LOCAL_RANK", 0),
        _variable("LOCAL_WORLD_SIZE", 1, minimum=1), address, restarts, max_restarts,
    )  # fmt: skip


def is_main_process() -> bool:
    """Return whether this process calls callbacks and writes files and messages of a training."""
    return launch().rank == 0


def _variable(name: str, default: int, minimum: int = 0, below: int | None = None) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if text.isdecimal() and int(text) >= minimum and (below is None or int(text) < below):
        return int(text)
    numbers = f"from {minimum}" if below is None else f"from {minimum} to {below - 1}"
    raise UsageError(f"{name}={text!r} in the environment", why=f"it is no integer {numbers}")
