"""A bound on what building a network may ask for, in numbers and in tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What makes tensors of a size, and not of other tensors. The size is that of the same call on the
# meta device, where it takes no memory. Some functions are slow there; another one stands for them.
_SIZED: Mapping[Any, Any] = {
    torch.empty: torch.empty, torch.zeros: torch.zeros, torch.ones: torch.ones,
    torch.full: torch.full, torch.rand: torch.rand, torch.randn: torch.rand,
    torch.randperm: torch.randperm, Tensor.new_empty: Tensor.new_empty,
    Tensor.new_zeros: Tensor.new_zeros, Tensor.new_ones: Tensor.new_ones,
    Tensor.new_full: Tensor.new_full,
}  # fmt: skip


class Budget(TorchFunctionMode):
    """Stops a network that asks for more than its file has, before any memory is taken.

    Args:
        tensors: The tensors of the file. Twice as many numbers may be asked for, and a little
            more, in eight times as many tensors: building may need some besides the parameters.

    Raises:
        ValueError: More is asked for.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.numbers = 2 * sum(tensor.numel() for tensor in tensors.values()) + (1 << 20)
        self.tensors = 8 * len(tensors) + 1000

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, after its result was counted."""
        given = dict(kwargs or {})
        size = _size(func, args, given)
        if size is not None:
            self.tensors -= 1
            self.numbers -= size
            if self.numbers < 0:
                raise ValueError("the options ask for more memory than the tensors take")
            if self.tensors < 0:
                raise ValueError("the options ask for more tensors than the file has")
        return func(*args, **given)


def _size(func: Any, args: Any, kwargs: Mapping[str, Any]) -> int | None:
    """Return how many elements a call makes; None where it makes no tensor of a size."""
    if func in _SIZED:
        there = {key: value for key, value in kwargs.items() if key not in ("generator", "out")}
        made: Tensor = _SIZED[func](*args, **there | {"device": "meta", "pin_memory": False})
        return made.numel()
    if func in (torch.randint, torch.normal):
        sizes: list[Sequence[int]] = [
            value for value in (*args, kwargs.get("size")) if isinstance(value, tuple | list)
        ]
        return int(math.prod(sizes[0])) if sizes else None
    if func is torch.eye:
        rows = [value for value in (*args, *kwargs.values()) if isinstance(value, int)]
        return int(rows[0] * rows[-1])
    if func in (torch.linspace, torch.logspace):
        return int(args[2] if len(args) > 2 else kwargs["steps"])
    if func is torch.arange:
        given = [value for value in args if isinstance(value, int | float)]
        start = kwargs.get("start", given[0] if len(given) > 1 else 0)
        end = kwargs.get("end", given[min(len(given), 2) - 1] if given else 0)
        step = kwargs.get("step", given[2] if len(given) > 2 else 1)
        steps: float = abs((end - start) / step)
        return math.ceil(steps)
    return None
