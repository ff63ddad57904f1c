"""How objects show themselves in consoles and notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from html import escape


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
