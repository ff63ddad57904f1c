"""RNN, LSTM and GRU, one- and two-directional, and the two output recurrences."""

from __future__ import annotations

from zoo import ModelInfo, Option, hookimpl

_LAYERS = {
    "num_layers": Option(1, "layers, each reading the one below", minimum=1),
    "dropout": Option(
        0.0, "share of values dropped between stacked layers", minimum=0.0, maximum=0.99
    ),
}
_STACK = {
    "hidden_size": Option(64, "units in each direction of each layer", minimum=1),
    **_LAYERS,
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
_OUTPUT = {
    "hidden_size": Option(64, "units in the hidden layer of each layer", minimum=1),
    "output_size": Option(64, "units in the output layer of each layer", minimum=1),
    **_LAYERS,
}


@hookimpl
def zoo_models() -> list[ModelInfo]:
    models, outputs = "zoo_recurrent.models:", "zoo_recurrent.output_recurrence:"
    found = []
    for name, cell in (
        ("rnn", "Elman RNN with tanh"),
        ("lstm", "LSTM with forget gate"),
        ("gru", "Gated recurrent unit"),
    ):
        target = models + name.upper()
        found.append(ModelInfo(name, cell, target, True, _STACK, one_hot=True))
        both = f"{cell}, read both ways"
        found.append(ModelInfo(f"bi{name}", both, target, False, _BOTH_WAYS, one_hot=True))
    for name, summary, target in (
        ("rnn-oh", "RNN with output-to-hidden recurrence", "OutputToHidden"),
        ("rnn-oo", "RNN with output-to-output recurrence", "OutputToOutput"),
    ):
        found.append(ModelInfo(name, summary, outputs + target, True, _OUTPUT, one_hot=True))
    return found
