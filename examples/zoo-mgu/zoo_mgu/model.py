"""The minimal gated unit: G.-B. Zhou et al., arXiv:1603.09420 (2016)."""

import torch
from torch import Tensor, nn

from zoo.interfaces import State
from zoo.nn import length_mask
from zoo_mgu import MGUOptions


class MGU(nn.Module):
    def __init__(self, input_size: int, options: MGUOptions) -> None:
        super().__init__()
        hidden_size = options.hidden_size
        self.input_size, self.output_size = input_size, hidden_size
        self.w = nn.Linear(input_size, 2 * hidden_size)  # W_f above W_h, with their biases
        self.u_f = nn.Linear(hidden_size, hidden_size, bias=False)
        self.u_h = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        h = state[0][0] if state else inputs.new_zeros(len(inputs), self.output_size)
        mask = length_mask(lengths, inputs.shape[1])
        outputs = []
        for t, x in enumerate(self.w(inputs).unbind(1)):
            x_f, x_h = x.chunk(2, dim=1)
            f = torch.sigmoid(x_f + self.u_f(h))
            new = (1 - f) * h + f * torch.tanh(x_h + self.u_h(f * h))
            h = torch.where(mask[:, t, None], new, h)  # Padding does not change the state.
            outputs.append(h)
        return torch.stack(outputs, dim=1) * mask[..., None], (h[None],)
