"""A plain recurrent model, around which the network of a task is built when the task is checked."""

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


class ReferenceBuilder:
    """Builds reference models: a :class:`zoo.interfaces.BuildModel`."""

    def __call__(self, input_size: int) -> ReferenceModel:
        return ReferenceModel(input_size)

    def submodel(self, name: str, input_size: int) -> ReferenceModel:
        """Return a reference model for any submodel."""
        del name
        return ReferenceModel(input_size)
