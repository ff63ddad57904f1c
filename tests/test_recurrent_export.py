"""torch.export and torch.compile of the recurrent models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

import zoo
from zoo.nn import Embedding, OneHot, forward_embedded
from zoo_recurrent import traceable

INPUT, HIDDEN = 5, 8
LENGTHS = torch.tensor([9, 1, 4, 6])


def create(name: str, **options: Any) -> Any:
    torch.manual_seed(3)
    return zoo.create_model(name, INPUT, hidden_size=HIDDEN, **options).eval()


def make_inputs(batch_size: int, num_steps: int, lengths: Tensor) -> Tensor:
    """Return inputs whose padding is not a number."""
    torch.manual_seed(4)
    inputs = torch.randn(batch_size, num_steps, INPUT)
    padding = torch.arange(num_steps) >= lengths[:, None]
    return inputs.masked_fill(padding[..., None], float("nan"))


@pytest.mark.parametrize("name", zoo.list_models())
def test_an_exported_model_gives_the_same(name: str) -> None:
    model, inputs = create(name, num_layers=2), make_inputs(4, 9, LENGTHS)
    program = export(model, (inputs, LENGTHS))
    for lengths in (LENGTHS, torch.tensor([2, 9, 9, 1])):
        inputs = make_inputs(4, 9, lengths)
        expected = model(inputs, lengths)
        torch.testing.assert_close(program.module()(inputs, lengths), expected, atol=1e-5, rtol=0)


def test_the_cell_state_does_not_change_over_long_padding() -> None:
    model, lengths = create("lstm"), torch.tensor([1, 2000])
    inputs, state = make_inputs(2, 2000, lengths), model.get_initial_state(2)
    found = traceable.run_traceable(model.describe_layers(), inputs, lengths, state)
    torch.testing.assert_close(found, model(inputs, lengths), atol=1e-5, rtol=0)


class Several(nn.Module):
    """Runs several models over the same rows."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.models = nn.ModuleList([create(name) for name in names])

    def forward(self, inputs: Tensor, lengths: Tensor) -> list[Any]:
        """Return the results of each model."""
        return [model(inputs, lengths) for model in self.models]


def test_batch_size_and_number_of_steps_can_be_left_open() -> None:
    models = Several("rnn", "bilstm", "gru", "rnn-oh", "rnn-oo").eval().requires_grad_(False)
    batch, steps = Dim("batch", min=1), Dim("steps", min=1)
    program = export(
        models,
        (make_inputs(4, 9, LENGTHS), LENGTHS),
        dynamic_shapes={"inputs": {0: batch, 1: steps}, "lengths": {0: batch}},
    )
    for lengths in (torch.tensor([1]), torch.tensor([3, 20, 1, 7, 20])):
        inputs = make_inputs(len(lengths), int(lengths.max()) + 2, lengths)
        found, expected = program.module()(inputs, lengths), models(inputs, lengths)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("embedding", [OneHot(INPUT), nn.Embedding(30, INPUT)], ids=type)
def test_a_network_of_token_ids_can_be_exported(embedding: Embedding) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding: Embedding = embedding
            self.rnn = create("bigru")

        def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
            outputs, state = forward_embedded(self.rnn, self.embedding, token_ids, lengths)
            return torch.cat((outputs[:, 0], self.rnn.readout(state)), dim=1)

    network, token_ids = Network().eval(), torch.randint(INPUT, (4, 9))
    program = export(network, (token_ids, LENGTHS))
    expected = network(token_ids, LENGTHS)
    torch.testing.assert_close(program.module()(token_ids, LENGTHS), expected, atol=1e-5, rtol=0)


def test_a_model_within_torch_compile_gives_the_same_and_trains() -> None:
    model, inputs = create("bilstm"), torch.randn(4, 9, INPUT, requires_grad=True)
    gradients = []
    for run in (model, torch.compile(model, backend="eager")):
        outputs, _ = run(inputs * 2, LENGTHS)
        gradients.append(torch.autograd.grad(outputs.square().sum(), inputs))
    torch.testing.assert_close(gradients[0], gradients[1], atol=0, rtol=0)
