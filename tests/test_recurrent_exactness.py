"""The recurrent models against torch's own modules over packed sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import zoo
from zoo.errors import UsageError

CAUSAL = ["rnn", "lstm", "gru"]
BIDIRECTIONAL = ["birnn", "bilstm", "bigru"]
OUTPUT_RECURRENCES = ["rnn-oh", "rnn-oo"]
TORCH: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([7, 1, 12, 12, 3, 9])
INPUT, HIDDEN = 5, 8
# What the order of additions may change.
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
SAME = 1e-6


def create(name: str, **options: Any) -> Any:
    torch.manual_seed(11)
    if name in OUTPUT_RECURRENCES:
        options["output_size"] = HIDDEN
    return zoo.create_model(name, INPUT, hidden_size=HIDDEN, **options)


def torch_module(name: str, model: nn.Module, layers: int) -> nn.RNNBase:
    """Return the torch module of the same architecture with the same parameters."""
    module = TORCH[name.removeprefix("bi")](
        INPUT, HIDDEN, layers, batch_first=True, bidirectional=name.startswith("bi")
    ).to(next(model.parameters()).dtype)
    module.load_state_dict(model.state_dict(), strict=True)
    return module


def run_packed(module: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, list[Tensor]]:
    rows = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    outputs, end = module(rows)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return padded, list(end) if isinstance(end, tuple) else [end]


def make_inputs(dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(5)
    return torch.randn(len(LENGTHS), 12, INPUT, dtype=dtype)


def weighted_loss(outputs: Tensor, states: Any) -> Tensor:
    """Return a scalar that depends on every output and every state, each with its own weight."""
    torch.manual_seed(6)
    total = (outputs * torch.randn_like(outputs)).mean()
    for part in states:
        total = total + (part * torch.randn_like(part)).mean()
    return total


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_outputs_states_and_gradients_equal_those_of_packed_sequences(
    name: str, layers: int, dtype: torch.dtype
) -> None:
    model = create(name, num_layers=layers).to(dtype)
    reference = torch_module(name, model, layers)
    ours, theirs = make_inputs(dtype).requires_grad_(), make_inputs(dtype).requires_grad_()
    outputs, states = model(ours, LENGTHS)
    expected, ends = run_packed(reference, theirs, LENGTHS)
    weighted_loss(outputs, states).backward()
    weighted_loss(expected, ends).backward()

    close = CLOSE[dtype]
    torch.testing.assert_close(outputs, expected, atol=close, rtol=0)
    torch.testing.assert_close(list(states), ends, atol=close, rtol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=close, rtol=0)
    for key, parameter in reference.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 10 * close, f"{key} has no gradient to compare"
        torch.testing.assert_close(
            model.get_parameter(key).grad, parameter.grad, atol=close, rtol=0
        )


@pytest.mark.parametrize("padding", [0.0, 1e6, float("nan")])
@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_padding_and_other_rows_do_not_change_a_row(name: str, padding: float) -> None:
    model = create(name, num_layers=2)
    inputs = make_inputs()
    wide = torch.full((len(LENGTHS), 30, INPUT), padding)
    for row, length in enumerate(LENGTHS):
        wide[row, :length] = inputs[row, :length]
    outputs, states = model(wide, LENGTHS)
    weighted_loss(outputs, states).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    for row, length in enumerate(LENGTHS):
        alone, ends = model(inputs[row : row + 1, :length], length[None])
        torch.testing.assert_close(outputs[row, :length], alone[0], atol=SAME, rtol=0)
        for together, end in zip(states, ends, strict=True):
            torch.testing.assert_close(together[:, row], end[:, 0], atol=SAME, rtol=0)
        assert (outputs[row, length:] == 0).all()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CAUSAL + OUTPUT_RECURRENCES)
def test_a_returned_state_continues_the_sequence(name: str, layers: int) -> None:
    model = create(name, num_layers=layers)
    inputs = make_inputs()
    lengths = torch.tensor([7, 4, 12, 12, 5, 9])
    whole, end = model(inputs, lengths)
    # Each row is broken off at another step.
    first = torch.tensor([3, 1, 11, 6, 4, 2])
    before, state = model(inputs, first)
    rest = torch.zeros_like(inputs)
    for row in range(len(lengths)):
        rest[row, : lengths[row] - first[row]] = inputs[row, first[row] : lengths[row]]
    after, final = model(rest, lengths - first, state)
    for row in range(len(lengths)):
        joined = torch.cat((before[row, : first[row]], after[row, : lengths[row] - first[row]]))
        torch.testing.assert_close(joined, whole[row, : lengths[row]], atol=SAME, rtol=0)
    torch.testing.assert_close(final, end, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", CAUSAL + OUTPUT_RECURRENCES)
def test_later_steps_do_not_change_earlier_outputs_of_a_causal_model(name: str) -> None:
    model = create(name, num_layers=2)
    inputs = make_inputs()
    later = inputs.clone()
    later[:, 6:] += 1.0
    full = torch.full((len(LENGTHS),), 12)
    one, other = model(inputs, full)[0], model(later, full)[0]
    torch.testing.assert_close(one[:, :6], other[:, :6], atol=SAME, rtol=0)
    assert (one[:, 6:] - other[:, 6:]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("merge", "join"),
    [
        ("sum", lambda ahead, back: ahead + back),
        ("mul", lambda ahead, back: ahead * back),
        ("mean", lambda ahead, back: (ahead + back) / 2),
        ("concat", lambda ahead, back: torch.cat((ahead, back), dim=-1)),
    ],
)
@pytest.mark.parametrize("name", BIDIRECTIONAL)
def test_directions_are_merged_as_configured(name: str, merge: str, join: Any) -> None:
    model = create(name, num_layers=2, merge=merge)
    outputs, states = model(make_inputs(), LENGTHS)
    expected, ends = run_packed(torch_module(name, model, 2), make_inputs(), LENGTHS)
    merged = join(*expected.chunk(2, dim=2))
    assert outputs.shape[2] == model.output_size
    torch.testing.assert_close(outputs, merged, atol=1e-5, rtol=0)
    # What was read: the last state of the forward direction, the first of the backward one.
    read = join(ends[0][-2], ends[0][-1])
    torch.testing.assert_close(model.readout(states), read, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gru", "bilstm"])
def test_a_learned_initial_state_is_used_for_every_row_and_trained(name: str) -> None:
    model = create(name, initial_state="learned")
    learned = model.get_parameter("initial_state")
    with torch.no_grad():
        learned.normal_()
    given = tuple(part[:, None].expand(-1, len(LENGTHS), -1).contiguous() for part in learned)
    ours, theirs = model(make_inputs(), LENGTHS), model(make_inputs(), LENGTHS, given)
    torch.testing.assert_close(ours, theirs)
    weighted_loss(*ours).backward()
    assert learned.grad is not None
    assert (learned.grad.abs().sum(-1) > 0).all()


def test_a_random_initial_state_is_drawn_only_in_training() -> None:
    model, zeros = create("lstm", initial_state="random"), create("lstm")
    inputs, full = torch.randn(400, 3, INPUT), torch.full((400,), 3)
    one, other = model(inputs, full)[0], model(inputs, full)[0]
    assert not torch.equal(one, other)
    start = model.get_initial_state(400)
    assert torch.cat(start).std().item() == pytest.approx(0.1, rel=0.1)
    assert abs(torch.cat(start).mean().item()) < 0.01
    assert torch.equal(model.eval()(inputs, full)[0], zeros(inputs, full)[0])


def test_the_initial_state_is_zero_by_default() -> None:
    model = create("lstm")
    zeros = (torch.zeros(1, len(LENGTHS), HIDDEN),) * 2
    assert torch.equal(model(make_inputs(), LENGTHS)[0], model(make_inputs(), LENGTHS, zeros)[0])


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_dropout_acts_between_layers_and_only_in_training(name: str) -> None:
    dropping, whole = (create(name, num_layers=2, dropout=p) for p in (0.5, 0.0))
    inputs = make_inputs()
    assert torch.equal(dropping.eval()(inputs, LENGTHS)[0], whole(inputs, LENGTHS)[0])
    outputs, states = dropping.train()(inputs, LENGTHS)
    again, ends = dropping(inputs, LENGTHS)
    assert not torch.equal(outputs, again)
    # The first layer is not touched, and nothing is dropped after the last.
    first = 2 if name in BIDIRECTIONAL else 1
    assert torch.equal(states[0][:first], ends[0][:first])
    assert (outputs[2] != 0).all()


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_dropout_of_a_single_layer_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="num_layers is 1"):
        create(name, dropout=0.5)


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_parameters_have_the_names_of_torch(name: str) -> None:
    model = create(name, num_layers=2)
    module = torch_module(name, model, 2)
    assert list(model.state_dict()) == list(module.state_dict())
    assert ("weight_ih_l1_reverse" in model.state_dict()) == (name in BIDIRECTIONAL)


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_models_can_be_float64_or_on_the_meta_device(name: str) -> None:
    model = create(name, num_layers=2).double()
    outputs, states = model(make_inputs(torch.float64), LENGTHS)
    assert {part.dtype for part in (outputs, *states)} == {torch.float64}
    with torch.device("meta"):
        shapes = {key: part.shape for key, part in create(name, num_layers=2).state_dict().items()}
    assert shapes == {key: part.shape for key, part in model.state_dict().items()}
