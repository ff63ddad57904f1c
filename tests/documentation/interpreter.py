"""Executes the Python blocks of a page in one namespace; a program that a session starts.

Each line of stdin is a request, ``{"source", "line", "path", "doctest"}`` in JSON; each line of
stdout is the answer, the error as text, empty where there was none. Blocks write to stderr.
"""

from __future__ import annotations

import doctest
import json
import os
import sys
import traceback
from typing import Any

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def execute(source: str, line: int, path: str, namespace: dict[str, Any]) -> str:
    """Run a block; its lines have the numbers that they have in the page."""
    try:
        exec(compile("\n" * line + source, path, "exec", dont_inherit=True), namespace)
    except BaseException:  # noqa: BLE001 - the test reports it.
        return traceback.format_exc()
    return ""


def examine(source: str, line: int, path: str, namespace: dict[str, Any]) -> str:
    """Run a block of ``>>>`` and compare what it prints."""
    test = doctest.DocTestParser().get_doctest(source, {}, path, path, line)
    test.globs = namespace
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append, clear_globs=False)
    return "".join(report)


def main() -> None:
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.path[0] = ""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for request in map(json.loads, requests):
        run = examine if request.pop("doctest") else execute
        print(json.dumps(run(**request, namespace=namespace)), file=answers, flush=True)


if __name__ == "__main__":
    main()
