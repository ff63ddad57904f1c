"""Checks of what a model takes and returns: shapes, finite numbers, layouts, types, devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.checks.model_case import (
    RAGGED,
    ROWS,
    STEPS,
    ModelCase,
    detached,
    expect_same,
    run,
)
from zoo.checks.result import CheckError

_SHORTER = (torch.float32, torch.bfloat16)


def check_shapes(case: ModelCase) -> None:
    """Outputs are (B, T, output_size) in the dtype of the inputs; the state has rows on axis 1."""
    model: Any = case.build()
    for lengths in ([STEPS] * ROWS, RAGGED, [1]):
        rows, steps = len(lengths), max(lengths)
        result = run(model, case.inputs(rows, steps), lengths)
        if not isinstance(result, tuple) or len(result) != 2:
            raise CheckError(
                f"forward returned a {type(result).__name__}", "return (outputs, state)"
            )
        outputs, state = result
        if not isinstance(outputs, Tensor):
            raise CheckError(f"outputs are a {type(outputs).__name__}, not a tensor")
        if outputs.shape != (rows, steps, model.output_size):
            raise CheckError(
                f"outputs are {tuple(outputs.shape)}, not {(rows, steps, model.output_size)}",
                "B comes first, T second",
            )
        if outputs.dtype != torch.float32:
            raise CheckError(f"outputs are {outputs.dtype} of float32 inputs")
        _expect_state(state, rows)


def _expect_state(state: object, rows: int) -> None:
    fix = "return a tuple of tensors (any, B, any)"
    if not isinstance(state, tuple) or not all(isinstance(part, Tensor) for part in state):
        raise CheckError(f"the state is a {type(state).__name__}, not a tuple of tensors", fix)
    for part in state:
        if part.dim() < 2 or part.shape[1] != rows:
            raise CheckError(f"a tensor of the state is {tuple(part.shape)} for B = {rows}", fix)


def check_finite(case: ModelCase) -> None:
    """Outputs, state and gradients are finite, also for steps of zeros and rows of one step."""
    model, inputs = case.build(), case.inputs()
    inputs[0, 2] = inputs[1] = 0
    inputs.requires_grad_()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for lengths in ([STEPS] * ROWS, RAGGED, [1] * ROWS):
        what = f"with rows of {', '.join(map(str, lengths))} steps, some of zeros"
        # A clone: a leaf that is changed in place is an error, and inputs_unchanged says more.
        outputs, state = run(model, inputs.clone(), lengths)
        if not all(torch.isfinite(part).all() for part in (outputs, *state)):
            raise CheckError(f"a number is infinite or not a number {what}")
        if outputs.requires_grad:
            total = outputs.square().sum() + outputs.sum()
            gradients = torch.autograd.grad(total, [inputs, *trained], allow_unused=True)
            if not all(torch.isfinite(part).all() for part in gradients if part is not None):
                raise CheckError(f"a gradient is infinite or not a number {what}",
                                  "add a small number below roots and quotients")  # fmt: skip


def check_strides(case: ModelCase) -> None:
    """Inputs may be of any memory layout."""
    model, inputs = case.build(), case.inputs()
    expected, _ = run(model, inputs)
    other = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    outputs, _ = run(model, other)
    expect_same(outputs, expected, "outputs differ for a transposed copy of the inputs",
                "use reshape() instead of view()")  # fmt: skip


def check_inputs_unchanged(case: ModelCase) -> None:
    """Inputs, lengths and state are not changed in place."""
    model = case.build()
    state = detached(run(model, case.inputs(), RAGGED)[1])
    for mode in (False, True):
        model.train(mode)
        # Made anew: what is compared with was given to no call.
        given = case.inputs(), torch.tensor(RAGGED), detached(state)
        with torch.no_grad():
            run(model, given[0], given[1], given[2] if case.info.causal else None)
        what = {"inputs": (given[0], case.inputs()), "lengths": (given[1], torch.tensor(RAGGED))}
        for number, pair in enumerate(zip(given[2], state, strict=True)):
            what[f"tensor {number} of the state"] = pair
        for name, (after, before) in what.items():
            if not torch.equal(after, before):
                raise CheckError(f"{name} changed in place", "work on a clone")


def check_dtype(case: ModelCase) -> None:
    """A model moves to another dtype with its tensors."""
    model = case.build()
    with torch.no_grad():
        expected, _ = run(model, case.inputs())
        outputs, state = run(model.double(), case.inputs().double())
    if outputs.dtype != torch.float64 or any(part.dtype == torch.float32 for part in state):
        raise CheckError("model.double() computes in float32",
                          "make new tensors like inputs: inputs.new_zeros(...)")  # fmt: skip
    expect_same(outputs, expected, "float64 gives other outputs than float32")
    rounded = [torch.equal(outputs.to(dtype).double(), outputs) for dtype in _SHORTER]
    if rounded == [True, False]:  # Numbers such as 0 and 1 are the same in both.
        raise CheckError("model.double() computes in float32, and returns it as float64",
                          "compute in the dtype of the inputs")  # fmt: skip


def check_device(case: ModelCase) -> None:
    """A model moves to another device: its tensors are registered, new ones are made on that."""
    _expect_no_plain_tensor(case)
    model: Any = case.build()
    inputs, lengths = case.inputs(), torch.tensor(RAGGED)
    fix = "give device=inputs.device, or use inputs.new_zeros(...)"
    try:
        with torch.no_grad(), torch.device("meta"), _LeavesMeta():
            outputs, state = model(inputs, lengths, None)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        message = str(error).partition("\n")[0]
        raise CheckError(f"a tensor is made on the default device ({message})", fix) from error
    if any(part.is_meta for part in (outputs, *state)):
        raise CheckError("a tensor that is returned is made on the default device", fix)
    if torch.cuda.is_available():
        with torch.no_grad():
            expected, _ = run(model, inputs, lengths)
            outputs, _ = run(case.build().cuda(), inputs.cuda(), lengths.cuda())
        expect_same(outputs.cpu(), expected, "a GPU gives other outputs")


class _LeavesMeta(TorchFunctionMode):
    """Lets a tensor be moved off the meta device, as off any other; as_tensor moves none there."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.to, Tensor.type_as, Tensor.cpu) and args[0].is_meta:
            args = (torch.ones(args[0].shape, dtype=args[0].dtype, device="cpu"), *args[1:])
        if func is torch.as_tensor and isinstance(args[0], Tensor):
            kwargs = {"device": args[0].device, **(kwargs or {})}
        return func(*args, **(kwargs or {}))


def _expect_no_plain_tensor(case: ModelCase) -> None:
    """Fail if a model computes with a tensor that is neither a parameter nor a buffer."""
    names = {name for module in case.build().modules() for name in _plain_tensors(module)}
    for name in sorted(names):
        model = case.build()
        for module in model.modules():
            if name in _plain_tensors(module):
                object.__setattr__(module, name, _plain_tensors(module)[name].to("meta"))
        try:
            with torch.no_grad():
                used = run(model, case.inputs(), RAGGED)[0].is_meta
        except (RuntimeError, NotImplementedError, ValueError):
            used = True
        if used:
            raise CheckError(f"{name} is a tensor that is neither a parameter nor a buffer",
                              "use self.register_buffer")  # fmt: skip


def _plain_tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
