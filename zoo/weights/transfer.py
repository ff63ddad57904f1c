"""Fine-tuning: weights of one network as the start of another."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from zoo.interfaces import NamesRows, RowNames, Task


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was taken from other weights.

    Args:
        taken: Names of the tensors that were taken whole.
        rows: Of the tensors that were taken row by row, how many rows were, and of how many.
        fresh: Names of the tensors that keep their fresh values.
    """

    taken: tuple[str, ...] = ()
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.taken or any(some for some, _ in self.rows.values()))

    def __str__(self) -> str:
        parts = [f"{len(self.taken)} tensors taken"]
        parts += [f"{name}: {some:,} of {all_:,} rows" for name, (some, all_) in self.rows.items()]
        if self.fresh:
            parts.append(f"fresh: {', '.join(self.fresh)}")
        return "; ".join(parts)


@torch.no_grad()
def transfer(source: nn.Module, source_task: Task, network: nn.Module, task: Task) -> Transfer:
    """Copy what fits, by name, from one network to another.

    A tensor is taken whole where its shape and the meaning of its rows are the same, and row by
    row where rows have names (words of a vocabulary) and some names are in both. Everything else
    keeps its fresh values: a head for other labels, words that were not known.

    Args:
        source: The network to copy from.
        source_task: Its task.
        network: The network to copy to, changed in place.
        task: Its task.

    Returns:
        What was taken.
    """
    before, after = _row_names(source_task, source), _row_names(task, network)
    found = source.state_dict()
    taken, fresh = [], []
    rows: dict[str, tuple[int, int]] = {}
    for name, tensor in network.state_dict().items():
        old = found.get(name)
        names, old_names = after.get(name), before.get(name)
        if (
            old is None
            or old.shape[1:] != tensor.shape[1:]
            or (names is None) != (old_names is None)
        ):
            fresh.append(name)
        elif names is None or old_names is None or list(names.names) == list(old_names.names):
            if old.shape == tensor.shape:
                tensor.copy_(old)
                taken.append(name)
            else:
                fresh.append(name)
        elif names.by_row and old_names.by_row:
            rows[name] = (_copy_rows(old, old_names, tensor, names), len(tensor))
        else:
            fresh.append(name)
    return Transfer(tuple(taken), rows, tuple(fresh))


def _copy_rows(old: Tensor, old_names: RowNames, new: Tensor, names: RowNames) -> int:
    index = {name: row for row, name in enumerate(old_names.names)}
    pairs = [(row, index[name]) for row, name in enumerate(names.names) if name in index]
    if pairs:
        to, source = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
        new[to] = old[source].to(new)
    return len(pairs)


def _row_names(task: Task, network: nn.Module) -> dict[str, RowNames]:
    return dict(task.row_names(network)) if isinstance(task, NamesRows) else {}
