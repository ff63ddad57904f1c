"""``zoo serve`` in a process of its own, for tests that need a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@contextmanager
def serving(*arguments: str | Path, env: dict[str, str] | None = None) -> Iterator[Server]:
    """Run ``zoo serve ARGUMENTS`` on a free port; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "serve", *map(str, arguments), "--port", "0"],
        env={**os.environ, **(env or {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        for line in iter(process.stderr.readline, ""):
            said += line
            if found := re.search(r"serving .* at (http://\S+)", line):
                yield Server(process, found[1])
                return
        raise AssertionError(f"the server did not start: {said}")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
