"""Checks of a plugin's module: hooks, records, and what importing it costs."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from torch import nn

from zoo import hookspecs
from zoo.building import build_model
from zoo.checks.result import Check, CheckError, CheckSkipped
from zoo.discovery import Plugin
from zoo.discovery.validation import validate
from zoo.entry_points import Point
from zoo.interfaces import Task
from zoo.options import options_of
from zoo.records import ModelInfo, PluginInfo, Record, TaskInfo
from zoo.registry import resolve_target
from zoo.spec import Component

IMPORT_SECONDS = 20
HOOKS = [name for name in vars(hookspecs) if name.startswith("zoo_")]

# In a process of its own, where nothing has been imported.
_IMPORT = """
import json, random, sys, time
import zoo
from zoo import hookimpl, ModelInfo
state, started = random.getstate(), time.monotonic()
__import__(sys.argv[1])
print(json.dumps({
    "seconds": time.monotonic() - started,
    "torch": "torch" in sys.modules,
    "draws": random.getstate() != state,
}), file=open(sys.argv[2], "w"))
"""


@dataclass(frozen=True)
class PluginCase:
    """A plugin by its entry point."""

    point: Point

    @property
    def info(self) -> PluginInfo:
        """Name, package and version."""
        return PluginInfo(self.point.name, self.point.distribution, self.point.version)

    @cached_property
    def module(self) -> Any:
        """What the entry point names."""
        module, _, attribute = self.point.value.partition(":")
        found: Any = importlib.import_module(module)
        for name in filter(None, attribute.split(".")):
            found = getattr(found, name)
        return found

    @cached_property
    def plugin(self) -> Plugin:
        """The plugin with its records, validated."""
        return validate(self.module, self.info)

    def records(self) -> list[Record]:
        """Return what its hooks return."""
        return list(self.plugin.records)


def check_imports(case: PluginCase) -> None:
    """The module of the entry point imports fast, without torch, and prints and draws nothing."""
    with tempfile.NamedTemporaryFile() as report:
        module = case.point.value.partition(":")[0]
        try:
            done = subprocess.run(
                [sys.executable, "-c", _IMPORT, module, report.name],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                timeout=IMPORT_SECONDS, env=_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CheckError(f"the import did not end within {IMPORT_SECONDS} s") from None
        text = report.read()
    if not text:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CheckError(f"the import failed: {last}")
    if done.stdout or done.stderr:
        said = (done.stdout or done.stderr).splitlines()[0]
        raise CheckError(f"the import printed {said!r}", "print nothing at import")
    found = json.loads(text)
    if found["torch"]:
        raise CheckError("the import loads torch, which takes a second",
                         "import torch in the module of the target alone")  # fmt: skip
    if found["draws"]:
        raise CheckError("the import moved a global generator on")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}


def check_hooks_marked(case: PluginCase) -> None:
    """Every function with the name of a hook is marked as one, and the names are right."""
    marked = {name for name, value in vars(case.module).items() if hasattr(value, "zoo_impl")}
    own = case.module.__name__ if isinstance(case.module, ModuleType) else ""
    for name, value in vars(case.module).items():
        if not callable(value) or getattr(value, "__module__", own) != own or name in marked:
            continue
        if name in HOOKS:
            raise CheckError(f"{name} is not marked", "write @zoo.hookimpl above it")
        near = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.8)
        if near:
            raise CheckError(f"{name} is no hook", f"did you mean {near[0]}?")
    if not marked:
        raise CheckError("the module has no hook", f"define one of {', '.join(HOOKS)}")


def check_records_valid(case: PluginCase) -> None:
    """Hooks return lists of the right records, whose names and options are as described."""
    if case.plugin.info.error:
        raise CheckError(case.plugin.info.error)


def check_records_described(case: PluginCase) -> None:
    """Records and options have a line that says what they are."""
    for record in case.records():
        what = f"{record.kind} {record.name!r}"
        if not record.summary.strip() or "\n" in record.summary:
            raise CheckError(f"the summary of {what} is not one line")
        for name, option in options_of(record.options).items():
            if not option.help.strip() or "\n" in option.help:
                raise CheckError(f"the help of option {name!r} of {what} is not one line")


def check_targets(case: PluginCase) -> None:
    """Every target loads and is what its kind of record needs."""
    if not case.records():
        raise CheckSkipped("it declares no records")
    for record in case.records():
        what = f"{record.kind} {record.name!r}"
        target = resolve_target(record.target)
        if isinstance(record, ModelInfo):
            if not isinstance(build_model(Component(record, record.options()), 3), nn.Module):
                raise CheckError(f"the target of {what} builds no torch module")
        elif isinstance(record, TaskInfo):
            if not isinstance(target(record.options()), Task):
                raise CheckError(f"the target of {what} builds no zoo Task")
            if record.suggest:
                resolve_target(record.suggest)
            if record.settings_from:
                resolve_target(record.settings_from)
        elif not callable(target):
            raise CheckError(f"the target of {what} cannot be called")
        runtime = record.runtime if isinstance(record, ModelInfo | TaskInfo) else ""
        if runtime and not hasattr(resolve_target(runtime), "known_options"):
            raise CheckError(f"the runtime of {what} has no known_options")


PLUGIN_CHECKS: tuple[Check[PluginCase], ...] = (
    Check(check_imports),
    Check(check_hooks_marked, ("imports",)),
    Check(check_records_valid, ("imports", "hooks_marked")),
    Check(check_records_described, ("imports", "hooks_marked", "records_valid")),
    Check(check_targets, ("imports", "hooks_marked", "records_valid")),
)
