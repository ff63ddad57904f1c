"""The checks of a model, in order."""

from __future__ import annotations

from zoo.checks import model_forward as forward
from zoo.checks import model_training as learning
from zoo.checks.model_case import ModelCase
from zoo.checks.result import Check

_SETTINGS = ("builds", "settings_unchanged")
_BASIC = (*_SETTINGS, "shapes")
_VALUES = (*_BASIC, "finite")
_REPEATS = (
    *_VALUES, "inputs_unchanged", "evaluation_draws_nothing", "evaluation_repeats", "strides",
)  # fmt: skip
_ROWS = (*_REPEATS, "rows_independent")
_PADDED = (*_ROWS, "padding_ignored")
_DIRECTED = (*_PADDED, "direction")
_CONTINUES = (*_DIRECTED, "state_continues")
_TRAINED = (*_REPEATS, "direction", "seed", "graph", "gradients")
_REPEATS_IN_TRAINING = (*_ROWS, *_TRAINED, "training_seed", "instances", "learned_state")

MODEL_CHECKS: tuple[Check[ModelCase], ...] = (
    Check(forward.check_builds),
    Check(forward.check_settings_unchanged, ("builds",)),
    Check(forward.check_shapes, _SETTINGS),
    Check(forward.check_finite, _BASIC),
    Check(learning.check_seed, _BASIC),
    Check(forward.check_inputs_unchanged, _VALUES),
    Check(forward.check_evaluation_draws_nothing, _VALUES),
    Check(
        forward.check_evaluation_repeats, (*_VALUES, "inputs_unchanged", "evaluation_draws_nothing")
    ),
    Check(forward.check_strides, (*_VALUES, "evaluation_repeats")),
    Check(forward.check_state_is_a_value, _REPEATS),
    Check(forward.check_rows_independent, (*_REPEATS, "state_is_a_value")),
    Check(forward.check_padding_ignored, _ROWS),
    Check(forward.check_zero_at_padding, _ROWS),
    Check(forward.check_direction, _PADDED),
    Check(forward.check_readout, _DIRECTED),
    Check(forward.check_state_continues, _DIRECTED),
    Check(forward.check_state_rows, _CONTINUES),
    Check(forward.check_embedded, _PADDED),
    Check(forward.check_decode_step, _CONTINUES),
    Check(forward.check_graph, (*_REPEATS, "direction")),
    Check(learning.check_gradients, (*_REPEATS, "direction", "graph")),
    Check(forward.check_padding_has_no_gradient, (*_PADDED, "gradients")),
    Check(learning.check_instances, _TRAINED),
    Check(learning.check_training_seed, (*_REPEATS, "seed", "instances")),
    Check(learning.check_learned_state, (*_TRAINED, "instances")),
    Check(forward.check_rows_independent_in_training, _REPEATS_IN_TRAINING),
    Check(
        forward.check_direction_in_training,
        (*_REPEATS_IN_TRAINING, "rows_independent_in_training"),
    ),
    Check(learning.check_copies, _REPEATS),
    Check(learning.check_dtype, _REPEATS),
    Check(learning.check_learns, _TRAINED),
    Check(learning.check_penalty, _REPEATS),
    Check(learning.check_defaults, _BASIC),
    Check(learning.check_options, (*_REPEATS, "seed")),
)
