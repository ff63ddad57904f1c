"""Every block of the documentation is executed, and the output of every command is the real one.

A page is run from its first block to its last in a folder of its own; CONTRIBUTING.md has the
conventions. ``ZOO_PAGE=PATH`` runs another page than those of this repository.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REAL_DATA
from documentation.blocks import RUN, copy_files
from documentation.page import Page, pages, read_page
from documentation.session import Session
from markdown_it import MarkdownIt
from sybil import Example

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="commands are run by bash")

PAGES = [read_page(Path(path)) for path in os.environ.get("ZOO_PAGE", "").split() or ()] or pages()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@dataclass
class Running:
    """The session of a page, and the line of the block that failed in it, if one did."""

    session: Session
    failed_line: int = 0


@pytest.fixture(scope="module")
def running() -> Iterator[Callable[[Page], Running]]:
    """Return the session of a page, which its first block starts and the next page ends."""
    current: dict[str, Running] = {}
    with ExitStack() as stack:

        def start(page: Page) -> Running:
            if page.name not in current:
                stack.close()
                current.clear()
                current[page.name] = Running(stack.enter_context(page.session()))
            return current[page.name]

        yield start


@pytest.mark.parametrize(
    ("page", "example"),
    [
        pytest.param(page, example, id=f"{page.name}:{example.line}")
        for page in PAGES
        for example in page.examples
        if example.parsed.file or example.parsed.language in RUN
    ],
)
def test_a_block_does_what_the_page_says(
    running: Callable[[Page], Running], page: Page, example: Example
) -> None:
    if missing := sorted(name for name in page.data if not (REAL_DATA / name).exists()):
        pytest.skip(f"no {missing[0]} in {REAL_DATA}; set ZOO_TEST_DATA")
    if example.parsed.skip:
        pytest.skip(f"not run: {example.parsed.skip}")
    here = running(page)
    if here.failed_line:
        pytest.skip(f"the block in line {here.failed_line} of this page has failed")
    copy_files(example.parsed, here.session, REAL_DATA)
    here.failed_line = example.line
    example.evaluate()
    here.failed_line = 0


@each_page
def test_every_block_of_code_is_fenced_and_has_a_language(page: Page) -> None:
    tokens = MarkdownIt().parse(page.path.read_text(encoding="utf-8"))
    fences = [token.info for token in tokens if token.type == "fence"]
    assert not [token.content for token in tokens if token.type == "code_block"]
    assert "" not in fences
    assert fences == [block.language for block in page.blocks]


@each_page
def test_comments_before_blocks_are_those_that_the_tests_know(page: Page) -> None:
    text = page.path.read_text(encoding="utf-8")
    comments = re.findall(r"<!--((?:(?!-->).)*)-->\s*(?=<!--|```)", text, re.DOTALL)
    known = re.compile(r" (skip: .{5,}|(data|copy): \S+( as \S+)?|venv) ")
    assert [comment for comment in comments if not known.fullmatch(comment)] == []
