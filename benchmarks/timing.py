"""Taking times: two ways in turn, medians, and processes from outside."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of two measures that were taken in turn, and the ratios of the turns in order."""

    baseline: float
    ours: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)


def interleaved(baseline: Measure, ours: Measure, rounds: int) -> Pair:
    """Take two measures in turn, so that a drift of the machine meets both.

    A measure returns a rate; the ratio is ours over the baseline's.
    """
    pairs = [(baseline(), ours()) for _ in range(rounds)]
    return Pair(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        tuple(sorted(b / a for a, b in pairs)),
    )


def rate(run: Callable[[], float]) -> float:
    """Return how many things a second ``run`` did; it returns how many there were."""
    started = time.perf_counter()
    count = run()
    return count / (time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Process:
    """A finished process: wall seconds, peak memory in MiB, and what it printed."""

    seconds: float
    peak: float
    output: str


def process(
    arguments: Sequence[str],
    *,
    stdin: str | None = None,
    env: dict[str, str] | None = None,
    keep: bool = True,
) -> Process:
    """Run a program and take its wall time and its own peak memory.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    # A process of its own in between, because the system only tells the peak over all children.
    watcher = (
        "import resource, subprocess, sys; "
        "code = subprocess.run(sys.argv[1:], check=False).returncode; "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "sys.stderr.write(f'\\npeak {peak}'); sys.exit(code)"
    )
    started = time.perf_counter()
    with open(stdin or "/dev/null", "rb") as source:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-S", "-c", watcher, *arguments],
            stdin=source,
            stdout=subprocess.PIPE if keep else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            check=False,
        )
    seconds = time.perf_counter() - started
    said, _, peak = done.stderr.rpartition("\npeak ")
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {said[-2000:]}")
    return Process(seconds, int(peak) / 1024, done.stdout or "")
