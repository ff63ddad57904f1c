"""How time and memory grow: each size doubled over four points, with the exponent."""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from zoo.data.ragged import Ragged


@dataclass(frozen=True, slots=True)
class Growth:
    """What was doubled, how long it took at each size, and the exponent of a power law."""

    what: str
    sizes: Sequence[int]
    seconds: Sequence[float]

    @property
    def exponent(self) -> float:
        """Return the slope of log seconds over log size, by least squares."""
        xs = [math.log(size) for size in self.sizes]
        ys = [math.log(second) for second in self.seconds]
        middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
        return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum(
            (x - middle_x) ** 2 for x in xs
        )


def measure() -> list[Growth]:
    """Return every growth curve."""
    return [
        _doubled("reviews, encoded", [2000, 4000, 8000, 16000], lambda n: _encode(n, 200)),
        _doubled(
            "words a review, a training step", [100, 200, 400, 800], lambda n: _step(length=n)
        ),
        _doubled("hidden_size, a training step", [128, 256, 512, 1024], lambda n: _step(hidden=n)),
        _doubled(
            "vocabulary, a training step",
            [25_000, 50_000, 100_000, 200_000],
            lambda n: _step(words=n),
        ),
        _doubled("characters of a text, encoded", [1, 2, 4, 8], _text),
    ]


def _doubled(what: str, sizes: list[int], seconds: Callable[[int], float]) -> Growth:
    seconds(sizes[0])
    return Growth(what, sizes, [min(seconds(size) for _ in range(3)) for size in sizes])


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
    from zoo_sentiment.network import Classifier

    torch.manual_seed(0)
    network = Classifier(
        lambda size: LSTM(
            size, hidden_size=hidden, num_layers=1, dropout=0.0, initial_state="zeros"
        ),
        words=words, answers=1, embed_size=20, embed_std=1.0, fc_size=64, pooling="last",
        ngram_bits=0, word_dropout=0.0, embed_dropout=0.0, dropout=0.0,
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    rows = torch.randint(2, words, (32, length)).numpy()
    batch = Ragged.of(list(rows), [0.0, 1.0] * 16).epoch(0, 0, 32)[0]
    taken = []
    for _ in range(8):
        started = time.perf_counter()
        optimiser.zero_grad()
        logits, _ = network(batch.inputs, batch.lengths)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], batch.targets.float()
        ).backward()
        optimiser.step()
        taken.append(time.perf_counter() - started)
    return min(taken[2:])


def _text(megabytes: int) -> float:
    from zoo.data.text import alphabet, blocks, code_points, coder

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_text("The island lay before them, green and still.\n" * (22_300 * megabytes))
        started = time.perf_counter()
        characters, _ = alphabet(blocks(path))
        table = coder(characters)
        for text in blocks(path):
            table[code_points(text)]
        return time.perf_counter() - started
