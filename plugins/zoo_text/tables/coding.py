"""Kinds of labels, told apart by looking: classes, several labels a text, numbers."""

from __future__ import annotations

import ast
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zoo_text.tables.labels import (
    KINDS,
    MAX_CLASSES,
    MISSING,
    MISSING_NUMBER,
    Kind,
    is_number,
    label_name,
)
from zoo_text.tables.names import normal
from zoo_text.tables.table import Cell

# More different whole numbers than this are numbers, not classes.
_MAX_WHOLE_NUMBERS = 20
# Columns whose whole numbers may be codes of more classes.
_CODES = frozenset({"label", "class", "category", "intent", "topic", "target"})


@dataclass(frozen=True, slots=True)
class Coding:
    """How cells of a column become labels.

    Args:
        kind: What they are.
        separator: What separates several labels in a cell; empty: they are in lists.
        decimal_comma: Whether numbers have a comma for a point.
        missing: Cells that are no class, lower case.
    """

    kind: Kind
    separator: str = ""
    decimal_comma: bool = False
    missing: frozenset[str] = MISSING

    def labels(self, cell: Cell) -> list[str] | None:
        """Return the labels of a cell; None: it has none."""
        if self.kind == "multilabel":
            return _items(cell, self.separator)
        if isinstance(cell, list):
            cell = label_name(cell[0]) if len(cell) == 1 else None
        name = label_name(cell)
        return None if name.lower() in self.missing else [name]

    def number(self, cell: Cell) -> float | None:
        """Return the number in a cell; None: it has none.

        Raises:
            ValueError: It has something else.
        """
        text = label_name(cell)
        if text.lower() in MISSING_NUMBER:
            return None
        value = float(text.replace(",", ".") if self.decimal_comma else text)
        return value if math.isfinite(value) else None


def find_coding(
    cells: Sequence[Cell], column: str, kind: str, known_names: Sequence[str] | None = None
) -> Coding:
    """Return the kind of labels that a column has.

    Args:
        cells: Its cells.
        column: Its name: whole numbers in ``label`` may be codes of classes.
        kind: What the user says; ``auto`` or empty: they are looked at.
        known_names: Labels of a trained task, which tell how several are separated; a cell that
            is one of them is not missing.
    """
    lists = [cell for cell in cells if isinstance(cell, list)]
    counts = Counter(label_name(cell) for cell in cells if not isinstance(cell, list))
    for missing in [name for name in counts if name.lower() in MISSING]:
        del counts[missing]
    known = {name.lower() for name in known_names or ()}
    no_number = MISSING_NUMBER - known
    numbers = Counter({n: count for n, count in counts.items() if n.lower() not in no_number})
    comma = all(is_number(n, True) for n in numbers) and any("," in n for n in numbers)
    numeric = bool(numbers) and all(is_number(n, comma) for n in numbers)
    # Beside a single number, `-` or `none` is another class.
    numeric = numeric and (len(numbers) > 1 or len(numbers) == len(counts))
    missing_class = no_number if numeric else MISSING
    several = "" if lists else _separator_of_known(counts, known_names) or separator_of(counts)
    for named in KINDS:
        if kind == named:
            return Coding(named, several or ("" if lists else "|"), comma, missing_class)
    if lists:
        return Coding("classes" if all(len(cell) == 1 for cell in lists) else "multilabel")
    if numeric:
        found: Kind = "classes" if _are_codes(numbers, column, comma) else "numbers"
        return Coding(found, "", comma, missing_class)
    return Coding("multilabel", several) if several else Coding("classes")


def _items(cell: Cell, separator: str) -> list[str] | None:
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    items: Sequence[object]
    if isinstance(cell, list):
        items = cell
    else:
        text = label_name(cell)
        if text.lower() in MISSING:
            return None
        if separator == "[":
            items = _parse_list(text) or []
        else:
            items = text.split(separator) if separator else [text]
    names = (label_name(item) for item in items)
    return list(dict.fromkeys(name for name in names if name))


def _parse_list(text: str) -> list[object] | None:
    """Return a list as JSON or Python writes it."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return value
    return None


def _separator_of_known(counts: Counter[str], names: Sequence[str] | None) -> str:
    """Return what separates cells into labels that are all known, or nothing."""
    known = set(names or ())
    for separator in "|;,":
        items = {item.strip() for name in counts for item in name.split(separator)}
        if known and items - {""} <= known:
            return separator
    return ""


def separator_of(counts: Counter[str]) -> str:
    """Return what separates several labels in a cell; ``[`` for lists, empty for nothing."""
    listed = counts and all(n[:1] == "[" and n[-1:] == "]" and len(n) < 5000 for n in counts)
    if listed and all(_parse_list(name) is not None for name in list(counts)[:1000]):
        return "["
    for separator, share in (("|", 0.5), (";", 0.5), (",", 0.8)):
        several = {n: n.split(separator) for n in counts if separator in n}
        if not several:
            continue
        # In how many different cells each part is.
        cells = Counter(part.strip() for name in counts for part in several.get(name, [name]))
        parts = {part.strip() for items in several.values() for part in items} - {""}
        if any(len(part) > 50 for part in parts) or len(cells) > MAX_CLASSES:
            continue
        recurring = sum(cells[part] > 1 for part in parts)
        if parts and recurring >= share * len(parts) and len(cells) <= max(len(counts), 3):
            return separator
    return ""


def _are_codes(counts: Counter[str], column: str, comma: bool) -> bool:
    """Return whether numbers stand for classes: few, whole, and each of them frequent."""
    values = Counter[float]()
    for name, count in counts.items():
        values[float(name.replace(",", ".") if comma else name)] += count
    if len(values) == 2:
        return True
    if not all(value.is_integer() for value in values):
        return False
    total, single = sum(values.values()), sum(count == 1 for count in values.values())
    if len(values) <= _MAX_WHOLE_NUMBERS:
        return single * 2 <= len(values) and total >= (2 if len(values) <= 5 else 4) * len(values)
    # Codes from 0 or 1 without a gap, in a column of classes.
    dense = max(values) - min(values) == len(values) - 1 and min(values) in (0, 1)
    named = normal(column).removesuffix("s") in _CODES or normal(column) == "class"
    return dense and named and len(values) <= 200 and total >= 5 * len(values) and not single
