"""The cheap part of the checks, which every training runs before its first step."""

from __future__ import annotations

import torch

from zoo.checks import model_direction as direction
from zoo.checks import model_memory as memory
from zoo.checks import model_rows as rows
from zoo.checks import model_shapes as shapes
from zoo.checks import model_state as state
from zoo.checks.model_case import ModelCase
from zoo.checks.result import Check, Result, run_checks
from zoo.spec import NetworkSpec

_BASIC = ("shapes", "finite")
_ROWS = (*_BASIC, "evaluation_repeats", "rows_independent")
_PADDED = (*_ROWS, "padding_ignored")

STARTUP_CHECKS: tuple[Check[ModelCase], ...] = (
    Check(shapes.check_shapes),
    Check(shapes.check_finite, ("shapes",)),
    Check(memory.check_evaluation_repeats, _BASIC),
    Check(rows.check_rows_independent, (*_BASIC, "evaluation_repeats")),
    Check(rows.check_padding_ignored, _ROWS),
    Check(rows.check_zero_at_padding, _PADDED),
    Check(direction.check_direction, _PADDED),
    Check(state.check_state_continues, (*_PADDED, "direction")),
    Check(state.check_ragged_state, (*_PADDED, "zero_at_padding", "direction", "state_continues")),
)


def check_models(spec: NetworkSpec) -> list[Result]:
    """Return what fails of the models of a run, with its options, for small inputs.

    Generators are left as they are.
    """
    found: list[Result] = []
    with torch.random.fork_rng():
        for model in (spec.model, *spec.submodels.values()):
            case = ModelCase(model.info, model.options)
            found += run_checks(f"model {model.info.name}", STARTUP_CHECKS, case)
    return [result for result in found if result.status == "failed"]
