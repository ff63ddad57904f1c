"""Names to records: who declares what, near names for mistyped ones, names declared twice."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Install, Run

import zoo
from zoo.discovery import Plugin, discover
from zoo.errors import PluginError, UsageError, did_you_mean
from zoo.recipes import RecipeFile
from zoo.records import (
    DatasetInfo,
    MetricInfo,
    ModelInfo,
    PluginInfo,
    Recipe,
    Record,
    TaskInfo,
)
from zoo.registry import Registry, resolve_target
from zoo.settings import resolve

KINDS: list[type[Record]] = [ModelInfo, TaskInfo, zoo.OptimizerInfo, zoo.SchedulerInfo]
PLUGIN = """
import zoo
@zoo.hookimpl
def zoo_models():
    return [
        zoo.ModelInfo(name=name, summary="", target="x:Y", causal=True)
        for name in ("gru", {own!r})
    ]
"""


def model(name: str, owner: PluginInfo | None = None) -> ModelInfo:
    return ModelInfo(
        name=name, summary=f"{name} of a test", target="nowhere:Nothing", causal=True, plugin=owner
    )


def task(name: str, owner: PluginInfo | None = None) -> TaskInfo:
    return TaskInfo(
        name=name, summary=f"{name} of a test", target="nowhere:Nothing", monitor="loss",
        higher_is_better=False, plugin=owner,
    )  # fmt: skip


def recipe(name: str, owner: PluginInfo | None = None, **values: Any) -> Recipe:
    return Recipe(name=name, summary="", task="char-lm", model="lstm", plugin=owner, **values)


def dataset(name: str, owner: PluginInfo | None = None) -> DatasetInfo:
    return DatasetInfo(
        name=name, summary="", url="https://example.org", sha256="", bytes=1, plugin=owner
    )


def plugin(
    distribution: str,
    models: str = "",
    tasks: str = "",
    recipes: tuple[Recipe, ...] = (),
    datasets: str = "",
    error: str = "",
) -> Plugin:
    info = PluginInfo(distribution.removeprefix("zoo-"), distribution, "1.0", error=error)
    records: list[Record] = [model(name, info) for name in models.split()]
    records += [task(name, info) for name in tasks.split()]
    file = RecipeFile(
        Path(f"{distribution}.toml"),
        datasets={name: dataset(name, info) for name in datasets.split()},
        recipes={found.name: found for found in recipes},
    )
    return Plugin(info, None, tuple(records), (file,))


def test_a_name_of_two_plugins_is_ambiguous_and_both_are_named() -> None:
    registry = Registry([plugin("zoo-ann", "mgu sru"), plugin("zoo-bob", "mgu qrnn")])
    with pytest.raises(PluginError, match=r"'mgu' is ambiguous.*zoo-ann and zoo-bob") as failed:
        registry.get(ModelInfo, "mgu")
    assert "say zoo-ann:mgu or zoo-bob:mgu" in str(failed.value)
    assert failed.value.exit_code == 3
    assert registry.clashes == ["mgu"]
    assert registry.names(ModelInfo) == ["qrnn", "sru"]
    assert registry.has(ModelInfo, "mgu")
    assert registry.get(ModelInfo, "sru") == model("sru")


def test_the_distribution_chooses_between_two_claimants() -> None:
    registry = Registry([plugin("zoo-ann", "mgu"), plugin("zoo-bob", "mgu")])
    for distribution in ("zoo-ann", "zoo-bob"):
        assert registry.has(ModelInfo, f"{distribution}:mgu")
        found = registry.get(ModelInfo, f"{distribution}:mgu")
        assert found.plugin is not None
        assert found.plugin.distribution == distribution
    assert not registry.has(ModelInfo, "zoo-cat:mgu")
    with pytest.raises(UsageError, match="no model 'zoo-cat:mgu'"):
        registry.get(ModelInfo, "zoo-cat:mgu")


def test_tasks_clash_as_models_do_and_a_model_may_have_the_name_of_a_task() -> None:
    registry = Registry(
        [plugin("zoo-ann", "copy", "parity"), plugin("zoo-bob", tasks="parity copy")]
    )
    with pytest.raises(PluginError, match=r"task 'parity' is ambiguous.*zoo-ann and zoo-bob"):
        registry.get(TaskInfo, "parity")
    kinds: list[tuple[type[Record], str]] = [(ModelInfo, "zoo-ann"), (TaskInfo, "zoo-bob")]
    for kind, distribution in kinds:
        owner = registry.get(kind, "copy").plugin
        assert owner is not None
        assert owner.distribution == distribution


def test_a_clash_of_installed_plugins_is_reported_by_the_command_line(
    install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin("zoo-ann", PLUGIN.format(own="ann-gru"))
    done = zoo_here("train", "sentiment/gru")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "seqzoo:gru" in line
    assert "zoo-ann:gru" in line
    listed = json.loads(zoo_here("list", "*gru", "--models", "--json").stdout)["models"]
    assert [record["name"] for record in listed] == ["ann-gru", "bigru"]


def test_a_recipe_of_the_recipe_file_is_meant_before_one_of_a_plugin(tmp_path: Path) -> None:
    owner = PluginInfo("ann", "zoo-ann", "1.0")
    own = RecipeFile(tmp_path, recipes={"book": recipe("book"), "film": recipe("film")})
    brought = plugin("zoo-ann", recipes=(recipe("book", owner), recipe("song", owner)))
    registry = Registry([brought], own)
    assert registry.names(Recipe) == ["book", "film", "song"]
    assert registry.clashes == ["book"]
    assert registry.get(Recipe, "book").plugin is None
    assert registry.get(Recipe, "zoo-ann:book").plugin == owner


def test_a_recipe_of_two_other_plugins_is_ambiguous() -> None:
    ann, bob = PluginInfo("ann", "zoo-ann", "1.0"), PluginInfo("bob", "zoo-bob", "1.0")
    registry = Registry(
        [
            plugin("zoo-ann", recipes=(recipe("book", ann),)),
            plugin("zoo-bob", recipes=(recipe("book", bob),)),
        ]
    )
    with pytest.raises(PluginError, match=r"recipe 'book' is ambiguous.*zoo-ann:book"):
        registry.get(Recipe, "book")


def test_the_distribution_chooses_a_recipe_to_train() -> None:
    owner = PluginInfo("ann", "zoo-ann", "1.0")
    brought = plugin("zoo-ann", recipes=(recipe("sample-lstm", owner),))
    registry = Registry([brought, *discover()])
    assert resolve("zoo-ann:sample-lstm", registry).task.name == "char-lm"
    assert resolve("seqzoo:sample-lstm", registry).task.name == "sentiment"
    assert resolve("sample-lstm", registry).task.name == "sentiment"


def test_names_in_a_recipe_and_defaults_mean_those_of_its_own_package(registry: Registry) -> None:
    """A stranger that claims every name takes away those that the user types, and no others."""
    claimed = [(kind, name) for kind in KINDS for name in registry.names(kind)]
    owner = PluginInfo("ann", "zoo-ann", "1.0")
    claims = tuple(
        replace(registry.get(kind, name), target="nowhere:Nothing", plugin=owner)
        for kind, name in claimed
    )
    both = Registry([Plugin(owner, None, claims), *discover()])
    spec = resolve("sample-lstm", both)
    assert {part.info.plugin.distribution for part in (
        spec.network.task, spec.network.model, spec.optimizer, spec.scheduler,
    ) if part.info.plugin} == {"seqzoo"}  # fmt: skip
    spec = resolve("seqzoo:char-lm/seqzoo:gru", both)
    assert spec.optimizer.info.plugin
    assert spec.optimizer.info.plugin.distribution == "seqzoo"
    for name, setting in (("sentiment/seqzoo:gru", {}), ("sample-lstm", {"optimizer": "sgd"})):
        with pytest.raises(PluginError, match="is ambiguous"):
            resolve(name, both, setting)


def test_a_plugin_recipe_with_unknown_data_makes_only_that_plugin_fail(tmp_path: Path) -> None:
    owner = PluginInfo("ann", "zoo-ann", "1.0")
    own = RecipeFile(tmp_path, recipes={"film": recipe("film")})
    bad = plugin("zoo-ann", "mgu", recipes=(recipe("book", owner, data="bok"),))
    registry = Registry([bad, plugin("zoo-bob", "sru")], own)
    assert registry.broken == ("ann",)
    (info,) = [info for info in registry.plugins if info.error]
    assert "data 'bok' is not in a data table" in info.error
    assert "recipes.book" in info.error
    assert registry.names(Recipe) == ["film"]
    assert registry.names(ModelInfo) == ["sru"]


def test_a_data_set_of_the_recipe_file_is_meant_before_one_of_a_plugin(tmp_path: Path) -> None:
    own = RecipeFile(tmp_path, {"imdb": dataset("imdb")}, {"film": recipe("film", data="imdb")})
    registry = Registry([plugin("zoo-ann", datasets="imdb")], own)
    assert registry.names(Recipe) == ["film"]
    assert registry.get(DatasetInfo, "imdb").plugin is None


def test_unknown_data_in_the_user_s_recipe_file_is_an_error(tmp_path: Path) -> None:
    own = RecipeFile(tmp_path, recipes={"film": recipe("film", data="imbd", source=tmp_path)})
    with pytest.raises(UsageError, match=r"data 'imbd' is not in a data table.*recipes\.film"):
        Registry([], own)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("lstn", "'lstm'"), ("bi-lstm", "'bilstm'"), ("gruu", "'gru'"), ("birn", "'birnn'")],
)
def test_near_names_are_suggested_for_a_mistyped_model(
    registry: Registry, typed: str, near: str
) -> None:
    with pytest.raises(UsageError, match=rf"no model '{typed}' \(did you mean .*{near}") as failed:
        registry.get(ModelInfo, typed)
    assert failed.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "typed", "near"),
    [
        (TaskInfo, "sentment", "'sentiment'"),
        (zoo.OptimizerInfo, "adamm", "'adam'"),
        (zoo.SchedulerInfo, "cosin", "'cosine'"),
        (zoo.CallbackInfo, "tensorbord", "'tensorboard'"),
        (MetricInfo, "top-5", "'top5'"),
        (Recipe, "sample-lstn", "'sample-lstm'"),
    ],
)
def test_near_names_are_suggested_for_every_kind(
    registry: Registry, kind: type[Any], typed: str, near: str
) -> None:
    pattern = rf"no {kind.kind} '{typed}' \(did you mean {near}.*`zoo list --{kind.kind}s`"
    with pytest.raises(UsageError, match=pattern):
        registry.get(kind, typed)


def test_nothing_is_suggested_for_a_name_that_resembles_none(registry: Registry) -> None:
    assert did_you_mean("transformer", ["lstm", "gru"]) == ""
    with pytest.raises(UsageError, match="no model 'transformer'; see `zoo list --models`"):
        registry.get(ModelInfo, "transformer")


def test_the_message_of_a_missing_name_lists_broken_plugins() -> None:
    registry = Registry([plugin("zoo-ann", error="ImportError: no"), plugin("zoo-bob", "sru")])
    with pytest.raises(UsageError, match=r"no model 'mgu'.*`zoo plugins` \(broken: ann\)"):
        registry.get(ModelInfo, "mgu")


def test_first_party_records_name_their_distribution_and_version(registry: Registry) -> None:
    records: list[Record] = [
        registry.get(ModelInfo, "lstm"), registry.get(TaskInfo, "sentiment"),
        registry.get(zoo.OptimizerInfo, "adam"),
    ]  # fmt: skip
    for record in records:
        owner = record.plugin
        assert owner is not None
        assert owner.distribution == "seqzoo"
        assert owner.version == importlib.metadata.version("seqzoo")
        assert record.name in owner.provides[record.kind]


@pytest.mark.parametrize(
    "kind", [ModelInfo, TaskInfo, zoo.OptimizerInfo, zoo.SchedulerInfo, MetricInfo, zoo.CommandInfo]
)
def test_every_first_party_target_loads(registry: Registry, kind: type[Record]) -> None:
    assert registry.all(kind)
    for info in registry.all(kind):
        assert isinstance(info.target, str)
        assert callable(resolve_target(info.target))


@pytest.mark.parametrize("target", ["no_such_module:Thing", "json:NoSuchClass"])
def test_a_target_that_does_not_load_is_a_plugin_error(target: str) -> None:
    with pytest.raises(PluginError, match=f"target does not load in '{target}'"):
        resolve_target(target)


def test_a_target_whose_module_fails_is_a_plugin_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unfinished_module.py").write_text("def forward(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"target does not load in .*: SyntaxError"):
        resolve_target("unfinished_module:Model")


def test_a_target_can_be_a_class() -> None:
    assert resolve_target(Registry) is Registry
