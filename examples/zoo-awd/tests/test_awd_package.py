"""The model against NumPy: its penalty, its dropout, its parameter groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from zoo_awd.model import AWDLSTM
from zoo_awd.options import AWDOptions

LENGTHS = torch.tensor([7, 1, 4])


def make(**options: Any) -> AWDLSTM:
    torch.manual_seed(1)
    return AWDLSTM(5, AWDOptions(hidden_size=6, **options)).double()


def random_inputs() -> torch.Tensor:
    return torch.randn(3, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_without_dropout_it_is_a_stacked_lstm_on_rows_of_different_lengths() -> None:
    model = make(num_layers=2).eval()
    plain = torch.nn.LSTM(5, 6, num_layers=2, batch_first=True).double()
    plain.load_state_dict(
        {
            f"{name.removesuffix('_l0')}_l{number}": value
            for number, layer in enumerate(model.layers)
            for name, value in layer.state_dict().items()
        }
    )
    inputs = random_inputs()
    outputs, (h, c) = model(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS):
        expected, (end_h, end_c) = plain(inputs[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], expected[0])
        assert not outputs[row, length:].any()
        torch.testing.assert_close(h[:, row], end_h[:, 0])
        torch.testing.assert_close(c[:, row], end_c[:, 0])
    first, state = model(inputs[:, :3], torch.tensor([3, 3, 3]))
    rest, _ = model(inputs[:, 3:], torch.tensor([4, 4, 4]), state)
    whole, _ = model(inputs, torch.tensor([7, 7, 7]))
    torch.testing.assert_close(torch.cat((first, rest), dim=1), whole)


def test_penalty_equals_a_plain_loop_and_is_zero_in_evaluation() -> None:
    model = make(output_dropout=0.5, activation_penalty=2.0, difference_penalty=3.0, num_layers=1,
                 weight_dropout=0.0, input_dropout=0.0)  # fmt: skip
    outputs, _ = model.train()(random_inputs(), LENGTHS)
    penalty = model.penalty()
    assert penalty.requires_grad
    raw, _ = model.eval()(random_inputs(), LENGTHS)
    assert model.penalty() == 0

    dropped, kept = outputs.detach().numpy(), raw.detach().numpy()
    squares = [dropped[row, t] ** 2 for row, n in enumerate(LENGTHS) for t in range(n)]
    changes = [
        (kept[row, t] - kept[row, t - 1]) ** 2 for row, n in enumerate(LENGTHS) for t in range(1, n)
    ]
    assert penalty.item() == pytest.approx(2 * np.mean(squares) + 3 * np.mean(changes))


def test_dropout_is_the_same_at_every_step_and_drawn_for_each_row() -> None:
    model = make(output_dropout=0.5, num_layers=1, weight_dropout=0.0, input_dropout=0.0).train()
    outputs, _ = model(random_inputs(), torch.tensor([7, 7, 7]))
    zeros = (outputs == 0).numpy()
    assert (zeros == zeros[:, :1]).all()
    assert len(np.unique(zeros[:, 0], axis=0)) > 1


def test_weight_dropout_zeroes_hidden_weights_in_training_alone() -> None:
    model = make(weight_dropout=0.5, num_layers=1, input_dropout=0.0, output_dropout=0.0)
    inputs, lengths = random_inputs(), torch.tensor([7, 7, 7])
    first, second = model.train()(inputs, lengths)[0], model(inputs, lengths)[0]
    exact = model.eval()(inputs, lengths)[0]
    # The first step has no hidden state to multiply with.
    torch.testing.assert_close(first[:, 0], exact[:, 0])
    assert not torch.allclose(first[:, 1:], second[:, 1:])
    assert torch.equal(exact, model(inputs, lengths)[0])
    model.train()(inputs, lengths)[0].sum().backward()
    gradient = model.layers[0].weight_hh_l0.grad
    assert isinstance(gradient, torch.Tensor)
    assert 0.2 < float((gradient == 0).double().mean()) < 0.8


def test_weights_have_weight_decay_and_biases_have_none() -> None:
    model = make(num_layers=2, weight_decay=0.01)
    weights, biases = model.parameter_groups()
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    assert all(p.dim() == 2 for p in weights["params"])
    assert all(p.dim() == 1 for p in biases["params"])
    grouped = {id(p) for p in (*weights["params"], *biases["params"])}
    assert grouped == {id(p) for p in model.parameters()}
