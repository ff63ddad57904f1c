"""The output recurrences equal their equations, stacked, padded and continued."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo

NAMES = ("rnn-oh", "rnn-oo")
LENGTHS = torch.tensor([6, 1, 4])


def create(name: str, layers: int) -> Any:
    torch.manual_seed(3)
    return zoo.create_model(name, 3, hidden_size=5, output_size=4, num_layers=layers).double()


def compute_by_hand(name: str, network: nn.Module, row: np.ndarray) -> np.ndarray:
    """Compute outputs of one row (T, I) step by step."""
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
def test_outputs_equal_the_equations(name: str, layers: int) -> None:
    network = create(name, layers)
    inputs = torch.randn(3, 8, 3, dtype=torch.float64)
    outputs, (state,) = network(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = compute_by_hand(name, network, inputs[row, :length].numpy())
        np.testing.assert_allclose(outputs[row, :length].detach(), expected, atol=1e-12)
        np.testing.assert_allclose(state[-1, row].detach(), expected[-1], atol=1e-12)
        assert not outputs[row, length:].any()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_returned_state_continues_the_sequence(name: str, layers: int) -> None:
    network = create(name, layers)
    inputs = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, _ = network(inputs, torch.tensor([9, 9]))
    first, state = network(inputs[:, :4], torch.tensor([4, 4]))
    second, _ = network(inputs[:, 4:], torch.tensor([5, 5]), state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_change_a_row(name: str) -> None:
    network = create(name, 2)
    inputs = torch.randn(3, 8, 3, dtype=torch.float64)
    outputs, (state,) = network(inputs, LENGTHS)
    inputs[1, 1:] = 1e6
    again, (state_again,) = network(inputs, LENGTHS)
    torch.testing.assert_close(again, outputs)
    torch.testing.assert_close(state_again, state)


@pytest.mark.parametrize("name", NAMES)
def test_the_recurrent_weights_are_those_of_the_name(name: str) -> None:
    names = {key for key, _ in create(name, 1).named_parameters()}
    assert ("weight_oh_l0" in names) == (name == "rnn-oh")
    assert ("weight_oo_l0" in names) == (name == "rnn-oo")


@pytest.mark.parametrize("name", NAMES)
def test_columns_of_one_hot_vectors_are_looked_up(name: str) -> None:
    network = create(name, 2)
    token_ids = torch.randint(3, (3, 8))
    vectors = nn.functional.one_hot(token_ids, 3).double()
    results, gradients = [], []
    for outputs, state in (
        network(vectors, LENGTHS),
        network.forward_embedded(None, token_ids, LENGTHS),
        network.forward_embedded(torch.eye(3).double(), token_ids, LENGTHS),
    ):
        results.append([outputs, *state])
        loss = outputs.square().sum() + state[0].sum()
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    for result, gradient in zip(results[1:], gradients[1:], strict=True):
        torch.testing.assert_close(result, results[0])
        torch.testing.assert_close(gradient, gradients[0])


@pytest.mark.parametrize("name", NAMES)
def test_decoding_steps_equal_the_forward_pass(name: str) -> None:
    network = create(name, 2)
    token_ids = torch.randint(3, (4, 6))
    expected, end = network.forward_embedded(None, token_ids, torch.full((4,), 6))
    step, state = network.decode_step(None), None
    outputs = []
    for ids in token_ids.unbind(1):
        output, state = step(ids, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, dim=1), expected)
    torch.testing.assert_close(state, end)
