"""Pages of the site whose text lies outside ``docs/``, and links that lead out of ``docs/``.

The changelog and the like stay at the top of the repository, where a forge shows them; the site has
them as pages. Links are ordinary relative ones, so that they also work on a forge; here they are
turned to the page of the site that has the text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
# Pages in docs/ that are a link on a forge, and in the site the text of a file at the top.
PAGES = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "vulnerabilities": "SECURITY.md",
}
EXAMPLES = "examples"
"""The page in docs/ that the site appends the README of every example package to."""

# Where in the repository a text is shown, when it is not in the site.
FORGE = "https://github.com/seqzoo/zoo/tree/main"
_FENCE = re.compile(r"^ *(```+|~~~+)")
_LINK = re.compile(r"\]\(([^)\s#<]+)(#[^)\s]*)?\)")


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the source of a page by what the site shows."""
    del app
    path = f"docs/{docname}.md"
    if docname in PAGES:
        path = PAGES[docname]
        source[0] = (ROOT / path).read_text(encoding="utf-8")
    source[0] = with_links(source[0], path, docname)
    if docname == EXAMPLES:
        readmes = sorted(path for path in (ROOT / "examples").glob("*/README.md"))
        source[0] += "\n".join(
            with_links(lower_headings(readme.read_text(encoding="utf-8")),
                       readme.relative_to(ROOT).as_posix(), docname)
            for readme in readmes
        )  # fmt: skip


def with_links(text: str, path: str, docname: str) -> str:
    """Return Markdown whose relative links hold in a page of the site.

    Args:
        text: The Markdown.
        path: The file that it comes from, relative to the repository.
        docname: The page that shows it.
    """
    folder = PurePosixPath(path).parent

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        found = os.path.normpath(folder / target).replace(os.sep, "/")
        if path.startswith("docs/") and found.startswith("docs/"):
            return match[0]
        return f"]({_place(found, anchor, docname)})"

    return _outside_fences(text, lambda line: _LINK.sub(link, line))


def _place(found: str, anchor: str, docname: str) -> str:
    """Return where the site has a file of the repository, as a link from a page."""
    inside = {source: f"docs/{page}.md" for page, source in PAGES.items()}
    inside["README.md"] = "docs/index.md"
    top, _, below = found.partition("/")
    if top == "examples" and below:
        found, anchor = f"docs/{EXAMPLES}.md", anchor or f"#{below.split('/')[0]}"
    found = inside.get(found, found)
    if found.startswith("docs/"):
        start = PurePosixPath("docs", docname).parent
        return os.path.relpath(found, start).replace(os.sep, "/") + anchor
    return f"{FORGE}/{found}{anchor}"


def lower_headings(text: str) -> str:
    """Return Markdown with every heading one level lower."""
    return _outside_fences(text, lambda line: f"#{line}" if line.startswith("#") else line)


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Change the lines that are in no block of code."""
    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            line = change(line)
        lines.append(line)
    return "".join(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
