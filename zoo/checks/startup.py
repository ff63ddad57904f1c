"""The cheap part of the checks, which every training runs before its first step."""

from __future__ import annotations

import torch

from zoo.checks import model_forward as forward
from zoo.checks.model_case import ModelCase
from zoo.checks.result import Check, Result, run_checks
from zoo.spec import NetworkSpec

_BASIC = ("shapes", "finite")
_ROWS = (*_BASIC, "evaluation_repeats", "rows_independent")

STARTUP_CHECKS: tuple[Check[ModelCase], ...] = (
    Check(forward.check_shapes),
    Check(forward.check_finite, ("shapes",)),
    Check(forward.check_evaluation_repeats, _BASIC),
    Check(forward.check_rows_independent, (*_BASIC, "evaluation_repeats")),
    Check(forward.check_padding_ignored, _ROWS),
    Check(forward.check_zero_at_padding, _ROWS),
    Check(forward.check_direction, (*_ROWS, "padding_ignored")),
    Check(forward.check_state_continues, (*_ROWS, "padding_ignored", "direction")),
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
