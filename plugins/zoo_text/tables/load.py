"""From a path to labelled texts in parts, with notes on what was found and left out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.files import digest, unreadable
from zoo_text.options import TextOptions
from zoo_text.tables import notes as say
from zoo_text.tables.coding import Coding, find_coding
from zoo_text.tables.columns import CHOOSE, choose_columns, find_column
from zoo_text.tables.examples import Examples, collect
from zoo_text.tables.labels import Kind, check_count, check_no_numbers, encode, natural_order
from zoo_text.tables.looks import read_table
from zoo_text.tables.objects import as_cell
from zoo_text.tables.parts import Draw, assign_parts
from zoo_text.tables.splits import draw as by_label
from zoo_text.tables.table import NO_PART, Table


@dataclass(frozen=True, slots=True)
class LabeledTexts:
    """Texts with their labels and parts.

    Args:
        texts: N texts, as written.
        kind: ``classes``, ``multilabel`` or ``numbers``.
        names: The K labels in natural order; none for numbers.
        targets: Classes: index into names, of shape (N,); multilabel: of shape (N, K), bool;
            numbers: of shape (N,), float64.
        part: 0 train, 1 validation, 2 test, of shape (N,).
        lines: Line, row or file number of each text.
        digest: sha256 over all files.
        notes: Aligned lines about the data.
        resolved: What was found by looking, by name of option.
        test_is_drawn: Whether the data has no test part of its own.
    """

    texts: list[str]
    kind: Kind
    names: list[str]
    targets: npt.NDArray[np.generic]
    part: npt.NDArray[np.int8]
    lines: list[int]
    digest: str
    notes: tuple[str, ...]
    resolved: Mapping[str, str]
    test_is_drawn: bool = False


def load_table(
    path: Path,
    options: TextOptions,
    seed: int,
    *,
    kind: str = "auto",
    names: Sequence[str] | None = None,
    columns_may_differ: bool = False,
    digest_of_file: str = "",
    draw: Draw = by_label,
    keep: bool = False,
) -> LabeledTexts:
    """Read labelled texts from a file or folder of any usual kind.

    Args:
        path: The data.
        options: How it is read and split.
        seed: Of the parts that are drawn.
        kind: ``classes``, ``multilabel`` or ``numbers``; ``auto``: found by looking.
        names: Labels of a trained task, in order; then a small table will do.
        columns_may_differ: Whether the columns that the options name are looked for anew where
            the table lacks them.
        digest_of_file: sha256 of the file, where it is known; otherwise it is computed.
        draw: Assigns texts that have no part.
        keep: Whether the table stays in memory, to be read no second time by the next call. Those
            who look at data keep it, for those who train on it.

    Raises:
        DataError: The data is missing, damaged or unfit, or changes meanwhile; the message says
            what to do.
    """
    files = [(Path(path), NO_PART)]
    for name, part in ((options.validation_data, 1), (options.test_data, 2)):
        if name:
            files.append((Path(name).expanduser(), part))
    stamps = [_stamp(file) for file, _ in files]
    form = (options.encoding, options.delimiter, options.quote, options.header)
    tables = [
        (_read(file, stamp, form), part) for (file, part), stamp in zip(files, stamps, strict=True)
    ]
    if not keep:
        _read.cache_clear()
    fix = CHOOSE
    if columns_may_differ:
        main = tables[0][0]
        named = (options.text_column or "text", options.label_column or "label")
        fix = "name the columns as in the training, {!r} and {!r}".format(*named)
        options = replace(
            options,
            text_column=options.text_column if find_column(options.text_column, main) else "",
            label_column=options.label_column if find_column(options.label_column, main) else "",
        )
    total = digest_of_file or digest(files[0][0])
    if len(files) > 1:
        digests = [total, *(digest(file) for file, _ in files[1:])]
        total = hashlib.sha256(
            "".join(f"{p} {d}\n" for (_, p), d in zip(files, digests, strict=True)).encode()
        ).hexdigest()
    if stamps != [_stamp(file) for file, _ in files]:
        raise DataError(
            "the data changes while it is read", where=str(path), fix="try again when it is whole"
        )
    return _labeled(tables, options, seed, kind, names, total, draw, fix)


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file, or one in a folder, is written to.

    Raises:
        DataError: There is no such file, or it may not be looked at.
    """
    try:
        status = path.stat()
        inside = [
            (name, _changes(Path(folder, name).lstat()))
            for folder, _, names in os.walk(path)
            for name in names
        ]
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return (*_changes(status), hash(tuple(inside)))


def _changes(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


@lru_cache(maxsize=3)
def _read(path: Path, stamp: tuple[int, ...], form: tuple[str, str, str, str]) -> Table:
    """Read a table, once for all tasks that look at it: none of them changes it."""
    del stamp
    encoding, delimiter, quote, header = form
    return read_table(
        path, TextOptions(encoding=encoding, delimiter=delimiter, quote=quote, header=header)
    )


def load_columns(
    columns: Mapping[str, Iterable[object]],
    options: TextOptions,
    seed: int,
    *,
    kind: str = "auto",
    names: Sequence[str] | None = None,
) -> LabeledTexts:
    """Read labelled texts from columns in memory, such as those of a DataFrame.

    Args:
        columns: Cells by name: ``df.to_dict("list")``.
        options: As for :func:`load_table`, likewise the others.
        seed: Of the parts that are drawn.
        kind: As there.
        names: As there.

    Raises:
        DataError: The data is unfit; the message says what to do.
    """
    cells = {str(name): [as_cell(cell) for cell in column] for name, column in columns.items()}
    lengths = {len(column) for column in cells.values()}
    if len(lengths) != 1:
        raise DataError("columns are not of one length", why=f"lengths {sorted(lengths)}")
    table = Table("data", cells, list(range(1, lengths.pop() + 1)), "columns in memory", "row")
    table.check()
    total = hashlib.sha256()
    for name, column in cells.items():
        total.update(repr((name, column)).encode("utf-8", "surrogatepass"))
    return _labeled([(table, NO_PART)], options, seed, kind, names, total.hexdigest())


def _labeled(
    tables: Sequence[tuple[Table, int]],
    options: TextOptions,
    seed: int,
    kind: str,
    names: Sequence[str] | None,
    digest_of_files: str,
    draw: Draw = by_label,
    fix: str = CHOOSE,
) -> LabeledTexts:
    main = tables[0][0]
    columns = choose_columns(main, options.text_column, options.label_column, names or (), fix=fix)
    cells = main.columns[columns.label]
    coding = find_coding(cells, columns.label, kind, names)
    if kind == "auto" and coding.kind == "classes":
        written = [cell for cell in cells if isinstance(cell, str)]
        check_no_numbers(written, main.where, columns.label)
    examples = collect(tables, columns, coding)
    found, targets = _targets(examples, coding, names, columns.label)
    drawn = assign_parts(
        examples.texts, examples.part, targets, coding.kind, options, seed,
        trained=names is not None, where=main.where, draw=draw,
    )  # fmt: skip
    lines = [
        say.aligned("data", f"{say.files_and_counts(examples.where)}, {main.form}"),
        say.text_line(columns.text, examples.texts),
        *say.label_lines(columns.label, coding.kind, targets, found, drawn.part == 0),
        say.aligned("parts", drawn.note),
        *(say.aligned("", text) for text in drawn.further),
        *(say.aligned("left out", text) for text in examples.left_out),
        *(say.aligned("note", text) for text in examples.notes),
    ]
    kept = drawn.kept.tolist()
    return LabeledTexts(
        [examples.texts[n] for n in kept],
        coding.kind,
        found,
        targets[drawn.kept],
        drawn.part[drawn.kept],
        [examples.lines[n] for n in kept],
        digest_of_files,
        tuple(line for text in lines for line in text.splitlines()),
        {
            **main.resolved,
            "text_column": columns.text,
            "label_column": columns.label,
            "labels": coding.kind,
        },
        drawn.test_is_drawn,
    )


def _targets(
    examples: Examples, coding: Coding, names: Sequence[str] | None, column: str
) -> tuple[list[str], npt.NDArray[np.generic]]:
    if coding.kind == "numbers":
        return [], np.array([coding.number(c) for c in examples.cells], dtype=np.float64)
    labels = [coding.labels(cell) or [] for cell in examples.cells]
    if names is None:
        counts = Counter(name for those in labels for name in those)
        check_count(counts, len(labels), coding.kind, examples.where[0], column)
        found = natural_order(counts)
    else:
        found = list(names)

    def unknown(n: int, name: str) -> DataError:
        some = ", ".join(repr(say.cut(other)) for other in found[:8])
        more = f" and {len(found) - 8:,} more" if len(found) > 8 else ""
        rows = sum(not {*those} <= {*found} for those in labels)
        return DataError(
            f"the training did not have the label {say.cut(name, 40)!r}",
            where=f"{examples.where[n]}, line {examples.lines[n]}",
            why=f"it had {some}{more}",
            fix=f"correct or remove {say.plural(rows, 'row')} with labels that it did not have",
        )

    return found, encode(labels, coding.kind, found, unknown)
