"""Figure 8: how fast text is written, with the textbook's network of 256 and 512."""

from __future__ import annotations

from itertools import islice

import torch

from benchmarks.baseline import Baseline
from benchmarks.timing import Pair, interleaved, rate
from zoo import catalog as catalogs
from zoo.building import make_network, make_task
from zoo.config import resolve
from zoo.generation import Sampling, generate
from zoo.interfaces import Generates
from zoo.registry import Registry

ALPHABET = "".join(map(chr, range(48, 128)))


def streams(baseline: Baseline, count: int, length: int, rounds: int) -> Pair:
    """Return characters a second: the textbook's one stream, and ``count`` streams of the zoo."""
    configuration = resolve(
        "char-lm/lstm", Registry.installed(), catalogs.read(), [("hidden_size", "512")]
    )
    task = make_task(configuration.task, configuration.task_options)
    task.restore({"vocabulary": list(ALPHABET)})
    torch.manual_seed(1)
    network = make_network(task, configuration.model, configuration.model_options).eval()
    assert isinstance(task, Generates)

    def ours() -> float:
        written = generate(task, network, "The", length, Sampling(seed=1), count)
        return count * len(list(islice(written, length)))

    return interleaved(
        lambda: baseline.rate("write"),
        lambda: rate(ours),
        rounds,
    )
