"""Explanations as a page: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.interfaces import Explanation

STRONGEST = 12
"""Pieces in the table of a text."""

STYLE = """
:root { color-scheme: light dark; --line: #ccc; --muted: #555; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --muted: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.4rem; }
article { border-top: 1px solid var(--line); padding: .5rem 0; }
.facts, footer { color: var(--muted); overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .1rem .8rem .1rem 0; text-align: left; overflow-wrap: anywhere; }
td.value { font-variant-numeric: tabular-nums; text-align: right; }
summary { cursor: pointer; }
"""


def render(explanations: Sequence[Explanation], facts: Mapping[str, str]) -> str:
    """Return a page.

    Args:
        explanations: Of texts, in order.
        facts: Of the model, by name; one of them is ``name``.
    """
    name = escape(facts.get("name", ""))
    about = "; ".join(f"{escape(key)}: {escape(value)}" for key, value in facts.items())
    methods = "; ".join(sorted({escape(each.method) for each in explanations}))
    articles = "\n".join(map(_article, explanations))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Answers of {name}, explained</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Answers of {name}, explained</h1>
<p class="facts">{about}</p>
<main>
{articles}
</main>
<footer><p>Method: {methods}. The values say how the score of this model is made up. They are not
causes.</p></footer>
</body>
</html>
"""


def _article(explanation: Explanation) -> str:
    return f"<article>{explanation.to_html()}{_table(explanation)}</article>"


def _table(explanation: Explanation) -> str:
    """Return the strongest pieces as a table, for readers who see no colours."""
    words = {id(piece): text for text, piece in explanation.segments() if piece}
    rows = "".join(
        f"<tr><td>{escape(words[id(piece)].strip()) or '(space)'}</td>"
        f"<td class='value'>{escape(explanation.format(piece.value))}</td></tr>"
        for piece in explanation.strongest(STRONGEST)
        if id(piece) in words and piece.value
    )
    if not rows:
        return ""
    what = explanation.piece_name
    return (
        f"<details><summary>The strongest {what}s</summary><table><thead><tr>"
        f"<th scope='col'>{what}</th><th scope='col'>{escape(explanation.unit)}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></details>"
    )
