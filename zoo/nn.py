"""Exact operations on right-padded batches, for authors of models and of networks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.interfaces import DecodesSteps, DecodeStep, ForwardsEmbedded, HasReadout, State

# From this many values on fewer random bits are worth the further operations.
_MANY_VALUES = 1 << 12

# From this many multiplications on a product over all steps is computed by oneDNN.
_LARGE_PRODUCT = 1 << 23


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """Return (B, T) booleans: True at the steps of each row, False at padding.

    Args:
        lengths: (B,).
        steps: T.
    """
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def gather_last(values: Tensor, lengths: Tensor) -> Tensor:
    """Return (B, F), the value (B, T, F) at the last step of each row.

    Args:
        values: (B, T, F).
        lengths: (B,).
    """
    rows = torch.arange(values.shape[0], device=values.device)
    return values[rows, lengths - 1]


def reverse_padded(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row (B, T, ...) within its length; padding stays where it is.

    Applying it twice gives the input back.

    Args:
        values: (B, T, ...).
        lengths: (B,).
    """
    batch, steps = values.shape[:2]
    step = torch.arange(steps, device=values.device)
    within = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)
    row = torch.arange(batch, device=values.device)[:, None] * steps
    reversed_: Tensor = _Permute.apply(values, (row + within).flatten())  # type: ignore[no-untyped-call]
    return reversed_


class _Permute(torch.autograd.Function):
    """Reorder the B * T steps by a permutation that is its own inverse.

    The backward pass of indexing in torch is a scatter-add, which is many times slower.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return values.flatten(0, 1).index_select(0, index).view(values.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        flat = gradient.reshape(-1, *gradient.shape[2:])
        return flat.index_select(0, index).view(gradient.shape), None


def read_out(model: object, outputs: Tensor, lengths: Tensor, state: State) -> Tensor:
    """Return (B, output_size), what a model has read by the end of each row.

    For a causal model that is its last output; another one says itself (:class:`HasReadout`).

    Args:
        model: The model that returned outputs and state.
        outputs: (B, T, output_size).
        lengths: (B,).
        state: The state that was returned with the outputs.
    """
    if isinstance(model, HasReadout):
        return model.readout(state)
    return gather_last(outputs, lengths)


def pool(model: object, outputs: Tensor, lengths: Tensor, state: State, how: str) -> Tensor:
    """Reduce outputs (B, T, F) over steps to (B, F), or to (B, 3 F) for ``last+mean+max``.

    Args:
        model: The model that returned outputs and state.
        outputs: Zero at padding, as those of every model are.
        lengths: (B,).
        state: The state that was returned with the outputs.
        how: ``last``, ``mean``, ``max``, or some of them joined by ``+``.
    """
    parts = []
    for name in how.split("+"):
        if name == "last":
            parts.append(read_out(model, outputs, lengths, state))
        elif name == "mean":
            parts.append(outputs.sum(1) / lengths[:, None])
        elif name == "max":
            padding = ~length_mask(lengths, outputs.shape[1])[..., None]
            parts.append(outputs.masked_fill(padding, -torch.inf).amax(1))
        else:
            raise ValueError(f"there is no pooling {name!r}")
    return torch.cat(parts, dim=1)


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Zero values at random and scale up the others, as torch.nn.functional.dropout does.

    In mixed precision on the CPU the random numbers of torch take a tenth of a training step. Where
    there are thousands of values, 16 random bits decide about each of them there, and the
    probability is rounded to a multiple of 2^-16.

    Args:
        values: Of any shape.
        probability: That a value is zeroed.
        training: Whether anything is zeroed.
    """
    zeroed = round(probability * 2**16)
    mixed = values.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if (
        not (training and mixed and 0 < zeroed < 2**16)
        or values.numel() < _MANY_VALUES
        or torch.compiler.is_compiling()
    ):
        return F.dropout(values, probability, training)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = bits.view(torch.int16)[: values.numel()].view(values.shape) >= zeroed - 2**15
    return values * kept.to(values.dtype).mul_(2**16 / (2**16 - zeroed))


def locked_dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Zero features of each row, the same ones at every step, and scale up the others.

    Source: Y. Gal and Z. Ghahramani, A theoretically grounded application of dropout in recurrent
    neural networks, arXiv:1512.05287 (2016), where it is called variational.

    Args:
        values: (B, T, F).
        probability: That a feature of a row is zeroed.
        training: Whether anything is zeroed.
    """
    if not training or not probability:
        return values
    return values * F.dropout(values.new_ones(len(values), 1, values.shape[2]), probability)


class OneHot(nn.Module):
    """The identity as an embedding: token ids become one-hot vectors.

    :func:`forward_embedded` and :func:`decode_step` give it to models that can look rows up
    without writing the vectors out.

    Args:
        num_embeddings: V, the number of token ids.
    """

    def __init__(self, num_embeddings: int) -> None:
        super().__init__()
        self.num_embeddings = self.embedding_dim = num_embeddings

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return (..., V) float32 vectors of token ids (...).

        Args:
            token_ids: (...), integers from 0 to V - 1.
        """
        return F.one_hot(token_ids, self.num_embeddings).float()


Embedding = nn.Embedding | OneHot


def forward_embedded(
    model: nn.Module,
    embedding: Embedding,
    token_ids: Tensor,
    lengths: Tensor,
    state: State | None = None,
    *,
    return_outputs: bool = True,
) -> tuple[Tensor, State]:
    """Return ``model(embedding(token_ids), lengths, state)``, in the fastest way there is.

    A model that implements :class:`zoo.interfaces.ForwardsEmbedded` reads the rows of the
    embedding directly, unless one of the two modules has a forward hook, which has to be called,
    or the embedding does more than to look rows up (a subclass, ``max_norm``). In training the
    gradient of ``padding_idx`` is not set to zero then.

    Args:
        model: A model of vectors of the embedding's size.
        embedding: Gives a vector for each token id.
        token_ids: (B, T).
        lengths: (B,).
        state: As for the model's ``forward``.
        return_outputs: Whether outputs are needed; if not, an empty tensor may be returned in
            their place.
    """
    if isinstance(model, ForwardsEmbedded) and _is_readable(model, embedding):
        return model.forward_embedded(
            _weight(embedding), token_ids, lengths, state, return_outputs=return_outputs
        )
    result: tuple[Tensor, State] = model(embedding(token_ids), lengths, state)
    return result


def decode_step(model: nn.Module, embedding: Embedding) -> DecodeStep:
    """Return a function that advances a causal model by one token a sample, for generation.

    Args:
        model: A causal model of vectors of the embedding's size.
        embedding: Gives a vector for each token id.

    Returns:
        A function from token ids (N,) and a state to outputs (N, output_size) and the next state.
    """
    if isinstance(model, DecodesSteps) and _is_readable(model, embedding):
        return model.decode_step(_weight(embedding))

    def step(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, end = model(embedding(token_ids[:, None]), torch.ones_like(token_ids), state)
        return outputs[:, 0], end

    return step


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``inputs @ weight.T + bias``, faster for large products over all steps on the CPU.

    They are computed as a convolution over single steps, which torch passes to oneDNN. It takes
    half as long as MKL, at least on AMD processors.

    Args:
        inputs: (..., I); those of all steps are (B, T, I).
        weight: (O, I).
        bias: (O,).
    """
    large = inputs.dim() == 3 and inputs.numel() * len(weight) >= _LARGE_PRODUCT
    if not large or inputs.device.type != "cpu" or inputs.dtype != torch.float32:
        return F.linear(inputs, weight, bias)
    image = inputs[:, :, None].permute(0, 3, 1, 2)
    outputs = F.conv2d(image, weight[:, :, None, None], bias)
    return outputs.permute(0, 2, 3, 1)[:, :, 0]


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`.

    Args:
        in_features: Size of an input vector.
        out_features: Size of an output vector.
        bias: Whether there is one.
        device: Where the parameters are made.
        dtype: Their dtype.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out_features) of inputs (..., in_features).

        Args:
            inputs: (..., in_features).
        """
        return linear(inputs, self.weight, self.bias)


def _weight(embedding: Embedding) -> Tensor | None:
    return None if isinstance(embedding, OneHot) else embedding.weight


def _is_readable(model: nn.Module, embedding: Embedding) -> bool:
    """Return whether a model may read the rows of an embedding without calling it."""
    plain = type(embedding) is OneHot or (
        type(embedding) is nn.Embedding
        and embedding.max_norm is None
        and not (embedding.scale_grad_by_freq or embedding.sparse)
    )
    return plain and not (_has_hooks(model) or _has_hooks(embedding))


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
                or module._backward_pre_hooks)  # fmt: skip
