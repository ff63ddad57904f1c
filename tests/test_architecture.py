"""The code keeps to docs/architecture.md: arrows point down, plugins come by the door."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "zoo").rglob("*.py"))
FACES = {"zoo", "zoo.__main__"}
# Packages beside the core: those that ship with it, and the examples.
PACKAGES = sorted(
    folder for pattern in ("plugins/*", "examples/*/*") for folder in ROOT.glob(pattern)
    if (folder / "__init__.py").exists()
)  # fmt: skip
OFF_LIMITS = {"zoo.cli", "zoo.engine"}
# The lowest room that may import torch.
TORCH_FROM = "zoo.interfaces"


def rooms() -> list[str]:
    """Return the rooms from the top down, as the page lists them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return [
        room
        for cell in re.findall(r"^\| \d+ \| (.*?) \|", page, re.MULTILINE)
        for room in re.findall(r"`(zoo\.\w+)`", cell)
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a module, leaving out what only the type checker sees."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        for node in tree.orelse:
            yield from statements(node)
        return
    yield tree
    for node in ast.iter_child_nodes(tree):
        yield from statements(node)


def imports(path: Path) -> set[str]:
    """Return what a module imports, anywhere in it, as dotted names down to the thing itself."""
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def core() -> list[tuple[str, Path]]:
    """Return the modules of the rooms; the faces above them hand names on and are left out."""
    named = [(module_name(path), path) for path in CORE]
    return [(module, path) for module, path in named if module not in FACES]


def of_plugins() -> list[tuple[str, Path]]:
    return [(package.name, path) for package in PACKAGES for path in package.rglob("*.py")]


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_the_reader_of_imports_sees_all_kinds_and_leaves_out_the_type_checker_s(
    tmp_path: Path,
) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b\n"
        "from c import d as e\n"
        "def f():\n    from g.h import i\n"
        "if TYPE_CHECKING:\n    import j\n"
        "try:\n    import k\nexcept ImportError:\n    pass\n"
    )
    assert imports(file) == {"a.b", "c.d", "g.h.i", "k"}


def test_every_module_of_the_core_is_in_a_room_of_the_page_and_every_room_is_there() -> None:
    assert {room_of(module) for module, _ in core()} == set(rooms())


def test_arrows_point_down() -> None:
    order = rooms()
    against = [
        f"{module} imports {name}"
        for module, path in core()
        for name in imports(path)
        if room_of(name) in order and room_of(name) != room_of(module)
        if order.index(room_of(name)) < order.index(room_of(module))
    ]
    assert against == []


def test_torch_stays_above_its_floor() -> None:
    order = rooms()
    below = order[order.index(TORCH_FROM) + 1 :]
    assert [
        f"{module} imports {name}"
        for module, path in core()
        for name in imports(path)
        if room_of(module) in below and name.partition(".")[0] in ("torch", "numpy")
    ] == []


def test_the_core_names_no_plugin() -> None:
    """Not even in a docstring."""
    ours = {
        point.module.partition(".")[0]
        for point in importlib.metadata.distribution("seqzoo").entry_points
        if point.group == "zoo"
    }
    assert {"zoo_recurrent", "zoo_sentiment", "zoo_charlm"} <= ours
    assert [
        f"{path}: {name}"
        for path in CORE
        for name in ours
        if name in path.read_text(encoding="utf-8")
    ] == []


def test_plugins_import_public_names_of_zoo_and_never_each_other() -> None:
    names = {package.name for package in PACKAGES}
    assert {"zoo_recurrent", "zoo_sentiment", "zoo_charlm", "zoo_mgu"} <= names
    wrong = []
    for package, path in of_plugins():
        for name in imports(path):
            parts = name.split(".")
            private = parts[0] == "zoo" and any(part.startswith("_") for part in parts)
            other = parts[0] in names - {package}
            if private or other or room_of(name) in OFF_LIMITS:
                wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_plugins_reach_into_no_private_attribute_of_what_they_import_from_zoo() -> None:
    wrong = []
    for _, path in of_plugins():
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
