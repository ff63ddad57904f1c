"""What a network says of every text of a split; see :class:`zoo.interfaces.Outcomes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import IntArray
from zoo.interfaces import Outcomes, Split
from zoo_text.batches import TextSplit
from zoo_text.inference import collect
from zoo_text.metrics import all_logits, predicted_classes

if TYPE_CHECKING:
    from zoo_text.classification import TextClassification
    from zoo_text.multilabel import TextMultilabel
    from zoo_text.regression import TextRegression
    from zoo_text.task import TextTask


def outcomes_of_labels(task: TextClassification, network: nn.Module, split: Split) -> Outcomes:
    """Return the outcomes of texts that have one label each."""
    outputs, targets, losses, texts = _collect(task, network, split)
    threshold = float(getattr(network, "threshold", 0.5))
    return Outcomes(
        "labels",
        task.labels,
        targets.numpy(),
        all_logits(outputs).double().softmax(1).numpy(),
        losses,
        texts,
        predicted_classes(outputs, threshold).numpy(),
        _temperature(network),
    )


def outcomes_of_label_sets(task: TextMultilabel, network: nn.Module, split: Split) -> Outcomes:
    """Return the outcomes of texts that have any number of labels each."""
    outputs, targets, losses, texts = _collect(task, network, split)
    scores = outputs.double().sigmoid().numpy()
    threshold = float(getattr(network, "threshold", 0.5))
    return Outcomes(
        "label-sets",
        task.labels,
        targets.bool().numpy(),
        scores,
        losses,
        texts,
        scores > threshold,
        _temperature(network),
    )


def outcomes_of_numbers(task: TextRegression, network: nn.Module, split: Split) -> Outcomes:
    """Return the outcomes of texts that have a number each, in its unit."""
    outputs, targets, losses, texts = _collect(task, network, split)
    scores = task.in_units(outputs[:, 0]).numpy()
    return Outcomes("numbers", (), targets.double().numpy(), scores, losses, texts)


class _Texts(Sequence[str]):
    """The texts of a split, in its order; each is made when it is read."""

    def __init__(self, split: TextSplit) -> None:
        self._split = split

    def __len__(self) -> int:
        return self._split.num_examples

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        rows = self._split.tokens.targets
        if isinstance(index, slice):
            return [self._split.text(int(row)) for row in rows[index]]
        return self._split.text(int(rows[index]))

    def __iter__(self) -> Iterator[str]:
        return (self._split.text(int(row)) for row in self._split.tokens.targets)


@torch.inference_mode()
def _collect(
    task: TextTask, network: nn.Module, split: Split
) -> tuple[Tensor, Tensor, Any, Sequence[str]]:
    """Return outputs (M, K), targets, losses (M,) and texts, in the order of the split."""
    assert isinstance(split, TextSplit)
    outputs, targets, _ = collect(task, network, split)
    # Batches are made by length.
    order = torch.from_numpy(np.argsort(_evaluated(split), kind="stable"))
    outputs, targets = outputs[order], targets[order]
    losses = task.losses(outputs, targets, weighted=False).double().numpy()
    return outputs, targets, losses, _Texts(split)


def _evaluated(split: TextSplit) -> IntArray:
    """Return the index of each text (M,) in the order in which it is evaluated."""
    rows: IntArray = np.concatenate(split.eval_batches().plan)
    return rows


def _temperature(network: nn.Module) -> float:
    return float(getattr(network, "temperature", 1.0))
