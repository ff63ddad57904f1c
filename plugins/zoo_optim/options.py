"""Options of the optimizers and schedules; no torch here."""

from __future__ import annotations

from dataclasses import dataclass

from zoo import Options, option


@dataclass(frozen=True)
class AdamOptions(Options):
    beta2: float = option(
        0.999, "decay of the squared-gradient average", minimum=0.0, maximum=0.999999
    )
    weight_decay: float = option(0.0, "weight decay", minimum=0.0)


@dataclass(frozen=True)
class SGDOptions(Options):
    momentum: float = option(0.0, "momentum", minimum=0.0, maximum=1.0)
    weight_decay: float = option(0.0, "weight decay", minimum=0.0)


@dataclass(frozen=True)
class WarmupOptions(Options):
    warmup: float = option(
        0.0,
        "share of the training over which the learning rate rises from zero",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class OneCycleOptions(Options):
    warmup: float = option(
        0.0,
        "share of the training over which the learning rate rises; 0: 0.3",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class PlateauOptions(Options):
    factor: float = option(
        0.5, "what the learning rate is multiplied by", minimum=0.0, maximum=0.999
    )
    tolerance: int = option(
        1, "evaluations without improvement that are tolerated before", minimum=0
    )
