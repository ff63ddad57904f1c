"""Every cell against its equations, written out in NumPy in float64, one step at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

import zoo

Array = npt.NDArray[np.float64]
LENGTHS = [6, 1, 4]
INPUT, HIDDEN, OUTPUT = 3, 4, 5


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def rnn(x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    return [np.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ state[0] + w["bias_hh"])]


def lstm(x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    h, c = state
    gates = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru(x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    (h,) = state
    xr, xz, xn = np.split(w["weight_ih"] @ x + w["bias_ih"], 3)
    hr, hz, hn = np.split(w["weight_hh"] @ h + w["bias_hh"], 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return [(1 - z) * n + z * h]


def output_to_hidden(x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    h = np.tanh(w["weight_xh"] @ x + w["weight_oh"] @ state[0] + w["bias_h"])
    return [np.tanh(w["weight_ho"] @ h + w["bias_o"])]


def output_to_output(x: Array, state: list[Array], w: dict[str, Array]) -> list[Array]:
    h = np.tanh(w["weight_xh"] @ x + w["bias_h"])
    return [np.tanh(w["weight_ho"] @ h + w["weight_oo"] @ state[0] + w["bias_o"])]


CELLS: dict[str, Callable[[Array, list[Array], dict[str, Array]], list[Array]]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "birnn": rnn,
    "bilstm": lstm,
    "bigru": gru,
    "rnn-oh": output_to_hidden,
    "rnn-oo": output_to_output,
}


def compute_by_hand(
    name: str, weights: dict[str, Array], row: Array, states: list[Array], layers: int
) -> tuple[Array, list[Array]]:
    """Outputs (T, F) of one row, and the state tensors (layers * directions, H) at its end."""
    directions = 2 if name.startswith("bi") else 1
    ends: list[list[Array]] = []
    values = row
    for layer in range(layers):
        outputs_of_directions = []
        for direction in range(directions):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            part = {
                key.removesuffix(suffix): value
                for key, value in weights.items()
                if key.endswith(suffix)
            }
            state = [part[layer * directions + direction] for part in states]
            outputs = []
            for x in values[::-1] if direction else values:
                state = CELLS[name](x, state, part)
                outputs.append(state[0])
            outputs_of_directions.append(np.array(outputs[::-1] if direction else outputs))
            ends.append(state)
        values = np.concatenate(outputs_of_directions, axis=1)
    return values, [np.array(parts) for parts in zip(*ends, strict=True)]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
def test_every_step_equals_the_equations(name: str, layers: int) -> None:
    torch.manual_seed(3)
    options = {"output_size": OUTPUT} if name.startswith("rnn-") else {}
    model = zoo.create_model(name, INPUT, hidden_size=HIDDEN, num_layers=layers, **options).double()
    directions = 2 if name.startswith("bi") else 1
    shape = (layers * directions, len(LENGTHS), OUTPUT if options else HIDDEN)
    start = tuple(torch.randn(shape).double() for _ in range(2 if "lstm" in name else 1))
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), INPUT).double()
    with torch.no_grad():
        outputs, end = model(inputs, torch.tensor(LENGTHS), start)

    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    for row, length in enumerate(LENGTHS):
        expected, state = compute_by_hand(
            name, weights, inputs[row, :length].numpy(), [s[:, row].numpy() for s in start], layers
        )
        np.testing.assert_allclose(outputs[row, :length].numpy(), expected, atol=1e-12)
        for part, expected_state in zip(end, state, strict=True):
            np.testing.assert_allclose(part[:, row].numpy(), expected_state, atol=1e-12)


def test_the_example_of_the_book() -> None:
    torch.manual_seed(1)
    model = zoo.create_model("rnn", 5, hidden_size=2)
    inputs = torch.tensor([[[1.0] * 5, [2.0] * 5, [3.0] * 5]])
    with torch.no_grad():
        outputs, _ = model(inputs, torch.tensor([3]))
    printed = [(-0.3520, 0.5253), (-0.6842, 0.7607), (-0.8649, 0.9047)]
    np.testing.assert_allclose(outputs[0].numpy(), printed, atol=5e-5)
