"""How objects show themselves in consoles and notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape
from typing import IO


class Displayed(ABC):
    """An object that shows facts about itself, as text and as an HTML table."""

    @abstractmethod
    def facts(self) -> Mapping[str, str]:
        """Return what a person wants to know of it, by name."""

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}: {value}" for name, value in self.facts().items())
        return f"<{type(self).__name__} {facts}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self.facts().items()
        )
        return f"<table>{rows}</table>"


def unescaped(stream: IO[str]) -> IO[str]:
    """Return a stream that passes control sequences, such as colours, to a terminal.

    The streams of the command line escape them, whatever writes. Who writes to this one escapes
    the texts of others, with :func:`zoo.errors.printable`.
    """
    found: IO[str] = getattr(stream, "unescaped", stream)
    return found
