"""Texts with their label cells, from one or several tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import DataError
from zoo_text.tables.coding import Coding
from zoo_text.tables.columns import Columns, choose_columns
from zoo_text.tables.labels import WRITE_NUMBERS
from zoo_text.tables.notes import cut, plural
from zoo_text.tables.table import NO_PART, PART_NAMES, Cell, Table, Tally, as_text


@dataclass(slots=True)
class Examples:
    """Rows that have a text and a label, before the labels are numbered.

    Args:
        texts: Texts, as written.
        cells: Cells of their labels.
        lines: Line, row or file number of each.
        part: Part of each, or ``NO_PART``.
        where: The file of each.
        left_out: Sentences on the rows that are not among them.
        notes: Sentences on what was assumed.
    """

    texts: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    part: list[int] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collect(tables: Sequence[tuple[Table, int]], columns: Columns, coding: Coding) -> Examples:
    """Return the rows of tables that have a text and a label.

    Args:
        tables: Tables, and the part that all rows of one are in, or ``NO_PART``.
        columns: Columns of the first table. Another that has not the same is looked at by itself.
        coding: How cells become labels.

    Raises:
        DataError: No row has both, or a label is no number, and should be.
    """
    examples = Examples(notes=list(columns.notes))
    for table, part in tables:
        used = columns
        if not {columns.text, columns.label} <= table.columns.keys():
            used = choose_columns(table, "", "")
            examples.notes.append(
                f"{Path(table.where).name}: texts are in {used.text!r}, labels in {used.label!r}"
            )
        _add(examples, table, part, used, coding)
        examples.notes += table.notes
    if not examples.texts:
        raise DataError(
            "no texts with a label", where=tables[0][0].where,
            why=f"text column {columns.text[:40]!r}, label column {columns.label[:40]!r}",
            fix="choose with --set text_column=... --set label_column=...",
        )  # fmt: skip
    return examples


def _add(
    examples: Examples, table: Table, part: int, columns: Columns, coding: Coding
) -> None:  # fmt: skip
    missing, empty = Tally(), Tally()
    parts = table.parts or _parts(table, columns.part)
    texts = map(as_text, table.columns[columns.text])
    cells = table.columns[columns.label]
    for text, cell, line, own in zip(texts, cells, table.lines, parts, strict=True):
        where = own if part == NO_PART else part
        if _is_missing(coding, cell, line, table, columns.label):
            missing.add(line)
        elif not text.strip() and where in (NO_PART, 0):
            empty.add(line)
        else:
            examples.texts.append(text)
            examples.cells.append(cell)
            examples.lines.append(line)
            examples.part.append(where)
            examples.where.append(table.where)
    for tally, what in (
        (table.ragged, "that could not be read"),
        (missing, "without a label"),
        (empty, "without a text"),
    ):
        if tally.count:
            which = f"{plural(tally.count, 'row')} {what} ({tally.where(table.unit)})"
            examples.left_out.append(
                which + (f" in {Path(table.where).name}" if part != NO_PART else "")
            )


def _parts(table: Table, column: str) -> list[int]:
    if not column:
        return [NO_PART] * len(table.lines)
    return [PART_NAMES.get(as_text(c).strip().lower(), 0) for c in table.columns[column]]


def _is_missing(coding: Coding, cell: Cell, line: int, table: Table, column: str) -> bool:
    if coding.kind != "numbers":
        return coding.labels(cell) is None
    try:
        return coding.number(cell) is None
    except ValueError as error:
        raise DataError(
            f"label {cut(as_text(cell))!r} is no number",
            where=f"{table.where}, {table.unit} {line}, column {column[:40]!r}",
            fix=WRITE_NUMBERS,
        ) from error
