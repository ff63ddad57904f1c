"""Exact operations on padded batches, against loops over rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zoo.interfaces import State
from zoo.nn import (
    Linear,
    OneHot,
    decode_step,
    forward_embedded,
    gather_last,
    length_mask,
    pool,
    read_out,
    reverse_padded,
)

LENGTHS = torch.tensor([4, 1, 6, 3])


def values(features: int = 3) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(len(LENGTHS), 6, features, dtype=torch.float64)


def test_length_mask_is_true_at_the_steps_of_each_row() -> None:
    assert length_mask(LENGTHS, 6).sum(1).tolist() == LENGTHS.tolist()
    assert length_mask(LENGTHS, 6)[3].tolist() == [True, True, True, False, False, False]


def test_reverse_padded_reverses_each_row_within_its_length() -> None:
    given = values()
    reversed_rows = reverse_padded(given, LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert torch.equal(reversed_rows[row, :length], given[row, :length].flip(0))
        assert torch.equal(reversed_rows[row, length:], given[row, length:])
    assert torch.equal(reverse_padded(reversed_rows, LENGTHS), given)


def test_reverse_padded_takes_token_ids() -> None:
    given = torch.arange(24).view(4, 6)
    assert reverse_padded(given, LENGTHS)[0].tolist() == [3, 2, 1, 0, 4, 5]


def test_the_gradient_of_reverse_padded() -> None:
    given = values().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: reverse_padded(v, LENGTHS), (given,))
    (reverse_padded(given, LENGTHS)[0, 0] * 7).sum().backward()
    assert given.grad is not None
    assert (given.grad[0, 3] == 7).all()
    assert given.grad.sum() == 7 * 3


def test_gather_last_takes_the_last_step_of_each_row() -> None:
    given = values()
    expected = torch.stack([given[row, length - 1] for row, length in enumerate(LENGTHS)])
    assert torch.equal(gather_last(given, LENGTHS), expected)


class ReadsOut:
    def readout(self, state: tuple[Tensor, ...]) -> Tensor:
        return state[0][0] * 2


def test_read_out_asks_a_model_that_has_a_readout() -> None:
    state = (torch.ones(1, len(LENGTHS), 3),)
    assert (read_out(ReadsOut(), values(), LENGTHS, state) == 2).all()
    assert torch.equal(read_out(object(), values(), LENGTHS, state), gather_last(values(), LENGTHS))


@pytest.mark.parametrize("how", ["last", "mean", "max", "last+mean+max"])
def test_pooling_is_that_of_a_loop_over_rows(how: str) -> None:
    # All values are negative, so that a zero at padding would be the maximum.
    given = values().abs().neg().masked_fill(~length_mask(LENGTHS, 6)[..., None], 0.0)
    rows = [given[row, :length] for row, length in enumerate(LENGTHS)]
    by_name = {
        "last": torch.stack([row[-1] for row in rows]),
        "mean": torch.stack([row.mean(0) for row in rows]),
        "max": torch.stack([row.amax(0) for row in rows]),
    }
    expected = torch.cat([by_name[name] for name in how.split("+")], dim=1)
    torch.testing.assert_close(pool(object(), given, LENGTHS, (), how), expected)


def test_padding_has_no_gradient_from_pooling() -> None:
    given = values().masked_fill(~length_mask(LENGTHS, 6)[..., None], 0.0).requires_grad_()
    for how in ("last", "max"):
        (gradient,) = torch.autograd.grad(pool(object(), given, LENGTHS, (), how).sum(), given)
        assert (gradient[~length_mask(LENGTHS, 6)] == 0).all()
        assert gradient.sum() == pytest.approx(len(LENGTHS) * 3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "shape", [(200,), (2000, 200), (1, 50, 200), (40, 50, 200), (4, 10, 50, 200)]
)
def test_a_linear_layer_is_that_of_torch_for_inputs_of_any_shape(
    shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(3)
    layer, plain = Linear(200, 30, bias), nn.Linear(200, 30, bias)
    plain.load_state_dict(layer.state_dict())
    inputs = torch.randn(shape, requires_grad=True)
    found, expected = layer(inputs), plain(inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    slope = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, (inputs, *layer.parameters()), slope),
        torch.autograd.grad(expected, (inputs, *plain.parameters()), slope),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_a_linear_layer_keeps_the_dtype_of_mixed_precision() -> None:
    layer, inputs = Linear(200, 30), torch.randn(40, 50, 200)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(inputs).dtype == torch.bfloat16
    assert layer.double()(inputs.double()).dtype == torch.float64


def test_one_hot_is_the_identity_as_an_embedding() -> None:
    embedding = OneHot(7)
    identity = nn.Embedding.from_pretrained(torch.eye(7))
    token_ids = torch.randint(7, (2, 9))
    assert torch.equal(embedding(token_ids), identity(token_ids))
    assert embedding(token_ids).dtype == torch.float32
    assert embedding.embedding_dim == 7
    assert not list(embedding.parameters())
    assert not embedding.state_dict()


class Plain(nn.Module):
    """Outputs are sums of the inputs so far."""

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        start = state[0][0] if state else torch.zeros(len(inputs), inputs.shape[2])
        outputs = start[:, None] + inputs.cumsum(1)
        return outputs, (gather_last(outputs, lengths)[None],)


class LooksUp(Plain):
    """Counts the calls that find the embedding's rows without having them written out."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[bool] = []

    def forward_embedded(
        self,
        weight: Tensor | None,
        token_ids: Tensor,
        lengths: Tensor,
        state: State | None = None,
        *,
        return_outputs: bool = True,
    ) -> tuple[Tensor, State]:
        self.looked_up.append(return_outputs)
        table = torch.eye(7) if weight is None else weight
        return self.forward(table[token_ids], lengths, state)


EMBEDDINGS: dict[str, Callable[[], nn.Embedding | OneHot]] = {
    "embedding": lambda: nn.Embedding(7, 7),
    "one-hot": lambda: OneHot(7),
}


class Doubled(nn.Embedding):
    """An embedding that does more than to look rows up."""

    def forward(self, token_ids: Tensor) -> Tensor:
        return 2 * super().forward(token_ids)


@pytest.mark.parametrize("embedding", [Doubled(7, 7), nn.Embedding(7, 7, max_norm=0.1)])
def test_an_embedding_that_does_more_than_to_look_up_is_called(embedding: nn.Embedding) -> None:
    model, token_ids = LooksUp(), torch.randint(7, (4, 6))
    embedding(token_ids)  # Renormalizes rows in place, where max_norm is set.
    outputs, _ = forward_embedded(model, embedding, token_ids, LENGTHS)
    expected, _ = Plain()(embedding(token_ids), LENGTHS)
    torch.testing.assert_close(outputs, expected)
    assert model.looked_up == []


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no pooling 'sum'"):
        pool(Plain(), torch.zeros(4, 6, 7), LENGTHS, (), "sum")


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_forward_embedded_is_the_model_on_the_embedded_token_ids(name: str) -> None:
    embedding = EMBEDDINGS[name]()
    token_ids, lengths = torch.randint(7, (4, 6)), LENGTHS
    expected, end = Plain()(embedding(token_ids), lengths)
    looks_up = LooksUp()
    for model in (Plain(), looks_up):
        outputs, state = forward_embedded(model, embedding, token_ids, lengths)
        assert torch.equal(outputs, expected)
        assert torch.equal(state[0], end[0])
    assert looks_up.looked_up == [True]
    forward_embedded(looks_up, embedding, token_ids, lengths, return_outputs=False)
    assert looks_up.looked_up == [True, False]


@pytest.mark.parametrize("hooked", ["model", "embedding"])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_called_with_what_is_embedded(hooked: str, kind: str) -> None:
    model, embedding = LooksUp(), nn.Embedding(7, 3)
    module = {"model": model, "embedding": embedding}[hooked]
    called: list[Tensor] = []
    handle = getattr(module, kind)(lambda module, inputs, *outputs: called.append(inputs[0]))
    token_ids = torch.randint(7, (4, 6))
    forward_embedded(model, embedding, token_ids, LENGTHS)
    (inputs,) = called
    assert torch.equal(inputs, embedding(token_ids) if hooked == "model" else token_ids)
    assert not model.looked_up
    handle.remove()
    forward_embedded(model, embedding, token_ids, LENGTHS)
    assert model.looked_up == [True]


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_decode_step_advances_a_model_by_one_token(name: str) -> None:
    embedding = EMBEDDINGS[name]()
    token_ids = torch.randint(7, (4, 6))
    expected, _ = Plain()(embedding(token_ids), torch.full((4,), 6))
    step = decode_step(Plain(), embedding)
    state = None
    for number in range(6):
        outputs, state = step(token_ids[:, number], state)
        torch.testing.assert_close(outputs, expected[:, number])
