"""RNN, LSTM and GRU, one-directional and bidirectional, and two networks with output recurrence."""

from __future__ import annotations

from zoo import ModelInfo, hookimpl
from zoo_recurrent.environment import describe_backend
from zoo_recurrent.options import BidirectionalOptions, OutputRecurrenceOptions, StackOptions

_CELLS = {
    "rnn": ("RNN", "Elman RNN with tanh"),
    "lstm": ("LSTM", "LSTM with forget gate"),
    "gru": ("GRU", "Gated recurrent unit"),
}
_OUTPUT_RECURRENCES = {
    "rnn-oh": ("OutputToHidden", "RNN with output-to-hidden recurrence"),
    "rnn-oo": ("OutputToOutput", "RNN with output-to-output recurrence"),
}


@hookimpl
def zoo_models() -> list[ModelInfo]:
    models = []
    for name, (target, summary) in _CELLS.items():
        models.append(
            ModelInfo(
                name=name,
                summary=summary,
                target=f"zoo_recurrent.models:{target}",
                runtime=f"zoo_recurrent.runtime:{target}",
                causal=True,
                options=StackOptions,
            )
        )
        models.append(
            ModelInfo(
                name=f"bi{name}",
                summary=f"{summary}, bidirectional",
                target=f"zoo_recurrent.models:{target}",
                runtime=f"zoo_recurrent.runtime:{target}",
                causal=False,
                options=BidirectionalOptions,
            )
        )
    for name, (target, summary) in _OUTPUT_RECURRENCES.items():
        models.append(
            ModelInfo(
                name=name,
                summary=summary,
                target=f"zoo_recurrent.output_recurrence:{target}",
                causal=True,
                options=OutputRecurrenceOptions,
            )
        )
    return models


@hookimpl
def zoo_environment() -> dict[str, str]:
    return {"recurrent backend": describe_backend()}
