"""Recurrent models as ONNX's own operators ``RNN``, ``LSTM`` and ``GRU``.

They take the lengths of rows (``sequence_lens``), so that padding is exact in both directions, and
a layer is one node for any number of steps. Traced by torch, a layer would be a loop of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, helper
from torch import Tensor

from zoo_onnx.graph import INT32, Graph
from zoo_recurrent.output_recurrence import OutputRecurrence, OutputToHidden
from zoo_recurrent.stack import Stack

# Of torch's mode: ONNX's operator, and which of torch's gates are its first, second ...: ONNX has
# i, o, f, c and z, r, h where torch has i, f, g, o and r, z, n.
_OPERATORS = {
    "RNN_TANH": ("RNN", (0,)),
    "LSTM": ("LSTM", (0, 3, 1, 2)),
    "GRU": ("GRU", (1, 0, 2)),
}


@dataclass(frozen=True, slots=True)
class ModelValues:
    """What a model gives, as values of a graph.

    Args:
        outputs: (B, T, F); what they are at padding is left open.
        state: Tensors (any, B, any), after the last step of each row.
        readout: (B, F) what the model has read by the end of each row.
    """

    outputs: str
    state: list[str]
    readout: str


def add_stack(
    graph: Graph, model: Stack, vectors: str, lengths: str, state: list[str] | None
) -> ModelValues:
    """Add RNN, LSTM or GRU.

    Args:
        graph: The graph.
        model: The model.
        vectors: (B, T, I).
        lengths: (B,).
        state: Of each part of the state (layers * directions, B, H); None: the initial state.
    """
    layers = model.describe_layers()
    operator, gates = _OPERATORS[layers.mode]
    directions, parts = layers.num_directions, model.num_state_tensors
    counts = graph.add("Cast", lengths, to=INT32)
    starts = _starts(graph, model, lengths, state)
    values = graph.add("Transpose", vectors, perm=(1, 0, 2))
    attributes: dict[str, Any] = {"linear_before_reset": 1} if operator == "GRU" else {}
    ends: list[list[str]] = [[] for _ in range(parts)]
    for layer in range(layers.num_layers):
        weights = layers.weights[layer * directions : (layer + 1) * directions]
        w, r, b_w, b_r = (
            np.stack([_in_order(group[part], gates) for group in weights]) for part in range(4)
        )
        outputs, *end = graph.add_several(
            1 + parts, operator, values, graph.constant(w), graph.constant(r),
            graph.constant(np.concatenate((b_w, b_r), axis=1)), counts,
            *(start[layer] for start in starts), hidden_size=model.hidden_size,
            direction="bidirectional" if directions == 2 else "forward", **attributes,
        )  # fmt: skip
        for found, value in zip(ends, end, strict=True):
            found.append(value)
        # (T, directions, B, H) to (T, B, directions * H).
        by_row = graph.add("Transpose", outputs, perm=(0, 2, 1, 3))
        values = graph.add("Reshape", by_row, graph.constant([0, 0, -1]))
    last = ends[0][-1]
    outputs = graph.add("Transpose", values, perm=(1, 0, 2))
    if model.merge and model.merge != "concat":
        outputs = _merge(
            graph, graph.add_several(2, "Split", outputs, axis=2, num_outputs=2), model
        )
    halves = graph.add_several(directions, "Split", last, axis=0, num_outputs=directions)
    readout = _merge(graph, [graph.add("Squeeze", h, graph.constant([0])) for h in halves], model)
    whole = [graph.add("Concat", *found, axis=0) for found in ends]
    return ModelValues(outputs, whole, readout)


def _in_order(weight: Tensor, gates: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return rows of a weight, gate by gate as ONNX has them."""
    blocks = weight.detach().cpu().chunk(len(gates))
    return torch.cat([blocks[gate] for gate in gates]).numpy()


def _starts(graph: Graph, model: Stack, lengths: str, state: list[str] | None) -> list[list[str]]:
    """Return the start of each part of the state, layer by layer; none where it is zero."""
    if state is None:
        if model.options.initial_state != "learned":
            return []
        state = [
            graph.add(
                "Expand", graph.constant(part[:, None]),
                graph.shape(len(part), graph.size(lengths, 0), model.hidden_size),
            )
            for part in model.initial_state
        ]  # fmt: skip
    layers = model.num_layers
    return [graph.add_several(layers, "Split", part, axis=0, num_outputs=layers) for part in state]


def _merge(graph: Graph, directions: list[str], model: Stack) -> str:
    if len(directions) == 1:
        return directions[0]
    if model.merge == "concat":
        return graph.add("Concat", *directions, axis=-1)
    if model.merge == "mul":
        return graph.add("Mul", *directions)
    total = graph.add("Add", *directions)
    return total if model.merge == "sum" else graph.add("Div", total, graph.constant(2.0))


def add_output_recurrence(
    graph: Graph, model: OutputRecurrence, vectors: str, lengths: str, state: list[str] | None
) -> ModelValues:
    """Add a network in which the output comes back; arguments are those of :func:`add_stack`.

    The state is one tensor (layers, B, O).
    """
    layers, size = model.options.num_layers, model.output_size
    start = (
        state[0] if state else graph.fill(0.0, graph.shape(layers, graph.size(lengths, 0), size))
    )
    starts = graph.add_several(layers, "Split", start, axis=0, num_outputs=layers)
    is_hidden = isinstance(model, OutputToHidden)
    values = graph.add("Transpose", vectors, perm=(1, 0, 2))
    ends = []
    for layer in range(layers):
        w_xh, w_ho, w_recurrent, b_h, b_o = (
            getattr(model, f"{name}_l{layer}")
            for name in (
                "weight_xh", "weight_ho", f"weight_{model.recurrent_name}", "bias_h", "bias_o",
            )
        )  # fmt: skip
        products = graph.linear(values, w_xh, b_h)
        if is_hidden:
            values = _scan(graph, products, starts[layer], w_ho, w_recurrent, b_o)
        else:
            # The hidden layer has no past: the output layer is an Elman network that reads it.
            bias = torch.cat((b_o, torch.zeros_like(b_o)))[None]
            counts = graph.add("Cast", lengths, to=INT32)
            outputs = graph.add(
                "RNN", graph.add("Tanh", products), graph.constant(w_ho[None]),
                graph.constant(w_recurrent[None]), graph.constant(bias), counts, starts[layer],
                hidden_size=size,
            )  # fmt: skip
            values = graph.add("Squeeze", outputs, graph.constant([1]))
        ends.append(_last(graph, values, lengths))
    outputs = graph.add("Transpose", values, perm=(1, 0, 2))
    readout = ends[-1]
    whole = graph.add("Concat", *(graph.unsqueeze(end, 0) for end in ends), axis=0)
    return ModelValues(outputs, [whole], readout)


def _scan(graph: Graph, products: str, start: str, w_ho: Tensor, w_oh: Tensor, b_o: Tensor) -> str:
    """Return outputs (T, B, O) of an output-to-hidden layer: ONNX has no operator for it.

    Args:
        graph: The graph.
        products: (T, B, H), W_xh x + b_h of every step.
        start: (1, B, O), the output before the first step.
        w_ho: (O, H).
        w_oh: (H, O).
        b_o: (O,).
    """
    size, hidden = w_ho.shape
    w_ho_t, w_oh_t = graph.constant(w_ho.detach().t()), graph.constant(w_oh.detach().t())
    bias = graph.constant(b_o)
    old, product, new, output = (
        graph.new_name(stem) for stem in ("old", "product", "new", "output")
    )
    step = graph.inner()
    recurrent = step.add("MatMul", old, w_oh_t)
    h = step.add("Tanh", step.add("Add", product, recurrent))
    o = step.add("Tanh", step.add("Add", step.add("MatMul", h, w_ho_t), bias))
    step.nodes += [helper.make_node("Identity", [o], [name]) for name in (new, output)]
    body = helper.make_graph(
        step.nodes, graph.new_name("step"),
        [helper.make_tensor_value_info(old, TensorProto.FLOAT, ("batch", size)),
         helper.make_tensor_value_info(product, TensorProto.FLOAT, ("batch", hidden))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", size))
         for name in (new, output)],
    )  # fmt: skip
    first = graph.add("Squeeze", start, graph.constant([0]))
    return graph.add_several(2, "Scan", first, products, body=body, num_scan_inputs=1)[1]


def _last(graph: Graph, outputs: str, lengths: str) -> str:
    """Return (B, F), the output (T, B, F) at the last step of each row."""
    by_row = graph.add("Transpose", outputs, perm=(1, 0, 2))
    index = graph.unsqueeze(graph.add("Sub", lengths, graph.constant(1)), 1)
    return graph.add("GatherND", by_row, index, batch_dims=1)
