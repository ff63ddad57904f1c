"""Models for the tests of the checks: right ones, and broken ones with one fault each.

``BROKEN`` names the check that is meant for each fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.interfaces import DecodeStep, State
from zoo.nn import gather_last, length_mask


@dataclass(frozen=True)
class HiddenOptions(zoo.Options):
    hidden_size: int = zoo.option(8, "units", minimum=1)


@dataclass(frozen=True)
class DropoutOptions(HiddenOptions):
    dropout: float = zoo.option(0.2, "dropout of outputs", minimum=0.0, maximum=0.9)


class Elman(nn.Module):
    """h_t = tanh(W x_t + U h_(t-1)): the right model that the broken ones change."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.options = options
        self.input_size, self.output_size = input_size, options.hidden_size
        self.w = nn.Linear(input_size, options.hidden_size)
        self.u = nn.Linear(options.hidden_size, options.hidden_size, bias=False)

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return inputs.new_zeros(len(inputs), self.output_size) if state is None else state[0][0]

    def read(self, inputs: Tensor) -> Tensor:
        projected: Tensor = self.w(inputs)
        return projected

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        h = self.start(inputs, state)
        outputs = []
        for t, x in enumerate(self.read(inputs.masked_fill(~mask, 0.0)).unbind(1)):
            h = torch.where(mask[:, t], torch.tanh(x + self.u(h)), h)
            outputs.append(h)
        return self.write(torch.stack(outputs, 1), lengths).masked_fill(~mask, 0.0), (h[None],)


# Right ones


class WithDropout(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return F.dropout(outputs, self.options.dropout, self.training)


class Normalized(Elman):
    """Layer normalization, which acts within a step."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.norm = nn.LayerNorm(options.hidden_size)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        normalized: Tensor = self.norm(outputs)
        return normalized


class CausalConvolution(nn.Module):
    """Reads a step and the one before; its state is the last input."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.now = nn.Linear(input_size, options.hidden_size)
        self.before = nn.Linear(input_size, options.hidden_size, bias=False)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        first = inputs.new_zeros(len(inputs), self.input_size) if state is None else state[0][0]
        shifted = torch.cat((first[:, None], inputs[:, :-1]), 1)
        outputs = torch.relu(self.now(inputs) + self.before(shifted))
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        return outputs.masked_fill(~mask, 0.0), (gather_last(inputs, lengths)[None],)


class Gated(Elman):
    """A residual branch whose factor is zero at the beginning, as in ReZero."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.alpha = nn.Parameter(torch.zeros(()))
        self.branch = nn.Linear(options.hidden_size, options.hidden_size)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        changed: Tensor = outputs + self.alpha * self.branch(outputs)
        return changed


class Rotating(Elman):
    """A complex parameter, and a buffer of whole numbers."""

    order: Tensor

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.rotation = nn.Parameter(torch.full((options.hidden_size,), 0.8 + 0.6j))
        self.register_buffer("order", torch.arange(options.hidden_size).flip(0))

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return (outputs[..., self.order] * self.rotation).real.to(outputs.dtype)


class TwoWay(nn.Module):
    """A bidirectional GRU by packing."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, 2 * options.hidden_size
        self.gru = nn.GRU(input_size, options.hidden_size, batch_first=True, bidirectional=True)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        packed = nn.utils.rnn.pack_padded_sequence(
            inputs, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        packed, end = self.gru(packed, state[0] if state else None)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(
            packed, batch_first=True, total_length=inputs.shape[1]
        )
        return outputs, (end,)

    def readout(self, state: State) -> Tensor:
        return torch.cat((state[0][0], state[0][1]), 1)


class Noisy(Elman):
    """Draws noise for its first state in training."""

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        h = super().start(inputs, state)
        return h + 0.1 * torch.randn_like(h) if self.training and state is None else h


class Zoned(Elman):
    """Zoneout: units keep their value with a probability, on average in evaluation."""

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        h, rate = self.start(inputs, state), self.options.dropout
        outputs = []
        for t, x in enumerate(self.read(inputs.masked_fill(~mask, 0.0)).unbind(1)):
            new = torch.tanh(x + self.u(h))
            keep = torch.bernoulli(torch.full_like(h, rate)) if self.training else rate
            h = torch.where(mask[:, t], keep * h + (1 - keep) * new, h)
            outputs.append(h)
        return torch.stack(outputs, 1) * mask, (h[None],)


class Counting(Elman):
    """The state also counts steps, in a tensor of whole numbers that changes nothing."""

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        outputs, (h,) = super().forward(inputs, lengths, state)
        seen = lengths if state is None else state[1][0] + lengths
        return outputs, (h, seen[None])


class LambdaActivation(Elman):
    """A function that pickle does not take."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.activation: Callable[[Tensor], Tensor] = lambda values: values

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return self.activation(outputs)


class WeightNormalized(Elman):
    """Parametrized weights, which pickle does not take."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        nn.utils.parametrizations.weight_norm(self.u)


class TwoRates(Elman):
    """Adds units that change every eighth step; the state also counts steps."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.slow = nn.RNNCell(options.hidden_size, options.hidden_size)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        fast, end = super().forward(inputs, lengths, state)
        slow = torch.zeros_like(end[0][0]) if state is None else state[1][0]
        at = torch.zeros_like(lengths) if state is None else state[2][0]
        outputs = []
        for t in range(inputs.shape[1]):
            at = at + mask[:, t, 0]
            due = mask[:, t] & (at % 8 == 0)[:, None]
            slow = torch.where(due, self.slow(fast[:, t], slow), slow)
            outputs.append(fast[:, t] + slow)
        return torch.stack(outputs, 1) * mask, (*end, slow[None], at[None])


class AttentivePooling(nn.Module):
    """Reads out a mean of all steps, weighted by scores; outputs are gated by it."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.gru = nn.GRU(input_size, options.hidden_size, batch_first=True)
        self.score = nn.Linear(options.hidden_size, 1)
        self.gate = nn.Linear(options.hidden_size, options.hidden_size)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        outputs, _ = self.gru(inputs)
        weights = self.score(outputs).masked_fill(~mask, -torch.inf).softmax(1)
        pooled = (weights * outputs).sum(1)
        return outputs * torch.sigmoid(self.gate(pooled))[:, None] * mask, (pooled[None],)

    def readout(self, state: State) -> Tensor:
        return state[0][0]


class Embedded(Elman):
    """It has the step function and forward_embedded, by forward."""

    def forward_embedded(
        self, weight: Tensor | None, token_ids: Tensor, lengths: Tensor,
        state: State | None = None, *, return_outputs: bool = True,
    ) -> tuple[Tensor, State]:  # fmt: skip
        vectors = torch.eye(self.input_size) if weight is None else weight
        return self.forward(vectors[token_ids], lengths, state)

    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        def step(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            lengths = torch.ones_like(token_ids)
            outputs, end = self.forward_embedded(weight, token_ids[:, None], lengths, state)
            return outputs[:, 0], end

        return step


class MovesTensors(Elman):
    """Makes a tensor on the CPU and moves it to where the inputs are."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * torch.linspace(0.5, 1.0, self.output_size).to(outputs)


RIGHT: Mapping[type[nn.Module], tuple[bool, type[zoo.Options]]] = {
    Elman: (True, HiddenOptions),
    WithDropout: (True, DropoutOptions),
    Normalized: (True, HiddenOptions),
    CausalConvolution: (True, HiddenOptions),
    Gated: (True, HiddenOptions),
    Rotating: (True, HiddenOptions),
    TwoWay: (False, HiddenOptions),
    Noisy: (True, HiddenOptions),
    Zoned: (True, DropoutOptions),
    Counting: (True, HiddenOptions),
    LambdaActivation: (True, HiddenOptions),
    WeightNormalized: (True, HiddenOptions),
    TwoRates: (True, HiddenOptions),
    AttentivePooling: (False, HiddenOptions),
    Embedded: (True, HiddenOptions),
    MovesTensors: (True, HiddenOptions),
}


# Broken ones


class WrongInputSize(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.input_size = 5


class FixedSize(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(5, options)
        self.input_size = input_size


class WrongOutputSize(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.output_size += 1

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return inputs.new_zeros(len(inputs), self.u.in_features) if state is None else state[0][0]


class ListState(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        return outputs, list(end)


class BatchFirstState(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        start = None if state is None else (state[0].transpose(0, 1),)
        outputs, end = super().forward(inputs, lengths, start)
        return outputs, (end[0].transpose(0, 1),)


class OutputsAlone(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        return super().forward(inputs, lengths, state)[0]


class TimeFirst(nn.Module):
    """Takes the first axis for time, as torch.nn.RNN does by default."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.rnn = nn.RNN(input_size, options.hidden_size)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        outputs, _ = self.rnn(inputs * mask)
        return outputs * mask, (gather_last(outputs, lengths)[None],)


class Infinite(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs.masked_fill(outputs > 0, torch.inf)


class Viewing(Elman):
    def read(self, inputs: Tensor) -> Tensor:
        return super().read(inputs)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        rows, steps, size = inputs.shape
        return super().forward(
            inputs.view(rows * steps, size).view(rows, steps, size), lengths, state
        )


class ScalesInputs(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        with torch.no_grad():
            inputs.mul_(0.5)
        return super().forward(inputs, lengths, state)


class ChangesState(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return (
            super().start(inputs, state)
            if state is None
            else state[0][0].mul_(1.0).add_(0.1).sub(0.1)
        )


class CountsLengths(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        result = super().forward(inputs, lengths.clone(), state)
        lengths.sub_(1)
        return result


class Remembers(Elman):
    """Starts where the last call ended."""

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        kept = getattr(self, "kept", None)
        if state is None and kept is not None and len(kept) == len(inputs):
            return kept.to(inputs)  # type: ignore[no-any-return]
        return super().start(inputs, state)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        self.kept = end[0][0].detach()
        return outputs, end


class DropsInEvaluation(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return F.dropout(outputs, 0.2, True)


class DrawsInVain(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        torch.rand(1)
        return outputs


class DrawsOfNumPy(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * (1 + 0.01 * np.random.rand()) if self.training else outputs


class DrawsOfPython(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * (1 + 0.01 * random.random()) if self.training else outputs


class SeedsInForward(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training:
            torch.manual_seed(0)
        return F.dropout(outputs, 0.2, self.training)


class SeedsWhenBuilt(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        torch.manual_seed(0)
        super().__init__(input_size, options)


class NumPyWeights(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        drawn = 0.1 * np.random.randn(options.hidden_size)
        self.bias = nn.Parameter(torch.from_numpy(drawn).float())

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs + self.bias


class SetsThreads(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        torch.set_num_threads(torch.get_num_threads() + 1)


class SetsDtype(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        torch.set_default_dtype(torch.float64)
        return super().forward(inputs, lengths, state)


class CentersRows(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs - outputs.mean(0, keepdim=True)


class FirstRowLeaks(Elman):
    def read(self, inputs: Tensor) -> Tensor:
        return super().read(inputs) + 0.1 * super().read(inputs)[:1]


class BatchSize(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs / len(outputs)


class BatchNormalized(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.norm = nn.BatchNorm1d(options.hidden_size)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        normalized: Tensor = self.norm(outputs.transpose(1, 2)).transpose(1, 2)
        return normalized


class ReadsPadding(nn.Module):
    """An unpacked torch GRU: its last state is that of the padding."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.gru = nn.GRU(input_size, options.hidden_size, batch_first=True)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = self.gru(inputs, state[0].contiguous() if state else None)
        return outputs * length_mask(lengths, inputs.shape[1])[..., None], (end,)


class DividesBySteps(Elman):
    """Divides by the padded length."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs / lengths.max()

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        return super().forward(inputs, lengths, state)


class PaddingInMean(Elman):
    """Adds the mean of inputs over all steps, padding included, to the last state."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, (end,) = super().forward(inputs, lengths, state)
        padding = ~length_mask(lengths, inputs.shape[1])[..., None]
        extra = (inputs * padding).mean((1, 2))[:, None]
        return outputs, (end + extra,)


class PaddingGradient(Elman):
    """Adds zero, whose gradient depends on padding."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        padding = inputs * ~length_mask(lengths, inputs.shape[1])[..., None]
        zero: Tensor = _Zero.apply(self.w.bias, padding.detach().abs().sum())  # type: ignore[no-untyped-call]
        return outputs + zero * length_mask(lengths, inputs.shape[1])[..., None], end


class _Zero(torch.autograd.Function):
    """Zero, with a gradient that is not."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(values, gradient)
        return values.new_zeros(())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, own = ctx.saved_tensors
        return torch.full_like(values, float(own)), None


class NonzeroPadding(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        return torch.where(mask, outputs, end[0][0][:, None]), end


class LooksAhead(Elman):
    def read(self, inputs: Tensor) -> Tensor:
        following = torch.cat((inputs[:, 1:], torch.zeros_like(inputs[:, :1])), 1)
        return super().read(inputs) + 0.3 * super().read(following)


class KnowsLength(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * (1 + 0.1 * lengths[:, None, None])


class LooksAheadInTraining(Elman):
    def read(self, inputs: Tensor) -> Tensor:
        projected = super().read(inputs)
        return projected + projected.mean(1, keepdim=True) if self.training else projected


class NoReadout(TwoWay):
    readout = None  # type: ignore[assignment]


class WrongReadoutShape(TwoWay):
    def readout(self, state: State) -> Tensor:
        return state[0][0]


class OtherReadout(Elman):
    def readout(self, state: State) -> Tensor:
        return 2 * state[0][0]


class ForgetsState(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return super().start(inputs, None)


class FirstState(Elman):
    """Returns the state that it started from."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        return outputs, ((end[0] * 0.5),)


class IgnoresGivenState(Elman):
    """Continues from where the last call ended, whatever state is given."""

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return super().start(inputs, None) if state is None else self.kept[: len(inputs)].to(inputs)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        self.kept = end[0][0].detach()
        return outputs, end


class StateBuffer(Elman):
    """Writes every state into the same memory."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, (end,) = super().forward(inputs, lengths, state)
        kept = getattr(self, "memory", None)
        if kept is None or kept.shape != end.shape or kept.dtype != end.dtype:
            self.memory = kept = torch.empty_like(end.detach())
        kept.copy_(end.detach())
        return outputs, (kept,)


class KeepsGraph(Elman):
    """Adds a number that it computed in its first call, with its gradient."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training and not hasattr(self, "kept"):
            self.kept = (self.w.weight.square() * 1e-6).sum()
        return outputs + self.kept if self.training else outputs


class OtherEmbedded(Elman):
    def forward_embedded(
        self, weight: Tensor | None, token_ids: Tensor, lengths: Tensor,
        state: State | None = None, *, return_outputs: bool = True,
    ) -> tuple[Tensor, State]:  # fmt: skip
        vectors = torch.eye(self.input_size) if weight is None else weight
        return self.forward(1.1 * vectors[token_ids], lengths, state)


class NoOneHot(Elman):
    def forward_embedded(
        self, weight: Tensor | None, token_ids: Tensor, lengths: Tensor,
        state: State | None = None, *, return_outputs: bool = True,
    ) -> tuple[Tensor, State]:  # fmt: skip
        assert weight is not None
        return self.forward(weight[token_ids], lengths, state)


class OtherDecodeStep(Elman):
    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        vectors = torch.eye(self.input_size) if weight is None else weight

        def step(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            outputs, end = self.forward(
                vectors[token_ids][:, None], torch.ones_like(token_ids), None
            )
            return outputs[:, 0], end

        return step


class Unused(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.spare = nn.Linear(2, 2)


class DetachedMemory(Elman):
    """No gradient reaches the recurrent weights."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        kept = self.u.weight.requires_grad
        weight = self.u.weight.detach()
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        h, outputs = self.start(inputs, state), []
        for t, x in enumerate(self.read(inputs.masked_fill(~mask, 0.0)).unbind(1)):
            h = torch.where(mask[:, t], torch.tanh(x + F.linear(h, weight)), h)
            outputs.append(h)
        assert kept
        return torch.stack(outputs, 1) * mask, (h[None],)


class InfiniteGradient(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs + (self.w.bias * 0).abs().sqrt().sum()


class NoGradient(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs.detach()


class PlainTensor(Elman):
    """Learns a scale that is neither parameter nor buffer."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.scale = torch.ones(())

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        scaled = outputs * self.scale.to(outputs)
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * (1 + outputs.detach().abs().mean())
        return scaled


class PythonNumber(Elman):
    """Counts calls in training, and scales by it."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.calls = 0

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        scaled = outputs * (1 + 0.01 * self.calls)
        self.calls += self.training
        return scaled


class UnsavedBuffer(Elman):
    scale: Tensor

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        scaled = outputs * self.scale
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * (1 + outputs.detach().abs().mean())
        return scaled


class LateParameter(Elman):
    """Makes a buffer in the first training step."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training and not hasattr(self, "late"):
            self.register_buffer("late", torch.ones(()))
        return outputs


_SHARED: list[Tensor] = []


class ModuleGlobal(Elman):
    """Learns a scale in a variable of the module."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        scaled = outputs * (1 + _SHARED[0].to(outputs)) if _SHARED else outputs
        if self.training:
            _SHARED[:] = [outputs.detach().abs().mean()]
        return scaled


class ClassAttribute(Elman):
    scale = 1.0

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training:
            type(self).scale += 0.01
        return outputs * self.scale


class SinglePrecision(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        if state is None:
            return torch.zeros(len(inputs), self.output_size, device=inputs.device)
        return state[0][0].float()

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        h, outputs = self.start(inputs, state), []
        for t, x in enumerate(self.read(inputs.masked_fill(~mask, 0.0)).float().unbind(1)):
            h = torch.where(mask[:, t], torch.tanh(x + F.linear(h, self.u.weight.float())), h)
            outputs.append(h)
        return torch.stack(outputs, 1) * mask, (h[None],)


class SingleInside(Elman):
    """Computes in float32, and returns the dtype of the inputs."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs.float().to(outputs.dtype)


class NoMemory(nn.Module):
    """Reads each step by itself; carries a state that nothing depends on."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, options.hidden_size
        self.w = nn.Linear(input_size, options.hidden_size)

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        outputs = torch.tanh(self.w(inputs)) * mask
        return outputs, (gather_last(outputs, lengths)[None],)


class KeptGroups(Elman):
    """Groups that are made once: a copy has those of the original."""

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        bias = self.w.bias
        return self.__dict__.setdefault("groups", [{"params": [bias]}])  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: Any) -> Any:
        made = KeptGroups(self.input_size, self.options)
        made.load_state_dict(self.state_dict())
        made.__dict__["groups"] = self.parameter_groups()
        return made.train(self.training)


class OddUnits(Elman):
    """Takes an even number of units, and says so in its options."""

    def __init__(self, input_size: int, options: Any) -> None:
        object.__setattr__(options, "hidden_size", options.hidden_size + options.hidden_size % 2)
        super().__init__(input_size, options)


class VectorPenalty(Elman):
    def penalty(self) -> Tensor:
        return self.w.bias.square()


class SharedGroups(Elman):
    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [{"params": [self.w.bias]}, {"params": [self.w.bias]}]


@dataclass(frozen=True)
class IdleOptions(HiddenOptions):
    clip: float = zoo.option(1.0, "does nothing", minimum=0.0)


class IdleOption(Elman):
    pass


@dataclass(frozen=True)
class ZeroOptions(zoo.Options):
    hidden_size: int = zoo.option(8, "units", minimum=0)


class ZeroUnits(Elman):
    pass


class OneRowFails(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        return super().forward(inputs, lengths.squeeze(), state)


class LastStepOfBatch(Elman):
    """Returns the state of the longest row's last step, zeroed for the others."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, _ = super().forward(inputs, lengths, state)
        return outputs, (outputs[:, int(lengths.max()) - 1][None],)


class FirstDrawsMore(Elman):
    """Draws a scale for all instances when the first is built."""

    factor: float | None = None

    def __init__(self, input_size: int, options: Any) -> None:
        if FirstDrawsMore.factor is None:
            FirstDrawsMore.factor = float(torch.rand(()))
        super().__init__(input_size, options)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * (1 + (self.factor or 0.0))


_OF_IMPORT = np.random.default_rng().random()


class DrawnAtImport(Elman):
    """Multiplies by a number that was drawn when the module was imported."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * (1 + _OF_IMPORT)


class LazyWeights(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.w = nn.LazyLinear(options.hidden_size)


class SeedsNumPy(Elman):
    def __init__(self, input_size: int, options: Any) -> None:
        np.random.seed(0)
        super().__init__(input_size, options)


class DividesByNorm(Elman):
    """A step of zeros has no direction."""

    def read(self, inputs: Tensor) -> Tensor:
        return super().read(inputs / inputs.norm(dim=-1, keepdim=True))


class CountsCalls(Elman):
    """Counts calls in a buffer, in evaluation as well."""

    calls: Tensor

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.register_buffer("calls", torch.zeros(()))

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        self.calls.add_(1)
        return outputs


class KeepsMask(Elman):
    """Keeps a mask by its shape."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        masks: dict[Any, Tensor] = self.__dict__.setdefault("masks", {})
        kept = masks.setdefault(inputs.shape, lengths.clone())
        return super().forward(inputs, kept, state)


class LongestRow(Elman):
    """Returns as many steps as the longest row has, as pad_packed_sequence does by default."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        return outputs[:, : int(lengths.max())], end


class ZerosArePadding(Elman):
    """Takes a step of zeros for padding."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        return outputs * inputs.any(2, keepdim=True), end


class Shifted(Elman):
    """Returns at each step the hidden state before it."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        outputs = torch.cat((self.start(inputs, state)[:, None], outputs[:, :-1]), 1)
        return outputs * length_mask(lengths, inputs.shape[1])[..., None], end


class CellFirst(Elman):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state and state[1:])
        return outputs, (torch.ones_like(end[0]), *end)


class StaleReadout(TwoWay):
    """Reads out what the last call left."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, end = super().forward(inputs, lengths, state)
        self.end = (end[0].detach(),)
        return outputs, end

    def readout(self, state: State) -> Tensor:
        return super().readout(self.end if self.end[0].shape == state[0].shape else state)


class SwappedReadout(TwoWay):
    def readout(self, state: State) -> Tensor:
        return torch.cat((state[0][1], state[0][0]), 1)


class CenteredReadout(TwoWay):
    def readout(self, state: State) -> Tensor:
        read = super().readout(state)
        return read - read.mean(0)


class KeepsShortRows(Elman):
    """Rows of one step leave the given state as it was."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs, (end,) = super().forward(inputs, lengths, state)
        if state is not None and inputs.shape[1] > 1:
            end = torch.where((lengths == 1)[:, None], state[0], end)
        return outputs, (end,)


class LooksFarAhead(Elman):
    def read(self, inputs: Tensor) -> Tensor:
        following = F.pad(inputs, (0, 0, 0, 8))[:, 8:]
        return super().read(inputs) + 0.3 * super().read(following)


class FewPositions(Elman):
    """Scales by a table that ends after 512 steps."""

    def read(self, inputs: Tensor) -> Tensor:
        return super().read(inputs) * inputs.new_ones(512)[: inputs.shape[1], None]


class DetachesGiven(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return super().start(inputs, state).detach()


class DetachesSteps(Elman):
    """No gradient goes further back than a step."""

    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        outputs = []
        for t in range(inputs.shape[1]):
            given = None if state is None else (state[0].detach(),)
            step, end = super().forward(inputs[:, [t]], torch.ones_like(lengths), given)
            live = (t < lengths)[:, None]
            state = (torch.where(live, end[0], super().start(inputs, given)),)
            outputs.append(step[:, 0] * live)
        return torch.stack(outputs, 1), state


class ForgetsInTraining(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return super().start(inputs, None if self.training else state)


class PaddingInTraining(PaddingInMean):
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> Any:
        if self.training:
            return super().forward(inputs, lengths, state)
        return Elman.forward(self, inputs, lengths, state)


class NoisyBatchMean(Elman):
    """In training, centres rows, and adds noise."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if not self.training:
            return outputs
        return outputs - outputs.mean(0) + 0.1 * torch.randn_like(outputs)


class OwnGenerator(Elman):
    """Drops outputs by a generator that starts at the same seed and is not saved."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if not self.training:
            return outputs
        self.calls = getattr(self, "calls", 0) + 1
        generator = torch.Generator().manual_seed(self.calls)
        torch.rand(())
        return outputs * (torch.rand(outputs.shape, generator=generator).to(outputs) > 0.2)


class KeepsEvaluation(Elman):
    """Makes a factor in its first call, in evaluation maybe, and needs it for gradients."""

    factor: Tensor | None = None

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.factor is None or self.factor.dtype != outputs.dtype:
            self.factor = torch.linspace(0.5, 1.0, self.output_size).to(outputs)
        return outputs * self.factor


class KeepsProduct(Elman):
    """Keeps a product of its parameters from the first evaluation on."""

    def __deepcopy__(self, memo: Any) -> Any:
        made = KeepsProduct(self.input_size, self.options)
        made.load_state_dict(self.state_dict())
        return made.train(self.training)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training:
            self.__dict__.pop("product", None)
            return outputs @ self.u.weight
        product: Tensor = self.__dict__.setdefault("product", self.u.weight.detach().clone())
        return outputs @ product.to(outputs)


class HoldsItself(Elman):
    """A copy calls a function of the original."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.projected: Callable[[Tensor], Tensor] = lambda inputs: self.w(inputs)

    def read(self, inputs: Tensor) -> Tensor:
        return self.projected(inputs)


class StartsOnCPU(Elman):
    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        if state is None:
            return torch.zeros(len(inputs), self.output_size, dtype=inputs.dtype)
        return super().start(inputs, state)


class PlainConstant(Elman):
    """A constant that no buffer holds."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        self.scale = torch.linspace(0.5, 1.0, options.hidden_size)

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs * self.scale.to(outputs.dtype)


class EmbeddedForgets(Embedded):
    def forward_embedded(
        self, weight: Tensor | None, token_ids: Tensor, lengths: Tensor,
        state: State | None = None, *, return_outputs: bool = True,
    ) -> tuple[Tensor, State]:  # fmt: skip
        return super().forward_embedded(weight, token_ids, lengths)


class EmbeddedDetached(Embedded):
    def forward_embedded(
        self, weight: Tensor | None, token_ids: Tensor, lengths: Tensor,
        state: State | None = None, *, return_outputs: bool = True,
    ) -> tuple[Tensor, State]:  # fmt: skip
        constant = None if weight is None else weight.detach()
        return super().forward_embedded(constant, token_ids, lengths, state)


class DecodeStepContinues(Embedded):
    """The step function goes on from its last step where no state is given."""

    def decode_step(self, weight: Tensor | None) -> DecodeStep:
        step = super().decode_step(weight)
        kept: list[State] = []

        def continues(token_ids: Tensor, state: State | None) -> tuple[Tensor, State]:
            outputs, end = step(token_ids, kept[-1] if kept and state is None else state)
            kept.append(end)
            return outputs, end

        return continues


class DetachedPenalty(Elman):
    def penalty(self) -> Tensor:
        return self.w.weight.detach().square().sum()


class FirstPenalty(Elman):
    """The penalty is that of the first batch for ever."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        if self.training and not hasattr(self, "first"):
            self.first = outputs.square().mean()
        return outputs

    def penalty(self) -> Tensor:
        return self.first


class MisspeltGroup(Elman):
    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [{"params": [self.w.bias], "lrscale": 0.1}]


@dataclass(frozen=True)
class KindOptions(HiddenOptions):
    kind: str = zoo.option("tanh", "activation of outputs", choices=("tanh", "relu", "swish"))


class MissingChoice(Elman):
    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        activation: Callable[[Tensor], Tensor] = getattr(torch, self.options.kind)
        return activation(outputs)


@dataclass(frozen=True)
class WidthsOptions(HiddenOptions):
    widths: tuple[int, ...] = zoo.option((4, 4), "units of layers", minimum=1)


class TwoWidths(Elman):
    """Takes a list for two numbers."""

    def __init__(self, input_size: int, options: Any) -> None:
        super().__init__(input_size, options)
        first, second = options.widths
        self.between = nn.Sequential(
            nn.Linear(options.hidden_size, first), nn.Linear(first, second)
        )
        self.output_size = second

    def start(self, inputs: Tensor, state: State | None) -> Tensor:
        return inputs.new_zeros(len(inputs), self.u.in_features) if state is None else state[0][0]

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        between: Tensor = self.between(outputs)
        return between


class SqueezesUnits(Elman):
    """One unit: no axis of units."""

    def write(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        return outputs.squeeze(2)


class ChangesOptions(Elman):
    """Has at least 16 units, and says so in the options that it was given."""

    def __init__(self, input_size: int, options: Any) -> None:
        object.__setattr__(options, "hidden_size", max(options.hidden_size, 16))
        super().__init__(input_size, options)


BROKEN: Mapping[type[nn.Module], str] = {
    WrongInputSize: "builds",
    FixedSize: "builds",
    WrongOutputSize: "shapes",
    ListState: "shapes",
    BatchFirstState: "shapes",
    OutputsAlone: "shapes",
    OneRowFails: "shapes",
    TimeFirst: "rows_independent",
    Infinite: "finite",
    Viewing: "strides",
    ScalesInputs: "inputs_unchanged",
    ChangesState: "inputs_unchanged",
    CountsLengths: "inputs_unchanged",
    Remembers: "evaluation_repeats",
    DropsInEvaluation: "evaluation_draws_nothing",
    DrawsInVain: "evaluation_draws_nothing",
    DrawsOfNumPy: "training_seed",
    DrawsOfPython: "training_seed",
    SeedsInForward: "training_seed",
    SeedsWhenBuilt: "seed",
    NumPyWeights: "seed",
    SetsThreads: "settings_unchanged",
    SetsDtype: "settings_unchanged",
    CentersRows: "rows_independent",
    FirstRowLeaks: "rows_independent",
    BatchSize: "rows_independent",
    BatchNormalized: "rows_independent_in_training",
    ReadsPadding: "padding_ignored",
    DividesBySteps: "padding_ignored",
    PaddingInMean: "padding_ignored",
    LastStepOfBatch: "padding_ignored",
    PaddingGradient: "padding_has_no_gradient",
    NonzeroPadding: "zero_at_padding",
    LooksAhead: "direction",
    KnowsLength: "direction",
    LooksAheadInTraining: "direction_in_training",
    NoReadout: "direction",
    WrongReadoutShape: "direction",
    OtherReadout: "readout",
    ForgetsState: "state_continues",
    FirstState: "state_continues",
    IgnoresGivenState: "state_rows",
    StateBuffer: "state_is_a_value",
    KeepsGraph: "graph",
    OtherEmbedded: "embedded",
    NoOneHot: "embedded",
    OtherDecodeStep: "decode_step",
    Unused: "gradients",
    DetachedMemory: "gradients",
    InfiniteGradient: "finite",
    NoGradient: "gradients",
    PlainTensor: "learned_state",
    PythonNumber: "learned_state",
    UnsavedBuffer: "learned_state",
    LateParameter: "learned_state",
    ModuleGlobal: "instances",
    ClassAttribute: "instances",
    SinglePrecision: "dtype",
    NoMemory: "learns",
    VectorPenalty: "penalty",
    SharedGroups: "parameter_groups",
    IdleOption: "options",
    ZeroUnits: "option_values",
    FirstDrawsMore: "first_build",
    DrawnAtImport: "imported_again",
    LazyWeights: "builds",
    ChangesOptions: "builds",
    SeedsNumPy: "seed",
    DividesByNorm: "finite",
    CountsCalls: "evaluation_keeps_tensors",
    KeepsMask: "evaluation_repeats",
    LongestRow: "zero_at_padding",
    Shifted: "own_step",
    ZerosArePadding: "zero_steps",
    SingleInside: "dtype",
    KeptGroups: "parameter_groups",
    OddUnits: "option_values",
    CellFirst: "hidden_first",
    StaleReadout: "readout",
    SwappedReadout: "readout",
    CenteredReadout: "readout",
    KeepsShortRows: "ragged_state",
    LooksFarAhead: "long_rows",
    FewPositions: "long_rows",
    DetachesGiven: "state_gradient",
    DetachesSteps: "state_gradient",
    ForgetsInTraining: "state_in_training",
    PaddingInTraining: "padding_ignored_in_training",
    NoisyBatchMean: "rows_independent_in_training",
    OwnGenerator: "training_seed",
    KeepsEvaluation: "trains_after_evaluation",
    KeepsProduct: "follows_tensors",
    HoldsItself: "copies",
    StartsOnCPU: "device",
    PlainConstant: "device",
    EmbeddedForgets: "embedded",
    EmbeddedDetached: "embedded",
    DecodeStepContinues: "decode_step",
    DetachedPenalty: "penalty",
    FirstPenalty: "penalty",
    MisspeltGroup: "parameter_groups",
    MissingChoice: "option_values",
    TwoWidths: "option_values",
    SqueezesUnits: "option_values",
}
OPTIONS: Mapping[type[nn.Module], type[zoo.Options]] = {
    IdleOption: IdleOptions,
    ZeroUnits: ZeroOptions,
    MissingChoice: KindOptions,
    TwoWidths: WidthsOptions,
}
NOT_CAUSAL = {NoReadout, WrongReadoutShape, StaleReadout, SwappedReadout, CenteredReadout}


def record(model: type[nn.Module], causal: bool, options: type[zoo.Options]) -> zoo.ModelInfo:
    """Return the record of a model."""
    name = model.__name__.lower()
    return zoo.ModelInfo(name=name, summary="A model", target=model, causal=causal, options=options)


def broken(model: type[nn.Module]) -> zoo.ModelInfo:
    """Return the record of a broken model."""
    return record(model, model not in NOT_CAUSAL, OPTIONS.get(model, HiddenOptions))
