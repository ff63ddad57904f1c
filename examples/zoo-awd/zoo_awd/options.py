"""The options of the AWD-LSTM model. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


def _probability(default: float, help: str) -> float:
    declared: float = zoo.option(default, help, minimum=0.0, maximum=0.99)
    return declared


@dataclass(frozen=True)
class AWDOptions(zoo.Options):
    """Options of :class:`zoo_awd.model.AWDLSTM`."""

    hidden_size: int = zoo.option(256, "units in each layer", minimum=1)
    num_layers: int = zoo.option(2, "layers, each reading the outputs of the one below", minimum=1)
    weight_dropout: float = _probability(
        0.3, "probability that a hidden-to-hidden weight is zeroed (DropConnect)"
    )
    input_dropout: float = _probability(0.1, "dropout probability of inputs")
    hidden_dropout: float = _probability(0.2, "dropout probability between layers")
    output_dropout: float = _probability(0.3, "dropout probability of outputs")
    activation_penalty: float = zoo.option(
        2.0, "alpha, the weight of the mean squared output in the loss", minimum=0.0
    )
    difference_penalty: float = zoo.option(
        1.0,
        "beta, the weight of the mean squared difference of successive outputs in the loss",
        minimum=0.0,
    )
    weight_decay: float = zoo.option(
        1.2e-6, "weight decay of the weight matrices; biases have none", minimum=0.0
    )
