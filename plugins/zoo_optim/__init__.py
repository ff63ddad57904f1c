"""Optimizers and learning-rate schedules of torch."""

from __future__ import annotations

from zoo import OptimizerInfo, SchedulerInfo, hookimpl
from zoo_optim.options import (
    AdamOptions,
    OneCycleOptions,
    PlateauOptions,
    SGDOptions,
    WarmupOptions,
)


@hookimpl
def zoo_optimizers() -> list[OptimizerInfo]:
    optimizers = "zoo_optim.optimizers:"
    return [
        OptimizerInfo(name="adam", summary="Adam", target=optimizers + "adam", options=AdamOptions),
        OptimizerInfo(
            name="adamw",
            summary="Adam with decoupled weight decay",
            target=optimizers + "adamw",
            options=AdamOptions,
        ),
        OptimizerInfo(
            name="sgd",
            summary="Stochastic gradient descent with momentum",
            target=optimizers + "sgd",
            options=SGDOptions,
        ),
    ]


@hookimpl
def zoo_schedulers() -> list[SchedulerInfo]:
    schedulers = "zoo_optim.schedulers:"
    return [
        SchedulerInfo(
            name="constant",
            summary="The same learning rate throughout, after the warm-up",
            target=schedulers + "constant",
            options=WarmupOptions,
        ),
        SchedulerInfo(
            name="linear",
            summary="Falls linearly to zero",
            target=schedulers + "linear",
            options=WarmupOptions,
        ),
        SchedulerInfo(
            name="cosine",
            summary="Falls to zero along half a cosine",
            target=schedulers + "cosine",
            options=WarmupOptions,
        ),
        SchedulerInfo(
            name="one-cycle",
            summary="Rises from a 25th of the peak, then falls to almost zero",
            target=schedulers + "one_cycle",
            options=OneCycleOptions,
        ),
        SchedulerInfo(
            name="plateau",
            summary="Halves when the monitored metric has not improved for two evaluations",
            target=schedulers + "plateau",
            options=PlateauOptions,
        ),
    ]
