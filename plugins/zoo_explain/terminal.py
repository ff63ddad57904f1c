"""An explanation on a terminal: words on colours, or values beside the strongest words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.style import Style
from rich.text import Text

from zoo.display import unescaped
from zoo.errors import printable

if TYPE_CHECKING:
    from zoo.interfaces import Explanation

# Black on light to strong colours, which is legible on terminals of any background. Blue and orange
# are told apart by readers of every kind of colour vision. From ColorBrewer.
FOR = ("#deebf7", "#9ecae1", "#6baed6")
AGAINST = ("#fee6ce", "#fdbe85", "#fd8d3c")
# From this share of the strongest piece on, a piece has the first colour, the second, the third.
LEVELS = (0.08, 0.3, 0.65)


def show(explanation: Explanation) -> None:
    """Print an explanation on stdout: in colours where it is a terminal that has them."""
    # Of what is printed here, its own colours alone are obeyed: texts are escaped by segments().
    console = Console(file=unescaped(sys.stdout), highlight=False, markup=False, emoji=False)
    if console.color_system is None or console.no_color or console.legacy_windows:
        sys.stdout.write(f"{explanation}\n")
        sys.stdout.flush()
        return
    strongest = explanation.strongest_value
    words = Text("  ")
    for part, piece in explanation.segments():
        words.append(part, _style(piece.value / strongest if piece and strongest else 0.0))
    console.print(explanation.headline())
    console.print(words)
    console.print(_legend(explanation))


def _style(share: float) -> Style | None:
    """Return the style of a piece by its share of the strongest one, -1 to 1."""
    reached = sum(abs(share) >= level for level in LEVELS)
    if not reached:
        return None
    colour = (FOR if share > 0 else AGAINST)[reached - 1]
    return Style(color="black", bgcolor=colour, underline=share < 0)


def _legend(explanation: Explanation) -> Text:
    most = explanation.format(explanation.strongest_value)
    if explanation.unit == "nats":
        parts = [("surprising", 1.0), (f": {most} nats at most", 0.0)]
    else:
        what = printable(explanation.target) or "the number"
        parts = [
            (f"adds to {what}", 1.0), (", ", 0.0), ("takes from it", -1.0),
            (f"; the strongest by {most.lstrip('+')}", 0.0),
        ]  # fmt: skip
    legend = Text("  ")
    for part, share in parts:
        legend.append(part, _style(share) or Style(dim=True))
    return legend
