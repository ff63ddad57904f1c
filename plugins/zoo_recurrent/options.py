"""Options of the recurrent models. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class _LayersOptions(zoo.Options):
    hidden_size: int = zoo.option(64, "units in each direction of each layer", minimum=1)
    num_layers: int = zoo.option(
        1, "layers, each reading the outputs of the one below", minimum=1, maximum=64
    )
    dropout: float = zoo.option(
        0.0,
        "probability that a value between stacked layers is zeroed in training",
        minimum=0.0,
        maximum=0.99,
    )

    def validate(self) -> None:
        """Refuse dropout where there is nothing between layers to drop."""
        if self.dropout and self.num_layers == 1:
            raise ValueError("dropout acts between layers, and num_layers is 1")


@dataclass(frozen=True)
class StackOptions(_LayersOptions):
    """Options of rnn, lstm and gru."""

    initial_state: str = zoo.option(
        "zeros",
        "state before the first step; random: N(0, 0.1) in training, zeros otherwise",
        choices=("zeros", "random", "learned"),
    )
    weight_dropout: float = zoo.option(
        0.0,
        "probability that a hidden-to-hidden weight is zeroed, for a whole batch (DropConnect)",
        minimum=0.0,
        maximum=0.99,
    )
    locked_dropout: bool = zoo.option(
        False, "whether dropout zeroes the same values at every step of a row"
    )

    def validate(self) -> None:
        """Refuse dropout without layers to drop between, and a way of drawing none."""
        super().validate()
        if self.locked_dropout and not self.dropout:
            raise ValueError("locked_dropout says how dropout is drawn, and dropout is 0")


@dataclass(frozen=True)
class BidirectionalOptions(StackOptions):
    """Options of birnn, bilstm and bigru."""

    merge: str = zoo.option(
        "concat",
        "how the outputs of the two directions are merged",
        choices=("concat", "sum", "mul", "mean"),
    )


@dataclass(frozen=True)
class OutputRecurrenceOptions(_LayersOptions):
    """Options of rnn-oh and rnn-oo."""

    hidden_size: int = zoo.option(64, "units in the hidden layer of each layer", minimum=1)
    output_size: int = zoo.option(64, "units in the output layer of each layer", minimum=1)
