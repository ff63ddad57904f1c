"""The plugin directory lists every plugin of zoo and every example package, as it is installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "plugins" / "directory.md"
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))


def project(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return found


OURS = project(ROOT)["entry-points"]["zoo"]


def line_of(name: str) -> list[str]:
    """Return the cells of the one line of the page about a plugin or package."""
    pattern = rf"^\| (?:`{name}`|\[{name}\]\(.*?\)) \|.*\|$"
    (line,) = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", OURS)
def test_every_plugin_of_zoo_has_a_line_whose_extra_exists(name: str) -> None:
    _, adds, install = line_of(name)
    assert adds
    found = re.fullmatch(r"part of zoo|`pip install 'seqzoo\[(\w+)\]'`", install)
    assert found
    assert found[1] is None or found[1] in project(ROOT)["optional-dependencies"]


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_has_a_line_with_its_readme_and_how_it_is_installed(folder: Path) -> None:
    name, adds, install = line_of(project(folder)["name"])
    link = re.fullmatch(r"\[.*\]\((.*)\)", name)
    assert link
    assert (PAGE.parent / link[1]).resolve() == folder / "README.md"
    assert adds
    assert install == f"`pip install ./examples/{folder.name}`"
