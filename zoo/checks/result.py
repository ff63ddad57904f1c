"""Checks that depend on one another, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from zoo.entry_points import DISTRIBUTION

# Of the documentation, with one heading for each check.
PAGE = "conformance.md"

Case = TypeVar("Case")


class CheckError(AssertionError):
    """What a check found is not what was promised.

    Args:
        found: What came instead, in a sentence.
        fix: How to mend it.
    """

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(f"{found}; {fix}" if fix else found)
        self.found, self.fix = found, fix


class CheckSkipped(Exception):  # noqa: N818 - it is no error
    """A check does not apply; the message says why."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Case]):
    """A check of one promise.

    Args:
        function: Raises :class:`CheckError`, or :class:`CheckSkipped` where it does not apply.
            Its name without ``check_`` is the name of the check; the first line of its docstring
            is the promise.
        after: Names of checks that must have passed, so that one fault fails one check.
    """

    function: Callable[[Case], None]
    after: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the check."""
        return self.function.__name__.removeprefix("check_")

    @property
    def promise(self) -> str:
        """What is promised, in a sentence."""
        return (self.function.__doc__ or "").partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check.

    Args:
        subject: What was checked: ``model gru``.
        check: The name of the check.
        status: ``passed``, ``failed`` or ``skipped``.
        promise: What is promised.
        found: What came instead; of a skipped check, why it was skipped.
        fix: How to mend it.
        needs: Of a check that was left out: the one before it that failed, or was left out itself.
    """

    subject: str
    check: str
    status: str
    promise: str
    found: str = ""
    fix: str = ""
    needs: str = ""

    @property
    def page(self) -> str:
        """Address of the page that describes the check; its name where zoo is not installed."""
        kind = self.subject.partition(" ")[0]
        page = f"{PAGE}#{kind}-{self.check.replace('_', '-')}"
        return "/".join(filter(None, (_documentation(), page)))

    def __str__(self) -> str:
        status = "left out" if self.needs else self.status
        parts = [f"{self.subject}: {self.check.replace('_', ' ')} {status}"]
        if self.found:
            parts.append(self.found)
        if self.status == "failed":
            parts[1:1] = [f"promised: {self.promise}"]
            parts += [self.fix] if self.fix else []
            parts.append(f"see {self.page}")
        return "; ".join(part.rstrip(".") for part in parts)


def run_checks(
    subject: str,
    checks: Sequence[Check[Case]],
    case: Case,
    begin: Callable[[str], None] = lambda check: None,
) -> list[Result]:
    """Run checks in order; one that needs another that failed, or was skipped for it, is skipped.

    Args:
        subject: What is checked.
        checks: The checks.
        case: What each of them is given.
        begin: Called with the name of each before it runs.
    """
    results: list[Result] = []
    missing: set[str] = set()
    for check in checks:
        begin(check.name)
        result = run_check(subject, check, case, missing)
        if result.status == "failed" or missing.intersection(check.after):
            missing.add(check.name)
        results.append(result)
    return results


def run_check(
    subject: str, check: Check[Case], case: Case, missing: set[str] | None = None
) -> Result:
    """Run a check, unless one that it needs is among ``missing``."""
    status, found, fix, needs = "passed", "", "", ""
    if needed := sorted({*check.after} & (missing or set())):
        status, needs = "skipped", needed[0]
        found = f"it needs what {needs.replace('_', ' ')} checks"
    else:
        try:
            check.function(case)
        except CheckError as failure:
            status, found, fix = "failed", failure.found, failure.fix
        except CheckSkipped as reason:
            status, found = "skipped", str(reason)
        except Exception as error:  # noqa: BLE001 - what is checked may raise anything
            status, found = "failed", f"it raised {_described(error)}"
    return Result(subject, check.name, status, check.promise, found, fix, needs)


@cache
def _documentation() -> str:
    """Return the address of the documentation; empty where zoo is imported without a package."""
    import importlib.metadata

    try:
        found = importlib.metadata.metadata(DISTRIBUTION).get_all("Project-URL", [])
    except importlib.metadata.PackageNotFoundError:
        return ""
    addresses: dict[str, str] = dict(each.split(", ", 1) for each in found)
    return addresses.get("Documentation", "").rstrip("/")


def _described(error: Any) -> str:
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
