"""Run pages of the documentation and write the real output of their commands into them.

``python tests/update_documentation.py docs/python.md ...``. Lines that agree stay as they are, and
so do ``...`` and ``…`` where the output has the same form but for its numbers.
"""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from conftest import REAL_DATA
from documentation.blocks import commands, copy_files
from documentation.output import refresh
from documentation.page import Page, read_page
from documentation.session import Session
from sybil import Example
from sybil.example import SybilFailure


def real_output(example: Example, session: Session) -> str:
    """Run a block of ``console`` and return its text with the real output."""
    lines = []
    for command in commands(example.parsed):
        code, output = session.shell(command.text)
        click.echo(f"  $ {command.text}" + (f"  # exit code {code}" if code else ""))
        lines += [*command.prompt, *refresh(command.shown, output.splitlines())]
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def show_failure() -> Iterator[None]:
    """Print the failure of a block that cannot be mended here, and go on with the page."""
    try:
        yield
    except SybilFailure as failure:
        click.echo(str(failure))


def update(page: Page) -> None:
    """Run a page, and write its file where an output is another one than it shows."""
    text = page.document.text
    changes: list[tuple[int, int, str]] = []
    with page.session() as session:
        for example in page.examples:
            block = example.parsed
            if block.skip:
                click.echo(f"{page.name}:{example.line}: not run: {block.skip}")
                continue
            copy_files(block, session, REAL_DATA)
            if block.language != "console":
                with show_failure():
                    example.evaluate()
                continue
            click.echo(f"{page.name}:{example.line}")
            region = example.region
            fence = text[region.start : region.end].splitlines(keepends=True)
            indent = fence[0][: len(fence[0]) - len(fence[0].lstrip())]
            body = textwrap.indent(real_output(example, session), indent)
            changes.append((region.start, region.end, fence[0] + body + fence[-1]))
    for start, end, block_text in reversed(changes):
        text = text[:start] + block_text + text[end:]
    if text != page.document.text:
        page.path.write_text(text, encoding="utf-8")
        click.echo(f"{page.name}: written; look at the difference")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("ZOO_CACHE", cache)
        for name in sys.argv[1:]:
            update(read_page(Path(name)))
