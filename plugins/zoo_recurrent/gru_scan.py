"""The GRU over time with gradients by hand: torch's on the CPU records each step's every operation.

What does not depend on the step before is computed for many steps at once; four operations a step
are left on the way there and two on the way back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Steps whose intermediate values still fit a processor's cache, at usual sizes.
_PIECE = 64


def scan(gates: Tensor, start: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:
    """Return the outputs (T, B, H) of one direction of one layer.

    Args:
        gates: (T, B, 3H), ``W_ih x + b_ih`` for the gates r, z, n.
        start: (B, H).
        w_hh: (3H, H).
        b_hh: (3H,).
    """
    pieces = []
    # Under mixed precision too in the precision of the weights: its sums are long.
    with torch.autocast(gates.device.type, enabled=False):
        for piece in gates.to(w_hh.dtype).split(_PIECE):
            outputs = _Scan.apply(piece, start, w_hh, b_hh)
            start = outputs[-1]
            pieces.append(outputs)
    return torch.cat(pieces)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, start: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:  # type: ignore[override]
        """r, z = sigmoid(gates + W h + b); n = tanh(gate + r (W h + b)); h = (1 - z) n + z h."""
        steps, batch, size = gates.shape[0], gates.shape[1], start.shape[1]
        outputs, new = (gates.new_empty(steps, batch, size) for _ in range(2))
        # Becomes r, z and W_hn h + b_hn: the last has to meet r before its gate.
        inner = gates + b_hh
        inner[..., 2 * size :] = b_hh[2 * size :]
        across, hidden = w_hh.t(), start
        rows = zip(
            inner.unbind(), inner[..., : 2 * size].unbind(), inner[..., :size].unbind(),
            inner[..., size : 2 * size].unbind(), inner[..., 2 * size :].unbind(),
            gates[..., 2 * size :].unbind(), new.unbind(), outputs.unbind(), strict=True,
        )  # fmt: skip
        for products, rz, r, z, hn, gate, n, output in rows:
            products.addmm_(hidden, across)
            rz.sigmoid_()
            torch.addcmul(gate, r, hn, out=n).tanh_()
            hidden = torch.lerp(n, hidden, z, out=output)
        ctx.save_for_backward(start, w_hh, outputs, inner, new)
        return outputs

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Go back through the steps with dL/dh; all else is done for every step at once."""
        if torch.is_grad_enabled():
            # torch's own once_differentiable lets it pass where the slope is a constant.
            raise RuntimeError("the GRU has no second derivatives: create_graph is not supported")
        start, w_hh, outputs, inner, new = ctx.saved_tensors
        size = start.shape[1]
        before = torch.cat((start[None], outputs[:-1]))
        r, z, hn = inner.split(size, dim=2)
        # What dL/dh(t) is multiplied by on its way to r, z, W_hn h, and straight to h(t - 1).
        to_new = (1 - z) * (1 - new * new)
        through = to_new * r
        factors = torch.stack(
            (through * hn * (1 - r), (before - new) * z * (1 - z), through, z), dim=2
        )
        back = torch.cat((w_hh, torch.eye(size, device=w_hh.device, dtype=w_hh.dtype)))
        # dL/dh(t) from outside, to which what comes from the step after is added.
        arriving = torch.cat((torch.zeros_like(start)[None], slopes))
        rows = zip(
            arriving[1:, :, None].unbind(), arriving[:-1].unbind(), factors.unbind(),
            factors.flatten(2).unbind(), strict=True,
        )  # fmt: skip
        for here, earlier, factor, flat in reversed(list(rows)):
            factor.mul_(here)
            earlier.addmm_(flat, back)
        recurrent = factors.flatten(2)[..., : 3 * size]
        gates = recurrent.clone()
        gates[..., 2 * size :] = arriving[1:] * to_new
        flat = recurrent.flatten(0, 1)
        return gates, arriving[0], flat.t() @ before.flatten(0, 1), flat.sum(0)
