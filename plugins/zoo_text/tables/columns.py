"""Which columns have the texts, the labels and the parts: found by name and content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from zoo.errors import DataError, did_you_mean
from zoo_text.tables import names
from zoo_text.tables.coding import separator_of
from zoo_text.tables.labels import MISSING, is_number, label_name
from zoo_text.tables.table import NO_PART, PART_NAMES, Cell, Table, as_text

_SAMPLE = 5000
_DATE = re.compile(
    r"\d{4}[-/.]\d\d?[-/.]\d\d?([T ].*)?|\d\d?[-/.]\d\d?[-/.]\d{2,4}([T ].*)?"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ .*\d{4}"
)
_CODE = re.compile(r"(?=.*\d)[\da-fA-F-]{8,}|https?://\S+")
CHOOSE = "choose with --set text_column=... --set label_column=..."
"""What to do in a training where several columns may be meant."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that are used, and sentences on others that might be.

    ``part`` may be empty.
    """

    text: str
    label: str
    part: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    """What a sample of a column has: shares of the filled cells, means over them."""

    name: str
    filled: int
    distinct: int
    length: float
    words: float
    is_number: bool
    is_list: bool
    has_several: bool
    is_other: bool

    @property
    def may_be_label(self) -> bool:
        few = self.distinct * 2 <= self.filled and self.length <= 50
        usable = self.distinct > 1 and not self.is_other
        return usable and (self.is_number or self.is_list or self.has_several or few)

    @property
    def may_be_text(self) -> bool:
        return self.filled > 0 and not (self.is_number or self.is_list or self.is_other)

    @property
    def reads_like_text(self) -> bool:
        varied = self.distinct * 2 > self.filled
        return self.may_be_text and self.distinct > 1 and (varied or self.words >= 4)


def choose_columns(
    table: Table, text: str, label: str, known: Collection[str] = (), *, fix: str = CHOOSE
) -> Columns:
    """Return the columns of a table.

    Args:
        table: The table.
        text: Column of the texts, by name or number from 1; empty: it is found.
        label: Column of the labels, likewise.
        known: Labels of a trained task: where several columns may have the labels, it is the only
            one that has no others.
        fix: What the user can do where no column, or several, may be meant.

    Raises:
        DataError: There is no such column, none that may be it, or several.
    """
    text, label = (_given(name, table) for name in (text, label))
    if text and text == label:
        raise DataError(f"texts and labels are both in column {text!r}", fix=fix)
    part = "" if table.parts else _part_column(table, {text, label})
    contents = [
        _content(name, cells) for name, cells in table.columns.items()
        if name != part and name not in (text, label)
    ]  # fmt: skip
    labels = _named([c for c in contents if c.may_be_label], names.LABEL)
    found_text, found_label = not text, not label
    if not text:
        taken = {c.name for c in labels} if not label else set()
        text = _text_column([c for c in contents if c.name not in taken] or contents, table, fix)
    if not label:
        candidates = [c for c in contents if c.name != text]
        label = _label_column(candidates, table, text, known, fix)
    rest = [content for content in contents if content.name not in (text, label)]
    notes = []
    hint = " (--set {}=...)" if fix == CHOOSE else ""
    if found_text and (others := [c.name for c in rest if c.reads_like_text]):
        notes.append(f"texts might also be in {_listed(others)}{hint.format('text_column')}")
    if all(as_text(cell)[:1] == "{" for cell in table.columns[text][:_SAMPLE] if cell):
        notes.append(f"texts in {text[:40]!r} are objects: each is read as its JSON text")
    cells = table.columns[label]
    others = [c.name for c in rest if c.may_be_label]
    others = [name for name in others if not _same_classes(cells, table.columns[name])]
    if found_label and others:
        notes.append(f"labels might also be in {_listed(others)}{hint.format('label_column')}")
    return Columns(text, label, part, tuple(notes))


def choose_text_column(table: Table, text: str) -> str:
    """Return the column of the texts of a table that may have no labels.

    Args:
        table: The table.
        text: The column, by name or number from 1; empty: it is found.

    Raises:
        DataError: There is no such column, none that may be it, or several.
    """
    contents = [_content(name, cells) for name, cells in table.columns.items()]
    return _given(text, table) or _text_column(contents, table)


def row_parts(table: Table) -> list[int]:
    """Return the part of each row of a table that may have no labels, as a number of ``PARTS``.

    It is ``NO_PART`` where neither files nor a column say it.
    """
    if table.parts:
        return table.parts
    column = _part_column(table, set())
    if not column:
        return [NO_PART] * len(table.lines)
    return [PART_NAMES[as_text(cell).strip().lower() or "train"] for cell in table.columns[column]]


def find_column(name: str, table: Table) -> str:
    """Return the column of a name or a number from 1; empty: there is none."""
    known = list(table.columns)
    if name in known:
        return name
    if name.isdecimal() and len(name) < 6 and 0 < int(name) <= len(known):
        return known[int(name) - 1]
    return ""


def _given(name: str, table: Table) -> str:
    found = find_column(name, table)
    if found or not name:
        return found
    known = list(table.columns)
    hint = did_you_mean(name, known)
    raise DataError(
        f"no column {name[:40]!r}{hint}", where=table.where, why=f"it has {_listed(known)}"
    )


def _listed(known: Sequence[str]) -> str:
    shown = [name if len(name) <= 30 else f"{name[:29]}…" for name in known[:8]]
    more = f" and {len(known) - 8:,} more" if len(known) > 8 else ""
    return ", ".join(map(repr, shown)) + more


def _part_column(table: Table, taken: set[str]) -> str:
    for name, cells in table.columns.items():
        if name in taken or not isinstance(cells[0], str):
            continue
        if (as_text(cells[0]).strip().lower() or "train") not in PART_NAMES:
            continue
        values = {as_text(cell).strip().lower() for cell in cells} - {""}
        if values <= PART_NAMES.keys() and {PART_NAMES[value] for value in values} > {0}:
            return name
    return ""


def _content(name: str, cells: Sequence[Cell]) -> _Content:
    step = max(1, len(cells) // _SAMPLE)
    sample = [cell for cell in cells[::step] if cell is not None and cell != ""]
    texts = [as_text(cell).strip() for cell in sample]
    texts = [text for text in texts if text]
    count = len(texts) or 1
    distinct = len(set(texts))
    numbers = [text for text in texts if is_number(text)]
    is_numeric = bool(texts) and len(numbers) >= 0.95 * count
    other = names.is_id(name) or names.is_date(name)
    if is_numeric and distinct == len(texts) > 9 and not other:
        other = _numbers_rows(numbers, len(cells))
    if texts and not other:
        other = sum(bool(_DATE.fullmatch(t) or _CODE.fullmatch(t)) for t in texts) > 0.9 * count
        # Numbers of eight digits are numbers, unless no two are alike.
        other = other and not (is_numeric and distinct * 2 < count)
    return _Content(
        name,
        len(texts),
        distinct,
        sum(map(len, texts)) / count,
        sum(len(text.split()) for text in texts) / count,
        is_numeric,
        any(isinstance(cell, list) for cell in sample),
        distinct * 2 > count and max(map(len, texts)) <= 100 and bool(separator_of(Counter(texts))),
        other,
    )


def _numbers_rows(numbers: Sequence[str], rows: int) -> bool:
    """Return whether different whole numbers count the rows, in order or not."""
    if not all(re.fullmatch(r"\d{1,15}", number) for number in numbers):
        return False
    values = [int(number) for number in numbers]
    return max(values) - min(values) < 1.5 * rows


def _named(contents: Sequence[_Content], groups: tuple[str, ...]) -> list[_Content]:
    """Return those of the most usual group of names."""
    ranks = {content.name: names.rank(content.name, groups) for content in contents}
    best = min((rank for rank in ranks.values() if rank is not None), default=None)
    return [c for c in contents if best is not None and ranks[c.name] == best]


def _has_only(known: Collection[str], cells: Sequence[Cell]) -> bool:
    """Return whether all labels of cells are known, one or several in each."""
    labels: set[str] = set()
    for cell in cells:
        name = label_name(cell)
        parts = cell if isinstance(cell, list) else [name] if name in known else name.split("|")
        labels |= {label_name(part) for part in parts}
    return {name for name in labels if name.lower() not in MISSING} <= {*known}


def _text_column(contents: Sequence[_Content], table: Table, fix: str = CHOOSE) -> str:
    able = [content for content in contents if content.may_be_text]
    named = _named(able, names.TEXT[:2])
    if len(named) == 1:
        return named[0].name
    found = named or [c for c in able if c.reads_like_text] or able
    found = sorted(found, key=lambda content: -content.length)
    if not found:
        raise DataError(
            "no column of texts", where=table.where, why=f"it has {_listed(list(table.columns))}",
            fix=fix,
        )  # fmt: skip
    if len(found) > 1 and found[0].length < 2 * found[1].length:
        by_distinct = sorted(found, key=lambda content: -content.distinct)
        if by_distinct[0].distinct < 4 * by_distinct[1].distinct:
            several = _listed([content.name for content in found])
            raise DataError(f"texts may be in {several}", where=table.where, fix=fix)
        return by_distinct[0].name
    return found[0].name


def _label_column(
    rest: Sequence[_Content], table: Table, text: str, labels: Collection[str], fix: str
) -> str:
    contents = [content for content in rest if content.may_be_label]
    found = _named(contents, names.LABEL) or list(contents)
    if labels and len(found) > 1:
        found = [c for c in found if _has_only(labels, table.columns[c.name])] or found
    if len(found) > 1:
        # A number and the name of the same class: the name says more.
        worded = [content for content in found if not content.is_number]
        if len(worded) == 1 and all(
            _same_classes(table.columns[worded[0].name], table.columns[c.name]) for c in found
        ):
            return worded[0].name
        several = _listed([content.name for content in found])
        raise DataError(f"labels may be in {several}", where=table.where, fix=fix)
    known = _named([content for content in rest if not content.is_other], names.LABEL)
    if not found and len(known) == 1:
        # Its labels are too few or too many, which is told when they are counted.
        return known[0].name
    if not found:
        others = _listed([name for name in table.columns if name != text])
        why = f"{others}: constant, numbered, dates or too varied" if others else "no other column"
        raise DataError(
            "no column of labels",
            where=table.where,
            why=f"texts are in {text[:40]!r}; {why}",
            fix=fix,
        )  # fmt: skip
    return found[0].name


def _same_classes(first: Sequence[Cell], second: Sequence[Cell]) -> bool:
    pairs = {(as_text(a), as_text(b)) for a, b in zip(first, second, strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
