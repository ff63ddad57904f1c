"""Character language model: the next character of a text, many-to-many in step."""

from __future__ import annotations

from zoo import Option, TaskInfo, hookimpl

_OPTIONS = {
    "input": Option(
        "embedding", "how a character becomes a vector", choices=("embedding", "onehot")
    ),
    "embed_size": Option(256, "numbers in a character's vector", minimum=1),
    "embed_dropout": Option(0.0, "share of embedded numbers dropped", minimum=0.0, maximum=0.99),
    "dropout": Option(0.0, "share of the model's outputs dropped", minimum=0.0, maximum=0.99),
    "window": Option(40, "steps that gradients flow back through", minimum=1),
    "reading": Option(
        "windows",
        "how training reads the text: streams with carried state, or windows at random places",
        choices=("streams", "windows"),
    ),
    "start": Option("", "where the text starts, the marker included; empty: at the beginning"),
    "end": Option("", "where the text ends, the marker excluded; empty: at the end"),
    "validation": Option(
        0.05,
        "share of the text, before the test part, that is held out",
        minimum=1e-6,
        maximum=0.4,
    ),
    "test": Option(
        0.1, "share of the text, at its end, that is held out", minimum=1e-6, maximum=0.4
    ),
}


@hookimpl
def zoo_tasks() -> list[TaskInfo]:
    return [
        TaskInfo(
            name="char-lm",
            summary="The next character of a text: any text file, or a Gutenberg book",
            target="zoo_charlm.task:CharLM",
            monitor="loss",
            higher_is_better=False,
            needs_causal=True,
            options=_OPTIONS,
        )
    ]
