"""The programs of docs/ray-and-spark.md are run where Ray or Spark is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from documentation.blocks import ROOT
from documentation.page import read_page

import zoo

pa = pytest.importorskip("pyarrow", reason="needs the extra 'tables'")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'tables'")

TEXTS = ["A film to remember.", "Two hours that I want back.", "Dull and far too long."] * 40


def program(library: str) -> str:
    """Return the block of the page that imports a library."""
    blocks = read_page(ROOT / "docs" / "ray-and-spark.md").blocks
    (found,) = [block.source for block in blocks if f"import {library}" in block.source]
    return found


@pytest.mark.parametrize(
    ("library", "imported", "output"),
    [("ray", "ray", "answers-of-ray"), ("pyspark", "SparkSession", "answers-of-spark")],
)
def test_the_answers_of_a_cluster_are_those_of_the_model(
    library: str, imported: str, output: str, tmp_path: Path
) -> None:
    if not importlib.util.find_spec(library):
        pytest.skip(f"no {library}")
    if library == "pyspark" and not shutil.which("java"):
        pytest.skip("no Java")
    (tmp_path / "texts").mkdir()
    for part in (0, 1):
        ids = list(range(part * len(TEXTS), (part + 1) * len(TEXTS)))
        table = pa.table({"id": ids, "text": TEXTS})
        pq.write_table(table, tmp_path / "texts" / f"part-{part}.parquet")
    (tmp_path / "program.py").write_text(program(imported))
    environment = {
        **os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / output).sort_by("id").to_pylist()
    assert [row["id"] for row in rows] == list(range(2 * len(TEXTS)))
    answers: list[Any] = list(zoo.load("imdb-bilstm", runtime="numpy").predict(TEXTS)) * 2
    for row, answer in zip(rows, answers, strict=True):
        assert (row["text"], row["label"]) == (answer.text, answer.label)
        assert row["probability"] == pytest.approx(answer.probability, abs=1e-6)
