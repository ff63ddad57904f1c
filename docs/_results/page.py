"""docs/results.md as Markdown, from recipes, published weights, noted figures and notes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from _results import figures
from _results.figures import PARAMETERS, RATE, TRAINING, Figure
from _results.markdown import bullets, paragraph, table
from _results.rows import Row, row

from zoo.installed import registry
from zoo.records import DatasetInfo, Recipe

NOTES = Path(__file__).with_name("notes.toml")
NOT_MEASURED = "not measured"

Notes = Mapping[str, Any]


def page() -> str:
    """Return the page."""
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    recipes = registry().all(Recipe)
    rows = sorted((row(each) for each in recipes if each.metrics), key=lambda each: each.test_part)
    noted = figures.read()
    parts = [notes["text"]["introduction"]]
    for _, group in groupby(rows, key=lambda each: each.test_part):
        parts += _scores(list(group), notes)
    parts += _sizes(rows, noted, notes)
    parts += _rates(rows, noted, notes)
    if unmeasured := [each for each in recipes if not each.metrics]:
        parts += ["## Not measured\n", paragraph(notes["text"]["unmeasured"])]
        parts += [bullets(f"`{each.name}`: {_what(each)}." for each in unmeasured)]
    parts += _readings(rows, notes)
    parts += _failures(rows, notes)
    sources = sorted(notes["sources"].values(), key=lambda each: (each["year"], each["authors"]))
    parts += ["## Sources\n", bullets(map(_cited, sources))]
    return "\n".join(parts)


def _what(recipe: Recipe) -> str:
    """Return the summary of a recipe, and what it starts from, as ``zoo list`` does."""
    return recipe.summary + (f" (from `{recipe.init}`)" if recipe.init else "")


def _scores(rows: Sequence[Row], notes: Notes) -> Iterator[str]:
    """Yield the section of the recipes that were scored on one test part."""
    data, name, split, examples = rows[0].test_part
    kind, sign = rows[0].kind, -1 if rows[0].higher_is_better else 1
    yield f"## `{data or rows[0].recipe.task}`: {name}\n"
    if data:
        what = registry().get(DatasetInfo, data).summary
    else:
        what = notes["own_data"].get(rows[0].recipe.name, "The sample of the task")
    protocol = notes["protocols"].get(name, "")
    yield paragraph(
        f"{what}. Scores are on the {examples:,} examples of the {split} part. {protocol}"
    )
    yield table(
        ["recipe", "what", *(heading for heading, _ in kind.columns)],
        ([each.name, _what(each.recipe), *(each.cell(key) for _, key in kind.columns)]
         for each in sorted(rows, key=lambda each: sign * each.score)),
    )  # fmt: skip
    published = [
        each for each in notes["published"] if (each["data"], each["metric"]) == (data, kind.metric)
    ]
    if published:
        yield paragraph(notes["remarks"][data])
        metric = next(heading for heading, key in kind.columns if key == kind.metric)
        yield table(
            ["method", metric, "trained on", "source"],
            ([each["method"], each["score"], each["trained_on"], _link(notes, each["source"])]
             for each in sorted(published, key=lambda each: sign * float(each["score"]))),
        )  # fmt: skip


def _sizes(rows: Sequence[Row], noted: Sequence[Figure], notes: Notes) -> Iterator[str]:
    yield "## Size and training time\n"
    yield paragraph(notes["text"]["sizes"])
    lines = []
    for each in rows:
        recipe, weights = each.recipe, each.recipe.weights
        sizes = [int(figure.value) for figure in _of(noted, recipe, PARAMETERS)]
        size = each.parameters or next(iter(sizes), 0)
        times = [
            (_duration(float(figure.value)), "training", _machine(figure))
            for figure in _of(noted, recipe, TRAINING)
        ]
        if recipe.seconds:
            whole = (f"{recipe.seconds:,.0f} s", "whole process", notes["seconds"]["machine"])
            times.insert(0, whole)
        known = [
            each.name,
            f"{size:,}" if size else NOT_MEASURED,
            f"{weights.bytes / 1e6:.2f} MB" if weights else "not published",
        ]
        for time in times or [(NOT_MEASURED, "", "")]:
            lines.append([*known, *time])
            known = ["", "", ""]
    yield table(["recipe", "parameters", "weights file", "time", "of what", "machine"], lines)


def _rates(rows: Sequence[Row], noted: Sequence[Figure], notes: Notes) -> Iterator[str]:
    yield "## Evaluation rate\n"
    yield paragraph(notes["text"]["rates"])
    lines = [
        [each.name, f"{float(figure.value):,.0f}", _machine(figure)]
        for each in rows
        for figure in _of(noted, each.recipe, RATE)
    ]
    if lines:
        yield table(["recipe", "examples/s", "machine"], lines)
    missing = [each.name for each in rows if not _of(noted, each.recipe, RATE)]
    if missing:
        yield paragraph(f"Not measured: {', '.join(missing)}.")


def _readings(rows: Sequence[Row], notes: Notes) -> Iterator[str]:
    yield "## Readings of the test part\n"
    yield paragraph(notes["text"]["readings"])
    recipes = {each.recipe.name: each for each in rows}
    lines = []
    for each in notes["readings"]:
        scored = recipes.get(each["recipe"])
        name = scored.name if scored else each["recipe"]
        score = each.get("score") or (f"**{scored.cell(scored.kind.metric)}**" if scored else "")
        what = each.get("what", "the score on this page")
        lines.append([name, score, what, f"{each['date']}, {each['version']}"])
    yield table(["recipe or training", "score", "what", "date, version"], lines)


def _failures(rows: Sequence[Row], notes: Notes) -> Iterator[str]:
    yield "## What did not work\n"
    known: dict[str, Any] = {each.recipe.name: each.metrics for each in rows}
    known["published"] = {each["key"]: each["score"] for each in notes["published"]}
    lines = []
    for each in notes["failures"]:
        link = f" See [{each['page']}]({each['page']})." if "page" in each else ""
        lines.append(f"**{each['title']}.** {each['text'].format_map(known)}{link}")
    yield bullets(lines)


def _of(noted: Sequence[Figure], recipe: Recipe, what: str) -> list[Figure]:
    return [each for each in noted if (each.recipe, each.what) == (recipe.name, what)]


def _machine(figure: Figure) -> str:
    return f"{figure.machine} ({figure.date}, {figure.commit})"


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _link(notes: Notes, key: str) -> str:
    source = notes["sources"][key]
    return f"[{source['short']}, {source['year']}]({source['address']})"


def _cited(source: Mapping[str, Any]) -> str:
    title = f"[*{source['title']}*]({source['address']})"
    return f"{source['authors']}, {title}, {source['place']}, {source['year']}."
