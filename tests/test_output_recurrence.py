"""The output recurrences equal their equations, stacked, padded and continued."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import zoo

NAMES = ("rnn-oh", "rnn-oo")
LENGTHS = torch.tensor([6, 1, 4])


def model(name: str, layers: int) -> nn.Module:
    torch.manual_seed(3)
    return zoo.create_model(name, 3, hidden_size=5, output_size=4, num_layers=layers).double()


def by_hand(name: str, network: nn.Module, row: np.ndarray) -> np.ndarray:
    """Go through one row (T, I) a step at a time, as the equations say."""
    weights = {key: value.detach().numpy() for key, value in network.named_parameters()}
    for layer in range(2 if "bias_o_l1" in weights else 1):
        part = {key.removesuffix(f"_l{layer}"): w for key, w in weights.items()}
        output = np.zeros(4)
        outputs = []
        for x in row:
            net = part["weight_xh"] @ x + part["bias_h"]
            if name == "rnn-oh":
                hidden = np.tanh(net + part["weight_oh"] @ output)
                output = np.tanh(part["weight_ho"] @ hidden + part["bias_o"])
            else:
                back = part["weight_oo"] @ output
                output = np.tanh(part["weight_ho"] @ np.tanh(net) + back + part["bias_o"])
            outputs.append(output)
        row = np.array(outputs)
    return row


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_what_the_equations_give(name: str, layers: int) -> None:
    network = model(name, layers)
    inputs = torch.randn(3, 8, 3, dtype=torch.float64)
    outputs, (state,) = network(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = by_hand(name, network, inputs[row, :length].numpy())
        np.testing.assert_allclose(outputs[row, :length].detach(), expected, atol=1e-12)
        np.testing.assert_allclose(state[-1, row].detach(), expected[-1], atol=1e-12)
        assert not outputs[row, length:].any()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_state_fed_back_continues_the_sequence(name: str, layers: int) -> None:
    network = model(name, layers)
    inputs = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, _ = network(inputs, torch.tensor([9, 9]))
    first, state = network(inputs[:, :4], torch.tensor([4, 4]))
    second, _ = network(inputs[:, 4:], torch.tensor([5, 5]), state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_the_padding_changes_nothing(name: str) -> None:
    network = model(name, 2)
    inputs = torch.randn(3, 8, 3, dtype=torch.float64)
    outputs, (state,) = network(inputs, LENGTHS)
    inputs[1, 1:] = 1e6
    again, (state_again,) = network(inputs, LENGTHS)
    torch.testing.assert_close(again, outputs)
    torch.testing.assert_close(state_again, state)


@pytest.mark.parametrize("name", NAMES)
def test_the_edge_is_where_the_name_says(name: str) -> None:
    names = {key for key, _ in model(name, 1).named_parameters()}
    assert ("weight_oh_l0" in names) == (name == "rnn-oh")
    assert ("weight_oo_l0" in names) == (name == "rnn-oo")
