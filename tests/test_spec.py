"""RunSpec: its JSON form, of every recipe, read back; what no longer fits is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zoo import options
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.records import ModelInfo, Recipe
from zoo.registry import Registry
from zoo.settings import resolve
from zoo.spec import Component, RunSpec

NAMES = [
    "char-best", "imdb-bilstm", "imdb-bilstm-book", "imdb-lstm-book", "imdb-pretrained",
    "imdb-quick", "imdb-rnn-book", "imdb-subwords",
    "island-best", "island-lstm", "island-lstm-book", "island-quick", "island-tuned",
    "manual-lstm", "reviews-char-lm", "reviews-lm",
    "sample-lstm", "sentiment/bigru", "sentiment/rnn-oh", "char-lm/gru", "char-lm/rnn-oo",
]  # fmt: skip


def stored(spec: RunSpec) -> dict[str, Any]:
    """The JSON form after it was written and read."""
    document: dict[str, Any] = json.loads(json.dumps(spec.to_json(), allow_nan=False))
    return document


def test_every_recipe_is_tested(registry: Registry) -> None:
    assert set(registry.names(Recipe)) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_equal_to_its_json_form_read_back(name: str, registry: Registry) -> None:
    spec = resolve(
        name, registry, {"learning_rate": "3e-3", "hidden_size": "5", "schedule": "one-cycle"},
        seed=9, init="imdb-bilstm", callbacks=("tensorboard",), metrics=("top5",),
    )  # fmt: skip
    document = stored(spec)
    assert RunSpec.from_json(document, registry) == spec
    assert stored(RunSpec.from_json(document, registry)) == document
    assert document["seed"] == 9
    assert document["model"]["options"]["hidden_size"] == 5
    assert document["model"]["distribution"] == "seqzoo"
    assert document["callbacks"]["tensorboard"]["options"] == {"log_dir": ""}
    assert document["scheduler"]["name"] == document["training"]["schedule"] == "one-cycle"
    assert (document["metrics"], document["init"]) == (["top5"], "imdb-bilstm")


def test_the_json_form_names_every_option_and_the_version(registry: Registry) -> None:
    spec = resolve("island-lstm", registry)
    document = stored(spec)
    for part in ("task", "model", "optimizer", "scheduler"):
        component = document[part]
        assert set(component) == {"name", "options", "distribution", "version"}
        assert component["version"]
    assert document["task"]["options"] == options.to_json(spec.network.task.options)
    assert set(document["training"]) == set(vars(spec.training))


def test_a_data_set_is_found_again_by_name(registry: Registry) -> None:
    spec = resolve("imdb-bilstm", registry)
    assert spec.dataset is not None
    assert RunSpec.from_json(stored(spec), registry).dataset == spec.dataset


def test_the_distribution_in_a_file_decides_between_two_claimants(registry: Registry) -> None:
    document = stored(resolve("sentiment/lstm", registry))["model"]
    component = Component.from_json(ModelInfo, document, registry)
    assert component.info == registry.get(ModelInfo, "lstm")
    # Where that distribution has no such name any more, the only other one is taken.
    moved = {**document, "distribution": "zoo-elsewhere"}
    assert Component.from_json(ModelInfo, moved, registry) == component


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("model", {"hidden": 1}, r"there is no option 'hidden'"),
        ("model", {"hidden_size": 0}, r"hidden_size: 0 is less than 1"),
        ("task", {"pooling": "first"}, r"pooling: 'first' is not one of last, mean, .*"),
        ("optimizer", {"beta2": 3.0}, r"beta2: 3\.0 is more than 0\.999999"),
        ("scheduler", {"warmup": "long"}, r"warmup: 'long' is not a number"),
    ],
)
def test_an_option_that_no_longer_fits_is_named_with_both_versions(
    part: str, change: dict[str, Any], message: str, registry: Registry
) -> None:
    document = stored(resolve("sentiment/lstm", registry))
    component = document[part]
    component["options"] |= change
    component["version"] = "0.0.7"
    pattern = (
        rf"{part} '{component['name']}' was made by seqzoo 0\.0\.7: "
        rf"seqzoo \S+ does not take its options: {message}; pip install seqzoo==0\.0\.7"
    )
    with pytest.raises(UsageError, match=pattern):
        RunSpec.from_json(document, registry)


def test_an_unknown_training_option_is_named(registry: Registry) -> None:
    document = stored(resolve("sentiment/lstm", registry))
    document["training"]["momentous"] = 0.9
    with pytest.raises(WeightsError, match="there is no option 'momentous'"):
        RunSpec.from_json(document, registry)


def test_a_component_that_is_not_installed_is_named(registry: Registry) -> None:
    document = stored(resolve("sentiment/lstm", registry))
    document["optimizer"]["name"] = "adamm"
    with pytest.raises(UsageError, match=r"no optimizer 'adamm' \(did you mean 'adam'"):
        RunSpec.from_json(document, registry)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "sentiment"), ("task", {"name": "sentiment"}), ("model", None), ("training", []),
        ("callbacks", []), ("callbacks", {"tensorboard": None}), ("optimizer", {}),
        ("metrics", None), ("model", {"name": ["lstm"]}),
    ],
)  # fmt: skip
def test_a_damaged_document_is_reported(key: str, value: Any, registry: Registry) -> None:
    document = stored(resolve("sentiment/lstm", registry))
    if key == "model" and isinstance(value, dict):
        value = {**document["model"], **value}
    with pytest.raises((WeightsError, UsageError, PluginError)):
        RunSpec.from_json({**document, key: value}, registry)


def test_every_part_of_the_document_is_required(registry: Registry) -> None:
    document = stored(resolve("sentiment/lstm", registry))
    for name in set(document) - {"submodels"}:  # This task has none.
        rest = {key: value for key, value in document.items() if key != name}
        with pytest.raises(WeightsError, match=f"configuration of the run is damaged: .*{name}"):
            RunSpec.from_json(rest, registry)
