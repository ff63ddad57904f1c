"""RNN, LSTM and GRU, one- and two-directional: the zoo's first-party architectures."""

from __future__ import annotations

from zoo import ModelInfo, Option, hookimpl

_STACK = {
    "hidden_size": Option(64, "units in each direction of each layer", minimum=1),
    "num_layers": Option(1, "layers, each reading the one below", minimum=1),
    "dropout": Option(
        0.0, "share of values dropped between stacked layers", minimum=0.0, maximum=0.99
    ),
    "initial_state": Option(
        "zeros",
        "state before the first step; random: N(0, 0.1) in training, zeros otherwise",
        choices=("zeros", "random", "learned"),
    ),
}
_BOTH_WAYS = {
    **_STACK,
    "merge": Option(
        "concat",
        "how the outputs of the two directions become one",
        choices=("concat", "sum", "mul", "mean"),
    ),
}


@hookimpl
def zoo_models() -> list[ModelInfo]:
    return [
        ModelInfo("rnn", "Elman RNN with tanh", _at("RNN"), True, _STACK, one_hot=True),
        ModelInfo("lstm", "LSTM with forget gate", _at("LSTM"), True, _STACK, one_hot=True),
        ModelInfo("gru", "Gated recurrent unit", _at("GRU"), True, _STACK, one_hot=True),
        ModelInfo("birnn", "RNN read both ways", _at("RNN"), False, _BOTH_WAYS, one_hot=True),
        ModelInfo("bilstm", "LSTM read both ways", _at("LSTM"), False, _BOTH_WAYS, one_hot=True),
        ModelInfo("bigru", "GRU read both ways", _at("GRU"), False, _BOTH_WAYS, one_hot=True),
    ]


def _at(name: str) -> str:
    return f"zoo_recurrent.models:{name}"
