"""Public names have docstrings, which describe every argument."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from test_architecture import PUBLIC

from zoo.errors import ZooWarning

DOCS = Path(__file__).parent.parent / "docs"
pytest.importorskip("sphinx", reason="needs the extra 'docs'")


def module_of_docs(path: str) -> ModuleType:
    """Import a module of docs/, which is in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, DOCS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES: tuple[str, ...] = module_of_docs("_ext/reference_modules.py").MODULES


def public_names(module: str) -> list[str]:
    """Return ``__all__`` of a module or, where it has none, what it defines without underscore."""
    imported = importlib.import_module(module)
    if hasattr(imported, "__all__"):
        return list(imported.__all__)
    tree = ast.parse(inspect.getsource(imported))
    return [
        node.name for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]  # fmt: skip


def documented(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and classes of a module, and the public methods of its classes."""
    for name in public_names(module):
        value = getattr(importlib.import_module(module), name)
        if inspect.isclass(value) or inspect.isroutine(value):
            yield f"{module}.{name}", value
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and isinstance(_bare(member), FunctionType):
                    yield f"{module}.{name}.{attribute}", _bare(member)


def _bare(member: Any) -> Any:
    """Return the function of a method, a class method or a property."""
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    return member


def undescribed(value: Any) -> list[str]:
    """Return the arguments of a function or class that its docstring does not describe.

    Those of a class may be described by a class that it is derived from.
    """
    described: list[str] = []
    for each in [*value.__mro__, value.__init__] if inspect.isclass(value) else [value]:
        text = inspect.getdoc(each) or ""
        section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", f"{text}\n", re.MULTILINE)
        described += re.findall(
            r"^    \*{0,2}(\w+)(?: \(.*?\))?: \S", section[1] if section else "", re.M
        )
    is_warning = inspect.isclass(value) and issubclass(value, ZooWarning)
    if getattr(value, "_is_protocol", False) or is_warning:
        return []  # The one is not called, the other has the arguments of every exception.
    names = inspect.signature(value).parameters
    return [name for name in names if name not in {"self", "cls", *described}]


def test_the_reference_covers_what_plugins_may_import() -> None:
    for room in PUBLIC:
        assert any(module == room or module.startswith(f"{room}.") for module in MODULES), room


@pytest.mark.parametrize("module", MODULES)
def test_public_names_have_docstrings_that_describe_every_argument(module: str) -> None:
    for name, value in documented(module):
        text = inspect.getdoc(value) or ""
        assert text.strip(), name
        assert not text.startswith(f"{getattr(value, '__name__', '')}("), (
            f"{name}: of the dataclass"
        )
    assert {
        name: missing for name, value in documented(module) if (missing := undescribed(value))
    } == {}


def test_an_argument_without_description_is_found() -> None:
    def scale(values: list[float], factor: float) -> None:
        """Scale.

        Args:
            values: Numbers.
        """

    assert undescribed(scale) == ["factor"]
