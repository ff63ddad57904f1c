"""Where the blocks of a page are run: a folder, a shell and a Python process of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

TIMEOUT = 600.0  # Seconds, for a command or a block of Python that hangs.

# Read and written around every command: the folder and the exported variables.
_KEPT_BETWEEN = r"""
[ ! -e "$0" ] || . "$0"
trap 'code=$?; { declare -px; printf "cd %q\n" "$PWD"; } > "$0"; exit $code' EXIT
"""

# `pip install` works offline, with what is installed here. An editable installation would need
# another package to build; what is installed is a copy.
_PIP = """\
if [ "$1" = install ]; then
    for argument; do
        shift
        [ "$argument" = -e ] || [ "$argument" = --editable ] || set -- "$@" "$argument"
    done
    shift
    set -- install --no-deps --no-build-isolation --no-index "$@"
fi
"""


class Session:
    """Runs commands and Python in a folder; folder and variables of the shell are kept between.

    Args:
        home: An empty folder of which the page's folder becomes a part.
        python: The interpreter that ``python``, ``zoo``, ``pip`` and ``pytest`` run, by default
            this one.
    """

    def __init__(self, home: Path, python: Path | None = None) -> None:
        self.folder = home / "page"
        self.folder.mkdir()
        self._python = str(python or sys.executable)
        self._state = home / "state.sh"
        programs = home / "bin"
        _write_programs(programs, self._python)
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "PYTHONUNBUFFERED": "1",
        }
        if python:  # All that is installed there.
            self._environment.pop("ZOO_PLUGINS", None)
        self._process: subprocess.Popen[str] | None = None

    def shell(self, command: str) -> tuple[int, str]:
        """Run a command by bash; return its exit code and what it printed."""
        process = subprocess.Popen(
            ["bash", "-c", _KEPT_BETWEEN + command, self._state],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # The shell, and what it has started.
            process.wait()
            raise
        return process.returncode, output.replace(f"{self.folder}/", "")

    def python(self, source: str, path: Path, line: int, *, doctest: bool) -> str:
        """Run a block of Python after those before it; return its error, empty if it has none."""
        if self._process is None:
            self._process = subprocess.Popen(
                [self._python, Path(__file__).parent / "interpreter.py"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        request = {"source": source, "line": line, "path": str(path), "doctest": doctest}
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            timer.cancel()
        return str(json.loads(answer)) if answer else "the process has ended"

    def close(self) -> None:
        """End the Python process."""
        if self._process is not None:
            self._process.communicate()


def _write_programs(folder: Path, python: str) -> None:
    """Write what a page calls, for one interpreter; pip installs without the network."""
    folder.mkdir()
    run = shlex.quote(python)
    pip = f"{shlex.quote(sys.executable)} -m pip --disable-pip-version-check --python {run}"
    programs = {
        "python": f'exec {run} "$@"',
        "python3": f'exec {run} "$@"',
        "zoo": f'exec {run} -m zoo "$@"',
        "torchrun": f'exec {run} -m torch.distributed.run "$@"',
        "pytest": f'exec {run} -m pytest -p no:cacheprovider "$@"',
        "pip": _PIP + f'exec {pip} "$@"',
    }
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
