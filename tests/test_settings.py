"""Settings: recipe and overrides to one run; every bad setting is reported in one message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

import zoo
from zoo.discovery import Plugin, discover
from zoo.errors import DataError, UsageError, ZooWarning
from zoo.options import to_json
from zoo.recipes import RecipeFile
from zoo.records import PluginInfo, Recipe
from zoo.registry import Registry
from zoo.settings import names, resolve
from zoo.spec import RunSpec

RECIPES: dict[str, dict[str, Any]] = {
    "toy-lstm": {"model.hidden_size": 7, "training.learning_rate": 1},
    "toy-adamw": {
        "training.optimizer": "adamw", "training.beta2": 0.99, "training.weight_decay": 0.01,
        "training.schedule": "cosine", "training.warmup": 0.1,
    },
    "toy-dotted": {
        "training.optimizer": "adamw", "optimizer.beta2": 0.99, "training.schedule": "cosine",
        "scheduler.warmup": 0.1,
    },
}  # fmt: skip


def with_recipes(**recipes: dict[str, Any]) -> Registry:
    found = {
        name: Recipe(
            name=name, summary="", task="sentiment", model="lstm", settings=settings,
            source=Path("toy.toml"),
        )
        for name, settings in recipes.items()
    }  # fmt: skip
    return Registry(discover(), RecipeFile(Path("toy.toml"), recipes=found))


@pytest.fixture(scope="module")
def toys() -> Registry:
    return with_recipes(**RECIPES)


def resolved(registry: Registry, name: str, *settings: str, **more: Any) -> RunSpec:
    pairs = {key: value for key, _, value in (text.partition("=") for text in settings)}
    return resolve(name, registry, pairs, **more)


def refusal(registry: Registry, name: str, *settings: str) -> str:
    with pytest.raises(UsageError) as failed:
        resolved(registry, name, *settings)
    message = str(failed.value)
    assert failed.value.exit_code == 2
    assert len(message.splitlines()) == 1
    return message


def model_options(spec: RunSpec) -> dict[str, Any]:
    return to_json(spec.network.model.options)


def task_options(spec: RunSpec) -> dict[str, Any]:
    return to_json(spec.network.task.options)


def test_overrides_win_over_the_recipe_and_the_recipe_over_the_defaults(toys: Registry) -> None:
    plain = resolved(toys, "sentiment/lstm")
    recipe = resolved(toys, "toy-lstm")
    changed = resolved(toys, "toy-lstm", "hidden_size=9", "training.batch_size=5")
    sizes = [model_options(spec)["hidden_size"] for spec in (plain, recipe, changed)]
    assert sizes == [type(plain.network.model.options)().hidden_size, 7, 9]  # type: ignore[attr-defined]
    assert (recipe.training.batch_size, changed.training.batch_size) == (32, 5)
    assert recipe.name == "toy-lstm"
    assert repr(recipe.training.learning_rate) == "1.0"


def test_a_bare_key_means_the_dotted_one_of_its_section(toys: Registry) -> None:
    bare = resolved(
        toys, "sentiment/lstm", "num_layers=2", "fc_size=3", "epochs=4", "beta2=0.5", "warmup=0.25"
    )
    dotted = resolved(
        toys, "sentiment/lstm", "model.num_layers=2", "task.fc_size=3", "training.epochs=4",
        "optimizer.beta2=0.5", "scheduler.warmup=0.25",
    )  # fmt: skip
    assert bare == dotted
    assert model_options(bare)["num_layers"] == 2
    assert task_options(bare)["fc_size"] == 3
    assert bare.training.epochs == 4
    assert to_json(bare.optimizer.options)["beta2"] == 0.5
    assert to_json(bare.scheduler.options)["warmup"] == 0.25


def test_values_of_python_are_checked_and_not_parsed(toys: Registry) -> None:
    spec = resolve("sentiment/lstm", toys, {"hidden_size": 9, "clip_norm": 1})
    assert model_options(spec)["hidden_size"] == 9
    assert repr(spec.training.clip_norm) == "1.0"
    with pytest.raises(UsageError, match=r"hidden_size: 9\.0 is not an integer"):
        resolve("sentiment/lstm", toys, {"hidden_size": 9.0})


def test_a_key_of_two_sections_is_refused_and_both_are_named(toys: Registry) -> None:
    message = refusal(toys, "sentiment/lstm", "dropout=0.5")
    assert "dropout: ambiguous; say task.dropout or model.dropout" in message
    both = ("task.dropout=0.5", "model.dropout=0.25", "num_layers=2")
    spec = resolved(toys, "sentiment/lstm", *both)
    assert (task_options(spec)["dropout"], model_options(spec)["dropout"]) == (0.5, 0.25)


def test_all_bad_settings_are_in_one_message(toys: Registry) -> None:
    message = refusal(
        toys, "char-lm/lstm",
        "hiden_size=5", "epochs=many", "dropout=1", "optimizer=adm", "schedule=cosin",
        "batch_size=0", "epochs.x=1", "validation_size=0.9", "num_layers=none", "beta2=2",
    )  # fmt: skip
    assert message.startswith("10 bad settings for char-lm/lstm: ")
    for problem in (
        "hiden_size: unknown setting (did you mean 'hidden_size'",
        "epochs: 'many' is not an integer",
        "dropout: ambiguous",
        "optimizer: no optimizer 'adm' (did you mean 'adam'",
        "schedule: no scheduler 'cosin' (did you mean 'cosine'?)",
        "batch_size: 0 is less than 1",
        "epochs.x: unknown setting",
        "validation_size: 0.9 is more than 0.4",
        "num_layers: 'none' is not an integer",
        "beta2: 2.0 is more than 0.999999",
    ):
        assert problem in message


def test_rules_across_options_are_reported_with_the_other_problems(toys: Registry) -> None:
    message = refusal(toys, "sentiment/lstm", "model.dropout=0.5", "batch_size=0")
    assert message.startswith("2 bad settings for sentiment/lstm: ")
    assert "batch_size: 0 is less than 1" in message
    assert "model: dropout acts between layers, and num_layers is 1" in message


def test_a_key_in_the_wrong_section_is_unknown(toys: Registry) -> None:
    message = refusal(toys, "sentiment/lstm", "model.epochs=3")
    assert "model.epochs: unknown setting (did you mean 'epochs'?)" in message


def test_bad_settings_of_a_recipe_are_reported_with_the_recipe() -> None:
    registry = with_recipes(toy={"model.hidden_size": "big", "training.colour": 1})
    message = refusal(registry, "toy")
    assert message.startswith("2 bad settings for toy: ")
    assert "model.hidden_size: 'big' is not an integer (in toy.toml, recipes.toy)" in message
    assert "training.colour: unknown setting (in toy.toml, recipes.toy)" in message


def test_options_of_optimizer_and_schedule_are_given_as_training_options(toys: Registry) -> None:
    spec = resolved(toys, "toy-adamw")
    assert (spec.optimizer.info.name, spec.scheduler.info.name) == ("adamw", "cosine")
    assert to_json(spec.optimizer.options) == {"beta2": 0.99, "weight_decay": 0.01}
    assert to_json(spec.scheduler.options) == {"warmup": 0.1}
    assert resolved(toys, "toy-dotted", "weight_decay=0.01").optimizer == spec.optimizer
    changed = resolved(toys, "toy-adamw", "training.beta2=0.5", "optimizer.weight_decay=0")
    assert to_json(changed.optimizer.options) == {"beta2": 0.5, "weight_decay": 0.0}


@pytest.mark.parametrize("recipe", ["toy-adamw", "toy-dotted"])
@pytest.mark.parametrize("key", ["optimizer", "training.optimizer"])
def test_another_optimizer_drops_the_options_that_it_lacks(
    recipe: str, key: str, toys: Registry
) -> None:
    spec = resolved(toys, recipe, f"{key}=sgd", "momentum=0.9")
    assert spec.optimizer.info.name == "sgd"
    assert spec.training.optimizer == "sgd"
    options = to_json(spec.optimizer.options)
    assert options["momentum"] == 0.9
    # Both optimizers have weight_decay: the value of the recipe stays.
    assert options["weight_decay"] == (0.01 if recipe == "toy-adamw" else 0.0)
    assert "beta2" not in options
    message = refusal(toys, recipe, f"{key}=sgd", "beta2=0.9")
    assert "beta2: unknown setting" in message


@pytest.mark.parametrize("recipe", ["toy-adamw", "toy-dotted"])
def test_another_schedule_drops_the_options_that_it_lacks(recipe: str, toys: Registry) -> None:
    assert to_json(resolved(toys, recipe, "schedule=linear").scheduler.options) == {"warmup": 0.1}
    plateau = resolved(toys, recipe, "schedule=plateau", "factor=0.1")
    assert to_json(plateau.scheduler.options) == {"factor": 0.1, "tolerance": 1}


def test_a_mistake_of_a_recipe_is_reported_although_the_optimizer_is_replaced() -> None:
    registry = with_recipes(toy={"training.optimizer": "adamw", "training.beta3": 0.5})
    assert "training.beta3: unknown setting" in refusal(registry, "toy", "optimizer=sgd")


@dataclass(frozen=True)
class LimitedOptions(zoo.Options):
    limit: int | None = zoo.option(5, "largest value; none: no limit")


LIMITED = zoo.TaskInfo(
    name="limited", summary="", target="x:Y", monitor="loss", higher_is_better=False,
    options=LimitedOptions,
)  # fmt: skip


def test_none_is_written_in_a_recipe_as_after_set() -> None:
    recipes = {
        text: Recipe(
            name=text, summary="", task="limited", model="lstm", settings={"task.limit": text}
        )
        for text in ("none", "nothing")
    }
    registry = Registry(
        [*discover(), Plugin(PluginInfo("limited", "zoo-limited", "1"), None, (LIMITED,))],
        RecipeFile(Path("toy.toml"), recipes=recipes),
    )
    assert task_options(resolve("none", registry)) == {"limit": None}
    assert task_options(resolve("none", registry, {"limit": "3"})) == {"limit": 3}
    assert "task.limit: 'nothing' is not an integer or none" in refusal(registry, "nothing")


def test_old_names_of_settings_work_with_a_warning(toys: Registry) -> None:
    with pytest.warns(ZooWarning) as warned:
        found = resolved(
            toys, "char-lm/lstm", "window=16", "reading=streams", "validation=0.1", "task.test=0.2"
        )
    names = {
        "window": "bptt_steps", "reading": "batching", "validation": "validation_size",
        "test": "test_size",
    }  # fmt: skip
    assert [str(warning.message) for warning in warned] == [
        f"option {old!r} is deprecated since 0.2 and will be removed in 1.0: use {new!r}"
        for old, new in names.items()
    ]
    assert found == resolved(
        toys, "char-lm/lstm", "bptt_steps=16", "batching=contiguous", "validation_size=0.1",
        "test_size=0.2",
    )  # fmt: skip


def test_callbacks_have_options_of_their_own(toys: Registry) -> None:
    spec = resolved(toys, "sentiment/lstm", "tensorboard.log_dir=x", callbacks=("tensorboard",))
    assert to_json(spec.callbacks["tensorboard"].options) == {"log_dir": "x"}
    assert "log_dir: unknown setting" in refusal(toys, "sentiment/lstm", "log_dir=x")
    with pytest.raises(UsageError, match=r"no callback 'tensorbord' \(did you mean"):
        resolve("sentiment/lstm", toys, callbacks=("tensorbord",))


def test_a_bidirectional_model_is_refused_for_a_causal_task(toys: Registry) -> None:
    message = refusal(toys, "char-lm/bilstm")
    assert message.startswith("model 'bilstm' cannot be used for task 'char-lm': ")
    assert "`zoo list --models`" in message


def test_a_bidirectional_model_is_refused_before_data_is_looked_for(
    zoo_here: Run, tmp_path: Path
) -> None:
    done = zoo_here(
        "train", "char-lm/bilstm", "--data", tmp_path / "no-such.txt", "--out", tmp_path / "run"
    )
    assert done.returncode == 2
    assert "model 'bilstm' cannot be used for task 'char-lm'" in done.stderr
    assert "no-such" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("toy-lst", "no recipe 'toy-lst' (did you mean 'toy-lstm'"),
        ("sentiment/lstn", "no model 'lstn' (did you mean 'lstm'"),
        ("sentimnt/lstm", "no task 'sentimnt' (did you mean 'sentiment'"),
        ("sentiment-gru", "did you mean 'sentiment/gru'"),
    ],
)
def test_near_names_are_suggested(name: str, near: str, toys: Registry) -> None:
    assert near in refusal(toys, name)


def test_every_name_that_can_be_trained_is_listed(toys: Registry) -> None:
    listed = names(toys)
    assert {*RECIPES, "sample-lstm", "sentiment/bigru", "char-lm/lstm"} <= set(listed)
    assert len(set(listed)) == len(listed)


def test_data_is_a_path_or_the_name_of_a_data_set(registry: Registry, tmp_path: Path) -> None:
    named = resolve("sentiment/lstm", registry, data="imdb")
    assert named.dataset is not None
    assert named.dataset.name == "imdb"
    for data in (str(tmp_path), "", "sample"):
        spec = resolve("sentiment/lstm", registry, data=data)
        assert (spec.data, spec.dataset) == (data, None)
    with pytest.raises(DataError, match=r"no data 'imbd' \(did you mean 'imdb'\?\).*sample, imdb"):
        resolve("sentiment/lstm", registry, data="imbd")
