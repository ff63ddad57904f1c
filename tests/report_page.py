"""Pages as a reader that shares no code with what writes them sees them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

# Elements of HTML that have no end tag.
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """A page: its tables by heading, its texts, its attributes.

    Args:
        html: The page.

    Attributes:
        tables: Rows of cells by the heading above the table; the first row has the heads.
        elements: Every start tag with its attributes.
        text: All text that is shown, and texts of pointers.
        problems: Tags that do not match, and ids that occur twice.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.problems: list[str] = []
        self._open: list[str] = []
        self._heading = ""
        self._rows: list[list[str]] | None = None
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        self.problems += [f"id {name!r} twice" for name in set(ids) if ids.count(name) > 1]

    @classmethod
    def at(cls, path: Path) -> Page:
        """Read a file."""
        return cls(path.read_text(encoding="utf-8"))

    def tags(self) -> set[str]:
        """Return the names of the elements that occur."""
        return {tag for tag, _ in self.elements}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self._heading = ""
        if tag == "table":
            self._rows = self.tables.setdefault(self._heading, [])
        if tag == "tr" and self._rows is not None:
            self._rows.append([])
        if tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> where {self._open[-1:]} is open")
            return
        self._open.pop()
        if tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if self._open and self._open[-1] in ("h1", "h2", "h3"):
            self._heading += data
        if self._rows and self._rows[-1] and {"td", "th"} & set(self._open):
            self._rows[-1][-1] += data
