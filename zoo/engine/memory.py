"""Networks that do not fit into memory are refused while they are built, before they are filled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from zoo.errors import UsageError

# What makes tensors of sizes.
_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}
# A network of more tensors is built for minutes, and no optimizer gets through a step of it.
_MOST_TENSORS = 20_000


@contextmanager
def within_memory() -> Iterator[None]:
    """Stop a network that asks for more tensors, or for more memory, than training it can have.

    A parameter takes its size twice in training, with its gradient.

    Raises:
        UsageError: It has too many tensors.
        MemoryError: It has too large ones; the message says how much memory there is.
    """
    with _Limits(_available()):
        yield


class _Limits(TorchFunctionMode):
    """Counts what is asked for, before any memory is taken."""

    def __init__(self, available: int | None) -> None:
        super().__init__()
        self.available = available
        self.bytes = self.tensors = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in _FACTORIES:
            self._count(func, args, given)
        return func(*args, **given)

    def _count(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        self.tensors += 1
        if self.tensors > _MOST_TENSORS:
            raise UsageError(
                f"the network has more than {_MOST_TENSORS:,} tensors", fix="give it fewer layers"
            )
        there = {key: value for key, value in kwargs.items() if key not in ("generator", "out")}
        try:
            made = func(*args, **{**there, "device": "meta", "pin_memory": False})
        except RuntimeError as error:  # A size that no integer holds.
            raise MemoryError(f"the network is too large: {error}") from error
        self.bytes += made.numel() * made.element_size()
        if self.available is not None and 2 * self.bytes > self.available:
            raise MemoryError(
                f"training the network takes more than {_gib(2 * self.bytes)}, and "
                f"{_gib(self.available)} are free; make the network smaller"
            )


def _available() -> int | None:
    """Return the bytes that this process can have without swapping; None where nobody says."""
    found = [size for size in (_of_system(), _of_group()) if size is not None]
    return min(found) if found else None


def _of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _of_group(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what the control group leaves, as containers limit memory by one.

    Files that the kernel keeps in memory are counted as used there, and given up when memory is
    needed.
    """
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        sizes = {name: int(size) for name, size in map(str.split, lines)}
        used -= sizes["active_file"] + sizes["inactive_file"]
        return None if limit == "max" else max(int(limit) - used, 0)
    except (OSError, ValueError, KeyError):
        return None


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
