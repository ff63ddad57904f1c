"""A model for zoo: an LSTM regularized as AWD-LSTM is."""

from __future__ import annotations

import zoo
from zoo_awd.options import AWDOptions


@zoo.hookimpl
def zoo_models() -> list[zoo.ModelInfo]:
    return [
        zoo.ModelInfo(
            name="awd-lstm",
            summary="LSTM with DropConnect, locked dropout and penalties on its activations",
            target="zoo_awd.model:AWDLSTM",
            causal=True,
            options=AWDOptions,
        )
    ]
