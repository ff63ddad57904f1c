"""A model for zoo: the minimal gated unit."""

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class MGUOptions(zoo.Options):
    hidden_size: int = zoo.option(64, "units in the hidden state", minimum=1)


@zoo.hookimpl
def zoo_models() -> list[zoo.ModelInfo]:
    return [
        zoo.ModelInfo(
            name="mgu",
            summary="Minimal gated unit",
            target="zoo_mgu.model:MGU",
            causal=True,
            options=MGUOptions,
        )
    ]
