"""Every hook has an example that runs and a plugin of zoo's own that uses it."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zoo import hookspecs
from zoo.discovery import discover
from zoo.discovery.validation import RECORD_HOOKS, plugin_manager, validate
from zoo.records import PluginInfo

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("zoo_"))


def example_of(hook: str) -> ModuleType:
    """Run the example in the docstring of a hook and return the plugin that it makes."""
    (test,) = doctest.DocTestFinder(recurse=False).find(
        vars(hookspecs)[hook], hook, globs={}, module=False
    )
    assert test.examples
    assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
    plugin = ModuleType("example")
    setattr(plugin, hook, test.globs[hook])
    return plugin


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_is_a_working_plugin(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes.toml").write_text(
        '[recipes.example]\nsummary = ""\ntask = "sentiment"\nmodel = "lstm"\n'
    )
    example = example_of(hook)
    plugin = validate(example, PluginInfo("example", "zoo-example", "1.0"))
    manager = plugin_manager()
    manager.register(example)
    (returned,) = getattr(manager.hook, hook)()
    assert returned
    if hook in RECORD_HOOKS:
        (record,) = plugin.records
        assert type(record) is RECORD_HOOKS[hook]
        assert record.summary
    elif hook == "zoo_recipes":
        (file,) = plugin.recipe_files
        assert list(file.recipes) == ["example"]
    else:
        assert all(isinstance(text, str) for pair in returned.items() for text in pair)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_first_party_plugin_uses_the_hook(hook: str) -> None:
    manager = plugin_manager()
    for plugin in discover():
        if plugin.info.distribution == "seqzoo":
            manager.register(plugin.load().module)
    found: list[Any] = getattr(manager.hook, hook)()
    assert any(found)
