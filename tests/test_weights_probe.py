"""The probe: a batch in the weights file, and the outputs that the network must give for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_task import Toy, ToyOptions
from weights_reader import forge, parse, train_all

import zoo
from zoo.errors import WeightsError
from zoo.interfaces import Batch
from zoo.registry import Registry
from zoo.weights import file as weights_file
from zoo.weights import loading, probe


@pytest.fixture(scope="module")
def runs(
    train_here: Callable[..., zoo.Run], text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    return train_all(train_here, tmp_path_factory.mktemp("weights"), text_file)


@pytest.fixture
def path(runs: dict[str, Path]) -> Path:
    return runs["char-lm/lstm"]


def verify(path: Path, registry: Registry) -> float:
    weights = weights_file.read(path)
    _, task, network = loading.build(weights, registry)
    return probe.verify(weights, task, network)


def test_the_probe_agrees_with_the_weights(runs: dict[str, Path], registry: Registry) -> None:
    for path in runs.values():
        assert verify(path, registry) < 1e-6
        assert zoo.load(path).verify() < 1e-6


def test_the_probe_detects_changed_weights(path: Path, registry: Registry, tmp_path: Path) -> None:
    header, tensors = parse(path)
    dtype, shape, data = tensors["rnn.weight_hh_l0"]
    values = torch.frombuffer(bytearray(data), dtype=torch.float32) + 0.01
    changed = {**tensors, "rnn.weight_hh_l0": (dtype, shape, values.numpy().tobytes())}
    with pytest.raises(WeightsError, match=r"probe does not agree.*outputs differ by 0\.0"):
        verify(forge(tmp_path / "w", header, changed), registry)


@pytest.mark.parametrize(
    "outputs", [[[0.0]], "none", [["a"]], [[float("nan")]], [[[[1e999]]]], [], None]
)
def test_outputs_that_cannot_be_compared_are_refused(
    outputs: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    changed = {**header, "probe": {**header["probe"], "outputs": outputs}}
    with pytest.raises(WeightsError, match=r"probe|is not a finite number"):
        verify(forge(tmp_path / "w", changed, tensors), registry)


@pytest.mark.parametrize(
    "batch",
    [
        {}, {"lengths": [99, 99]}, {"lengths": [1]}, {"inputs": [["a"]]},
        {"inputs": [[1], [2, 3]]}, {"inputs": 1}, {"inputs": [[10**6] * 20] * 2}, {"extra": [1]},
        None, [], "batch",
    ],
    ids=range(11),
)  # fmt: skip
def test_a_batch_that_cannot_be_computed_is_refused(
    batch: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    if isinstance(batch, dict) and batch:
        batch = {**header["probe"]["batch"], **batch}
    changed = {**header, "probe": {**header["probe"], "batch": batch}}
    with pytest.raises(WeightsError, match="probe") as failed:
        verify(forge(tmp_path / "w", changed, tensors), registry)
    assert "\n" not in str(failed.value)


# What a probe needs of a header.
PART: dict[str, Any] = {"options": {}}
HEADER = {"run": {"task": PART, "model": PART, "submodels": {}}, "task_state": {}}


@dataclass(frozen=True)
class MaskedBatch(Batch):
    """A batch with a further tensor."""

    mask: Tensor | None = None


class Masked(Toy):
    """The toy task with a further field in its batches."""

    def probe(self) -> Batch:
        plain = super().probe()
        mask = torch.tensor([[True, False, True, True], [True, True, False, False]])
        return MaskedBatch(plain.inputs, plain.lengths, plain.targets, mask=mask)

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(batch, MaskedBatch)
        assert batch.mask is not None
        return batch.inputs[:, :, 0] * batch.mask


def test_further_fields_of_a_batch_are_stored_and_used() -> None:
    task, network = Masked(ToyOptions()), nn.Linear(1, 1)
    made = probe.make(network, task, HEADER)
    del made["sha256"]  # As in a file of an earlier version, which is checked by its probe alone.
    assert made["batch"]["mask"][0] == [True, False, True, True]
    made["batch"]["mask"][0][0] = False
    header = {"probe": made, "dtype": "float32"}
    weights = weights_file.Weights(Path("w"), header, {}, {})
    with pytest.raises(WeightsError, match="outputs differ by 1;"):
        probe.verify(weights, task, network)


class Constant(Toy):
    """The toy task whose probe gives zeros."""

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        return torch.zeros(len(batch))


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-4), ("float16", 1e-2)])
def test_the_tolerance_follows_the_dtype_of_the_file(dtype: str, allowed: float) -> None:
    task, network = Constant(ToyOptions()), nn.Linear(1, 1)
    batch = probe.make(network, task, HEADER)["batch"]

    def verified(difference: float) -> float:
        header = {"probe": {"batch": batch, "outputs": [0.0, difference]}, "dtype": dtype}
        return probe.verify(weights_file.Weights(Path("w"), header, {}, {}), task, network)

    assert verified(0.9 * allowed) == pytest.approx(0.9 * allowed)
    with pytest.raises(WeightsError, match="outputs differ"):
        verified(1.1 * allowed)
