"""Learning-rate schedules.

All but ``plateau`` are torch's LambdaLR over the share of the training that is done. torch's own
CosineAnnealingLR and OneCycleLR accumulate rounding errors or fail where a training takes more
steps than announced; a closed form does neither, and resumes exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from zoo_optim.options import OneCycleOptions, PlateauOptions, WarmupOptions

# One-cycle (L. Smith, arXiv:1708.07120): rise from a 25th of the peak over the first 30 %, then
# fall along a cosine to a 250,000th of it.
ONE_CYCLE_RISE, ONE_CYCLE_FIRST, ONE_CYCLE_LAST = 0.3, 1 / 25, 1 / 250_000


def constant(optimizer: Optimizer, total_steps: int, options: WarmupOptions) -> LambdaLR:
    """The peak throughout, after the warm-up."""
    return _after_warmup(optimizer, total_steps, options.warmup, lambda share: 1.0)


def linear(optimizer: Optimizer, total_steps: int, options: WarmupOptions) -> LambdaLR:
    """From the peak to zero along a line."""
    return _after_warmup(optimizer, total_steps, options.warmup, lambda share: 1.0 - share)


def cosine(optimizer: Optimizer, total_steps: int, options: WarmupOptions) -> LambdaLR:
    """From the peak to zero along half a cosine.

    Source: I. Loshchilov and F. Hutter, arXiv:1608.03983 (2016), without restarts.
    """
    return _after_warmup(
        optimizer, total_steps, options.warmup, lambda share: _half_cosine(1.0, 0.0, share)
    )


def one_cycle(optimizer: Optimizer, total_steps: int, options: OneCycleOptions) -> LambdaLR:
    """Up to the peak and down again. Source: L. Smith, arXiv:1708.07120 (2017)."""
    rise = options.warmup or ONE_CYCLE_RISE

    def factor(step: int) -> float:
        progress = min(step / total_steps, 1.0)
        if progress < rise:
            return _half_cosine(ONE_CYCLE_FIRST, 1.0, progress / rise)
        return _half_cosine(1.0, ONE_CYCLE_LAST, (progress - rise) / max(1 - rise, 1e-9))

    return LambdaLR(optimizer, factor)


def plateau(optimizer: Optimizer, total_steps: int, options: PlateauOptions) -> ReduceLROnPlateau:
    """Lower the rate when the monitored metric stops improving; the engine passes its negative
    where higher is better."""
    del total_steps
    return ReduceLROnPlateau(
        optimizer, factor=options.factor, patience=options.tolerance, threshold=0.0, eps=0.0
    )


def _after_warmup(
    optimizer: Optimizer, total_steps: int, warmup: float, shape: Callable[[float], float]
) -> LambdaLR:
    def factor(step: int) -> float:
        progress = min(step / total_steps, 1.0)
        if progress < warmup:
            return progress / warmup
        return shape((progress - warmup) / max(1 - warmup, 1e-9))

    return LambdaLR(optimizer, factor)


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
