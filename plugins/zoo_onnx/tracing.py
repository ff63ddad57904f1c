"""Models and networks of other packages, as torch traces them (``torch.onnx.export``).

What they compute is not known here, so that torch has to follow it. It can where no loop runs over
the steps and no shape depends on values: the number of steps stays open.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import compose, helper, inliner
from torch import Tensor, nn
from torch.export import Dim

from zoo.errors import UsageError
from zoo.interfaces import State
from zoo.nn import read_out
from zoo_onnx.graph import OPSET, Graph
from zoo_onnx.layers import ModelValues

# The size of what is traced; other sizes than 1 are left open.
_ROWS, _STEPS = 3, 5


class _Model(nn.Module):
    """A model that returns tensors alone: outputs, what it has read, and its state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, vectors: Tensor, lengths: Tensor, state: State | None) -> tuple[Tensor, ...]:
        outputs, end = self.model(vectors, lengths, state)
        return outputs, read_out(self.model, outputs, lengths, end), *end


def add_traced_model(
    graph: Graph, model: nn.Module, vectors: str, lengths: str, state: list[str] | None
) -> ModelValues:
    """Add a model of another package; arguments are those of :func:`zoo_onnx.models.add_model`.

    Raises:
        UsageError: torch cannot trace it.
    """
    size: Any = model.input_size
    given = torch.randn(_ROWS, _STEPS, size), torch.tensor([_STEPS, 1, 2])
    with torch.no_grad():
        end: State = model(*given)[1]
    batch, steps = Dim("batch", min=1), Dim("steps", min=1)
    start = None if state is None else end
    traced = trace(
        _Model(model), (*given, start), f"the model {type(model).__name__}",
        {"vectors": {0: batch, 1: steps}, "lengths": {0: batch},
         "state": None if start is None else tuple({1: batch} for _ in start)},
    )  # fmt: skip
    values = [vectors, lengths, *(state or [])]
    outputs, readout, *ends = splice(graph, traced, values)
    return ModelValues(outputs, ends, readout)


def trace(
    module: nn.Module, arguments: Sequence[Any], what: str, dynamic_shapes: Mapping[str, Any]
) -> onnx.ModelProto:
    """Return a module as torch traces it.

    Args:
        module: The module.
        arguments: Of its ``forward``.
        what: What it is called in an error.
        dynamic_shapes: As for :func:`torch.export.export`.

    Raises:
        UsageError: torch cannot trace it, or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{what} is traced by torch, which needs onnxscript",
            why=str(error),
            fix="pip install 'seqzoo[onnx]'",
        ) from error
    # torch follows the operators that a module calls, or else its code, where that asks for sizes
    # in a way that would fix them, such as len(inputs).
    for strict in (False, True):
        try:
            with _quiet(), torch.no_grad():
                exported = torch.export.export(
                    module.eval(), tuple(arguments), dynamic_shapes=dict(dynamic_shapes),
                    strict=strict,
                )  # fmt: skip
                # By itself it would fix sizes that cannot be left open.
                program = torch.onnx.export(
                    exported, dynamo=True, opset_version=OPSET, verbose=False
                )
            break
        # Besides its own errors torch raises whatever the module does when it is traced.
        except Exception as error:  # noqa: BLE001
            failure = error
    else:
        raise UsageError(
            f"{what} cannot be exported to ONNX",
            why=f"torch cannot trace it for any number of steps ({_cause(failure)})",
            fix="it may not loop over steps, or look at values, in Python",
        ) from failure
    assert program is not None
    traced = inliner.inline_local_functions(program.model_proto)
    versions = {opset.domain: opset.version for opset in traced.opset_import}
    if versions.get("") != OPSET:
        raise UsageError(
            f"{what} cannot be exported to ONNX",
            why=f"torch has no operators of version {OPSET} for it",
        )
    return traced


def splice(graph: Graph, traced: onnx.ModelProto, values: Sequence[str]) -> list[str]:
    """Add what was traced to a graph and return its outputs.

    Args:
        graph: The graph.
        traced: What :func:`trace` returned.
        values: What its inputs are.
    """
    prefix = f"{graph.new_name('traced')}/"
    inner = compose.add_prefix(traced, prefix).graph
    pairs = zip(inner.input, values, strict=True)
    graph.nodes += [helper.make_node("Identity", [value], [each.name]) for each, value in pairs]
    graph.nodes += inner.node
    graph.constants += inner.initializer
    return [output.name for output in inner.output]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep reports of torch's exporter off the terminal: what matters is raised."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost cause of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()[:150]}" if lines else type(error).__name__
