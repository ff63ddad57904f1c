"""A page of the documentation: its blocks, and the session in which they are run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Example
from test_plugin_package import environment

from documentation.blocks import ROOT, Block, parse
from documentation.session import Session


@dataclass(frozen=True)
class Page:
    """A page and its blocks in order.

    Attributes:
        path: The file.
        examples: A block each, as ``parsed``, with its ``line``.
        document: What Sybil made of it.
    """

    path: Path
    examples: list[Example]
    document: Document

    @property
    def name(self) -> str:
        """The path from the root of the repository, where the page is in it."""
        path = self.path.resolve()
        return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)

    @property
    def blocks(self) -> list[Block]:
        """What ``examples`` were parsed to."""
        return [example.parsed for example in self.examples]

    @property
    def data(self) -> set[str]:
        """Files of the real data that the page needs."""
        return {block.data[0] for block in self.blocks} - {""}

    @contextmanager
    def session(self) -> Iterator[Session]:
        """An empty folder in which the blocks of the page are run."""
        with tempfile.TemporaryDirectory() as home:
            python = None
            if "<!-- venv -->" in self.document.text:
                there = environment(Path(home) / "venv")
                python = Path(there("-c", "import sys; print(sys.executable)").stdout.strip())
            session = Session(Path(home), python)
            self.document.namespace["session"] = session
            try:
                yield session
            finally:
                session.close()


def read_page(path: Path) -> Page:
    """Parse a page."""
    document = Document.parse(str(path), parse)
    return Page(path, list(document.examples()), document)


def pages() -> list[Page]:
    """Every page of the documentation, in order."""
    found = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")]
    return [read_page(path) for path in sorted(found)]
