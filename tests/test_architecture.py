"""The imports of the code agree with docs/architecture.md, and plugins use public rooms only."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
CORE = sorted((ROOT / "zoo").rglob("*.py"))
# They hand names on and are in no room.
FACES = {"zoo", "zoo.__main__"}
# Packages beside the core: those that ship with it, and the examples.
PACKAGES = sorted(
    folder for pattern in ("plugins/*", "examples/*/*") for folder in ROOT.glob(pattern)
    if (folder / "__init__.py").exists()
)  # fmt: skip
OURS = {
    "zoo_recurrent", "zoo_text", "zoo_sentiment", "zoo_lm", "zoo_optim", "zoo_diagnose",
    "zoo_tensorboard", "zoo_mlflow", "zoo_explain", "zoo_report", "zoo_runs", "zoo_serve",
    "zoo_onnx",
}  # fmt: skip

# Plugins that are built on others.
BUILT_ON = {
    "zoo_sentiment": {"zoo_text"},
    "zoo_lm": {"zoo_text"},
    "zoo_onnx": {"zoo_lm", "zoo_recurrent", "zoo_text"},
}

# It is on the lowest floor that may import torch; what is below is fast to import.
TORCH_FROM = "zoo.interfaces"
# What plugins may import, beside `zoo` itself.
PUBLIC = {
    "zoo.api", "zoo.arrays", "zoo.data", "zoo.deprecation", "zoo.errors", "zoo.files",
    "zoo.interfaces", "zoo.intervals", "zoo.nn", "zoo.options", "zoo.records",
}  # fmt: skip
# What plugins that bring commands may import as well: none of these imports torch.
OF_PLUGINS_WITH_COMMANDS = {
    "zoo.cli", "zoo.display", "zoo.formats", "zoo.installed", "zoo.settings", "zoo.spec",
}  # fmt: skip
# What commands import from rooms above TORCH_FROM other than zoo.api.
OF_COMMANDS = {
    "zoo.environment.facts", "zoo.environment.num_processors", "zoo.environment.set_up_process",
    "zoo.environment.torch_is_imported", "zoo.environment.torch_is_installed",
    "zoo.data.text.decode", "zoo.generation.Sampling", "zoo.interfaces.HasKnown",
    "zoo.runtime.InferenceModel", "zoo.values.LARGEST_SEED", "zoo.weights.file.inspect",
}  # fmt: skip


def floors() -> list[list[str]]:
    """Return the rooms of each floor from the top down, as the table of the page lists them."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| *(\d+) *\|(.*?)\|", page, re.MULTILINE)
    numbers = [int(number) for number, _ in rows]
    assert numbers == sorted(numbers, reverse=True)
    return [re.findall(r"`(zoo\.\w+)`", cell) for _, cell in rows]


def rooms() -> list[str]:
    return [room for floor in floors() for room in floor]


def torch_free() -> list[str]:
    """Return the rooms of the floors below that of TORCH_FROM."""
    levels = floors()
    (lowest,) = [number for number, floor in enumerate(levels) if TORCH_FROM in floor]
    return [room for floor in levels[lowest + 1 :] for room in floor]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def statements(tree: ast.AST, *, of_functions: bool = True) -> Iterator[ast.AST]:
    """Walk a module, leaving out what only the type checker sees."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        for other in tree.orelse:
            yield from statements(other, of_functions=of_functions)
        return
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) and not of_functions:
        return
    yield tree
    for node in ast.iter_child_nodes(tree):
        yield from statements(node, of_functions=of_functions)


def imports(path: Path, *, of_functions: bool = True) -> set[str]:
    """Return what a module imports, as dotted names down to the thing itself.

    Args:
        path: The module.
        of_functions: Whether to include imports inside functions, which happen later.
    """
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in statements(tree, of_functions=of_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def core() -> list[tuple[str, Path]]:
    named = [(module_name(path), path) for path in CORE]
    return [(module, path) for module, path in named if module not in FACES]


def commands() -> list[tuple[str, Path]]:
    return [(module, path) for module, path in core() if room_of(module) == "zoo.cli"]


@pytest.mark.parametrize(("of_functions", "found"), [(True, {"g.h.i"}), (False, set())])
def test_imports_of_every_kind_are_seen_except_those_of_the_type_checker(
    of_functions: bool, found: set[str], tmp_path: Path
) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b\n"
        "from c import d as e\n"
        "def f():\n    from g.h import i\n"
        "if TYPE_CHECKING:\n    import j\n"
        "try:\n    import k\nexcept ImportError:\n    pass\n"
    )
    assert imports(file, of_functions=of_functions) == {"a.b", "c.d", "k"} | found


def test_the_rooms_of_the_page_are_those_of_the_core() -> None:
    assert {room_of(module) for module, _ in core()} == set(rooms())
    assert len(rooms()) == len(set(rooms()))


def test_imports_point_down() -> None:
    order = rooms()
    assert [
        f"{module} imports {name}"
        for module, path in core()
        for name in imports(path)
        if room_of(name) in order and room_of(name) != room_of(module)
        if order.index(room_of(name)) < order.index(room_of(module))
    ] == []


def test_rooms_below_the_interfaces_import_no_torch() -> None:
    assert "zoo.records" in torch_free()
    assert [
        f"{module} imports {name}"
        for module, path in core()
        for name in imports(path)
        if room_of(module) in torch_free() and name.partition(".")[0] in ("torch", "numpy")
    ] == []


def test_commands_use_the_public_functions() -> None:
    """Whatever the command line does is one call in Python; the rest parses and prints."""
    others = set(rooms()) - {"zoo.cli", "zoo.api", *torch_free()}
    used = {name for _, path in commands() for name in imports(path) if room_of(name) in others}
    assert used <= OF_COMMANDS


def test_commands_import_what_takes_long_when_they_run() -> None:
    heavy = set(rooms()) - {"zoo.cli", *torch_free()} | {"torch", "numpy"}
    assert [
        f"{module} imports {name}"
        for module, path in commands()
        for name in imports(path, of_functions=False)
        if heavy & {room_of(name), name.partition(".")[0]}
    ] == []


def test_the_core_names_no_plugin() -> None:
    """Not even in a docstring."""
    ours = {
        point.module.partition(".")[0]
        for point in importlib.metadata.distribution("seqzoo").entry_points
        if point.group == "zoo"
    }
    assert ours == OURS
    assert [
        f"{path}: {name}"
        for path in CORE
        for name in ours
        if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
    ] == []


def test_plugins_import_public_rooms_of_zoo_and_none_another_but_what_it_is_built_on() -> None:
    names = {package.name for package in PACKAGES}
    assert names >= {*OURS, "zoo_mgu"}
    wrong = []
    for package in PACKAGES:
        # A plugin with commands may use the options and the output of zoo's own.
        has_commands = "def zoo_commands" in (package / "__init__.py").read_text(encoding="utf-8")
        others = names - {package.name} - BUILT_ON.get(package.name, set())
        inner = set(rooms()) - PUBLIC - (OF_PLUGINS_WITH_COMMANDS if has_commands else set())
        for path in package.rglob("*.py"):
            for name in imports(path) - (OF_COMMANDS if has_commands else set()):
                parts = name.split(".")
                private = parts[0] == "zoo" and any(part.startswith("_") for part in parts)
                if private or parts[0] in others or room_of(name) in inner:
                    wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_plugins_use_no_private_attribute_of_what_they_import_from_zoo() -> None:
    wrong = []
    for path in (path for package in PACKAGES for path in package.rglob("*.py")):
        from_zoo = {
            name.rpartition(".")[2] for name in imports(path) if name.partition(".")[0] == "zoo"
        }
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                owner = ast.unparse(node.value)
                if owner.partition(".")[0] in from_zoo:
                    wrong.append(f"{path}: {owner}.{node.attr}")
    assert wrong == []


def test_nothing_of_ours_installs_a_package_called_plugins() -> None:
    assert not (ROOT / "plugins" / "__init__.py").exists()
