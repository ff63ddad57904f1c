"""The learning curve of ``python -m benchmarks curve``: texts that are drawn, and its table."""

from __future__ import annotations

from collections import Counter

from benchmarks.learning_curve import Point, draw, table


def test_a_smaller_number_of_texts_is_part_of_a_larger_one_with_the_same_shares() -> None:
    rows = [(f"text {number}", "abc"[number % 3]) for number in range(900)]
    few, many = (draw(rows, size, seed=1) for size in (30, 300))
    assert set(few) < set(many)
    assert Counter(label for _, label in many) == {"a": 100, "b": 100, "c": 100}
    assert set(draw(rows, 30, seed=2)) != set(few)


def test_the_table_has_a_row_a_size_and_a_column_a_method() -> None:
    points = [
        Point("sst2", size, method, "validation", [0.5, 0.7], 1.0)
        for size in (100, 1_000)
        for method in ("TF-IDF + LR", "from scratch")
    ]
    assert table(points).splitlines() == [
        "| data | texts | TF-IDF + LR | from scratch |",
        "|---|---|---|---|",
        "| sst2 | 100 | 0.600 (0.500 to 0.700) | 0.600 (0.500 to 0.700) |",
        "| sst2 | 1,000 | 0.600 (0.500 to 0.700) | 0.600 (0.500 to 0.700) |",
    ]
