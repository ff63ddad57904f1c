"""An ONNX graph that is built node by node."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 18
"""The version of ONNX's operators: of December 2022, which ONNX Runtime has since 1.14."""

ML_OPSET = 4
"""That of the domain ``ai.onnx.ml``, of which tables of hashes are."""

ML_DOMAIN = "ai.onnx.ml"

INT32, INT64, UINT64 = TensorProto.INT32, TensorProto.INT64, TensorProto.UINT64
BOOL, FLOAT, DOUBLE = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.DOUBLE

Dimensions = Sequence[int | str]
"""A shape; a dimension with a name may have any size."""


class Graph:
    """A graph: nodes, constants, inputs and outputs, in the order in which they are added.

    A value is a string, the name of what a node or an input gives.

    Args:
        numbers: Of the names of values; None: from 0.
    """

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._numbers = itertools.count() if numbers is None else numbers
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._parameters: dict[nn.Parameter, str] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def inner(self) -> Graph:
        """Return a graph for the body of a node: it has names of its own, and sees those here."""
        return Graph(self._numbers)

    def input(self, name: str, kind: int, shape: Dimensions) -> str:
        """Add an input and return its value."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: Dimensions) -> None:
        """Give a value out under a name."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: Tensor | npt.ArrayLike, kind: Any = None) -> str:
        """Add an array; Python's numbers are int64 or, with a point, float32.

        A parameter that is added again is the constant that it was.
        """
        if isinstance(value, nn.Parameter) and value in self._parameters:
            return self._parameters[value]
        array = np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
        if kind is None and array.dtype == np.float64 and not isinstance(value, Tensor):
            kind = np.float32
        name = self.new_name("constant")
        array = np.ascontiguousarray(array if kind is None else array.astype(kind))
        self.constants.append(numpy_helper.from_array(array, name))
        if isinstance(value, nn.Parameter):
            self._parameters[value] = name
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return its value."""
        (value,) = self.add_several(1, operator, *inputs, domain=domain, **attributes)
        return value

    def add_several(
        self, count: int, operator: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs and return their values."""
        values = [self.new_name(operator.lower()) for _ in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, values, domain=domain, **attributes))
        return values

    def new_name(self, stem: str) -> str:
        """Return a name that no other value has."""
        return f"{stem}_{next(self._numbers)}"

    # What is needed often

    def size(self, value: str, dimension: int) -> str:
        """Return one dimension (1,) of the shape of a value."""
        return self.add("Shape", value, start=dimension, end=dimension + 1)

    def shape(self, *dimensions: str | int) -> str:
        """Return a shape of dimensions, each a value (1,) or a number."""
        parts = [d if isinstance(d, str) else self.constant([d]) for d in dimensions]
        return self.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]

    def fill(self, number: float, shape: str) -> str:
        """Return a tensor of a shape, filled with one number; int64 of an integer."""
        return self.add("Expand", self.constant(number), shape)

    def count(self, stop: str) -> str:
        """Return the integers 0 to ``stop`` - 1, of a value (1,)."""
        end = self.add("Squeeze", stop)
        return self.add("Range", self.constant(0), end, self.constant(1))

    def slice(self, value: str, start: int, stop: int | None, axis: int) -> str:
        """Return ``value[start:stop]`` along an axis."""
        end = np.iinfo(np.int64).max if stop is None else stop
        ends = [self.constant([number]) for number in (start, end, axis)]
        return self.add("Slice", value, *ends)

    def unsqueeze(self, value: str, axis: int) -> str:
        """Return a value with one more axis, of size 1."""
        return self.add("Unsqueeze", value, self.constant([axis]))

    def linear(self, value: str, weight: Tensor, bias: Tensor | None) -> str:
        """Return ``value @ weight.T + bias``, as :class:`torch.nn.Linear` does."""
        product = self.add("MatMul", value, self.constant(weight.detach().t()))
        return product if bias is None else self.add("Add", product, self.constant(bias))

    def reduce(self, how: str, value: str, axis: int) -> str:
        """Return the ``Sum``, ``Max`` ... of a value along an axis, which is left out."""
        return self.add(f"Reduce{how}", value, self.constant([axis]), keepdims=0)

    def table(self, keys: Tensor, value: str) -> str:
        """Return where int64 numbers are among keys (F,); F where they are not.

        Args:
            keys: Distinct numbers.
            value: (N,).
        """
        if not len(keys):
            return self.fill(0, self.add("Shape", value))
        return self.add(
            "LabelEncoder", value, domain=ML_DOMAIN,
            keys_tensor=numpy_helper.from_array(keys.cpu().numpy()),
            values_tensor=numpy_helper.from_array(np.arange(len(keys))),
            default_tensor=numpy_helper.from_array(np.array([len(keys)])),
        )  # fmt: skip

    def add_up(self, values: str, segments: str, number: str, width: int = 0) -> str:
        """Return the sums of the values of each segment.

        ``ScatterElements`` adds them in order, on one thread, so that a sum is always the same.

        Args:
            values: (N,) or (N, width).
            segments: (N,) the segment of each.
            number: (1,) how many segments there are.
            width: 0: values are numbers.
        """
        shape = self.shape(number, width) if width else number
        index = segments
        if width:
            columns = self.shape(self.size(segments, 0), width)
            index = self.add("Expand", self.unsqueeze(segments, 1), columns)
        zeros = self.fill(0.0, shape)
        return self.add("ScatterElements", zeros, index, values, axis=0, reduction="add")

    def proto(self, producer_version: str) -> onnx.ModelProto:
        """Return the graph as a model of ONNX."""
        graph = helper.make_graph(
            self.nodes, "network", self.inputs, self.outputs, initializer=self.constants
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=opsets, producer_name="seqzoo", producer_version=producer_version
        )
        model.ir_version = helper.find_min_ir_version_for(opsets)
        return model
