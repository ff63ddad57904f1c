"""A network of zoo as a graph, and how the graph is compared with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.interfaces import Batch, Data
from zoo_onnx.graph import Graph

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by the name of an input or output."""

NUMBER_OF_EXAMPLES = 1000
"""Texts, or windows of a text, that a graph is compared on."""


class Translation(ABC):
    """The graph of a network, with what is needed to run it on batches of its task.

    Attributes:
        graph: The graph.
        state: Of a language model: for each input that takes a state the ``output`` that gives
            the next one, the ``shape``, and the ``initial`` value, to be broadcast to it.
    """

    graph: Graph
    state: Mapping[str, Mapping[str, Any]]

    @abstractmethod
    def examples(self, data: Data | None) -> tuple[str, Iterator[Batch]]:
        """Return batches that graph and network are compared on.

        Args:
            data: That of the training; None: batches are made up.

        Returns:
            What they are, such as ``1,000 texts of the data``, and the batches.
        """

    @abstractmethod
    def runs(self, batch: Batch) -> Iterator[tuple[Arrays, Arrays]]:
        """Yield inputs of the graph, and the outputs that torch gives for them.

        Args:
            batch: A batch.
        """


def arrays(**tensors: Tensor | None) -> Arrays:
    """Return tensors by name as arrays, without those that are None."""
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items() if tensor is not None}


def counted(what: str, real: int, made_up: int) -> str:
    """Return how many examples of either kind there are, in words.

    >>> counted("texts", 48, 952)
    '48 texts of the data and 952 made-up texts'
    """
    parts = [(real, f"{what} of the data"), (made_up, f"made-up {what}")]
    return " and ".join(f"{number:,} {name}" for number, name in parts if number)


def random_lengths(lengths: Tensor, seed: int) -> Tensor:
    """Return lengths from 1 up to those given, so that rows have padding."""
    drawn = np.random.default_rng(seed).integers(1, lengths.numpy() + 1)
    return torch.from_numpy(drawn)
