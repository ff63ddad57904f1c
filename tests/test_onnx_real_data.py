"""ONNX files of the published weights, on the published data."""

from __future__ import annotations

import importlib.util
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REAL_DATA

import zoo

pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from zoo_onnx.exporting import export

pytestmark = pytest.mark.real_data

READER = Path(__file__).parent.parent / "docs" / "onnx_reader.py"


def read(path: Path) -> Any:
    """Return a file as the reader of the documentation has it, without zoo and torch."""
    spec = importlib.util.spec_from_file_location("onnx_reader", READER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Network(str(path))


def reviews(count: int) -> list[str]:
    """Return some of the reviews of the archive."""
    found: list[str] = []
    with tarfile.open(REAL_DATA / "aclImdb_labelled.tar.gz") as archive:
        for member in archive:
            if "/test/" in f"/{member.name}" and member.name.endswith(".txt"):
                file = archive.extractfile(member)
                assert file
                found.append(file.read().decode())
                if len(found) == count:
                    break
    return found


def test_1_000_reviews_get_the_same_answers_without_zoo(tmp_path: Path) -> None:
    model = zoo.load("imdb-bilstm")
    (tmp_path / "x.onnx").write_bytes(export(model, None).content)
    network, texts = read(tmp_path / "x.onnx"), reviews(1000)
    labels = network.learned["labels"]
    predictions: list[Any] = list(model.predict(texts))
    for first in range(0, len(texts), 100):
        found = network.answer(texts[first : first + 100])
        expected = predictions[first : first + 100]
        assert [labels[label] for label in found["label"]] == [p.label for p in expected]
        scores = [list(p.scores.values()) for p in expected]
        np.testing.assert_allclose(found["probabilities"], scores, atol=1e-5)


def test_1_000_windows_of_the_novel_are_compared(tmp_path: Path) -> None:
    model = zoo.load("island-lstm")
    made = export(model, model.prepare(REAL_DATA / "1268-0.txt"))
    compared = re.search(r"on ([\d,]+) windows of the data$", made.note)
    assert compared
    assert int(compared[1].replace(",", "")) >= 1000
    (tmp_path / "x.onnx").write_bytes(made.content)
    expected = model.generate("The island", 100, temperature=0)
    assert read(tmp_path / "x.onnx").generate("The island", 100) == expected
