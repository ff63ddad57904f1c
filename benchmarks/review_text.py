"""``python -m benchmarks review-text``: the text that the recipe reviews-char-lm was trained on."""

from __future__ import annotations

import html
import random
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from zoo_lm.documents import find_documents

# Occurrences that a character needs to stay in the text.
_MIN_COUNT = 50
# Shortest and longest lines of a text that is wrapped, in characters.
_WIDTHS = 60, 80


def write(sources: Sequence[Path], path: Path) -> None:
    """Write the training texts of archives of reviews, labelled or not, as one text file.

    Half of the reviews get typographic quotation marks and dashes, and half, drawn apart, the short
    lines of a book, so that a network that learns from them knows both. The order of reviews is
    drawn with seed 1; two empty lines are between them.

    Args:
        sources: Archives, as ``zoo train reviews-lm`` reads them; a test part is left out.
        path: The file that is written, in UTF-8.
    """
    texts = [text for source in sources for text in find_documents(source).read()]
    draw = random.Random(1)
    draw.shuffle(texts)
    texts = [_formatted(text, draw) for text in texts]
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    rare = {ord(character): None for character, count in counts.items() if count < _MIN_COUNT}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n\n\n".join(text.translate(rare) for text in texts))


def _formatted(text: str, draw: random.Random) -> str:
    text = unicodedata.normalize("NFC", html.unescape(text))
    text = re.sub(r"(?:\s*<br\s*/?>\s*)+", "\n\n", text)
    text = re.sub(r"[ \t\x85\x96\x97\xa0]+", " ", text).strip()
    if draw.random() < 0.5:
        text = _typographic(text)
    if draw.random() < 0.5:
        width = draw.randint(*_WIDTHS)
        paragraphs = text.split("\n\n")
        text = "\n\n".join(textwrap.fill(p, width, break_on_hyphens=False) for p in paragraphs)
    return text


def _typographic(text: str) -> str:
    text = re.sub(r'(^|[\s(\[])"', "\\1\u201c", text).replace('"', "\u201d")
    text = re.sub("(^|[\\s(\\[\u201c])'", "\\1\u2018", text).replace("'", "\u2019")
    return text.replace(" - ", "\u2014").replace("--", "\u2014")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data", "sources", type=click.Path(path_type=Path, exists=True), multiple=True, required=True,
    help="An archive of reviews; may be repeated.",
)  # fmt: skip
def main(path: Path, sources: tuple[Path, ...]) -> None:
    """Write the text of the recipe reviews-char-lm to PATH."""
    write(sources, path)
