"""The checks of a model, in order."""

from __future__ import annotations

from zoo.checks import model_build as building
from zoo.checks import model_direction as direction
from zoo.checks import model_memory as memory
from zoo.checks import model_options as options
from zoo.checks import model_rows as rows
from zoo.checks import model_shapes as shapes
from zoo.checks import model_state as state
from zoo.checks import model_tokens as tokens
from zoo.checks import model_training as learning
from zoo.checks.model_case import ModelCase
from zoo.checks.result import Check

# What later checks need, so that one fault fails one check.
_SETTINGS = ("first_build", "builds", "settings_unchanged")
_BASIC = (*_SETTINGS, "shapes")
_VALUES = (*_BASIC, "finite", "seed")
_REPEATS = (
    *_VALUES, "inputs_unchanged", "evaluation_draws_nothing", "evaluation_keeps_tensors",
    "evaluation_repeats", "strides",
)  # fmt: skip
_ROWS = (*_REPEATS, "state_is_a_value", "rows_independent")
_PADDED = (*_ROWS, "padding_ignored")
_DIRECTED = (*_PADDED, "direction")
_CONTINUES = (*_DIRECTED, "state_continues")
_TRAINED = (*_REPEATS, "direction", "graph", "gradients")
_STORED = (*_TRAINED, "copies", "instances", "learned_state")
_TRAINS_ALIKE = (*_ROWS, *_STORED, "training_seed")

MODEL_CHECKS: tuple[Check[ModelCase], ...] = (
    Check(building.check_first_build),
    Check(building.check_builds, ("first_build",)),
    Check(building.check_settings_unchanged, ("first_build", "builds")),
    Check(shapes.check_shapes, _SETTINGS),
    Check(shapes.check_finite, _BASIC),
    Check(building.check_seed, _BASIC),
    Check(shapes.check_inputs_unchanged, _VALUES),
    Check(memory.check_evaluation_draws_nothing, _VALUES),
    Check(
        memory.check_evaluation_keeps_tensors,
        (*_VALUES, "inputs_unchanged", "evaluation_draws_nothing"),
    ),
    Check(
        memory.check_evaluation_repeats,
        (*_VALUES, "inputs_unchanged", "evaluation_draws_nothing", "evaluation_keeps_tensors"),
    ),
    Check(shapes.check_strides, (*_VALUES, "evaluation_repeats")),
    Check(state.check_state_is_a_value, _REPEATS),
    Check(rows.check_rows_independent, (*_REPEATS, "state_is_a_value")),
    Check(rows.check_padding_ignored, _ROWS),
    Check(rows.check_zero_at_padding, _PADDED),
    Check(rows.check_zero_steps, (*_PADDED, "zero_at_padding")),
    Check(direction.check_direction, _PADDED),
    Check(direction.check_own_step, _DIRECTED),
    Check(direction.check_readout, _DIRECTED),
    Check(state.check_state_continues, _DIRECTED),
    Check(state.check_ragged_state, (*_CONTINUES, "zero_at_padding")),
    Check(state.check_state_rows, _CONTINUES),
    Check(state.check_hidden_first, (*_CONTINUES, "own_step")),
    Check(direction.check_long_rows, _CONTINUES),
    Check(tokens.check_embedded, (*_PADDED, "zero_at_padding")),
    Check(tokens.check_decode_step, (*_CONTINUES, "embedded")),
    Check(learning.check_graph, (*_REPEATS, "direction")),
    Check(learning.check_trains_after_evaluation, (*_REPEATS, "direction", "graph")),
    Check(learning.check_gradients, (*_REPEATS, "direction", "long_rows", "graph")),
    Check(rows.check_padding_has_no_gradient, (*_PADDED, "gradients")),
    Check(memory.check_copies, _REPEATS),
    Check(memory.check_instances, _TRAINED),
    Check(memory.check_learned_state, (*_TRAINED, "instances")),
    Check(building.check_imported_again, _STORED),
    Check(memory.check_follows_tensors, (*_STORED, "imported_again", "decode_step")),
    Check(shapes.check_device, (*_STORED, "imported_again")),
    Check(shapes.check_dtype, _STORED),
    Check(memory.check_training_seed, _STORED),
    Check(rows.check_rows_independent_in_training, _TRAINS_ALIKE),
    Check(
        rows.check_padding_ignored_in_training,
        (*_TRAINS_ALIKE, "padding_ignored", "rows_independent_in_training"),
    ),
    Check(direction.check_direction_in_training, (*_TRAINS_ALIKE, "rows_independent_in_training")),
    Check(state.check_state_in_training, (*_TRAINS_ALIKE, *_CONTINUES, "state_rows")),
    Check(state.check_state_gradient, (*_STORED, *_CONTINUES, "state_rows", "dtype", "long_rows")),
    Check(learning.check_learns, (*_STORED, "state_gradient", "own_step", "readout")),
    Check(learning.check_penalty, (*_REPEATS, "graph")),
    Check(learning.check_parameter_groups, (*_REPEATS, "copies")),
    Check(options.check_option_values, _BASIC),
    Check(
        options.check_options,
        (*_STORED, "penalty", "parameter_groups", "option_values", "training_seed"),
    ),
)
