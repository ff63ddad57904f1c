"""Figures 1, 2 and 6: how fast networks train, against the textbook's loop."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import linear

from benchmarks.baseline import Baseline
from benchmarks.material import Material, textbook_settings
from benchmarks.timing import Pair, interleaved
from zoo import api
from zoo.building import build_task
from zoo.interfaces import Callback
from zoo.settings import resolve

# Most shapes of batches have occurred by then, and oneDNN has set itself up for them.
WARM_UP = 100
_CHARACTERS = {
    "hidden_size": "512",
    "batch_size": "64",
    "task.validation_size": "0.001",
    "task.test_size": "0.001",
}


class Clock(Callback):
    """Measures the time between two steps."""

    def __init__(self, first: int, last: int) -> None:
        self.at = {first: 0.0, last: 0.0}

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step in self.at:
            self.at[trainer.state.step] = time.perf_counter()

    @property
    def seconds(self) -> float:
        first, last = self.at.values()
        return last - first


def _rate_of_engine(name: str, data: Path, steps: int, settings: Mapping[str, object]) -> float:
    """Return steps of rows (words, characters) a second of zoo's own training loop."""
    overrides = {**settings, "training.steps": WARM_UP + steps}
    clock = Clock(WARM_UP, WARM_UP + steps)
    with tempfile.TemporaryDirectory() as folder:
        api.train(
            name,
            data,
            out=Path(folder) / "run",
            settings=overrides,
            callbacks=[clock],
            device="cpu",
            progress=False,
        )
    spec = resolve(name, api.registry(), overrides, data=str(data))
    split = build_task(spec.network.task).prepare(data, spec.seed).splits["train"]
    batches = split.train_batches(spec.seed, 0, spec.training.batch_size)
    counted = islice(range(len(batches)), WARM_UP, WARM_UP + steps)
    return sum(int(batches[number].lengths.sum()) for number in counted) / clock.seconds


def reviews(material: Material, baseline: Baseline, model: str, rounds: int) -> Pair:
    """Figures 1 and 2: words a second on full-length reviews."""
    # Here the vocabulary is that of the whole corpus, a larger table than the textbook's.
    return interleaved(
        lambda: baseline.rate(model),
        lambda: _rate_of_engine(f"sentiment/{model}", material.reviews, 200, textbook_settings()),
        rounds,
    )


def characters(material: Material, baseline: Baseline, rounds: int) -> tuple[Pair, float]:
    """Figure 6: characters a second, and the share of the matmul rate that ours reaches."""
    alphabet = len(set(material.book.read_text(encoding="utf-8-sig")))
    # Forward and backward are 6 operations a parameter and character: the LSTM's two matrices and
    # the output layer's one.
    operations = 6 * (4 * 512 * (256 + 512) + 512 * alphabet)
    shares: list[float] = []

    def ours() -> float:
        peak = _matmul_rate()
        rate = _rate_of_engine("char-lm/lstm", material.book, 60, _CHARACTERS)
        shares.append(rate * operations / peak)
        return rate

    pair = interleaved(lambda: baseline.rate("characters"), ours, rounds)
    return pair, statistics.median(shares)


def bfloat16(material: Material, rounds: int) -> Pair:
    """Figure 6: the same in mixed precision, against float32."""
    mixed = {**_CHARACTERS, "precision": "bfloat16"}
    return interleaved(
        lambda: _rate_of_engine("char-lm/lstm", material.book, 60, _CHARACTERS),
        lambda: _rate_of_engine("char-lm/lstm", material.book, 60, mixed),
        rounds,
    )


@torch.inference_mode()
def _matmul_rate(size: int = 2048) -> float:
    """Return float32 operations a second of a large matrix product, the best of ten.

    By MKL and by oneDNN: which of them is faster depends on the processor.
    """
    rows = torch.randn(size, size)
    other = rows.to_mkldnn()

    def times() -> Iterator[float]:
        for matrix in (rows, other) * 10:
            started = time.perf_counter()
            linear(matrix, matrix)
            yield time.perf_counter() - started

    return 2 * size**3 / min(times())
