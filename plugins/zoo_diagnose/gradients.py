"""How far back a gradient reaches: the size of dL/dh(t) against distance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import DiskError, UsageError


def gradient_sizes(
    model: nn.Module, steps: int, *, causal: bool, rows: int = 32, seed: int = 1
) -> list[float]:
    """Return the size of a loss's gradient at each distance from the last step.

    The loss is the last output times a fixed random vector; the inputs are N(0, 1). A causal model
    is run step by step, and the gradient is that of its hidden state h(t), over all paths that
    lead from it to the loss. A bidirectional model has no single h(t): there the gradient is that
    of the input x(t).
    Source: R. Pascanu et al., arXiv:1211.5063 (2012), section 2.

    Args:
        model: Any model of the zoo.
        steps: Length of the sequences.
        causal: Whether the model is.
        rows: Sequences; their gradients' norms are averaged.
        seed: Seed of inputs and of the random vector.

    Returns:
        Mean Euclidean norms; element d is the gradient ``d`` steps before the last.
    """
    generator = torch.Generator().manual_seed(seed)
    first = next(model.parameters())
    inputs = torch.randn(rows, steps, int(model.input_size), generator=generator).to(first)  # type: ignore[arg-type]
    direction = torch.randn(int(model.output_size), generator=generator).to(first)  # type: ignore[arg-type]
    model.eval()
    points: list[Tensor]
    if causal:
        lengths = torch.ones(rows, dtype=torch.long, device=first.device)
        state = None
        points = []
        for step in range(steps):
            outputs, state = model(inputs[:, step : step + 1], lengths, state)
            points.append(state[0])
        answer = outputs[:, -1]
    else:
        inputs.requires_grad_()
        lengths = torch.full((rows,), steps, device=first.device)
        outputs, _ = model(inputs, lengths)
        points = [inputs]
        answer = outputs[:, -1]
    gradients = torch.autograd.grad((answer @ direction).sum(), points, allow_unused=True)
    if causal:
        # (layers, B, H): the norm over layers and units, row by row. The last state is read by
        # nothing; there the gradient is that of the output, which is the random vector.
        sizes = [
            float(
                direction.norm() if g is None else g.transpose(0, 1).flatten(1).norm(dim=1).mean()
            )
            for g in gradients
        ]
    else:
        sizes = gradients[0].norm(dim=2).mean(0).tolist()
    return sizes[::-1]


def plot(curves: Mapping[str, list[float]], path: Path) -> None:
    """Draw gradient sizes against distance, one curve a model, on a logarithmic axis.

    Raises:
        UsageError: matplotlib is not installed, or does not know the file's ending.
        DiskError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "drawing needs matplotlib", why=str(error), fix="pip install 'seqzoo[plot]'"
        ) from error
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, sizes in curves.items():
        # A size that underflowed to zero has no place on a logarithmic axis.
        axes.plot([size or float("nan") for size in sizes], label=name)
    axes.set_yscale("log")
    axes.set_xlabel("distance from the last step")
    axes.set_ylabel("size of the gradient")
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise UsageError("cannot draw", where=str(path), why=str(error)) from error
    except OSError as error:
        raise DiskError("cannot write", where=str(path), why=str(error)) from error
