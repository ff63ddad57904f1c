"""The batches of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.engine.evaluation import get_split
from zoo.engine.state import TrainState
from zoo.errors import DataError
from zoo.interfaces import Batch, Data
from zoo.spec import RunSpec


def epoch_batches(data: Data, spec: RunSpec, state: TrainState) -> Sequence[Batch]:
    """Return the batches of the epoch that a training is in: a function of seed and epoch alone.

    Args:
        data: Its ``train`` split is read.
        spec: The run.
        state: Where it is; some of the batches may have been trained on.

    Raises:
        DataError: There are none, or fewer than have been trained on.
    """
    split = get_split(data, "train")
    batches = split.train_batches(spec.seed, state.epoch, spec.training.batch_size)
    count = len(batches)
    if not count:
        why = f"epoch {state.epoch} has no batches"
        raise DataError("the training split is empty", where=data.summary, why=why)
    if state.batch >= count:  # Batches are a function of seed and epoch alone, or should be.
        raise DataError(
            "the training split has become smaller",
            where=data.summary,
            why=f"epoch {state.epoch} has {count:,} batches and had more than {state.batch:,}",
        )
    return batches
