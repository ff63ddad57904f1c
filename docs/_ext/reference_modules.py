"""Directives for the Python reference: public modules by their docstrings, and the hooks.

``{zoo-module} zoo.nn`` documents a module with its public names. A name that several modules have
is documented once, and linked from the others. ``{zoo-hooks}`` documents every hook: its arguments,
and the fields of the record that it returns.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import typing
from functools import cached_property
from types import FunctionType, ModuleType, UnionType
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

# What of zoo is public, in the order in which the home of a name is looked for.
MODULES = (
    "zoo", "zoo.api", "zoo.interfaces", "zoo.nn", "zoo.arrays", "zoo.data.download",
    "zoo.data.mapped", "zoo.data.ragged", "zoo.data.sequence", "zoo.data.shard_files",
    "zoo.data.shards", "zoo.data.source", "zoo.data.store", "zoo.data.text", "zoo.generation",
    "zoo.prediction", "zoo.runtime", "zoo.testing", "zoo.sklearn", "zoo.errors", "zoo.records",
    "zoo.options", "zoo.files", "zoo.intervals", "zoo.deprecation",
)  # fmt: skip

_SECTION = re.compile(r"(Attributes|Returns|Yields|Raises|Warns|Example|Examples):")


def public_names(module: ModuleType) -> list[str]:
    """Return the public names of a module: ``__all__``, or the rest of what it defines.

    Without ``__all__`` these are functions and classes without underscore, and constants with a
    docstring.
    """
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    own = [
        name for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and not name.startswith("_")
        and value.__module__ == module.__name__
    ]  # fmt: skip
    constants = (name for _, name in ModuleAnalyzer.for_module(module.__name__).find_attr_docs())
    return [*own, *(name for name in constants if name in vars(module))]


def home(name: str, module: ModuleType) -> str:
    """Return the public module that a name is documented in: where it is defined, or the first."""
    value = getattr(module, name)
    if getattr(value, "__module__", "") in MODULES and hasattr(value, "__qualname__"):
        return str(value.__module__)
    return next(
        public for public in MODULES
        if vars(found := importlib.import_module(public)).get(name, _lazy(found, name)) is value
        and name in public_names(found)
    )  # fmt: skip


def _lazy(module: ModuleType, name: str) -> Any:
    """Return a name that a module imports when it is first used."""
    return getattr(module, name, None) if name in getattr(module, "__all__", ()) else None


def public_members(cls: type) -> list[str]:
    """Return the public methods and properties of a class that zoo's own code defines."""
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "zoo"]
    kinds = (FunctionType, property, cached_property, classmethod, staticmethod)
    return list(dict.fromkeys(
        name for base in own for name, value in vars(base).items()
        if isinstance(value, kinds) and not name.startswith("_")
    ))  # fmt: skip


def arguments(docstring: str) -> dict[str, str]:
    """Return what the section "Args" of a docstring in Google style says, by name."""
    section = re.search(r"^Args:\n((?:(?:    .*)?(?:\n|\Z))+)", inspect.cleandoc(docstring), re.M)
    entries = re.split(r"^ {4}(?=\S)", section[1], flags=re.M) if section else []
    found = (entry.partition(":") for entry in entries if ":" in entry)
    return {name.strip().lstrip("*"): " ".join(text.split()) for name, _, text in found}


def comment_of(module: ModuleType, name: str) -> str:
    """Return the docstring below an assignment, in the module or the one it is imported from."""
    value = getattr(module, name)
    for candidate, found in list(sys.modules.items()):
        if candidate.startswith("zoo") and vars(found).get(name) is value:
            comments = ModuleAnalyzer.for_module(candidate).find_attr_docs()
            if text := comments.get(("", name)):
                return "\n".join(text)
    return ""


def entry(name: str, qualified: str, value: Any, module: ModuleType) -> str:
    """Return the directive of autodoc, as reStructuredText, that documents a name."""
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        members = ", ".join(public_members(value))
        return f".. {kind}:: {qualified}\n" + (f"   :members: {members}\n" if members else "")
    if inspect.isroutine(value):
        return f".. autofunction:: {qualified}\n"
    text = comment_of(module, name).replace("\n", "\n   ")
    is_alias = typing.get_origin(value) is not None or isinstance(value, UnionType)
    shown = f"   :value: {_shown(value)}\n" if is_alias or isinstance(value, int | str) else ""
    return f".. py:data:: {name}\n{shown}\n   {text}\n"


def _shown(value: object) -> str:
    """Return a value or a type alias on one line, without the modules of its parts."""
    return re.sub(r"\b[a-z_]\w*\.(?=[\w.]*[A-Z])", "", str(value))


class ModuleDirective(SphinxDirective):
    """``{zoo-module} NAME``: a public module and its public names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        module = importlib.import_module(name)
        homes = {public: home(public, module) for public in public_names(module)}
        elsewhere = {public: at for public, at in homes.items() if at != name}
        lines = [f".. automodule:: {name}\n"]
        if elsewhere:
            lines.append(f".. _{nodes.make_id(name)}-elsewhere:\n\nDocumented elsewhere:\n")
            lines += [f"* :py:obj:`{public} <{at}.{public}>`" for public, at in elsewhere.items()]
            lines.append("")
        lines += [
            entry(public, f"{name}.{public}", getattr(module, public), module)
            for public, at in homes.items() if at == name
        ]  # fmt: skip
        domain = cast(PythonDomain, self.env.get_domain("py"))
        for public in elsewhere:
            kind = "class" if inspect.isclass(getattr(module, public)) else "function"
            place = f"{nodes.make_id(name)}-elsewhere"
            domain.note_object(f"{name}.{public}", kind, place, aliased=True)
        return parse_rst(self, "\n".join(lines))


class HooksDirective(SphinxDirective):
    """``{zoo-hooks}``: every hook, the record that it returns and the fields of that."""

    def run(self) -> list[nodes.Node]:
        return parse_rst(self, "\n".join(_hook(*each) for each in hooks().items()))


def hooks() -> dict[str, Any]:
    """Return the specifications of the hooks, by name, in the order of the module."""
    module = importlib.import_module("zoo.hookspecs")
    return {name: value for name, value in vars(module).items() if hasattr(value, "zoo_spec")}


def _hook(name: str, function: Any) -> str:
    """Return what there is to say about a hook, in reStructuredText."""
    text = [f".. autofunction:: zoo.hookspecs.{name}\n"]
    (result, *_) = typing.get_args(typing.get_type_hints(function)["return"])
    if dataclasses.is_dataclass(result) and isinstance(result, type):
        text.append(f"Fields of each :py:class:`zoo.records.{result.__name__}`:\n")
        text.append(_fields(result))
    return "\n".join(text)


def _fields(record: type[Any]) -> str:
    """Return the fields of a record as a definition list: name, type, default, meaning."""
    described: dict[str, str] = {}
    for base in reversed(record.__mro__):
        described |= arguments(base.__doc__ or "") if base.__module__ == "zoo.records" else {}
    lines = []
    for field in dataclasses.fields(record):
        if field.name == "plugin":  # Set by zoo, not by the plugin.
            continue
        default = _default(field)
        lines.append(
            f"``{field.name}``: ``{field.type}``, {default}\n    {described[field.name]}\n"
        )
    return "\n".join(lines)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default.__name__ if isinstance(field.default, type) else repr(field.default)
        return f"default ``{value}``"
    if field.default_factory is not dataclasses.MISSING:
        return f"default ``{field.default_factory()!r}``"
    return "required"


def add_inherited_arguments(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Add arguments that a base class of zoo describes to the docstring of a class."""
    del app, what, name, options
    if not inspect.isclass(value):
        return
    own = arguments("\n".join(lines))
    inherited = {
        argument: text for base in value.__mro__[1:] if base.__module__.startswith("zoo")
        for argument, text in arguments(base.__doc__ or "").items() if argument not in own
    }  # fmt: skip
    if not inherited:
        return
    entries = [f"    {argument}: {text}" for argument, text in inherited.items()]
    if "Args:" not in lines:
        sections = [at for at, line in enumerate(lines) if _SECTION.fullmatch(line)]
        first = sections[0] if sections else len(lines)
        lines[first:first] = ["", "Args:", ""]
    at = lines.index("Args:") + 1
    lines[at:at] = entries


def parse_rst(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """Return the nodes of reStructuredText in a page of Markdown."""
    return directive.parse_text_to_nodes(f"````{{eval-rst}}\n{text}\n````")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    # Before napoleon, which reads the sections.
    app.connect("autodoc-process-docstring", add_inherited_arguments, priority=400)
    app.add_directive("zoo-module", ModuleDirective)
    app.add_directive("zoo-hooks", HooksDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
