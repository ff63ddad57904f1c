"""Mixed precision on the CPU: bfloat16 products against float32 layers, and who gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sum_task import Recorder, equal
from test_recurrent_exactness import (
    BIDIRECTIONAL,
    CAUSAL,
    INPUT,
    LENGTHS,
    OUTPUT_RECURRENCES,
    SAME,
    create,
    make_inputs,
    weighted_loss,
)
from test_trainer import SMALL, Train
from torch import Tensor, nn

from zoo.engine.precision import is_mixed
from zoo.errors import ZooWarning
from zoo.nn import dropout
from zoo.spec import TrainingOptions

CAPABILITIES = "torch.cpu.get_capabilities"


def results(model: nn.Module, inputs: Tensor, lengths: Tensor, *, mixed: bool) -> list[Tensor]:
    """Return outputs, states and the gradients of inputs and parameters."""
    model.zero_grad()
    inputs = inputs.clone().requires_grad_(inputs.is_floating_point())
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        outputs, states = model(inputs, lengths)
    outputs, states = outputs.float(), [part.float() for part in states]
    weighted_loss(outputs, states).backward()
    gradients = [part.grad for part in (inputs, *model.parameters()) if part.grad is not None]
    return [part.detach() for part in (outputs, *states, *gradients)]


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_outputs_states_and_gradients_are_as_exact_as_bfloat16(name: str) -> None:
    """bfloat16 has 8 significant bits: a value is rounded by up to 1/256."""
    model = create(name, num_layers=2)
    lengths = LENGTHS.clone()
    lengths[1] = 0
    exact = results(model, make_inputs(), lengths, mixed=False)
    mixed = results(model, make_inputs(), lengths, mixed=True)
    assert len(mixed) == len(exact)
    assert max(map(error, mixed, exact)) < 0.02
    assert not torch.equal(mixed[0], exact[0])
    assert (mixed[0][1] == 0).all()


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_rows_without_padding_are_as_exact_as_bfloat16(name: str) -> None:
    """They have a way of their own in LSTMs."""
    model, lengths = create(name, num_layers=2), torch.full_like(LENGTHS, 12)
    exact = results(model, make_inputs(), lengths, mixed=False)
    mixed = results(model, make_inputs(), lengths, mixed=True)
    assert max(map(error, mixed, exact)) < 0.02
    assert not torch.equal(mixed[0], exact[0])


@pytest.mark.parametrize("limit", [0, 1 << 20])
@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_one_hot_tokens_are_as_exact_as_bfloat16(
    name: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that are large are not written out."""
    mixed_layer = pytest.importorskip("zoo_recurrent.kernels.mixed_layer")
    monkeypatch.setattr(mixed_layer, "MAX_ONE_HOT", limit)
    torch.manual_seed(3)
    model, tokens = create(name), torch.randint(INPUT, (len(LENGTHS), 12))
    exact = results(model, tokens, LENGTHS, mixed=False)
    mixed = results(model, tokens, LENGTHS, mixed=True)
    assert max(map(error, mixed, exact)) < 0.02


def test_values_are_rounded_as_torch_rounds_them() -> None:
    """The hidden state of an RNN without weights is tanh(b), rounded for the next product."""
    numba: Any = pytest.importorskip("numba")
    from zoo_recurrent.kernels.mixed_steps import to_bfloat16, to_float

    def convert(values: Any, halves: Any, back: Any) -> None:
        for n in range(values.size):
            halves[n] = to_bfloat16(values[n])
            back[n] = to_float(halves[n])

    special = [0.0, -0.0, 1.0, 1.00390625, 1.01171875, np.inf, -np.inf, np.nan, 3.4e38, 1e-42]
    random = np.random.default_rng(0).standard_normal(1000)
    values = np.array([*special, *random], np.float32)
    halves, back = np.empty(values.size, np.uint16), np.empty_like(values)
    numba.njit(convert)(values, halves, back)
    expected = torch.from_numpy(values).bfloat16()
    np.testing.assert_array_equal(back, expected.float().numpy())
    torch.testing.assert_close(
        torch.from_numpy(halves).view(torch.bfloat16), expected, atol=0, rtol=0, equal_nan=True
    )


def test_what_is_computed_without_gradients_is_float32() -> None:
    model = create("lstm")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs, _ = model(make_inputs(), LENGTHS)
    exact = results(model, make_inputs(), LENGTHS, mixed=False)[0]
    torch.testing.assert_close(outputs, exact, atol=SAME, rtol=0)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.37, 1e-6, 1 - 1e-6, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_zeroes_with_its_probability(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    values = torch.ones(7, 143, 1001, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        dropped = dropout(values, probability, True)
        assert dropout(values, probability, False) is values
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    torch.testing.assert_close(gradient, dropped)
    assert dropped.dtype == dtype
    kept = dropped != 0
    expected = 1 - probability
    deviation = (expected * probability / values.numel()) ** 0.5
    assert abs(float(kept.double().mean()) - expected) < 4 * deviation + 2**-16
    if 0 < probability < 0.5:
        scaled = torch.full_like(dropped[kept], 1 / expected)
        torch.testing.assert_close(dropped[kept], scaled, atol=0, rtol=2**-8)
    # Neighbours are drawn independently of each other: no value shares bits with another one.
    flat = kept.flatten().double() - kept.double().mean()
    for distance in (1, 2, 3, 4):
        both = float((flat[:-distance] * flat[distance:]).mean())
        assert abs(both) < 5 * expected * probability / values.numel() ** 0.5 + 1e-9


def test_dropout_draws_as_torch_does_outside_of_mixed_precision() -> None:
    values = torch.randn(5, 9, 31)
    drawn = []
    for function in (dropout, nn.functional.dropout):
        torch.manual_seed(2)
        drawn.append(function(values, 0.3, True))
    torch.testing.assert_close(drawn[0], drawn[1], atol=0, rtol=0)


def test_second_derivatives_are_refused() -> None:
    inputs = make_inputs().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = create("gru")(inputs, LENGTHS)
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(outputs.sum(), inputs, create_graph=True)


@pytest.mark.parametrize(
    ("precision", "device", "has_amx", "mixed"),
    [
        ("float32", "cpu", True, False),
        ("bfloat16", "cpu", True, True),
        ("float32", "cuda", False, False),
        ("bfloat16", "cuda", False, True),
    ],
)
def test_where_training_is_mixed(
    precision: str, device: str, has_amx: bool, mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CAPABILITIES, lambda: {"amx_bf16": has_amx}, raising=False)
    assert is_mixed(TrainingOptions(precision=precision), torch.device(device)) == mixed


@pytest.mark.parametrize("known", [True, False])
def test_a_processor_without_amx_trains_in_float32_and_says_so(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        monkeypatch.setattr(CAPABILITIES, lambda: {"amx_bf16": False}, raising=False)
    else:
        monkeypatch.delattr(CAPABILITIES, raising=False)
    with pytest.warns(ZooWarning, match="precision=bfloat16 is trained in float32 here"):
        assert not is_mixed(TrainingOptions(precision="bfloat16"), torch.device("cpu"))


class DtypeRecorder(Recorder):
    """Keeps the dtypes that the last linear layer returns in training, too."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def on_train_begin(self, trainer: Any) -> None:
        super().on_train_begin(trainer)
        trainer.network.fc.register_forward_hook(self._note)

    def _note(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if module.training:
            self.dtypes.add(output.dtype)


def test_a_training_computes_in_bfloat16_and_keeps_float32_weights(
    train_here: Train, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CAPABILITIES, lambda: {"amx_bf16": True}, raising=False)
    after: dict[str, dict[str, Tensor]] = {}
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        recorder = DtypeRecorder()
        train_here(
            "char-lm/lstm", tmp_path / precision, "steps=4", "learning_rate=0.01",
            f"precision={precision}", *SMALL, data=text_file, callbacks=[recorder],
        )  # fmt: skip
        after[precision] = recorder.parameters[-1]
        assert recorder.dtypes == {dtype}
    for name, exact in after["float32"].items():
        mixed = after["bfloat16"][name]
        assert mixed.dtype == torch.float32
        torch.testing.assert_close(mixed, exact, atol=0.03, rtol=0)
    assert not equal(after["float32"], after["bfloat16"])
