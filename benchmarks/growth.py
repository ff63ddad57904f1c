"""How time and memory grow: each size doubled over four points, with the exponents.

Each point is a process of its own, because a process only tells the most memory it ever had.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.material import TEXTBOOK
from benchmarks.timing import process
from zoo import api
from zoo.data.ragged import Ragged
from zoo.environment import set_up_process
from zoo.settings import resolve


@dataclass(frozen=True, slots=True)
class Growth:
    """What was doubled, and seconds and MiB (above those of an idle process) at each size."""

    what: str
    sizes: Sequence[int]
    seconds: Sequence[float]
    memory: Sequence[float]

    @property
    def exponents(self) -> tuple[float, float]:
        """Return the exponents of time and of memory as power laws of the size."""
        return _slope(self.sizes, self.seconds), _slope(self.sizes, self.memory)


def _slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of log value over log size, by least squares."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(value, 1e-9)) for value in values]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - middle_x) ** 2 for x in xs
    )


def measure() -> list[Growth]:
    """Return every growth curve."""
    idle = _point("idle", 0)[1]
    curves = []
    for what, (sizes, _) in CURVES.items():
        points = [_point(what, size) for size in sizes]
        memory = [max(peak - idle, 1.0) for _, peak in points]
        curves.append(Growth(what, sizes, [seconds for seconds, _ in points], memory))
    return curves


def _point(what: str, size: int) -> tuple[float, float]:
    """Return seconds and the peak memory in MiB of one size, in a process of its own."""
    done = process([sys.executable, "-m", "benchmarks.growth", what, str(size)])
    return float(done.output), done.peak


def _encode(count: int, length: int) -> float:
    from zoo_sentiment.corpus import encode

    draw = random.Random(0)
    words = [f"word{number}" for number in range(5000)]
    texts = [" ".join(draw.choices(words, k=length)) for _ in range(count)]
    started = time.perf_counter()
    encode(texts)
    return time.perf_counter() - started


def _step(*, length: int = 200, hidden: int = 64, words: int = 20_000) -> float:
    """Return the seconds of a training step of the sentiment network on generated rows."""
    from zoo_recurrent.models import LSTM
    from zoo_recurrent.options import StackOptions
    from zoo_sentiment.options import SentimentOptions
    from zoo_text.network import TextNetwork

    torch.manual_seed(0)
    options = StackOptions(hidden_size=hidden)
    build: Any = lambda size: LSTM(size, options)  # noqa: E731 - without submodels
    task = resolve(TEXTBOOK, api.registry()).network.task.options
    assert isinstance(task, SentimentOptions)
    network = TextNetwork(build, task, num_tokens=words, num_outputs=1)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    rows = torch.randint(2, words, (32, length)).numpy()
    batch = Ragged.of(list(rows), [0.0, 1.0] * 16).train_batches(0, 0, 32)[0]
    taken = []
    for _ in range(8):
        started = time.perf_counter()
        optimizer.zero_grad()
        logits, _ = network(batch.inputs, batch.lengths)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], batch.targets.float()
        ).backward()
        optimizer.step()
        taken.append(time.perf_counter() - started)
    return min(taken[2:])


def _text(megabytes: int) -> float:
    from zoo.data.text import alphabet, blocks, code_points, token_id_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        with path.open("w") as file:
            for _ in range(megabytes):
                file.write("The island lay before them, green and still.\n" * 22_300)
        started = time.perf_counter()
        characters, _ = alphabet(blocks(path))
        table = token_id_table(characters)
        for text in blocks(path):
            table[code_points(text)]
        return time.perf_counter() - started


CURVES: Mapping[str, tuple[list[int], Callable[[int], float]]] = {
    "reviews, encoded": ([4000, 8000, 16_000, 32_000], lambda n: _encode(n, 200)),
    "words a review, a training step": ([100, 200, 400, 800], lambda n: _step(length=n)),
    "hidden_size, a training step": ([128, 256, 512, 1024], lambda n: _step(hidden=n)),
    "vocabulary, a training step": (
        [50_000, 100_000, 200_000, 400_000], lambda n: _step(words=n)
    ),
    "megabytes of a text, encoded": ([4, 8, 16, 32], _text),
}  # fmt: skip


if __name__ == "__main__":
    set_up_process()
    name, size = sys.argv[1], int(sys.argv[2])
    sys.stdout.write("0" if name == "idle" else f"{CURVES[name][1](size)}")
