"""The fenced blocks of a page, and how each is run in a session."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from documentation.output import agree
from documentation.session import Session

ROOT = Path(__file__).parent.parent.parent
RUN = {"python", "pycon", "console", "sh"}
_COMMENT = re.compile(r"<!-- (skip|data|copy): (.+?) -->\s*\Z")
_FILE = re.compile(r"`([\w./-]+\.[a-z]+)`:\s*\Z")
_EXPECTED_FAILURE = re.compile("error|fail", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A fenced block and the comments before it.

    Attributes:
        language: The word after the fence.
        source: Its text.
        skip: Why it is not run, empty if it is.
        data: A file of the real data, and its name in the page's folder; empty if it needs none.
        copy: A file or folder of the repository, and its name in the page's folder.
        file: The file that the text is written to, empty if it is none.
    """

    language: str
    source: str
    skip: str = ""
    data: tuple[str, str] = ("", "")
    copy: tuple[str, str] = ("", "")
    file: str = ""


@dataclass(frozen=True)
class Command:
    """A command of a ``console`` block, and the lines that the page shows of its output."""

    text: str
    prompt: list[str]
    shown: list[str]


def parse(document: Document) -> Iterator[Region]:
    """Find the blocks of a page: the parser that Sybil is given."""
    for found in FencedCodeBlockLexer(r"[^\n`]*")(document):
        before, comments = document.text[: found.start], {}
        while comment := _COMMENT.search(before):
            comments[comment[1]] = comment[2]
            before = before[: comment.start()]
        file = _FILE.search(before)
        block = Block(
            language=found.lexemes["language"],
            source=textwrap.dedent(found.lexemes["source"]),
            skip=comments.get("skip", ""),
            data=_names(comments.get("data", "")),
            copy=_names(comments.get("copy", "")),
            file=file[1] if file and found.lexemes["language"] not in {"console", "sh"} else "",
        )
        yield Region(found.start, found.end, block, evaluate)


def commands(block: Block) -> list[Command]:
    """Return the commands of a ``console`` block."""
    found: list[Command] = []
    lines = iter(block.source.splitlines())
    for line in lines:
        if line.startswith("$ "):
            prompt = [line]
            while prompt[-1].endswith("\\"):
                prompt.append(next(lines))
            found.append(Command("\n".join(prompt)[2:], prompt, []))
        elif not found:
            raise ValueError(f"a block of console starts with '$ ', not with {line!r}")
        else:
            found[-1].shown.append(line)
    return found


def copy_files(block: Block, session: Session, real_data: Path) -> None:
    """Copy what a block names of the real data and of the repository into the page's folder."""
    for root, (source, name) in ((real_data, block.data), (ROOT, block.copy)):
        target = session.folder / name
        if source and (root / source).is_dir():
            shutil.copytree(root / source, target)
        elif source:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / source, target)


def _names(comment: str) -> tuple[str, str]:
    """Return the source and the name of ``SOURCE as NAME`` or ``SOURCE``."""
    source, _, name = comment.partition(" as ")
    return source, name or Path(source).name


def evaluate(example: Example) -> str | None:
    """Run a block in the session of its page; return what is wrong, or None."""
    block: Block = example.parsed
    session: Session = example.namespace["session"]
    if block.file:
        target = session.folder / block.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.source, encoding="utf-8")
        return None
    match block.language:
        case "python" | "pycon":
            path, doctest = Path(example.path), block.language == "pycon"
            return session.python(block.source, path, example.line, doctest=doctest) or None
        case "sh":
            code, output = session.shell(f"set -e\n{block.source}")
            return f"exit code {code}\n{output}" if code else None
        case "console":
            wrong = (_wrong(command, *session.shell(command.text)) for command in commands(block))
            return "\n".join(filter(None, wrong)) or None
    return None


def _wrong(command: Command, code: int, output: str) -> str:
    shown = "\n".join(command.shown)
    if not agree(command.shown, output.splitlines()):
        return f"$ {command.text}\n--- shown\n{shown}\n--- found\n{output}"
    if code and not _EXPECTED_FAILURE.search(shown):
        return f"$ {command.text}\n--- exit code {code}, and the page shows no failure\n{output}"
    return ""
