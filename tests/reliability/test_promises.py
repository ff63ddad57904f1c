"""The table of docs/reliability.md has a row for each promise, with the cases that are tried."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from promises import Promise

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


def declared() -> dict[str, tuple[str, str]]:
    """Return the promises of the modules beside this one, with their cases as the page has them."""
    found = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, Promise):
                found[value.text] = (f"{value.quick:,}", f"{value.full:,}")
    return found


def test_the_table_has_every_promise_with_its_cases() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \| ([\d,]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {text: (quick, full) for text, quick, full in rows} == declared()
