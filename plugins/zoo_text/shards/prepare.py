"""The data of a text task from shards: every array of it is a mapped file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.mapped import MappedRagged, Permutation
from zoo.data.ragged import Array, IntArray
from zoo.data.shards import Shards
from zoo.errors import DataError
from zoo.interfaces import Data
from zoo_text.batches import TextSplit
from zoo_text.shards.counting import Counted, Counting, count
from zoo_text.shards.encoding import Encoding, encode
from zoo_text.shards.labels import label_names, label_targets
from zoo_text.shards.layout import Layout, look
from zoo_text.shards.table import ShardTable, Texts, load
from zoo_text.sources import check_kind
from zoo_text.tables import LabeledTexts
from zoo_text.tables.notes import aligned, cut, plural
from zoo_text.tables.table import PARTS

if TYPE_CHECKING:
    from zoo_text.task import TextTask

# Training texts that the linear model is fitted to.
_LINEAR_TEXTS = 50_000
# Of the permutation that draws them, beside the seed.
_LINEAR_DRAW = 1 << 32


def prepare(task: TextTask, shards: Shards, seed: int, *, fit: bool) -> Data:
    """Return the data of a task.

    Args:
        task: A task of labels or numbers; where ``fit``, it learns labels, tokens and the linear
            model from the training part.
        shards: The files.
        seed: Of the parts that are drawn.
        fit: Whether it learns from them.

    Raises:
        DataError: A shard is missing, damaged or unfit.
        NetworkError: A server does not answer.
        DiskError: The cache cannot be written.
    """
    options = task.options
    if options.validation_data or options.test_data or options.more_data:
        raise DataError(
            "shards take no further files", where=shards.pattern,
            fix="put further texts among the shards; name these after their parts, such as "
            "test-00000-of-00004, or add a column split",
        )  # fmt: skip
    known = None if fit else task.known_labels()
    layout = look(shards, options, options.labels if fit else task.kind, known)
    assert layout.coding is not None
    check_kind(layout.coding.kind, task.kind, shards.pattern, layout.columns.label)
    table = load(shards, layout)
    how = Counting(
        options.tokens, options.max_tokens if options.tokens != "words" else 0,
        options.truncation if options.tokens != "words" else "head",
        (options.validation_size, options.test_size), seed, in_order=False,
        drop_duplicates=options.duplicates == "drop",
    )  # fmt: skip
    counted = count(table, how)
    kind = layout.coding.kind
    names = label_names(
        table, kind, layout.columns.label, shards.pattern, known
    )  # fmt: skip
    targets = label_targets(table, counted, kind, names)
    texts = Texts(table.content, table.ends, counted.rows)
    number = counted.sizes[0]
    if fit:
        task.set_source(table.digest)
        source = LabeledTexts(
            [], kind, names, targets, np.empty(0, np.int8), [], table.digest, (), layout.resolved
        )
        # A slice: the targets stay in their file.
        task.fit_targets(source, slice(0, number))
        # A task may have an order of its own.
        names = task.known_labels() or []
        targets = label_targets(table, counted, kind, names)
        if options.tokens == "words":
            task.encoder.fit_words(counted.counts)
    types = None
    if options.tokens != "words":
        types = counted.types()
        if fit:
            task.encoder.fit_units(types, _type_counts(counted))
    encoding = Encoding(options.tokens, options.max_tokens, options.truncation)
    found = encode(table, counted, task.encoder.words, encoding)
    if fit:
        most = min(number, _LINEAR_TEXTS)
        rows = np.sort(Permutation(number, (seed, _LINEAR_DRAW))(np.arange(most)))
        task.fit_linear(texts, targets, rows)
    tokens = MappedRagged(found.values, found.starts, found.lengths, found.numbers)
    everything = TextSplit(tokens, targets, types, texts, task.sizes)
    splits, first = {"all": everything}, 0
    for name, size in zip(PARTS, counted.sizes, strict=True):
        splits[name] = everything.select(slice(first, first + size))
        first += size
    return Data(
        splits=splits,
        digest=table.digest,
        summary=f"{len(texts):,} texts of {plural(len(shards.shards), 'shard')} ({shards.name})",
        notes=_notes(shards, layout, table, counted, names, targets),
    )


def _type_counts(counted: Counted) -> IntArray:
    """Return how often each distinct token occurs in training, (U,)."""
    tokens = json.loads((counted.folder / "tokens.json").read_text(encoding="utf-8"))
    return np.array([counted.counts[token] for token in tokens], np.int64)


def _notes(
    shards: Shards,
    layout: Layout,
    table: ShardTable,
    counted: Counted,
    names: list[str],
    targets: Array,
) -> tuple[str, ...]:
    columns = layout.columns
    files = f"{plural(len(shards.shards), 'shard')}, {shards.size:,} bytes, {layout.form.name}"
    label = f"column {cut(columns.label)!r}"
    if targets.ndim == 1 and names:
        sizes = np.bincount(targets, minlength=len(names))
        shares = [f"{cut(names[n])} {100 * sizes[n] / len(targets):.1f}\xa0%" for n in
                  np.argsort(-sizes, kind="stable")[:6]]  # fmt: skip
        label += f": {plural(len(names), 'class', 'classes')}: {', '.join(shares)}"
        label += " ..." if len(names) > 6 else ""
    elif names:
        label += f": several labels a text, {len(names):,} in all"
    parts = ", ".join(f"{n} {s:,}" for n, s in zip(PARTS, counted.sizes, strict=True))
    drawn = [name for name, is_drawn in zip(PARTS[1:], counted.drawn, strict=True) if is_drawn]
    parts += f" ({' and '.join(drawn)} drawn by a hash of the text)" if drawn else " (as given)"
    lines = [
        aligned("data", files),
        aligned("text", f"column {cut(columns.text)!r}, {len(table.content):,} bytes"),
        aligned("label", label),
        aligned("parts", parts),
    ]
    if counted.left_out:
        left_out = plural(counted.left_out, "training text")
        what = "left out; --keep-duplicates keeps them"
        lines.append(aligned("", f"in another part, too: {left_out} ({what})"))
    for number, what in zip(table.left_out, ("without a label", "without a text"), strict=True):
        if number:
            lines.append(aligned("left out", f"{plural(number, 'row')} {what}"))
    lines += [aligned("note", text) for text in columns.notes]
    return tuple(line for text in lines for line in text.splitlines())
