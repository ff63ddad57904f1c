"""Checks of a task's data: splits, batches, what is learned from them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from zoo.checks.model_case import random_states
from zoo.checks.result import CheckError, CheckSkipped
from zoo.checks.task_case import BATCH_SIZE, SEED, TaskCase, expect_equal_batches, some
from zoo.errors import ZooError
from zoo.interfaces import Batch, Data, Split

SPLITS = ("train", "validation", "test", "all")
# Rows of a test split that are looked for in the training split.
MOST_ROWS = 2000


def check_prepares(case: TaskCase) -> None:
    """prepare() returns the splits train, validation, test and all, with something in each."""
    _, data = case.prepared
    if not isinstance(data, Data):
        raise CheckError(f"prepare returned a {type(data).__name__}", "return a zoo Data")
    for name in SPLITS:
        if name not in data.splits:
            raise CheckError(f"there is no split {name!r}", f"make {', '.join(SPLITS)}")
        if name in ("train", "validation") and data.splits[name].num_examples < 1:
            raise CheckError(f"the {name} split is empty",
                             "raise zoo.errors.DataError where the data is too small")  # fmt: skip
    for name in ("digest", "summary"):
        if not isinstance(getattr(data, name), str) or not getattr(data, name):
            raise CheckError(f"the {name} of the data is not a string that says something")


def check_data_repeats(case: TaskCase) -> None:
    """Equal data gives equal splits and an equal digest."""
    _, data = case.prepared
    again = case.prepare(case.build())
    if again.digest != data.digest:
        raise CheckError("the digest differs when the same data is read again",
                         "take it from the bytes of the source alone")  # fmt: skip
    for name in ("train", "validation", "test"):
        expect_equal_batches(
            data.splits[name].eval_batches(), again.splits[name].eval_batches(),
            f"the {name} split differs when the same data is read again with the same seed",
        )  # fmt: skip


def check_empty_data(case: TaskCase) -> None:
    """Data without content is refused with a DataError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.txt"
        path.write_bytes(b"")
        try:
            case.build().prepare(path, SEED)
        except ZooError:
            return
        except Exception as error:
            raise CheckError(
                f"an empty file raised {type(error).__name__}: {error}",
                "raise zoo.errors.DataError for data that cannot be used",
            ) from error
    raise CheckError("an empty file was accepted",
                     "read the path that is given, and refuse what is empty")  # fmt: skip


def check_batches_end(case: TaskCase) -> None:
    """Batches are sequences: they have a length, and iterating over them ends there."""
    for name, batches in _all_batches(case).items():
        try:
            count = len(batches)
        except TypeError:
            raise CheckError(
                f"{name} is a {type(batches).__name__} without a length",
                "return a sequence, for instance zoo.data.ragged.Batches",
            ) from None
        if not count:
            raise CheckError(f"{name} has no batches and the split has examples")
        found = sum(1 for _ in islice(iter(batches), count + 1))
        if found != count:
            more = "more" if found > count else str(found)
            raise CheckError(f"{name} says {count} batches and yields {more}",
                             "raise IndexError from len() on")  # fmt: skip
        if not isinstance(batches[0], Batch):
            raise CheckError(f"{name} holds a {type(batches[0]).__name__}, not a zoo Batch")


def _all_batches(case: TaskCase) -> dict[str, Sequence[Batch]]:
    train, validation = case.split("train"), case.split("validation")
    return {
        "train_batches": train.train_batches(SEED, 0, BATCH_SIZE),
        "eval_batches": validation.eval_batches(),
    }


def check_batches_repeat(case: TaskCase) -> None:
    """Batches are a function of seed and epoch, and draw from no global generator."""
    train = case.split("train")
    before = random_states()
    first = train.train_batches(SEED, 0, BATCH_SIZE)
    some(first)
    if random_states() != before:
        raise CheckError("making batches moved a global generator on",
                         "use numpy.random.default_rng((seed, epoch))")  # fmt: skip
    train.train_batches(SEED, 1, BATCH_SIZE)
    expect_equal_batches(first, train.train_batches(SEED, 0, BATCH_SIZE),
                         "the batches of an epoch differ when they are made again")  # fmt: skip
    expect_equal_batches(case.split("validation").eval_batches(),
                         case.split("validation").eval_batches(),
                         "the batches of an evaluation differ from pass to pass")  # fmt: skip


def check_batches_complete(case: TaskCase) -> None:
    """Batches of evaluation hold every example exactly once."""
    for name in ("validation", "test"):
        split = case.split(name)
        rows = steps = 0
        for batch in split.eval_batches():
            rows += len(batch)
            steps += int(batch.lengths.sum())
        if split.num_examples not in (rows, steps):
            raise CheckError(
                f"the {name} split has {split.num_examples} examples and its batches {rows} rows",
                "leave no example out at the end",
            )


def check_lengths(case: TaskCase) -> None:
    """Rows have at least one step and no more than their inputs."""
    for name, batches in _all_batches(case).items():
        for batch in some(batches):
            if len(batch.inputs) != len(batch.lengths):
                raise CheckError(
                    f"{name}: {len(batch.inputs)} rows of inputs, {len(batch.lengths)} lengths"
                )
            if int(batch.lengths.min()) < 1:
                raise CheckError(f"{name}: a row has no step", "give it one of a padding token")
            sequence = batch.inputs.dim() == 3 or not batch.inputs.is_floating_point()
            if sequence and int(batch.lengths.max()) > batch.inputs.shape[1]:
                raise CheckError(f"{name}: a length is larger than the inputs")


def check_splits_disjoint(case: TaskCase) -> None:
    """No split is another one: what is tested on was not trained on."""
    known = {name: _rows(case.split(name)) for name in ("train", "validation", "test")}
    for name, other in (("test", "train"), ("validation", "train"), ("test", "validation")):
        distinct = known[name]
        # A few distinct rows are in every split of a small world, such as all rows of four bits.
        if len(distinct) >= 20 and distinct <= known[other]:
            raise CheckError(f"every row of the {name} split is in the {other} split, too",
                             "split the examples before batches are made of them")  # fmt: skip


def _rows(split: Split) -> set[bytes]:
    rows: set[bytes] = set()
    for batch in split.eval_batches():
        for row, length in zip(batch.inputs, batch.lengths.tolist(), strict=True):
            rows.add(row[:length].numpy().tobytes() if row.dim() else row.numpy().tobytes())
        if len(rows) > MOST_ROWS:
            break
    return rows


def check_state_is_json(case: TaskCase) -> None:
    """state_dict() is JSON, and survives being written and read."""
    task, _ = case.prepared
    state = task.state_dict()
    try:
        text = json.dumps(state, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckError(f"state_dict() is not JSON ({error})",
                         "convert tensors and arrays with tolist()") from error  # fmt: skip
    if json.loads(text) != state:
        raise CheckError("state_dict() comes back from JSON as something else",
                         "use lists, and strings for keys")  # fmt: skip


def check_state_restores(case: TaskCase) -> None:
    """A task that loads what another one learned reads the data as that one does."""
    task, data = case.prepared
    restored = case.restored()
    if restored.state_dict() != task.state_dict():
        raise CheckError("state_dict() differs after load_state_dict()")
    before = restored.state_dict()
    again = case.prepare(restored, fit=False)
    if restored.state_dict() != before:
        raise CheckError("prepare(fit=False) learns from the data",
                         "learn only where fit is true")  # fmt: skip
    for name in ("validation", "test"):
        if name in again.splits and data.splits[name].num_examples:
            expect_equal_batches(
                data.splits[name].eval_batches(), again.splits[name].eval_batches(),
                f"the {name} split differs for a task that was restored",
            )  # fmt: skip


def check_load_refuses(case: TaskCase) -> None:
    """load_state_dict() refuses what is not of its form."""
    task, _ = case.prepared
    state = task.state_dict()
    if not state:
        raise CheckSkipped("it learns nothing")
    for name in state:
        rest = {key: value for key, value in state.items() if key != name}
        broken = {**rest, name: {"not": ["of", "this", "form"]}}
        try:
            case.build().load_state_dict(broken)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            return
    raise CheckError("load_state_dict() takes anything", "raise ValueError for a wrong form")
