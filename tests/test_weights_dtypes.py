"""Tensors of every dtype in a weights file: only floating-point ones are converted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from toy_task import TOY
from weights_reader import digest, forge, parse

import zoo
from zoo import installed
from zoo.errors import WeightsError
from zoo.interfaces import State
from zoo.nn import gather_last
from zoo.weights.file import write
from zoo.weights.tensors import restored, stored


@dataclass(frozen=True)
class MixedOptions(zoo.Options):
    """No options."""


class Mixed(nn.Module):
    """A linear model with parameters and buffers of many dtypes."""

    def __init__(self, input_size: int, options: MixedOptions) -> None:
        super().__init__()
        self.options = options
        self.input_size, self.output_size = input_size, 3
        self.linear = nn.Linear(input_size, 3)
        # A complex state matrix, as of S4 or LRU; its phase acts on the outputs.
        self.eigenvalues = nn.Parameter(torch.polar(torch.ones(3), torch.tensor([0.1, 0.2, 0.3])))
        self.register_buffer("steps", torch.tensor(2**40 + 1))
        self.register_buffer("order", torch.tensor([2, 0, 1], dtype=torch.int32))
        self.register_buffer("codes", torch.tensor([-128, 127, 0], dtype=torch.int8))
        self.register_buffer("kept", torch.tensor([True, False, True]))
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("small", torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16))
        self.register_buffer("bytes", torch.tensor([0, 255], dtype=torch.uint8))
        self.register_buffer("precise", torch.tensor([1 / 3, 1e300], dtype=torch.float64))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        there = torch.arange(inputs.shape[1]) < lengths[:, None]
        outputs = self.linear(inputs) * self.eigenvalues.imag * there[..., None]
        return outputs, (gather_last(outputs, lengths)[None],)


EXACT = {
    "rnn.eigenvalues": ("C64", [3]), "rnn.steps": ("I64", []), "rnn.order": ("I32", [3]),
    "rnn.codes": ("I8", [3]), "rnn.kept": ("BOOL", [3]), "rnn.small": ("I16", [2]),
    "rnn.bytes": ("U8", [2]), "rnn.precise": ("F64", [2]),
}  # fmt: skip


@pytest.fixture
def model(train_here: Callable[..., zoo.Run], tmp_path: Path) -> Iterator[zoo.TrainedModel]:
    installed.forget()
    zoo.register(
        TOY,
        zoo.ModelInfo(name="mixed", summary="", target=Mixed, causal=True, options=MixedOptions),
    )
    yield train_here("toy/mixed", tmp_path / "run", "steps=3", "learning_rate=0.1").model
    installed.forget()


@pytest.mark.parametrize(
    ("dtype", "stored"), [("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16")]
)
def test_only_floating_point_tensors_are_converted(
    dtype: str, stored: str, model: zoo.TrainedModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "w", dtype=dtype)
    header, tensors = parse(tmp_path / "w")
    assert header["digest"] == digest(header, tensors)
    state = model.module.state_dict()
    for name, (found, shape, data) in tensors.items():
        assert (found, shape) == EXACT.get(name, (stored, list(state[name].shape)))
        if name in EXACT:
            assert data == bytes(state[name].reshape(-1).view(torch.uint8).tolist())
    again = zoo.load(tmp_path / "w").module.state_dict()
    for name, tensor in state.items():
        assert again[name].dtype == tensor.dtype
        if name in EXACT or dtype == "float32":
            assert torch.equal(again[name], tensor)


def test_an_integer_is_not_rounded_to_the_precision_of_float(
    model: zoo.TrainedModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "w", dtype="float16")
    rnn: Any = zoo.load(tmp_path / "w").module.rnn
    assert rnn.steps.item() == 2**40 + 1


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1 / 3 - 1e300j, 2], dtype=torch.complex128),  # safetensors lacks it.
        torch.tensor([1 + 2j]).conj(),  # A view of other memory.
        torch.tensor([1 + 2j]).conj().imag,
        torch.zeros(0, dtype=torch.complex128),
    ],
    ids=["complex128", "conjugate", "negative", "empty"],
)
def test_complex_numbers_are_stored_as_what_they_stand_for(tensor: Tensor, tmp_path: Path) -> None:
    network = nn.Module()
    network.register_buffer("values", tensor)
    write(tmp_path / "w", stored(network, "float16"), {})
    found = safetensors.torch.load_file(tmp_path / "w")["values"]
    again = restored(found, tensor.dtype)
    if tensor.is_complex():
        assert again.dtype == tensor.dtype
        assert torch.equal(again, tensor.resolve_conj())
    else:
        assert torch.equal(again.float(), tensor)


def test_a_boolean_is_one(model: zoo.TrainedModel, tmp_path: Path) -> None:
    header, tensors = parse(model.path)
    tensors["rnn.kept"] = ("BOOL", [3], b"\0\7\1")
    with pytest.raises(WeightsError, match=r"not booleans: rnn\.kept"):
        zoo.load(forge(tmp_path / "w", header, tensors))


def test_complex_parameters_are_trained_and_resumed(
    model: zoo.TrainedModel, train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    settings = ("steps=3", "learning_rate=0.1")
    train_here("toy/mixed", tmp_path / "parts", *settings, stop_after=2)
    resumed = train_here("", tmp_path / "parts", resume=True).model.module.state_dict()
    trained = model.module.state_dict()
    assert all(torch.equal(resumed[name], trained[name]) for name in trained)
    assert not torch.equal(trained["rnn.eigenvalues"].abs(), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "dtype", "size"), [("rnn.steps", "F32", 4), ("rnn.kept", "U8", 3)]
)
def test_another_dtype_than_the_network_has_is_refused(
    name: str, dtype: str, size: int, model: zoo.TrainedModel, tmp_path: Path
) -> None:
    header, tensors = parse(model.path)
    tensors[name] = (dtype, tensors[name][1], b"\0" * size)
    with pytest.raises(WeightsError, match=rf"{name} is (float32|uint8), not (int64|bool)"):
        zoo.load(forge(tmp_path / "w", header, tensors))
