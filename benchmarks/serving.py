"""``python -m benchmarks.serving``: ``zoo serve`` against bulk ``zoo predict`` on the same texts.

A request with one text is also compared with what uvicorn takes to answer one with a constant: no
application behind it answers more.

The load comes from wrk (https://github.com/wg/wrk; Debian: ``apt-get install wrk``), on the
loopback and on the same processors as the server. Nothing is written.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.material import find
from benchmarks.timing import Pair, interleaved, process

ZOO = (sys.executable, "-m", "zoo")
# Without a model, and without the lines that say what it answered.
CONSTANT = (
    sys.executable, "-m", "uvicorn", "benchmarks.constant:app", "--port", "0", "--lifespan", "off",
    "--no-access-log",
)  # fmt: skip
CLIENTS = 64
LEAST_RATIO, MOST_MILLISECONDS = 0.6, 25.0

# Requests take turns through the bodies of a file, one a line. A pause is spread evenly around its
# mean, so that clients do not move in step.
SCRIPT = """
local bodies, next = {}, 0
local headers = {["Content-Type"] = "application/json"}
function init(args)
  for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
  math.randomseed(1)
end
function request()
  next = next %% #bodies + 1
  return wrk.format("POST", "/v1/predict", headers, bodies[next])
end
%(delay)s
function done(summary, latency, requests)
  io.write(string.format('{"requests": %%d, "seconds": %%f, "failed": %%d, "p50": %%f, "p99": %%f}',
    summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.timeout + summary.errors.connect
      + summary.errors.read + summary.errors.write,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
DELAY = "function delay() return math.random(0, {most}) end"


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured: requests a second, and milliseconds until the answer."""

    rate: float
    p50: float
    p99: float


@contextmanager
def server(command: Sequence[str]) -> Iterator[str]:
    """Run a server, which says its address on stderr; yields the address."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        lines = iter(running.stderr.readline, "")
        found = next(filter(None, (re.search(r"http://\S+", line) for line in lines)), None)
        if found is None:
            raise click.ClickException(f"{' '.join(command)} did not start")
        try:
            yield found.group()
        finally:
            running.terminate()
            running.wait()


def load(address: str, bodies: Path, seconds: float, *, pause: float = 0) -> Load:
    """Send requests by wrk from 64 clients.

    Args:
        address: Of the server.
        bodies: A file of bodies, one a line.
        seconds: How long.
        pause: Milliseconds that each client waits before a request, on average.

    Raises:
        RuntimeError: A request failed.
    """
    delay = DELAY.format(most=round(2 * pause)) if pause else ""
    script = bodies.with_suffix(".lua")
    script.write_text(SCRIPT % {"bodies": bodies, "delay": delay}, encoding="utf-8")
    command = [
        "wrk",
        "-t1",
        f"-c{CLIENTS}",
        f"-d{seconds:g}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} of {found['requests']} requests failed")
    return Load(found["requests"] / found["seconds"], found["p50"], found["p99"])


def bulk_rate(weights: str, texts: list[str], folder: Path, times: int) -> float:
    """Return texts a second of ``zoo predict``, without its start."""
    lines = folder / "lines.txt"
    some = "".join(" ".join(text.split()) + "\n" for text in texts)
    with lines.open("w", encoding="utf-8") as file:
        for _ in range(times):
            file.write(some)
    command = [*ZOO, "predict", weights]
    start = process([*command, "a text"], keep=False).seconds
    return times * len(texts) / (process(command, stdin=str(lines), keep=False).seconds - start)


def write_bodies(path: Path, texts: list[str], each: int) -> Path:
    """Write requests of ``each`` texts, one a line."""
    groups = [texts[start : start + each] for start in range(0, len(texts), each)]
    lines = [json.dumps({"texts": group}) + "\n" for group in groups]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@click.command()
@click.argument("weights", default="imdb-bilstm")
@click.option("--rounds", default=3, show_default=True, help="Turns of bulk and server.")
@click.option(
    "--seconds", default=8.0, show_default=True, help="Of each measurement of the server."
)
@click.option("--batch", default=32, show_default=True, help="Texts of a request, beside one.")
@click.option("--times", default=25, show_default=True, help="How often bulk predicts 8,000 texts.")
def main(weights: str, rounds: int, seconds: float, batch: int, times: int) -> None:
    """Measure WEIGHTS: the rate as a share of bulk, and the time of an answer at half load."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [text for text, _ in find(folder).texts]
        with server([*ZOO, "serve", weights, "--port", "0"]) as address, server(CONSTANT) as other:
            ones = write_bodies(folder / "ones.json", texts, 1)
            many = write_bodies(folder / "many.json", texts, batch)
            for each, bodies in ((1, ones), (batch, many)):
                pair: Pair = interleaved(
                    lambda: bulk_rate(weights, texts, folder, times),
                    lambda: each * load(address, bodies, seconds).rate,  # noqa: B023
                    rounds,
                )
                click.echo(
                    f"{CLIENTS} clients, {each} texts a request: {pair.ours:,.0f} texts/s of "
                    f"{pair.baseline:,.0f} in bulk, {pair.ratio:.0%} "
                    f"({pair.ratios[0]:.0%} to {pair.ratios[-1]:.0%}); target {LEAST_RATIO:.0%}"
                )
            alone = interleaved(
                lambda: load(other, ones, seconds).rate,
                lambda: load(address, ones, seconds).rate,
                rounds,
            )
            click.echo(
                f"{CLIENTS} clients, 1 text a request: {alone.ours:,.0f} requests/s of "
                f"{alone.baseline:,.0f} that uvicorn answers with a constant, {alone.ratio:.0%} "
                f"({alone.ratios[0]:.0%} to {alone.ratios[-1]:.0%})"
            )
            full = load(address, ones, seconds)
            halves = []
            for _ in range(rounds):
                pause = 2000 * CLIENTS / full.rate - full.p50 / 2
                halves.append(load(address, ones, seconds, pause=max(pause, 1)))
            p99 = statistics.median(half.p99 for half in halves)
            half = halves[-1]
            click.echo(
                f"{CLIENTS} clients, 1 text a request, at {half.rate:,.0f} of {full.rate:,.0f} "
                f"requests/s: p50 {half.p50:.1f} ms, p99 {p99:.1f} ms; "
                f"target {MOST_MILLISECONDS:g} ms"
            )


if __name__ == "__main__":
    main()
