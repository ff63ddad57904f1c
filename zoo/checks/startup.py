"""The cheap part of the checks, which every training runs before its first step."""

from __future__ import annotations

import torch

from zoo.checks import model_direction as direction
from zoo.checks import model_memory as memory
from zoo.checks import model_rows as rows
from zoo.checks import model_shapes as shapes
from zoo.checks import model_state as state
from zoo.checks.model_case import ModelCase
from zoo.checks.result import Check, run_checks
from zoo.errors import PluginError
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


def check_models(spec: NetworkSpec) -> None:
    """Check the models of a run, with its options, for small inputs; generators stay as they are.

    Raises:
        PluginError: One does not keep what :class:`zoo.interfaces.Model` promises.
    """
    with torch.random.fork_rng():
        for model in (spec.model, *spec.submodels.values()):
            case = ModelCase(model.info, model.options)
            for result in run_checks(f"model {model.info.name}", STARTUP_CHECKS, case):
                if result.status == "failed":
                    raise PluginError(
                        f"model {model.info.name!r} ({model.info.plugin}) fails the check of "
                        f"{result.check.replace('_', ' ')}",
                        why=f"promised: {result.promise} Found: {result.found}",
                        fix=f"{result.fix or 'mend the model'}; `zoo check {model.info.name}` says "
                        "more, --no-check (check=False) trains all the same",
                    )
