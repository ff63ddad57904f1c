"""Plain recurrent models, around which the network of a task is built when the task is checked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.interfaces import State
from zoo.nn import length_mask

HIDDEN_SIZE = 16


class ReferenceModel(nn.Module):
    """h_t = tanh(W x_t + U h_(t-1)); causal, with what :class:`zoo.interfaces.Model` asks for.

    Source: J. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, HIDDEN_SIZE
        self.w = nn.Linear(input_size, HIDDEN_SIZE)
        self.u = nn.Linear(HIDDEN_SIZE, HIDDEN_SIZE, bias=False)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over right-padded rows; see :class:`zoo.interfaces.Model`."""
        mask = length_mask(lengths, inputs.shape[1])[..., None]
        h = inputs.new_zeros(len(inputs), HIDDEN_SIZE) if state is None else state[0][0]
        outputs = []
        for step, x in enumerate(self.w(inputs.masked_fill(~mask, 0.0)).unbind(1)):
            h = torch.where(mask[:, step], torch.tanh(x + self.u(h)), h)
            outputs.append(h)
        return torch.stack(outputs, dim=1).masked_fill(~mask, 0.0), (h[None],)


class BidirectionalReference(nn.Module):
    """A :class:`ReferenceModel` for each direction; outputs are the forward ones, then the others.

    Source: M. Schuster and K. Paliwal, IEEE Transactions on Signal Processing 45(11) (1997).
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, 2 * HIDDEN_SIZE
        self.directions = nn.ModuleList(ReferenceModel(input_size) for _ in range(2))

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over right-padded rows; see :class:`zoo.interfaces.Model`."""
        states = (None, None) if state is None else tuple((part[None],) for part in state[0])
        forward, end = self.directions[0](inputs, lengths, states[0])
        # Where the steps of a row are, last first; padding stays behind them.
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
        rows = torch.arange(len(inputs), device=inputs.device)[:, None]
        backward, other_end = self.directions[1](inputs[rows, order], lengths, states[1])
        outputs = torch.cat((forward, backward[rows, order]), 2)
        return outputs, (torch.cat((end[0], other_end[0])),)

    def readout(self, state: State) -> Tensor:
        """Return the last hidden states (B, output_size) of both directions."""
        return torch.cat(tuple(state[0]), 1)


class ReferenceBuilder:
    """Builds reference models: a :class:`zoo.interfaces.BuildModel`.

    Args:
        bidirectional: Whether the model that the user names would be bidirectional.
    """

    def __init__(self, *, bidirectional: bool = False) -> None:
        self._model = BidirectionalReference if bidirectional else ReferenceModel

    def __call__(self, input_size: int) -> nn.Module:
        return self._model(input_size)

    def submodel(self, name: str, input_size: int) -> ReferenceModel:
        """Return a reference model for any submodel."""
        del name
        return ReferenceModel(input_size)
