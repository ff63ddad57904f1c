"""A trained network at work: outputs, vectors and the share of known tokens of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.interfaces import Split
from zoo.nn import pool
from zoo_text.batches import TextBatch
from zoo_text.collecting import Collector
from zoo_text.network import TextNetwork
from zoo_text.predictions import not_finite

if TYPE_CHECKING:
    from zoo_text.task import TextTask


def answer(
    task: TextTask, network: nn.Module, texts: Sequence[str]
) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """Return outputs (M, K) of M texts, and the share of the tokens of each that is known (M,).

    Raises:
        WeightsError: An output is not finite.
    """
    assert isinstance(network, TextNetwork)
    outputs, known = torch.empty(len(texts), task.num_outputs), np.ones(len(texts))
    with torch.inference_mode():
        for batch in _batches(task, network, texts):
            rows = batch.targets.cpu()
            outputs[rows] = task.outputs(network, batch).outputs.float().cpu()
            known[rows.numpy()] = task.known(network, batch).cpu().numpy()
    if not bool(outputs.isfinite().all()):
        raise not_finite()
    return outputs, known


def embed(
    task: TextTask, network: nn.Module, texts: Sequence[str], *, per_step: bool
) -> list[npt.NDArray[np.float32]]:
    """Return the pooled vector (F,) of each text, or the model's outputs (T, F).

    T is the number of tokens that are read; a text without any is one unknown token.
    """
    if not texts:
        return []
    assert isinstance(network, TextNetwork)
    vectors: dict[int, npt.NDArray[np.float32]] = {}
    with torch.inference_mode():
        for batch in _batches(task, network, texts):
            outputs, state = network.model_outputs(
                batch.inputs, batch.lengths, None, batch.units, batch.starts
            )
            if per_step:
                values = outputs.float().cpu().numpy()
                found = [values[row, :n].copy() for row, n in enumerate(batch.lengths.tolist())]
            else:
                pooled = pool(network.rnn, outputs, batch.lengths, state, task.options.pooling)
                found = list(pooled.float().cpu().numpy())
            vectors.update(zip(batch.targets.tolist(), found, strict=True))
    return [vectors[index] for index in range(len(texts))]


def _batches(task: TextTask, network: nn.Module, texts: Sequence[str]) -> Iterator[TextBatch]:
    """Yield the texts in batches, on the device of the network; targets are their indexes."""
    network.eval()
    device = next(network.parameters()).device
    for batch in task.split(list(texts), np.arange(len(texts))).eval_batches():
        moved = batch.to(device)
        assert isinstance(moved, TextBatch)
        yield moved


def collect(
    task: TextTask, network: nn.Module, split: Split
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return outputs (M, K) of a split, targets, and outputs of the linear model, on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    collected = Collector()
    for batch in split.eval_batches():
        found = task.outputs(network, batch.to(device))
        collected.add(found.outputs, batch.targets, found.linear)
    return collected.outputs(), collected.targets(), collected.baseline()
