"""A broken plugin is told by name, in a line, and leaves the others working."""

from __future__ import annotations

import doctest
import importlib.metadata
import json
import re
import sys
from types import ModuleType

import pytest
from conftest import Install, Run

from zoo import hookspecs
from zoo.discovery import Plugin, discover, installed, plugin_manager
from zoo.records import ModelInfo, TaskInfo

# Every hook, and what its example has to announce.
HOOKS = {"zoo_models": ModelInfo, "zoo_tasks": TaskInfo}
HOOK = "import zoo\n@zoo.hookimpl\n"
GOOD = HOOK + "def zoo_models():\n    return [zoo.ModelInfo('sru', 'Simple', 'x:Y', True)]\n"
# What is wrong with a plugin, its source, and what has to be said of it.
BROKEN = {
    "raises at import": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exits at import": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "is no Python": ("def (", "SyntaxError"),
    "needs what is missing": ("import no_such_thing", "No module named 'no_such_thing'"),
    "is not there": (None, "No module named 'zoo_broken'"),
    "raises in a hook": (
        HOOK + "def zoo_models():\n    raise KeyError('lost')",
        "KeyError: 'lost'",
    ),
    "returns no list": (
        HOOK + "def zoo_models():\n    return zoo.ModelInfo('sru', '', 'x:Y', True)",
        "zoo_models returned ModelInfo, not a list",
    ),
    "returns names": (
        HOOK + "def zoo_models():\n    return ['sru']",
        "zoo_models returned a str in its list, not a ModelInfo",
    ),
    "returns the other kind of record": (
        HOOK + "def zoo_tasks():\n    return [zoo.ModelInfo('sru', '', 'x:Y', True)]",
        "zoo_tasks returned a ModelInfo in its list, not a TaskInfo",
    ),
    "misspells a hook": (HOOK + "def zoo_modles():\n    return []", "unknown hook 'zoo_modles'"),
    "wants what a hook is not given": (
        HOOK + "def zoo_models(registry):\n    return []",
        "zoo_models.*registry",
    ),
    "tells its trouble in two lines": (
        "raise ValueError('first\\nsecond')",
        "ValueError: first second",
    ),
}


def found(distribution: str) -> Plugin:
    (plugin,) = [p for p in discover() if p.info.distribution == distribution]
    return plugin


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_attributed_and_leaves_the_rest_working(
    kind: str, install_plugin: Install
) -> None:
    source, said = BROKEN[kind]
    before = {p.info.name: p for p in discover()}
    install_plugin("zoo-broken", source)
    install_plugin("zoo-good", GOOD)
    broken = found("zoo-broken")
    assert (broken.info.name, broken.info.version) == ("zoo-broken", "2.5")
    assert (broken.models, broken.tasks) == ((), ())
    assert (broken.info.models, broken.info.tasks) == ((), ())
    assert len(broken.info.error.splitlines()) == 1
    assert re.search(said, broken.info.error), broken.info.error
    assert found("zoo-good").info.models == ("sru",)
    after = {p.info.name: p for p in discover()}
    assert {name: after[name] for name in before} == before


def test_commands_work_beside_a_broken_plugin_and_warn_of_it(
    install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin("zoo-broken", "raise RuntimeError('no luck')")
    listed = zoo_here("list", "lstm")
    assert listed.returncode == 0
    assert "LSTM with forget gate" in listed.stdout
    assert "broken plugins: zoo-broken; see `zoo plugins`" in listed.stderr
    (line,) = [
        line for line in zoo_here("plugins").stdout.splitlines() if line.startswith("zoo-broken")
    ]
    assert re.split(" {2,}", line) == [
        "zoo-broken",
        "zoo-broken 2.5",
        "BROKEN: RuntimeError: no luck",
    ]
    (record,) = [
        record
        for record in json.loads(zoo_here("plugins", "--json").stdout)
        if record["distribution"] == "zoo-broken"
    ]
    assert record["error"] == "RuntimeError: no luck"


def test_a_plugin_without_hooks_adds_nothing_and_is_not_broken(install_plugin: Install) -> None:
    install_plugin("zoo-empty", "x = 1\n")
    plugin = found("zoo-empty")
    assert plugin.info.error == ""
    assert (plugin.models, plugin.tasks) == ((), ())


def test_an_entry_point_without_a_distribution_is_called_unknown(install_plugin: Install) -> None:
    install_plugin("zoo-good", GOOD)
    (plugin,) = discover([importlib.metadata.EntryPoint("loose", "zoo_good", "zoo")])
    assert plugin.info.distribution == "unknown"
    assert plugin.info.models == ("sru",)


def test_one_plugin_s_hooks_are_not_taken_for_another_s(install_plugin: Install) -> None:
    install_plugin("zoo-good", GOOD)
    install_plugin("zoo-more", GOOD.replace("sru", "qrnn"))
    assert found("zoo-good").info.models == ("sru",)
    assert found("zoo-more").info.models == ("qrnn",)


def test_entry_points_are_found_without_importing_them(install_plugin: Install) -> None:
    install_plugin("zoo-good", GOOD)
    assert "zoo-good" in [point.name for point in installed()]
    assert "zoo_good" not in sys.modules


def test_first_party_plugins_come_through_the_strangers_door() -> None:
    declared = {
        point.name
        for point in importlib.metadata.distribution("seqzoo").entry_points
        if point.group == "zoo"
    }
    assert declared == {p.info.name for p in discover() if p.info.distribution == "seqzoo"}
    assert discover([]) == []


def test_ctrl_c_while_plugins_load_is_not_taken_for_a_plugin_s_failure(
    install_plugin: Install,
) -> None:
    install_plugin("zoo-slow", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        discover()


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_runs_and_is_a_working_plugin(hook: str) -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(
        vars(hookspecs)[hook], hook, globs={}, module=False
    )
    assert test.examples
    outcome = doctest.DocTestRunner().run(test, clear_globs=False)
    assert outcome.failed == 0
    plugin = ModuleType("example")
    setattr(plugin, hook, test.globs[hook])
    manager = plugin_manager()
    manager.register(plugin)
    manager.check_pending()
    (records,) = getattr(manager.hook, hook)()
    assert records
    assert all(isinstance(record, HOOKS[hook]) for record in records)


def test_no_hook_is_without_an_example() -> None:
    assert {name for name in vars(hookspecs) if name.startswith("zoo_")} == set(HOOKS)
