"""Weight dropout and locked dropout of recurrent stacks against torch's layers and plain masks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.errors import UsageError
from zoo.nn import locked_dropout

INPUT, HIDDEN, STEPS = 5, 32, 7
LENGTHS = torch.tensor([STEPS, STEPS, STEPS])
TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SAME = 2e-6


@pytest.fixture(params=["numba", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("ZOO_BACKEND", request.param)


def create(name: str = "lstm", **options: Any) -> Any:
    torch.manual_seed(11)
    return zoo.create_model(name, INPUT, hidden_size=HIDDEN, **options).train()


def make_inputs() -> Tensor:
    return torch.randn(3, STEPS, INPUT, generator=torch.Generator().manual_seed(2))


def plain_layers(name: str, model: Any, masks: list[Tensor]) -> list[nn.RNNBase]:
    """Return torch's layers with the weights of a stack, those of W_hh times a mask each."""
    layers = []
    for number, mask in enumerate(masks):
        layer = TORCH[name](HIDDEN if number else INPUT, HIDDEN, batch_first=True)
        state = {f"{part}_l0": getattr(model, f"{part}_l{number}").detach()
                 for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
        state["weight_hh_l0"] = state["weight_hh_l0"] * mask
        layer.load_state_dict(state)
        layers.append(layer)
    return layers


@pytest.mark.parametrize("name", TORCH)
def test_weight_dropout_is_torchs_layer_with_masked_weights(name: str) -> None:
    model = create(name, num_layers=2, weight_dropout=0.4)
    torch.manual_seed(3)
    outputs, end = model(make_inputs(), LENGTHS)
    torch.manual_seed(3)
    ones = torch.ones_like(model.weight_hh_l0)
    masks = [F.dropout(ones, 0.4) for _ in range(2)]
    first, second = plain_layers(name, model, masks)
    below, below_end = first(make_inputs())
    expected, above_end = second(below)
    torch.testing.assert_close(outputs, expected, atol=SAME, rtol=0)
    ends = [end_of[0] if name == "lstm" else end_of for end_of in (below_end, above_end)]
    torch.testing.assert_close(end[0], torch.cat(ends), atol=SAME, rtol=0)

    outputs.square().sum().backward()
    expected.square().sum().backward()
    for number, (layer, mask) in enumerate(zip((first, second), masks, strict=True)):
        gradient = layer.get_parameter("weight_hh_l0").grad
        assert gradient is not None
        found = getattr(model, f"weight_hh_l{number}").grad
        torch.testing.assert_close(found, gradient * mask, atol=1e-4, rtol=1e-4)
        assert 0.3 < float((found == 0).float().mean()) < 0.5


def test_other_weights_are_dropped_for_each_batch_and_none_in_evaluation() -> None:
    model = create(weight_dropout=0.4)
    inputs = make_inputs()
    first, second = model(inputs, LENGTHS)[0], model(inputs, LENGTHS)[0]
    exact = model.eval()(inputs, LENGTHS)[0]
    # The first step has no hidden state to multiply with.
    torch.testing.assert_close(first[:, 0], exact[:, 0], atol=SAME, rtol=0)
    assert not torch.allclose(first[:, 1:], second[:, 1:], atol=1e-4)
    plain = create()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(exact, plain.eval()(inputs, LENGTHS)[0])


def test_generation_computes_with_all_weights() -> None:
    model, embedding = create(weight_dropout=0.9), torch.randn(4, INPUT)
    token_ids = torch.tensor([1, 3])
    step = model.decode_step(embedding)
    state = step(token_ids, None)[1]
    outputs, _ = step(token_ids, state)
    twice, lengths = token_ids[:, None].repeat(1, 2), torch.tensor([2, 2])
    expected = model.eval()(embedding[twice], lengths)[0][:, 1]
    torch.testing.assert_close(outputs, expected, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", TORCH)
def test_locked_dropout_drops_the_same_outputs_of_a_layer_at_every_step(name: str) -> None:
    model = create(name, num_layers=2, dropout=0.5, locked_dropout=True)
    torch.manual_seed(3)
    outputs, _ = model(make_inputs(), LENGTHS)
    torch.manual_seed(3)
    mask = F.dropout(torch.ones(3, 1, HIDDEN), 0.5)
    first, second = plain_layers(name, model, [torch.ones(())] * 2)
    expected, _ = second(first(make_inputs())[0] * mask)
    torch.testing.assert_close(outputs, expected, atol=SAME, rtol=0)


def test_rows_of_different_lengths_and_both_directions() -> None:
    """A row alone gives what it gives in the batch, as nothing is dropped in evaluation."""
    model = create("bilstm", num_layers=2, dropout=0.5, locked_dropout=True, weight_dropout=0.5)
    inputs, lengths = make_inputs(), torch.tensor([7, 2, 0])
    outputs, (h, _) = model(inputs, lengths)
    assert outputs.shape == (3, STEPS, 2 * HIDDEN)
    assert h.shape == (4, 3, HIDDEN)
    assert not outputs[1, 2:].any()
    assert not outputs[2].any()
    outputs.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    torch.testing.assert_close(
        model(inputs, lengths)[0][1, :2], model(inputs[1:2, :2], lengths[1:2])[0][0],
        atol=SAME, rtol=0,
    )  # fmt: skip


def test_locked_dropout_scales_up_what_it_keeps() -> None:
    torch.manual_seed(1)
    values = torch.randn(400, 3, 50)
    dropped = locked_dropout(values, 0.2, True)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], values[kept] / 0.8)
    assert (kept == kept[:, :1]).all()
    assert 0.79 < float(kept.float().mean()) < 0.81
    assert locked_dropout(values, 0.2, False) is values


def test_locked_dropout_without_dropout_is_refused() -> None:
    with pytest.raises(UsageError, match="dropout is 0"):
        create(num_layers=2, locked_dropout=True)
