"""The checks of a task, in order."""

from __future__ import annotations

from zoo.checks import task_data as data
from zoo.checks import task_training as learning
from zoo.checks.result import Check
from zoo.checks.task_case import TaskCase

_PREPARED = ("prepares",)
_BATCHES = (*_PREPARED, "batches_end", "lengths")
_STATE = (*_BATCHES, "state_is_json", "state_restores")
_NETWORK = (*_BATCHES, "network", "step")
_EVALUATED = (*_NETWORK, "metrics")

TASK_CHECKS: tuple[Check[TaskCase], ...] = (
    Check(data.check_prepares),
    Check(data.check_empty_data, _PREPARED),
    Check(data.check_batches_end, _PREPARED),
    Check(data.check_lengths, (*_PREPARED, "batches_end")),
    Check(data.check_batches_repeat, _BATCHES),
    Check(data.check_batches_complete, _BATCHES),
    Check(data.check_data_repeats, (*_BATCHES, "batches_repeat")),
    Check(data.check_splits_disjoint, _BATCHES),
    Check(data.check_state_is_json, _PREPARED),
    Check(data.check_state_restores, (*_BATCHES, "state_is_json", "data_repeats")),
    Check(data.check_load_refuses, ("state_is_json",)),
    Check(learning.check_network, _BATCHES),
    Check(learning.check_step, (*_BATCHES, "network")),
    Check(learning.check_metrics, _NETWORK),
    Check(learning.check_evaluation_repeats, _EVALUATED),
    Check(learning.check_sums_add_up, (*_EVALUATED, "evaluation_repeats")),
    Check(learning.check_learns, _NETWORK),
    Check(learning.check_probe, (*_STATE, *_NETWORK)),
    Check(learning.check_weights_restore, (*_STATE, *_EVALUATED, "evaluation_repeats")),
    Check(learning.check_predictions, _NETWORK),
    Check(learning.check_mistakes, (*_EVALUATED, "predictions")),
)
