"""What runs in a process of its own: plugins are imported, and what they declare is written down.

Each line that is written is a JSON object: ``{"begins": N, "files": [...]}`` before plugin N is
touched, ``{"ends": N, ...}`` afterwards, and last ``{"files": [...]}``. So whatever a plugin does
to the process, the last line that arrived names it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.discovery import declarations
from zoo.discovery.plugins import Plugin, described, import_module, load
from zoo.entry_points import PLUGINS_VARIABLE, Point
from zoo.subprocesses import limit_memory

# A plugin that declares more is not listed, but reported.
MOST_BYTES = 1 << 20
# What a plugin may take of memory before its models are used.
MOST_MEMORY = 4 << 30
MOST_FILES = 2000


def main(points: Sequence[Point], wanted: str) -> None:
    """Ask plugins, write what they say to stdout, and end the process at once.

    At once: neither handlers at exit nor threads of a plugin have a say in how long that takes.

    Args:
        points: The entry points of the plugins.
        wanted: ``records`` or ``environment``.
    """
    process, channel = os.getpid(), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # A plugin may replace these in their modules.
    write, leave, getpid, dumps = os.write, os._exit, os.getpid, json.dumps

    def send(document: Mapping[str, Any]) -> None:
        content = dumps(document).encode() + b"\n"
        if getpid() != process:
            leave(0)  # A plugin forked, and both go on.
        while content:
            content = content[write(channel, content) :]

    try:
        limit_memory(MOST_MEMORY)
        os.environ[PLUGINS_VARIABLE] = ""  # A plugin that asks for what is installed gets nothing.
        before = set(sys.modules)
        for number, point in enumerate(points):
            send({"begins": number, "files": package_files(point)})
            send({"ends": number, **(ask(point) if wanted == "records" else _facts(point))})
        send({"files": loaded_files(set(sys.modules) - before)})
    except BaseException:  # noqa: BLE001 - whatever it is, there is nobody to raise it to
        leave(1)
    leave(0)


def ask(point: Point) -> dict[str, Any]:
    """Import a plugin here and return what it declares, or its error, as JSON has it."""
    try:
        answer = _answer(load(point))
        if len(json.dumps(answer)) > MOST_BYTES:
            raise ValueError(f"it declares more than {MOST_BYTES:,} bytes")
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return {"error": described(error)}
    return answer


def _answer(plugin: Plugin) -> dict[str, Any]:
    declared = [declarations.declare(record) for record in plugin.records]
    return {
        "provides": {kind: list(names) for kind, names in plugin.info.provides.items()},
        "declarations": [declarations.to_json(each) for each in declared],
        "recipes": [str(file.path) for file in plugin.recipe_files],
        "has_environment": "zoo_environment" in dir(plugin.module),
    }


def _facts(point: Point) -> dict[str, Any]:
    from zoo.discovery.validation import environment

    try:
        facts = environment(import_module(point), point.name)
        if len(json.dumps(facts)) > MOST_BYTES:
            raise ValueError(f"it reports more than {MOST_BYTES:,} bytes")
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return {"error": described(error)}
    return {"facts": facts}


def package_files(point: Point) -> list[str]:
    """Return the source files of the package that an entry point names, some of very many."""
    location = Path(point.location)
    if location.name != "__init__.py":
        return [point.location] if point.location else []
    found: list[str] = []
    for folder, folders, names in os.walk(location.parent):
        folders[:] = sorted({*folders} - {"__pycache__"})
        found += (str(Path(folder, name)) for name in sorted(names) if name.endswith(".py"))
        if len(found) > MOST_FILES:
            break
    return found[:MOST_FILES]


def loaded_files(names: Iterable[str], packages: Collection[str] = ()) -> list[str]:
    """Return the files of modules by name, without those of zoo and of Python.

    Args:
        names: The modules.
        packages: The outermost packages whose modules are meant; empty: any.
    """
    found = []
    for name in sorted(names):
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(name), "__file__", None)
        if type(file) is str and top != "zoo" and top not in sys.stdlib_module_names:
            found += [file] if not packages or top in packages else []
    return found[:MOST_FILES]
