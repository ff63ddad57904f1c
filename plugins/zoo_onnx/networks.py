"""From a trained model to the translation that knows its network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from zoo import TrainedModel
from zoo.errors import UsageError
from zoo.interfaces import Batch, Data, Task
from zoo_lm.char_network import CharPredictor
from zoo_lm.word_network import WordPredictor
from zoo_onnx.graph import FLOAT, INT64, Graph
from zoo_onnx.language_models import LanguageModelTranslation
from zoo_onnx.texts import TextTranslation
from zoo_onnx.tracing import splice, trace
from zoo_onnx.translation import (
    NUMBER_OF_EXAMPLES,
    Arrays,
    Translation,
    arrays,
    random_lengths,
)
from zoo_text.network import TextNetwork
from zoo_text.task import TextTask


def translate(model: TrainedModel) -> Translation:
    """Return the graph of a network.

    Raises:
        UsageError: There is no way to export the network.
    """
    network, task = model.module, model.task
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise UsageError(
                f"{model.name!r} cannot be exported to ONNX",
                why=f"{name} is {str(tensor.dtype).removeprefix('torch.')}, and not float32",
            )
    if type(network) is TextNetwork and isinstance(task, TextTask):
        return TextTranslation(task, network)
    if isinstance(network, CharPredictor | WordPredictor) and type(network) in (
        CharPredictor, WordPredictor,
    ):  # fmt: skip
        return LanguageModelTranslation(network)
    return TracedTranslation(model.name, task, network)


class _Network(nn.Module):
    """A network that returns its outputs alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs = self.network(inputs, lengths)
        first: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        return first


class TracedTranslation(Translation):
    """The graph of a network that is not known here: what it returns for inputs and lengths.

    Args:
        name: What the model is called in an error.
        task: The task.
        network: Its network, in evaluation mode.

    Raises:
        UsageError: The network takes other arguments, or torch cannot trace it.
    """

    def __init__(self, name: str, task: Task, network: nn.Module) -> None:
        self.task, self.state = task, {}
        self._network = _Network(network)
        if type(task).probe_outputs is not Task.probe_outputs:
            raise UsageError(
                f"{name!r} cannot be exported to ONNX",
                why=f"{type(task).__name__} gives its network more than inputs and lengths",
            )
        self.probe = probe = task.probe()
        batch, steps = Dim("batch", min=1), Dim("steps", min=1)
        outputs = self._network(probe.inputs, probe.lengths)
        traced = trace(
            self._network, (probe.inputs, probe.lengths), f"the network of {name!r}",
            {"inputs": {0: batch, 1: steps}, "lengths": {0: batch}},
        )  # fmt: skip
        self.graph = graph = Graph()
        kind = FLOAT if probe.inputs.is_floating_point() else INT64
        inputs = graph.input("inputs", kind, ("batch", "steps", *probe.inputs.shape[2:]))
        lengths = graph.input("lengths", INT64, ("batch",))
        (value,) = splice(graph, traced, [inputs, lengths])
        others = [f"dimension_{number}" for number in range(1, outputs.dim())]
        graph.output("outputs", value, FLOAT, ("batch", *others))

    def examples(self, data: Data | None) -> tuple[str, Iterator[Batch]]:
        """Return batches of the test split, or the probe with other lengths."""
        if data is None or not data.splits["test"].num_examples:
            probes = [
                replace(self.probe, lengths=random_lengths(self.probe.lengths, seed))
                for seed in range(NUMBER_OF_EXAMPLES // len(self.probe))
            ]
            return f"{sum(map(len, probes)):,} made-up rows", iter(probes)
        chosen: list[Batch] = []
        for batch in data.splits["test"].eval_batches():
            chosen.append(batch)
            if sum(map(len, chosen)) >= NUMBER_OF_EXAMPLES:
                break
        return f"{sum(map(len, chosen)):,} rows of the data", iter(chosen)

    def runs(self, batch: Batch) -> Iterator[tuple[Arrays, Arrays]]:
        outputs: Any = self._network(batch.inputs, batch.lengths)
        yield arrays(inputs=batch.inputs, lengths=batch.lengths), arrays(outputs=outputs)
