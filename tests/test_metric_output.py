"""Metrics on the screen: aligned, and no wider than the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zoo.cli.output import echo_metrics
from zoo.cli.terminal import display_width

Show = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Show:
    monkeypatch.setenv("COLUMNS", "80")

    def lines(metrics: dict[str, Any]) -> list[str]:
        echo_metrics(metrics)
        return capsys.readouterr().out.splitlines()

    return lines


def matrix(count: int, name: str = "label {}") -> dict[str, Any]:
    labels = [name.format(number) for number in range(count)]
    values = np.arange(count * count).reshape(count, count).tolist()
    return {"rows": labels, "columns": labels, "values": values, "note": "rows: true"}


def test_a_metric_is_beside_its_interval_and_its_baselines(show: Show) -> None:
    metrics = {
        "split": "test", "examples": 1200, "accuracy": 0.8123, "accuracy_low": 0.8,
        "accuracy_high": 0.82, "baselines": {"majority": 0.43, "linear": 0.81}, "rmse": 1234.56,
        "training_data": True,
    }  # fmt: skip
    assert show(metrics) == [
        "split              test",
        "examples           1200",
        "accuracy           0.8123  (95 %: 0.8000 to 0.8200)",
        "baseline majority  0.4300",
        "baseline linear    0.8100",
        "rmse               1,234.6",
    ]


def test_tables_come_last_with_numbers_aligned(show: Show) -> None:
    per_class = {
        "rows": ["ham", "spam"], "columns": ["precision", "support"],
        "values": [[0.5, 7], [1.0, 1234]], "note": "",
    }  # fmt: skip
    confusion = {
        "rows": ["ham", "spam"], "columns": ["ham", "spam"], "values": [[5, 2], [0, 1234]],
        "note": "rows: true, columns: predicted",
    }  # fmt: skip
    assert show({"per_class": per_class, "confusion": confusion, "loss": 0.5}) == [
        "loss  0.5000",
        "per class",
        "        precision  support",
        "  ham      0.5000        7",
        "  spam     1.0000     1234",
        "confusion (rows: true, columns: predicted)",
        "        ham  spam",
        "  ham     5     2",
        "  spam    0  1234",
    ]


@pytest.mark.parametrize("count", [2, 8, 9, 20])
@pytest.mark.parametrize(
    "name", ["{}", "a label with a name that is rather long {}", "标签很长的名字{}"]
)
def test_no_line_is_wider_than_the_terminal(count: int, name: str, show: Show) -> None:
    values = (np.ones((count, 4)) * 12345).tolist()
    metrics = {
        "data": "a file with a long path " * 200,
        "baselines": dict.fromkeys("ab", 0.5),
        "per_class": {**matrix(count, name), "columns": ["precision"] * 4, "values": values},
        "confusion": matrix(count, name),
    }
    lines = show(metrics)
    assert max(map(display_width, lines)) <= 80
    assert any("->" in line for line in lines) == (count > 8)


def test_a_large_confusion_matrix_is_shown_as_its_commonest_confusions(show: Show) -> None:
    table = matrix(9)
    lines = show({"confusion": table})
    assert lines[0] == "confusion (true -> predicted, the 10 commonest of 72)"
    assert len(lines) == 2 + 10
    # The last row of the matrix has the largest counts; its last column is no confusion.
    assert lines[2].split() == ["label", "8", "->", "label", "7", "79"]
    assert not any("label 8 -> label 8" in line for line in lines)


def test_a_wide_terminal_has_the_matrix(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    lines = show({"confusion": matrix(16)})
    assert len(lines) == 2 + 16
    assert max(map(len, lines)) <= 160


def test_a_table_of_any_size_is_cut(show: Show) -> None:
    columns = [f"column {number}" for number in range(60)]
    rows = [f"row {number}" for number in range(1000)]
    values = [[0.5] * 60 for _ in rows]
    lines = show({"scores": {"rows": rows, "columns": columns, "values": values}})
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == ["  ... 980 more rows", "  ... 51 more columns"]
    assert len(lines) == 2 + 20 + 2


def test_a_label_is_as_wide_as_it_is_on_the_screen(show: Show) -> None:
    table = {"rows": ["酒店", "e\u0301", "a\nb"], "columns": ["n"], "values": [[1], [2], [3]]}
    lines = show({"per_class": table})
    assert lines[2:] == ["  酒店  1", "  e\u0301     2", "  a b   3"]
    assert {display_width(line) for line in lines[1:]} == {9}
