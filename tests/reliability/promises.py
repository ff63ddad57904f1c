"""What docs/reliability.md promises, and how many cases of it the two tiers of tests try."""

from __future__ import annotations

import os
from dataclasses import dataclass

FULL = os.environ.get("ZOO_TESTS") == "full"


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise and its cases; a module of this folder has one, or more, at its top.

    Args:
        text: A sentence, as in the table of docs/reliability.md.
        quick: Cases that ``make test`` tries.
        full: Cases that ``make test-full`` tries.
    """

    text: str
    quick: int
    full: int

    @property
    def cases(self) -> int:
        """How many cases this run tries."""
        return self.full if FULL else self.quick
