"""The compiled layers against torch's own over packed sequences, at sizes where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.profiler import ProfilerActivity, profile

from zoo.nn import reverse_padded

pytest.importorskip("numba")
from zoo_recurrent.kernels import run_layer

LAYERS: dict[str, Callable[..., nn.RNNBase]] = {"RNN_TANH": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
# Rows, steps, inputs, units: less than a tile, more than one, just one; many groups; one row.
SIZES = [(1, 1, 1, 1), (5, 9, 3, 20), (70, 12, 33, 40), (9, 40, 31, 32), (3, 300, 32, 33)]
CLOSE: dict[str, Any] = {"atol": 2e-6, "rtol": 2e-5}


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Case:
    """A layer, rows, and a loss that depends on all of its results."""

    def __init__(
        self, mode: str, batch_size: int, num_steps: int, input_size: int, hidden_size: int
    ) -> None:
        torch.manual_seed(batch_size + hidden_size)
        self.mode, self.layer = mode, LAYERS[mode](input_size, hidden_size, batch_first=True)
        self.lengths = torch.randint(1, num_steps + 1, (batch_size,))
        self.token_ids = torch.randint(input_size, (batch_size, num_steps))
        self.inputs = torch.randn(batch_size, num_steps, input_size, requires_grad=True)
        self.state = tuple(
            torch.randn(batch_size, hidden_size, requires_grad=True)
            for _ in range(2 if mode == "LSTM" else 1)
        )
        outputs = torch.randn(batch_size, num_steps, hidden_size)
        self.loss_weights = [outputs, *map(torch.randn_like, self.state)]

    @property
    def weights(self) -> list[Tensor]:
        return list(self.layer.parameters())

    def run(self, inputs: Tensor, **settings: Any) -> list[Tensor]:
        settings = {"reverse": False, **settings}
        outputs, end = run_layer(
            self.mode, inputs, self.lengths, self.state, self.weights, **settings
        )
        return [outputs, *end]

    def run_packed(self, inputs: Tensor, *, reverse: bool = False) -> list[Tensor]:
        if reverse:
            inputs = reverse_padded(inputs, self.lengths)
        rows = pack_padded_sequence(inputs, self.lengths, batch_first=True, enforce_sorted=False)
        state = tuple(part[None] for part in self.state)
        packed, end = self.layer(rows, state if self.mode == "LSTM" else state[0])
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        if reverse:
            outputs = reverse_padded(outputs, self.lengths)
        return [outputs, *(part[0] for part in (end if self.mode == "LSTM" else (end,)))]

    def gradients(self, results: list[Tensor], wrt: list[Tensor]) -> list[Tensor]:
        loss = torch.stack(
            [(a * b).mean() for a, b in zip(results, self.loss_weights, strict=True)]
        ).sum()
        return list(torch.autograd.grad(loss, wrt))


def all_equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("mode", LAYERS)
def test_results_and_gradients_equal_those_of_packed_sequences(
    mode: str, sizes: tuple[int, int, int, int], reverse: bool, threads: int
) -> None:
    case = Case(mode, *sizes)
    wrt = [case.inputs, *case.state, *case.weights]
    found = case.run(case.inputs, reverse=reverse)
    expected = case.run_packed(case.inputs, reverse=reverse)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(case.gradients(found, wrt), case.gradients(expected, wrt), **CLOSE)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("mode", LAYERS)
def test_token_ids_are_one_hot_vectors(
    mode: str, sizes: tuple[int, int, int, int], threads: int
) -> None:
    case = Case(mode, *sizes)
    wrt = [*case.state, *case.weights]
    vectors = nn.functional.one_hot(case.token_ids, sizes[2]).float()
    found, expected = case.run(case.token_ids), case.run_packed(vectors)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(case.gradients(found, wrt), case.gradients(expected, wrt), **CLOSE)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", LAYERS)
def test_token_ids_are_rows_of_an_embedding(mode: str, reverse: bool, grad: bool) -> None:
    case = Case(mode, 70, 12, 33, 40)
    embedding = torch.randn(50, 33, requires_grad=True)
    token_ids = torch.randint(50, (70, 12), dtype=torch.int32)
    with torch.set_grad_enabled(grad):
        expected = case.run(embedding[token_ids], reverse=reverse)
        found = case.run(token_ids, reverse=reverse, embedding=embedding)
    assert all_equal(found, expected)
    if grad:
        gradients, plain = (case.gradients(way, [embedding]) for way in (found, expected))
        torch.testing.assert_close(gradients, plain, **CLOSE)


@pytest.mark.parametrize("mode", LAYERS)
def test_the_state_is_the_same_without_outputs(mode: str) -> None:
    case = Case(mode, 70, 12, 33, 40)
    wrt = [case.inputs, *case.state, *case.weights]
    _, *expected = case.run(case.inputs)
    outputs, *found = case.run(case.inputs, return_outputs=False)
    assert not outputs.numel()
    assert all_equal(found, expected)
    case.loss_weights = case.loss_weights[1:]
    assert all_equal(case.gradients(found, wrt), case.gradients(expected, wrt))


@pytest.mark.parametrize("mode", LAYERS)
def test_steps_are_saved_only_for_gradients(mode: str) -> None:
    peaks = []
    for grad in (True, False):
        case = Case(mode, 8, 200, 3, 32)
        with (
            torch.set_grad_enabled(grad),
            profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled,
        ):
            case.run(case.inputs, return_outputs=False)
        peaks.append(max(event.cpu_memory_usage for event in profiled.events()))
    saved, not_saved = peaks
    assert not_saved < saved / 10


def test_saved_steps_take_no_more_room_than_was_read() -> None:
    case = Case("LSTM", 640, 500, 1, 32)
    case.lengths = torch.full((640,), 5)
    case.lengths[7] = 500
    sizes: list[int] = []

    def note_size(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note_size, lambda tensor: tensor):
        case.run(case.inputs)
    # Groups have 32 rows, so a long row takes the room of 32, and of no more.
    assert max(sizes) <= (32 * 501 + 608 * 6) * 6 * 32


@pytest.mark.parametrize("used", ["outputs", "state"])
@pytest.mark.parametrize("mode", LAYERS)
def test_unused_results_do_not_change_gradients(mode: str, used: str) -> None:
    case = Case(mode, 5, 9, 3, 20)
    chosen = slice(0, 1) if used == "outputs" else slice(1, None)
    found, expected = (
        torch.autograd.grad(
            torch.stack([part.sum() for part in way(case.inputs)[chosen]]).sum(), case.inputs
        )
        for way in (case.run, case.run_packed)
    )
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("mode", LAYERS)
def test_threads_other_rows_and_saving_do_not_change_a_bit(mode: str, threads: int) -> None:
    case = Case(mode, 70, 12, 33, 40)
    expected = case.run(case.inputs)
    torch.set_num_threads(1)
    with torch.no_grad():
        assert all_equal(case.run(case.inputs), expected)
        case.lengths, case.state = case.lengths[60:], tuple(part[60:] for part in case.state)
        assert all_equal(case.run(case.inputs[60:]), [part[60:] for part in expected])


def test_gradients_are_the_same_bits_each_time(threads: int) -> None:
    case = Case("LSTM", 70, 12, 33, 40)
    first, again = (case.gradients(case.run(case.inputs), case.weights) for _ in range(2))
    assert all_equal(first, again)


@pytest.mark.parametrize("mode", LAYERS)
def test_a_row_without_steps_keeps_its_state(mode: str) -> None:
    case = Case(mode, 5, 9, 3, 20)
    case.lengths[2] = 0
    outputs, *end = case.run(case.inputs)
    assert not outputs[2].any()
    for part, initial in zip(end, case.state, strict=True):
        assert torch.equal(part[2], initial[2])
        (gradient,) = torch.autograd.grad(part.sum(), initial, retain_graph=True)
        assert (gradient[2] == 1).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("mode", LAYERS)
def test_extreme_inputs_give_what_they_give_in_torch(mode: str, value: float) -> None:
    case = Case(mode, 5, 9, 3, 20)
    inputs = case.inputs.detach().clone()
    inputs[1, 0, 0] = value
    found, expected = case.run(inputs)[0], case.run_packed(inputs)[0]
    torch.testing.assert_close(found, expected, equal_nan=True, **CLOSE)


def test_tanh_of_small_numbers_is_exact_to_the_last_bits() -> None:
    inputs = torch.cat((torch.logspace(-30, 2, 3000), -torch.logspace(-30, 2, 3000)))
    weights = [torch.tensor(part) for part in ([[1.0]], [[0.0]], [0.0], [0.0])]
    outputs, _ = run_layer(
        "RNN_TANH", inputs.view(-1, 1, 1), torch.ones(6000, dtype=torch.long),
        (torch.zeros(6000, 1),), weights, reverse=False,
    )  # fmt: skip
    expected = inputs.double().tanh().float()
    torch.testing.assert_close(outputs.view(-1), expected, rtol=4e-7, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([10, 1, 1, 1, 1])}, "lengths"),
        ({"lengths": torch.tensor([-1, 1, 1, 1, 1])}, "lengths"),
        ({"lengths": torch.tensor([1, 1])}, "lengths"),
        ({"lengths": torch.ones(5)}, "lengths"),
        ({"inputs": torch.full((5, 9), 3)}, "token id"),
        ({"inputs": torch.full((5, 9), -1)}, "token id"),
        ({"inputs": torch.zeros(5, 9, 4)}, "inputs"),
        ({"inputs": torch.zeros(5, 9, 3, dtype=torch.long)}, "inputs"),
        ({"inputs": torch.zeros(0, 9, 3)}, "no rows"),
        ({"inputs": torch.zeros(5, 0, 3)}, "no steps"),
        ({"inputs": torch.zeros(5, 9, 3, dtype=torch.float64)}, "float32"),
        ({"state": (torch.zeros(5, 20), torch.zeros(5, 19))}, "state"),
        ({"state": (torch.zeros(5, 20),)}, "state"),
        ({"state": (torch.zeros(5, 20), torch.zeros(5, 20).double())}, "float32"),
        ({"weights": list(nn.RNN(3, 20).parameters())}, "weights"),
        ({"weights": list(nn.LSTM(3, 20).double().parameters())}, "float32"),
        ({"mode": "GRU"}, "weights"),
        (
            {
                "weights": [torch.zeros(80, 0), torch.zeros(80, 20), *torch.zeros(2, 80)],
                "inputs": torch.zeros(5, 9, 0),
            },
            "size is 0",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    case = Case("LSTM", 5, 9, 3, 20)
    arguments = {
        "mode": "LSTM", "inputs": case.inputs, "lengths": case.lengths, "state": case.state,
        "weights": case.weights, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        run_layer(**arguments, reverse=False)


def test_the_default_type_of_torch_changes_nothing() -> None:
    case = Case("LSTM", 5, 9, 3, 20)
    expected = case.gradients(case.run(case.inputs), case.weights)
    torch.set_default_dtype(torch.float64)
    try:
        found = case.gradients(case.run(case.inputs), case.weights)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all_equal(found, expected)


def test_lengths_may_have_any_integer_type_and_stride() -> None:
    case = Case("GRU", 5, 9, 3, 20)
    expected = case.run(case.inputs)
    case.lengths = case.lengths.int().repeat_interleave(2)[::2]
    assert all_equal(case.run(case.inputs), expected)
