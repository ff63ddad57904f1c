"""Figure 8: how fast text is written, with the textbook's network of 256 and 512."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch

from benchmarks.baseline import Baseline
from benchmarks.timing import Pair, interleaved, rate
from zoo import api
from zoo.building import build_network, build_task
from zoo.generation import Sampling, generate
from zoo.interfaces import Generates
from zoo.settings import resolve

ALPHABET = "".join(map(chr, range(48, 128)))


def quantized(folder: Path, length: int, rounds: int) -> Pair:
    """Return characters a second of one text: float32 by torch, and int8 without torch.

    Args:
        folder: Where to keep the files, those of the published network of 512.
        length: Characters of a text, more than are generated without compiled code.
        rounds: Turns.
    """
    published = api.load("island-lstm")

    def writing(dtype: str, runtime: str) -> Callable[[], float]:
        file = folder / f"{dtype}.safetensors"
        published.save(file, dtype=dtype)
        model = api.load(file, runtime=runtime)  # type: ignore[call-overload]

        def write() -> float:
            return len(list(model.stream("The", length, Sampling(seed=1))))

        write()  # Compiled and loaded before times are taken.
        return write

    exact, small = writing("float32", "torch"), writing("int8", "numpy")
    return interleaved(lambda: rate(exact), lambda: rate(small), rounds)


def samples(baseline: Baseline, count: int, length: int, rounds: int) -> Pair:
    """Return characters a second: the textbook's one sample, and ``count`` samples of zoo."""
    spec = resolve("char-lm/lstm", api.registry(), {"hidden_size": 512})
    task = build_task(spec.network.task)
    task.load_state_dict({"vocabulary": list(ALPHABET)})
    torch.manual_seed(1)
    network = build_network(task, spec.network).eval()
    assert isinstance(task, Generates)

    def ours() -> float:
        written = generate(task, network, "The", length, Sampling(seed=1), count)
        return count * len(list(islice(written, length)))

    return interleaved(
        lambda: baseline.rate("write"),
        lambda: rate(ours),
        rounds,
    )
