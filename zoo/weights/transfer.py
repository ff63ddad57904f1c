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
        complete: Names of the tensors of ``rows`` of which every row of the source was taken.
    """

    taken: tuple[str, ...] = ()
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.taken or any(some for some, _ in self.rows.values()))

    def __str__(self) -> str:
        parts = [f"{len(self.taken)} tensors taken"]
        for name, (some, all_) in self.rows.items():
            if name in self.complete:
                parts.append(f"{name}: all {some:,} rows, {all_ - some:,} fresh")
            else:
                parts.append(f"{name}: {some:,} of {all_:,} rows")
        if self.fresh:
            parts.append(f"fresh: {', '.join(self.fresh)}")
        # Names as in torch.nn.LSTM.
        if any(f"{name}_reverse" in self.fresh for name in self.taken):
            parts.append("the source reads in one direction: the other one is fresh")
        return "; ".join(parts)


@torch.no_grad()
def transfer(source: nn.Module, source_task: Task, network: nn.Module, task: Task) -> Transfer:
    """Copy what fits, by name, from one network to another.

    A tensor is taken whole where its shape and the meaning of its rows are the same, and row by
    row where rows have names (words of a vocabulary) and some names are in both. Everything else
    keeps its fresh values: a head for other labels, words that were not known. Vectors of such
    words are scaled to the norm of those that were taken (:attr:`RowNames.match_norm`).

    Args:
        source: The network to copy from.
        source_task: Its task.
        network: The network to copy to, changed in place.
        task: Its task.

    Returns:
        What was taken.
    """
    before, after = row_names(source_task, source), row_names(task, network)
    found = source.state_dict()
    taken, fresh, complete = [], [], []
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
            if rows[name][0] == len(old):
                complete.append(name)
        else:
            fresh.append(name)
    return Transfer(tuple(taken), rows, tuple(fresh), tuple(complete))


def row_names(task: Task, network: nn.Module) -> dict[str, RowNames]:
    """Return what rows of a network's parameters stand for; nothing where its task does not say."""
    return dict(task.row_names(network)) if isinstance(task, NamesRows) else {}


def _copy_rows(old: Tensor, old_names: RowNames, new: Tensor, names: RowNames) -> int:
    index = {name: row for row, name in enumerate(old_names.names)}
    pairs = [(row, index[name]) for row, name in enumerate(names.names) if name in index]
    if pairs:
        to, source = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
        new[to] = old[source].to(new)
        if names.match_norm:
            is_fresh = torch.ones(len(new), dtype=torch.bool, device=new.device)
            is_fresh[to] = False
            _match_norm(new, is_fresh)
    return len(pairs)


def _match_norm(tensor: Tensor, is_fresh: Tensor) -> None:
    """Scale fresh rows so that their median norm is that of the others."""
    norms = tensor.flatten(1).norm(dim=1)
    fresh, taken = norms[is_fresh & (norms > 0)], norms[~is_fresh & (norms > 0)]
    if len(fresh) and len(taken):
        tensor[is_fresh] *= taken.median() / fresh.median()
