"""The GRU over time with gradients by hand: torch's on the CPU records each step's every operation.

What does not depend on the step before is computed for all steps at once, so that four operations a
step are left in the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class GRUScan(torch.autograd.Function):
    """``GRUScan.apply(gates, start, w_hh, b_hh)``: outputs (T, B, H) of one direction of one layer.

    Args:
        gates: (T, B, 3H), ``W_ih x + b_ih`` for the gates r, z, n.
        start: (B, H).
        w_hh: (3H, H).
        b_hh: (3H,).
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, start: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:  # type: ignore[override]
        """r, z = sigmoid(gates + W h + b); n = tanh(gate + r (W h + b)); h = (1 - z) n + z h."""
        steps, batch, size = gates.shape[0], gates.shape[1], start.shape[1]
        outputs, new, kept = (gates.new_empty(steps, batch, size) for _ in range(3))
        both = gates.new_empty(steps, batch, 2 * size)
        recurrent = gates.new_empty(batch, 3 * size)
        for_both, for_new = recurrent[:, : 2 * size], recurrent[:, 2 * size :]
        across, hidden = w_hh.t(), start
        rows = zip(
            gates[..., : 2 * size].unbind(), gates[..., 2 * size :].unbind(), both.unbind(),
            both[..., :size].unbind(), both[..., size:].unbind(), kept.unbind(), new.unbind(),
            outputs.unbind(), strict=True,
        )  # fmt: skip
        for to_both, to_new, rz, r, z, hn, n, output in rows:
            torch.addmm(b_hh, hidden, across, out=recurrent)
            torch.add(to_both, for_both, out=rz).sigmoid_()
            hn.copy_(for_new)
            torch.addcmul(to_new, r, hn, out=n).tanh_()
            hidden = torch.lerp(n, hidden, z, out=output)
        ctx.save_for_backward(start, w_hh, outputs, both, new, kept)
        return outputs

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Go back through the steps with dL/dh; all else is done for every step at once."""
        start, w_hh, outputs, both, new, kept = ctx.saved_tensors
        steps, batch, size = outputs.shape
        before = torch.cat((start[None], outputs[:-1]))
        r, z = both.split(size, dim=2)
        # What dL/dh(t) is multiplied by on its way to each gate's input.
        to_new = (1 - z) * (1 - new * new)
        factors = torch.stack(
            (to_new * kept * r * (1 - r), (before - new) * z * (1 - z), to_new * r), 2
        )
        slope = torch.zeros_like(start)
        arriving = torch.empty_like(outputs)
        recurrent = torch.empty_like(factors)
        rows = zip(
            slopes.unbind(), arriving[:, :, None].unbind(), arriving.unbind(), factors.unbind(),
            recurrent.unbind(), recurrent.view(steps, batch, -1).unbind(), z.unbind(), strict=True,
        )  # fmt: skip
        for given, here3, here, factor, inner, flat, keep in reversed(list(rows)):
            torch.add(given, slope, out=here)
            torch.mul(here3, factor, out=inner)
            slope = torch.addmm(here * keep, flat, w_hh)
        gates = recurrent.view(steps, batch, -1).clone()
        gates[..., 2 * size :] = arriving * to_new
        flat = recurrent.view(steps * batch, -1)
        return gates, slope, flat.t() @ before.view(-1, size), flat.sum(0)
