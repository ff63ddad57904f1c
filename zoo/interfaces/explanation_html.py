"""Explanations as HTML: a text whose pieces are coloured by what they add."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from zoo.errors import printable

if TYPE_CHECKING:
    from zoo.interfaces.explanations import Explanation

# Orange and blue, which readers of every kind of colour vision tell apart. They are laid over the
# background, light or dark, and are at most so opaque that the text on them stays legible.
FOR, AGAINST, MOST_OPAQUE = "224,116,20", "46,124,214", 0.62
# Below this share of the strongest piece a colour would not be seen.
LEAST = 0.03


def to_html(explanation: Explanation) -> str:
    """Return an explanation as an HTML element that needs no style sheet."""
    return (
        "<div style='margin:.6em 0;max-width:72em'>"
        f"<div>{escape(explanation.headline())}</div>"
        f"<div style='margin:.35em 0;line-height:1.9;white-space:pre-wrap;"
        f"overflow-wrap:anywhere'>{coloured(explanation)}</div>"
        f"<div style='font-size:85%'>{legend(explanation)}</div></div>"
    )


def coloured(explanation: Explanation) -> str:
    """Return the text as HTML, each piece with its colour, and its value as the title."""
    strongest = explanation.strongest_value
    return "".join(
        escape(text)
        if piece is None
        else _span(
            escape(text),
            piece.value / strongest if strongest else 0.0,
            explanation.format(piece.value),
        )
        for text, piece in explanation.segments(keep="\n")
    )


def legend(explanation: Explanation) -> str:
    """Return what the colours mean, as HTML."""
    most = explanation.format(explanation.strongest_value)
    if explanation.unit == "nats":
        return f"{_span('surprising', 1.0, most)}: {most} nats at most"
    what = escape(printable(explanation.target)) or "the number"
    return (
        f"{_span('adds to', 1.0, most)} {what}, {_span('takes from', -1.0, most)} it; "
        f"the strongest by {most.lstrip('+')}"
    )


def _span(content: str, share: float, title: str) -> str:
    """Return a piece.

    Args:
        content: HTML.
        share: Its value by that of the strongest piece, -1 to 1.
        title: What is shown under the pointer.
    """
    style = ""
    if abs(share) >= LEAST:
        colour = FOR if share > 0 else AGAINST
        # A line under it tells the sign without colours, such as in print.
        line = "solid" if share > 0 else "dashed"
        style = (
            f" style='background:rgba({colour},{MOST_OPAQUE * abs(share):.2f});"
            f"border-bottom:2px {line} rgba({colour},{abs(share):.2f});border-radius:2px'"
        )
    return f"<span title='{escape(title)}'{style}>{content}</span>"
