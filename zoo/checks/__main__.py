"""``python -m zoo.checks REPORT BYTES NAME [DATA]``: check here, and write a line for each check.

The process that asked reads the lines, and knows by the last one which check did not end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from zoo.checks.subjects import find
from zoo.environment import set_up_process
from zoo.errors import ZooError
from zoo.installed import registry
from zoo.subprocesses import limit_memory


def main(report: str, memory: str, name: str, data: str = "") -> int:
    """Check what a name stands for, in so many bytes of memory; return the exit code."""
    limit_memory(int(memory))
    set_up_process(threads=1)
    with open(report, "w", encoding="utf-8", buffering=1) as file:  # noqa: PTH123 - by lines

        def write(document: dict[str, object]) -> None:
            file.write(json.dumps(document) + "\n")

        try:
            for subject in find(name, registry(), Path(data) if data else None):
                results = subject.results(
                    lambda check, of=subject: write({"begins": [of.name, check]})  # type: ignore[misc]
                )
                for result in results:
                    write(asdict(result))
        except ZooError as error:
            write({"error": str(error), "code": error.exit_code})
    return 0


sys.exit(main(*sys.argv[1:]))
