"""A model for the zoo: the minimal gated unit."""

import zoo


@zoo.hookimpl
def zoo_models() -> list[zoo.ModelInfo]:
    return [
        zoo.ModelInfo(
            name="mgu",
            summary="Minimal gated unit",
            target="zoo_mgu.model:MGU",
            causal=True,
            options={"hidden_size": zoo.Option(64, "units in the state", minimum=1)},
        )
    ]
