"""Plugins asked in processes of their own, with a time limit: what happens there stays there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from zoo.discovery.declarations import Answer
from zoo.entry_points import Point
from zoo.errors import UsageError
from zoo.subprocesses import kill

TIMEOUT_VARIABLE = "ZOO_PLUGIN_TIMEOUT"
_SECONDS = 20.0
_PROGRAM = """
import json, sys
path, points, wanted = json.loads(sys.argv.pop())
sys.path[:] = path
from zoo.discovery.child import main
from zoo.entry_points import Point
main([Point(*point) for point in points], wanted)
"""


def time_limit() -> float:
    """Return the seconds after which a process of plugins is killed.

    Raises:
        UsageError: ``ZOO_PLUGIN_TIMEOUT`` is not a positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE) or str(_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise UsageError(
            f"{text!r} is not a number of seconds", where=TIMEOUT_VARIABLE, fix="say 20, say"
        )
    return seconds


def ask_all(points: Iterable[Point], wanted: str = "records") -> dict[Point, Answer]:
    """Ask plugins, those of a distribution in one process, some processes at a time.

    Args:
        points: Entry points.
        wanted: ``records``, or ``environment`` for the facts of ``zoo env``.

    Raises:
        UsageError: The time limit is not a number.
    """
    groups = [list(group) for _, group in groupby(sorted(points, key=_package), key=_package)]
    if not groups:
        return {}
    asking = _Asking(wanted)
    with ThreadPoolExecutor(max_workers=min(len(groups), os.cpu_count() or 1)) as pool:
        try:
            return {
                point: answer
                for answers in pool.map(asking.ask, groups)
                for point, answer in answers.items()
            }
        except BaseException:
            asking.stop()  # Ctrl-C does not reach the processes, and waits for nobody.
            raise


def _package(point: Point) -> tuple[str, str]:
    return point.distribution, point.version


class _Asking:
    """The processes of one call of :func:`ask_all`."""

    def __init__(self, wanted: str) -> None:
        self._wanted, self._seconds = wanted, time_limit()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def ask(self, points: Sequence[Point]) -> dict[Point, Answer]:
        """Ask plugins in one process, and those after one that ends it in a further one."""
        answers: dict[Point, Answer] = {}
        while left := [point for point in points if point not in answers]:
            output, end = self._run(left)
            culprit, files = left[0], None
            for line in _lines(output):
                number = line.get("begins", line.get("ends"))
                if number is None:
                    # A plugin of the package may be built on another one.
                    for answer in answers.values():
                        answer["files"] += line["files"]
                elif "begins" in line:
                    culprit, files = left[number], line["files"]
                else:
                    answers[left[number]] = {**line, "files": files}
            if culprit not in answers:
                answers[culprit] = {"error": end, "files": files}
        return answers

    def stop(self) -> None:
        """Kill what runs, and start nothing more."""
        self._stopped = True
        for process in tuple(self._running):
            kill(process)

    def _run(self, points: Sequence[Point]) -> tuple[bytes, str]:
        """Return what a process wrote and how it ended, in words."""
        if self._stopped:
            return b"", "interrupted"
        request = json.dumps([list(map(str, sys.path)), points, self._wanted])
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, request],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # So that all that it starts can be killed with it.
            )
        except OSError as error:
            return b"", f"the process that imports it could not be started: {error}"
        self._running.add(process)
        try:
            return process.communicate(timeout=self._seconds)[0], _ending(process.returncode)
        except subprocess.TimeoutExpired as expired:
            kill(process)
            return expired.output or b"", f"did not answer within {self._seconds:g} s"
        finally:
            self._running.discard(process)


def _ending(code: int) -> str:
    if code < 0:
        return f"killed by signal {-code} while it was imported"
    return f"exited with code {code} while it was imported"


def _lines(output: bytes) -> list[dict[str, Any]]:
    """Return the complete lines of what a process wrote."""
    found = []
    for line in output.split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            break  # Of two processes at once, where a plugin forked.
    return found
