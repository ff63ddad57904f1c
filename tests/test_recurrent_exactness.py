"""The recurrent models against torch's own modules over packed sequences, on ragged batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import zoo
from zoo.errors import UsageError

CAUSAL = ["rnn", "lstm", "gru"]
BOTH_WAYS = ["birnn", "bilstm", "bigru"]
OUTPUT_RECURRENCES = ["rnn-oh", "rnn-oo"]
PLAIN: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([7, 1, 12, 12, 3, 9])
INPUT, HIDDEN = 5, 8
# What a float32 sum may lose to another order of adding.
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
SAME = 1e-6


def create(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(11)
    if name in OUTPUT_RECURRENCES:
        options["output_size"] = HIDDEN
    return zoo.create_model(name, INPUT, hidden_size=HIDDEN, **options)


def plain(name: str, model: nn.Module, layers: int) -> nn.RNNBase:
    """Return the torch module of the same architecture with the same parameters."""
    module = PLAIN[name.removeprefix("bi")](
        INPUT, HIDDEN, layers, batch_first=True, bidirectional=name.startswith("bi")
    ).to(next(model.parameters()).dtype)
    module.load_state_dict(model.state_dict(), strict=True)
    return module


def packed(module: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, list[Tensor]]:
    rows = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    outputs, end = module(rows)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return padded, list(end) if isinstance(end, tuple) else [end]


def batch(dtype: torch.dtype = torch.float32, steps: int = 16) -> Tensor:
    torch.manual_seed(5)
    return torch.randn(len(LENGTHS), 12, INPUT, dtype=dtype)[:, :steps]


def weighted(outputs: Tensor, states: Any) -> Tensor:
    """Return a scalar that every output and every state has its own share in."""
    torch.manual_seed(6)
    total = (outputs * torch.randn_like(outputs)).mean()
    for part in states:
        total = total + (part * torch.randn_like(part)).mean()
    return total


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS)
def test_outputs_states_and_gradients_are_those_of_packed_sequences(
    name: str, layers: int, dtype: torch.dtype
) -> None:
    model = create(name, num_layers=layers).to(dtype)
    reference = plain(name, model, layers)
    ours, theirs = batch(dtype).requires_grad_(), batch(dtype).requires_grad_()
    outputs, states = model(ours, LENGTHS)
    expected, ends = packed(reference, theirs, LENGTHS)
    weighted(outputs, states).backward()
    weighted(expected, ends).backward()

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
@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS + OUTPUT_RECURRENCES)
def test_a_row_does_not_see_padding_or_its_neighbours(name: str, padding: float) -> None:
    model = create(name, num_layers=2)
    inputs = batch()
    wide = torch.full((len(LENGTHS), 30, INPUT), padding)
    for row, length in enumerate(LENGTHS):
        wide[row, :length] = inputs[row, :length]
    outputs, states = model(wide, LENGTHS)
    weighted(outputs, states).backward()
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
def test_a_state_fed_back_continues_the_sequence(name: str, layers: int) -> None:
    model = create(name, num_layers=layers)
    inputs = batch()
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
def test_a_causal_model_does_not_see_what_comes_later(name: str) -> None:
    model = create(name, num_layers=2)
    inputs = batch()
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
@pytest.mark.parametrize("name", BOTH_WAYS)
def test_directions_merge_as_asked(name: str, merge: str, join: Any) -> None:
    model = create(name, num_layers=2, merge=merge)
    outputs, states = model(batch(), LENGTHS)
    expected, ends = packed(plain(name, model, 2), batch(), LENGTHS)
    merged = join(*expected.chunk(2, dim=2))
    assert outputs.shape[2] == model.output_size
    torch.testing.assert_close(outputs, merged, atol=1e-5, rtol=0)
    # What was read: the last state of the forward direction, the first of the backward one.
    read = join(ends[0][-2], ends[0][-1])
    torch.testing.assert_close(model.readout(states), read, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gru", "bilstm"])
def test_a_learned_state_starts_every_row_and_is_trained(name: str) -> None:
    model = create(name, initial_state="learned")
    learned = model.get_parameter("initial_state")
    with torch.no_grad():
        learned.normal_()
    given = tuple(part[:, None].expand(-1, len(LENGTHS), -1).contiguous() for part in learned)
    ours, theirs = model(batch(), LENGTHS), model(batch(), LENGTHS, given)
    torch.testing.assert_close(ours, theirs)
    weighted(*ours).backward()
    assert learned.grad is not None
    assert (learned.grad.abs().sum(-1) > 0).all()


def test_a_random_state_is_drawn_in_training_alone() -> None:
    model, zeros = create("lstm", initial_state="random"), create("lstm")
    inputs, full = torch.randn(400, 3, INPUT), torch.full((400,), 3)
    one, other = model(inputs, full)[0], model(inputs, full)[0]
    assert not torch.equal(one, other)
    start = model.start(inputs)
    assert torch.cat(start).std().item() == pytest.approx(0.1, rel=0.1)
    assert abs(torch.cat(start).mean().item()) < 0.01
    assert torch.equal(model.eval()(inputs, full)[0], zeros(inputs, full)[0])


def test_the_state_starts_at_zero() -> None:
    model = create("lstm")
    zeros = (torch.zeros(1, len(LENGTHS), HIDDEN),) * 2
    assert torch.equal(model(batch(), LENGTHS)[0], model(batch(), LENGTHS, zeros)[0])


@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS + OUTPUT_RECURRENCES)
def test_indices_stand_for_one_hot_vectors(name: str) -> None:
    torch.manual_seed(7)
    indices = torch.randint(INPUT, (len(LENGTHS), 12))
    vectors = nn.functional.one_hot(indices, INPUT).float()
    gradients = []
    results = []
    for inputs in (indices, vectors):
        model = create(name, num_layers=2)
        results.append(model(inputs, LENGTHS))
        weighted(*results[-1]).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*results, atol=SAME, rtol=0)
    torch.testing.assert_close(*gradients, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS + OUTPUT_RECURRENCES)
def test_dropout_acts_between_layers_in_training_alone(name: str) -> None:
    dropping, whole = (create(name, num_layers=2, dropout=p) for p in (0.5, 0.0))
    inputs = batch()
    assert torch.equal(dropping.eval()(inputs, LENGTHS)[0], whole(inputs, LENGTHS)[0])
    outputs, states = dropping.train()(inputs, LENGTHS)
    again, ends = dropping(inputs, LENGTHS)
    assert not torch.equal(outputs, again)
    # The first layer is not touched, and nothing is dropped after the last.
    first = 2 if name in BOTH_WAYS else 1
    assert torch.equal(states[0][:first], ends[0][:first])
    assert (outputs[2] != 0).all()


@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS + OUTPUT_RECURRENCES)
def test_dropout_with_nothing_between_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="num_layers is 1"):
        create(name, dropout=0.5)


@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS)
def test_parameters_have_the_plain_names(name: str) -> None:
    model = create(name, num_layers=2)
    module = plain(name, model, 2)
    assert list(model.state_dict()) == list(module.state_dict())
    assert ("weight_ih_l1_reverse" in model.state_dict()) == (name in BOTH_WAYS)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS)
def test_torch_reads_a_few_steps_as_compiled_code_reads_many(name: str, coded: bool) -> None:
    model = create(name, num_layers=2, initial_state="learned")
    few = torch.randint(INPUT, (len(LENGTHS), 12)) if coded else batch()
    many = few.repeat(100, *[1] * (few.dim() - 1))
    with torch.no_grad():
        outputs, states = model(few, LENGTHS)
        expected, ends = model(many, LENGTHS.repeat(100))
    torch.testing.assert_close(outputs, expected[: len(few)], atol=SAME, rtol=0)
    for part, end in zip(states, ends, strict=True):
        torch.testing.assert_close(part, end[:, : len(few)], atol=SAME, rtol=0)


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS)
def test_rows_of_a_table_are_looked_up(name: str, times: int) -> None:
    """Of few steps torch's own layers read vectors, of many compiled code reads the table."""
    options = {"merge": "mul"} if name in BOTH_WAYS else {}
    model = create(name, num_layers=2, initial_state="learned", **options)
    table = torch.randn(30, INPUT)
    indices, lengths = torch.randint(30, (len(LENGTHS) * times, 12)), LENGTHS.repeat(times)
    with torch.no_grad():
        outputs, states = model(table[indices], lengths)
        found, ends = model.look_up(table, indices, lengths)
        _, alone = model.look_up(table, indices, lengths, want_outputs=False)
        _, on = model.look_up(table, indices, lengths, states)
        _, further = model(table[indices], lengths, states)
    torch.testing.assert_close((found, ends), (outputs, states), atol=SAME, rtol=0)
    assert all(map(torch.equal, alone, ends))
    torch.testing.assert_close(on, further, atol=SAME, rtol=0)


def test_one_hot_vectors_over_a_vocabulary_are_not_written_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = zoo.create_model("lstm", 100_000, hidden_size=HIDDEN)
    monkeypatch.delattr(nn.functional, "one_hot")
    with torch.no_grad():
        outputs, _ = model(torch.randint(100_000, (1, 300)), torch.tensor([300]))
    assert outputs.shape == (1, 300, HIDDEN)


@pytest.mark.parametrize("name", CAUSAL)
def test_second_derivatives_are_refused_and_not_wrong(name: str) -> None:
    inputs = batch().requires_grad_()
    outputs, _ = create(name)(inputs, LENGTHS)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(outputs.sum(), inputs, create_graph=True)


@pytest.mark.parametrize("name", CAUSAL + BOTH_WAYS + OUTPUT_RECURRENCES)
def test_mixed_precision_loses_no_more_than_bfloat16_does(name: str) -> None:
    model = create(name, num_layers=2)
    exact, gradients = [], []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs, states = model(batch(), LENGTHS)
        weighted(outputs.float(), [part.float() for part in states]).backward()
        exact.append(outputs.float())
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(exact[1], exact[0], atol=0.03, rtol=0)
    torch.testing.assert_close(gradients[1], gradients[0], atol=0.03, rtol=0)
