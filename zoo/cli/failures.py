"""Every failure of a command as one line and an exit code."""

from __future__ import annotations

import re
import sys
import traceback

import click

from zoo.entry_points import DISTRIBUTION, read_points
from zoo.errors import DiskError, PluginError, UsageError, ZooError, printable, shortened

OUT_OF_MEMORY, INTERNAL, INTERRUPTED, LOST_READER = 9, 70, 130, 141
REPORT = "https://github.com/seqzoo/zoo/issues"

LONGEST_WORD, LONGEST_LINE = 300, 2000
"""Characters of a word (a value that was given, for instance) and of a message that are shown."""

# What an installation that only answers (RUNTIME_DISTRIBUTION) lacks, and other commands import.
_OF_THE_WHOLE = {
    "charset_normalizer", "jinja2", "markupsafe", "requests", "rich", "scipy", "sklearn", "torch",
    "torchtext", "tqdm",
}  # fmt: skip

# torch has no class of its own for this.
_NO_MEMORY = re.compile(
    "can't allocate memory|out of memory|not enough memory|calculation overflowed"
    "|multiplication overflow|can't start new thread"
)


def describe(error: BaseException) -> tuple[str, int]:
    """Return what is said of a failure, in one line, and the exit code of its kind."""
    if isinstance(error, ZooError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context else ""
        return error.format_message().rstrip(".") + hint, error.exit_code
    if isinstance(error, click.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # Click takes it for the end of what is typed.
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted", INTERRUPTED
    said = _said(error)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(said)
    ):
        if isinstance(error, MemoryError) and str(error):
            return f"not enough memory: {error}", OUT_OF_MEMORY
        return "not enough memory; make the network or the batches smaller", OUT_OF_MEMORY
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        if missing in _OF_THE_WHOLE:
            refused = UsageError(f"{missing} is not installed", fix=f"pip install {DISTRIBUTION}")
            return str(refused), refused.exit_code
    if isinstance(error, OSError):
        return f"input or output failed: {error}", DiskError.exit_code
    advice = "run `zoo --debug ...` for the traceback, and please report it"
    if plugin := _plugin_of(error):
        return f"plugin {plugin!r} failed: {said}; {advice} to its authors", PluginError.exit_code
    return f"internal error: {said}; {advice} at {REPORT}", INTERNAL


def one_line(message: str) -> str:
    """Return a message in one line that is short enough to read, without control characters."""
    words = [shortened(word, LONGEST_WORD) for word in printable(message, keep="\n").split()]
    return shortened(" ".join(words), LONGEST_LINE)


def print_traceback(error: BaseException) -> None:
    """Print a traceback on stderr, also of an exception that cannot say what it is."""
    sys.stderr.write(printable("".join(traceback.format_exception(error)), keep="\n"))


def _said(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - of a plugin, for instance, whose __str__ fails
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _plugin_of(error: BaseException) -> str:
    """Return the plugin whose code raised an error, or nothing.

    It is that of the innermost call of zoo or of a plugin, which may be to a library.
    """
    plugins = {point.package: point.name for point in read_points()}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in plugins:
            return plugins[package]
        if package == "zoo":
            return ""
    return ""
