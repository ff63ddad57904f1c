"""Checks of models, tasks and plugins, in a process of their own with limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zoo.checks.result import Result
from zoo.errors import PluginError, UsageError
from zoo.subprocesses import kill

SECONDS = 300
MEMORY_BYTES = 16 << 30


def check(
    name: str = "", *, data: str | Path = "", seconds: float = SECONDS, memory: int = MEMORY_BYTES
) -> list[Result]:
    """Check whether models, tasks and plugins keep what the interfaces promise.

    They are imported in a process of their own: a model that never ends or ends the process is
    reported like any other fault.

    Args:
        name: A model, a task, or a plugin with what it declares; empty: everything installed.
        data: A file for tasks that carry no sample.
        seconds: How long all checks may take together.
        memory: How many bytes the process may allocate, where the system can limit it.

    Returns:
        What came of each check.

    Raises:
        UsageError: Nothing of that name is installed.

    Example:
        >>> import zoo
        >>> {result.status for result in zoo.check("gru")} == {"passed"}
        True
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        arguments = [str(report), str(memory), name, *([str(data)] * bool(data))]
        why = _run([sys.executable, "-m", "zoo.checks", *arguments], seconds)
        text = report.read_text(encoding="utf-8") if report.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
    return _results(name, lines, why)


def _run(command: list[str], seconds: float) -> str:
    """Run the checks; return why they did not come to their end, or nothing."""
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            return f"did not end within {seconds:g} s"
        finally:
            kill(process)
    if process.returncode:
        last = (said.strip().splitlines() or [""])[-1]
        return f"ended the process with code {process.returncode}{': ' if last else ''}{last}"
    return ""


def _results(name: str, lines: list[dict[str, Any]], why: str) -> list[Result]:
    results: list[Result] = []
    begun: list[tuple[str, str]] = []
    for line in lines:
        if "error" in line:
            kind = UsageError if line["code"] == UsageError.exit_code else PluginError
            raise kind(line["error"])
        if "begins" in line:
            begun.append(tuple(line["begins"]))
        else:
            results.append(Result(**line))
    if why:
        subject, check_name = begun[-1] if begun else (name or "zoo", "imports")
        promise = "A check ends, within the limits of time and memory."
        results.append(Result(subject, check_name, "failed", promise, f"it {why}"))
    return results
