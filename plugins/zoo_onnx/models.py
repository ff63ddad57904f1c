"""Any recurrent model as part of a graph: built-in ones by operators, others traced by torch."""

from __future__ import annotations

from torch import nn

from zoo_onnx.graph import Graph
from zoo_onnx.layers import ModelValues, add_output_recurrence, add_stack
from zoo_onnx.tracing import add_traced_model
from zoo_recurrent import models, output_recurrence


def add_model(
    graph: Graph, model: nn.Module, vectors: str, lengths: str, state: list[str] | None = None
) -> ModelValues:
    """Add a model.

    A subclass of a built-in model may compute something else, and is traced.

    Args:
        graph: The graph.
        model: The model, in evaluation mode.
        vectors: (B, T, I).
        lengths: (B,).
        state: Tensors (any, B, any); None: the initial state.

    Raises:
        UsageError: torch cannot trace the model.
    """
    if type(model) in (models.RNN, models.LSTM, models.GRU):
        return add_stack(graph, model, vectors, lengths, state)  # type: ignore[arg-type]
    if isinstance(model, output_recurrence.OutputRecurrence) and type(model) in (
        output_recurrence.OutputToHidden, output_recurrence.OutputToOutput,
    ):  # fmt: skip
        return add_output_recurrence(graph, model, vectors, lengths, state)
    return add_traced_model(graph, model, vectors, lengths, state)
