"""Names to records: who announced what, what a mistyped name may have meant, who claims a name."""

from __future__ import annotations

import importlib.metadata
import json

import pytest
from conftest import Install, Run

from zoo.discovery import Plugin
from zoo.errors import PluginError, UsageError
from zoo.records import ModelInfo, PluginInfo, TaskInfo
from zoo.registry import Registry, resolve, suggestion


def model(name: str) -> ModelInfo:
    return ModelInfo(name, f"{name} of a test", "nowhere:Nothing", causal=True)


def task(name: str) -> TaskInfo:
    return TaskInfo(name, f"{name} of a test", "nowhere:Nothing", "loss", higher_is_better=False)


def plugin(distribution: str, models: str = "", tasks: str = "", error: str = "") -> Plugin:
    return Plugin(
        PluginInfo(distribution.removeprefix("zoo-"), distribution, "1.0", error=error),
        tuple(map(model, models.split())),
        tuple(map(task, tasks.split())),
    )


def test_a_name_that_two_plugins_claim_belongs_to_neither() -> None:
    registry = Registry([plugin("zoo-ann", "mgu sru"), plugin("zoo-bob", "mgu qrnn")])
    with pytest.raises(PluginError, match=r"'mgu' is ambiguous.*zoo-ann and zoo-bob") as failed:
        registry.model("mgu")
    assert failed.value.exit_code == 3
    with pytest.raises(PluginError, match="ambiguous"):
        registry.model_plugin("mgu")
    assert [info.name for info in registry.models] == ["qrnn", "sru"]
    assert registry.model("sru") == model("sru")
    assert registry.model_plugin("qrnn").distribution == "zoo-bob"


def test_tasks_clash_as_models_do_and_a_model_may_be_called_like_a_task() -> None:
    registry = Registry(
        [plugin("zoo-ann", "copy", "parity"), plugin("zoo-bob", tasks="parity copy")]
    )
    with pytest.raises(PluginError, match=r"task 'parity' is ambiguous.*zoo-ann and zoo-bob"):
        registry.task("parity")
    assert registry.model_plugin("copy").distribution == "zoo-ann"
    assert registry.task_plugin("copy").distribution == "zoo-bob"


def test_a_clash_of_installed_plugins_is_told_on_the_command_line(
    install_plugin: Install, zoo_here: Run
) -> None:
    source = (
        "import zoo\n"
        "@zoo.hookimpl\n"
        "def zoo_models():\n"
        "    return [zoo.ModelInfo(name, '', 'x:Y', True) for name in ('gru', {own!r})]\n"
    )
    install_plugin("zoo-ann", source.format(own="ann-gru"))
    done = zoo_here("train", "sentiment/gru")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "seqzoo" in line
    assert "zoo-ann" in line
    listed = json.loads(zoo_here("list", "*gru", "--models", "--json").stdout)["models"]
    assert [record["name"] for record in listed] == ["ann-gru", "bigru"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("lstn", "'lstm'"), ("bi-lstm", "'bilstm'"), ("gruu", "'gru'"), ("birn", "'birnn'")],
)
def test_a_mistyped_model_is_met_with_the_near_names(
    registry: Registry, typed: str, meant: str
) -> None:
    with pytest.raises(UsageError, match=rf"no model '{typed}' \(did you mean .*{meant}") as failed:
        registry.model(typed)
    assert failed.value.exit_code == 2


def test_a_mistyped_task_is_met_with_the_near_names(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"no task 'sentment' \(did you mean 'sentiment'\?\)"):
        registry.task("sentment")


def test_nothing_is_suggested_for_a_name_like_no_other(registry: Registry) -> None:
    assert suggestion("transformer", ["lstm", "gru"]) == ""
    with pytest.raises(UsageError, match="no model 'transformer'; see `zoo list --models`"):
        registry.model("transformer")


def test_a_missing_name_may_be_that_of_a_broken_plugin_and_the_message_says_so() -> None:
    registry = Registry([plugin("zoo-ann", error="ImportError: no"), plugin("zoo-bob", "sru")])
    with pytest.raises(UsageError, match=r"no model 'mgu'.*`zoo plugins` \(broken: ann\)"):
        registry.model("mgu")


def test_first_party_names_come_from_the_distribution_like_any_other(registry: Registry) -> None:
    for owner in (registry.model_plugin("lstm"), registry.task_plugin("sentiment")):
        assert owner.distribution == "seqzoo"
        assert owner.version == importlib.metadata.version("seqzoo")
    assert "lstm" in registry.model_plugin("lstm").models
    assert "sentiment" in registry.task_plugin("sentiment").tasks


def test_every_announced_target_loads(registry: Registry) -> None:
    for info in [*registry.models, *registry.tasks]:
        assert resolve(info.target).__name__ == info.target.partition(":")[2]


@pytest.mark.parametrize("target", ["no_such_module:Thing", "json:NoSuchClass"])
def test_a_target_that_does_not_load_is_the_plugin_s_failure(target: str) -> None:
    with pytest.raises(PluginError, match=f"target does not load in '{target}'"):
        resolve(target)
