"""One tree of expected failures. Each branch has the exit code that the command line ends with."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import ClassVar

# What a terminal obeys (C0 and C1 controls), what reverses the order of what is shown
# (bidirectional overrides and isolates), other line ends, and halves of surrogate pairs.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ZooError(Exception):
    """An expected failure, reported in one line: ``WHAT in WHERE: WHY; WHAT TO DO``.

    Control characters of what it names are escaped: the message is safe to print.

    Args:
        what: What failed, in a few words.
        where: The file, row, plugin or option that it failed in.
        why: The cause, as measured.
        fix: What the user can do about it.

    Attributes:
        longest: Characters after which ``what`` and ``why`` are cut, so that a message stays one
            that a person reads, whatever a file has; 0: they are not.
    """

    exit_code = 1
    longest: ClassVar[int] = 0

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        what, why = shortened(what, self.longest), shortened(why, self.longest)
        message = what
        if where:
            message += f" in {shortened(where, 2 * self.longest)}"
        if why:
            message += f": {why}"
        if fix:
            message += f"; {fix}"
        super().__init__(printable(" ".join(message.splitlines())))

    def __reduce__(self) -> tuple[Callable[..., ZooError], tuple[type[ZooError], str]]:
        # From a process to another: the message is whole, and is not made again.
        return _restored, (type(self), str(self))


class UsageError(ZooError):
    """A name, option or combination that cannot be used; nothing has been read or written yet."""

    exit_code = 2


class NeedsTorchError(UsageError):
    """What is asked for is computed by torch, and by nothing else.

    Args:
        what: What needs torch.
        where: As for :class:`ZooError`.
        why: As for :class:`ZooError`.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "") -> None:
        super().__init__(what, where=where, why=why, fix="pip install seqzoo")


class PluginError(ZooError):
    """A plugin that is missing, does not load, or breaks its side of an interface."""

    exit_code = 3


class DataError(ZooError):
    """Data that is missing, malformed or unfit for the task."""

    exit_code = 4
    longest = 150


class WeightsError(ZooError):
    """A weights file or checkpoint that is not what it says it is."""

    exit_code = 5
    longest = 150


class DivergedError(ZooError):
    """The loss or a validation metric of a training is not a finite number."""

    exit_code = 6


class NetworkError(ZooError):
    """A download that did not arrive."""

    exit_code = 7


class DiskError(ZooError):
    """A file that could not be written."""

    exit_code = 8


class ZooWarning(UserWarning):
    """Something that works but should be known, such as a name of an earlier version."""


def _restored(kind: type[ZooError], message: str) -> ZooError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error


def printable(text: str, keep: str = "") -> str:
    """Return a text with characters escaped that a terminal would obey: ``\\u001b``, as in JSON.

    Args:
        text: Any text, such as one that a file has.
        keep: Characters that stay: line ends and tabs, for instance.
    """
    return _CONTROLS.sub(lambda m: m[0] if m[0] in keep else f"\\u{ord(m[0]):04x}", text)


def shortened(text: str, longest: int) -> str:
    """Return a text, cut after ``longest`` characters unless that is 0.

    Args:
        text: The text.
        longest: The most characters that the result has.
    """
    return (
        text
        if not longest or len(text) <= longest
        else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def listed(names: Iterable[object], longest: int = 120) -> str:
    """Return names with commas; of many, those that ``longest`` characters hold and a count.

    Args:
        names: The names, of any type that ``str`` takes.
        longest: Characters of names that are shown.
    """
    shown: list[str] = []
    words = [shortened(str(name), longest // 2) for name in names]
    for word in words:
        if shown and sum(len(each) + 2 for each in shown) + len(word) > longest:
            return f"{', '.join(shown)} and {len(words) - len(shown):,} more"
        shown.append(word)
    return ", ".join(shown)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the names nearest to ``name``, or nothing.

    Args:
        name: What was typed.
        known: The names that there are.
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if not near:
        return ""
    return f" (did you mean {' or '.join(repr(other) for other in near)}?)"
