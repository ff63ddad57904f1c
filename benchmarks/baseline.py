"""The textbook's method in a process of its own, as torch comes: ``baseline WHAT MATERIAL``.

zoo sets its process up (denormal numbers, memory, threads), and the textbook's must not profit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks import textbook
from benchmarks.material import Material
from benchmarks.timing import process, rate

KINDS: dict[str, tuple[type[nn.RNNBase], bool]] = {
    "lstm": (nn.LSTM, False),
    "bilstm": (nn.LSTM, True),
    "gru": (nn.GRU, False),
}


class Baseline:
    """Measures the textbook's method on some material.

    Args:
        material: What it works on.
        folder: Where the material is kept for the processes.
    """

    def __init__(self, material: Material, folder: Path) -> None:
        self._path = folder / "material.json"
        text = material.book.read_text(encoding="utf-8-sig")[:300_000]
        self._path.write_text(json.dumps({"reviews": material.texts, "book": text}))

    def rate(self, what: str) -> float:
        """Return how many words, reviews or characters a second it does."""
        command = [sys.executable, "-m", "benchmarks.baseline", what, str(self._path)]
        return float(process(command).output)


def _train(reviews: list[textbook.Labelled], model: str) -> Callable[[], float]:
    kind, both = KINDS[model]
    data = textbook.Reviews(reviews)
    network = textbook.Classifier(len(data.numbers) + 2, kind, both=both)
    # The first batches are up to three times slower: memory is still coming from the system.
    list(textbook.train_reviews(network, data, 20))
    return lambda: sum(textbook.train_reviews(network, data, 60))


def _evaluate(reviews: list[textbook.Labelled]) -> Callable[[], float]:
    data = textbook.Reviews(reviews)
    network = textbook.Classifier(len(data.numbers) + 2, nn.LSTM, both=False)

    def run() -> float:
        textbook.evaluate_reviews(network, data)
        return len(data.reviews)

    return run


def _characters(book: str, *, write: bool) -> Callable[[], float]:
    numbers = {character: number for number, character in enumerate(sorted(set(book)))}
    network = textbook.CharacterModel(len(numbers))
    if write:
        return lambda: len(textbook.sample(network, [5, 6, 7], 1000)) - 3
    windows = textbook.Windows([numbers[character] for character in book])
    return lambda: sum(textbook.train_characters(network, windows, 6))


def main(what: str, path: str) -> None:
    """Print one rate."""
    torch.manual_seed(1)
    material = json.loads(Path(path).read_text())
    if what in KINDS:
        run = _train(material["reviews"], what)
    elif what == "evaluate":
        run = _evaluate(material["reviews"])
    else:
        run = _characters(material["book"], write=what == "write")
    sys.stdout.write(str(rate(run)))


if __name__ == "__main__":
    main(*sys.argv[1:])
