"""Deprecated names work, say so once, and are removed when their version has come."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.version import Version

import zoo
from zoo.deprecation import ZooDeprecationWarning, deprecated, warn_deprecated
from zoo.options import options_of
from zoo.settings.values import Values

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("zoo/**/*.py"), *ROOT.glob("plugins/**/*.py")])


@deprecated("area()", since="0.5", removed="0.7", use="size()")
def area(width: int, height: int = 2) -> int:
    """Return a size."""
    return width * height


@deprecated("class Cell", since="0.5", removed="1.0", use="class Unit")
class Cell:
    def __init__(self, size: int) -> None:
        self.size = size


@dataclass(frozen=True)
class ConvOptions(zoo.Options):
    stride: int = zoo.option(1, "steps", old_names=("hop",))
    width: int = zoo.option(
        3, "steps", old_names=("size",), old_names_since="0.3", old_names_removed="2.0"
    )


def test_a_deprecated_function_works_and_says_what_to_use() -> None:
    with pytest.warns(ZooDeprecationWarning) as warned:
        assert area(3, height=4) == 12
    message = "area() is deprecated since 0.5 and will be removed in 0.7: use size()"
    assert [str(warning.message) for warning in warned] == [message]
    assert warned[0].filename == __file__  # The caller's line, not that of the decorator.
    assert area.__deprecated__ == message  # type: ignore[attr-defined]  # As in PEP 702.
    assert (area.__name__, inspect.getdoc(area)) == ("area", "Return a size.")
    assert list(inspect.signature(area).parameters) == ["width", "height"]


def test_a_deprecated_class_warns_of_instances_and_subclasses() -> None:
    with pytest.warns(ZooDeprecationWarning, match="class Cell is deprecated since 0.5"):
        cell = Cell(3)
    assert isinstance(cell, Cell) and cell.size == 3
    with pytest.warns(ZooDeprecationWarning, match="use class Unit"):
        type("Own", (Cell,), {})


def test_a_deprecated_argument_is_told_where_it_is_given() -> None:
    def make(size: int, hidden: int | None = None) -> int:
        if hidden is not None:
            warn_deprecated("argument 'hidden' of make()", since="0.5", removed="0.7", use="'size'")
        return size if hidden is None else hidden

    with pytest.warns(ZooDeprecationWarning, match=r"argument 'hidden' of make\(\)") as warned:
        assert make(1, hidden=2) == 2
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(1) == 1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("hop", "option 'hop' is deprecated: use 'stride'"),
        ("size", "option 'size' is deprecated since 0.3 and will be removed in 2.0: use 'width'"),
    ],
)
def test_old_names_of_options_are_deprecated(key: str, message: str) -> None:
    values = Values({"model": options_of(ConvOptions)})
    with pytest.warns(ZooDeprecationWarning) as warned:
        assert values.add({key: "5"}) == []
    assert [str(warning.message) for warning in warned] == [message]


def test_python_shows_users_a_deprecated_name_once(tmp_path: Path) -> None:
    """With the filters that Python has by default, in a module that is not the main one."""
    (tmp_path / "old.py").write_text(
        "from zoo.deprecation import deprecated\n"
        "@deprecated('old.f()', since='0.5', removed='0.7', use='new.f()')\n"
        "def f():\n    return 1\n"
    )
    (tmp_path / "caller.py").write_text("import old\nfor _ in range(3):\n    print(old.f())\n")
    done = subprocess.run(
        [sys.executable, "-c", "import caller, sys; print('torch' in sys.modules)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "1", "1", "False"]
    assert done.stderr.count("old.f() is deprecated since 0.5") == 1


def test_the_command_line_shows_a_deprecated_name_once() -> None:
    program = (
        "from zoo.cli import main\n"
        "from zoo.deprecation import warn_deprecated\n"
        "def use(**given):\n"
        "    for what in ('x', 'x', 'z'):\n"
        "        warn_deprecated(what, use='y')\n"
        "main.cli.main = use\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "warning: x is deprecated: use y",
        "warning: z is deprecated: use y",
    ]


def removals(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, first and last version of everything that a module deprecates."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: word.value for word in node.keywords}
        for prefix in ("", "old_names_"):
            since, removed = given.get(f"{prefix}since"), given.get(f"{prefix}removed")
            if isinstance(since, ast.Constant) and isinstance(removed, ast.Constant):
                yield node.lineno, str(since.value), str(removed.value)


def late(source: str, version: str) -> list[int]:
    """Return the lines with names that a version should not have any more."""
    return [line for line, _, removed in removals(source) if Version(version) >= Version(removed)]


@pytest.mark.parametrize(("version", "lines"), [("0.6.9", []), ("0.7.0", [1]), ("1.0", [1, 2])])
def test_names_that_are_late_are_found(version: str, lines: list[int]) -> None:
    source = (
        "warn_deprecated('x', since='0.5', removed='0.7', use='y')\n"
        "a: int = zoo.option(1, 'a', old_names=('b',), old_names_since='0.2', "
        "old_names_removed='1.0')\n"
    )
    assert late(source, version) == lines


def test_no_deprecated_name_is_past_its_removal() -> None:
    found = {path: late(path.read_text("utf-8"), zoo.__version__) for path in SOURCES}
    assert [f"{path}:{line}" for path, lines in found.items() for line in lines] == []


def test_deprecated_names_work_as_long_as_the_documentation_says() -> None:
    """At least two minor versions, and from 1.0 on until the next major one."""
    found = [removal for path in SOURCES for removal in removals(path.read_text("utf-8"))]
    assert ("0.2", "1.0") in {(since, removed) for _, since, removed in found}
    for _, since, removed in found:
        first, last = Version(since).release, Version(removed).release
        assert last[0] > first[0] or (first[0] == 0 and last[1] >= first[1] + 2)
