"""Runs to a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import zoo
from zoo import Run
from zoo.api import open_run
from zoo.errors import UsageError
from zoo.files import write_atomically
from zoo_report import (
    calibration,
    classes,
    comparison,
    curves,
    language,
    mistakes,
    regression,
    reproduce,
    scores,
)
from zoo_report.evidence import Evidence, gather
from zoo_report.parts import Section, number

NAME = "report.html"

MOST_IN_DETAIL = 4
"""Of more runs than these the page has the comparison alone."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """What the page says of one run.

    Args:
        name: What the run is called.
        evidence: What is known of it.
        headline: The score and its size, (name, value) each.
        sections: What is said.
    """

    name: str
    evidence: Evidence
    headline: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def write(runs: Sequence[Run | str | Path], path: str | Path = "") -> Path:
    """Write the page; see :func:`zoo_report.write_report`."""
    if not runs:
        raise UsageError("no run to report on", fix="give one or more run directories")
    opened = [run if isinstance(run, Run) else open_run(run) for run in runs]
    target = Path(path) if path else (opened[0].path if len(opened) == 1 else Path()) / NAME
    write_atomically(target, page(opened).encode())
    return target


def page(runs: Sequence[Run]) -> str:
    """Return the page as HTML; errors are those of :func:`zoo_report.write_report`."""
    found = [gather(run) for run in runs]
    names = _distinct([each.name for each in found], [str(each.run.path) for each in found])
    chapters: list[Chapter] = []
    if len(found) <= MOST_IN_DETAIL:
        chapters = [
            Chapter(name, each, list(_headline(each)), list(_sections(each)))
            for name, each in zip(names, found, strict=True)
        ]
    compared = comparison.sections(found, names) if len(found) > 1 else []
    title = f"{names[0]}: {found[0].config['name']}"
    if len(found) > 1:
        title = f"{len(found)} runs compared"
    return _templates().get_template("report.html").render(
        title=title, chapters=chapters, compared=compared, version=zoo.__version__,
        missing=[] if chapters else [f"{e.name}: {line}" for e in found for line in e.missing],
    )  # fmt: skip


def _sections(evidence: Evidence) -> Iterator[Section]:
    """Yield what is said of a run, as far as it is known."""
    outcomes, metrics = evidence.outcomes, evidence.metrics
    found = [scores.section(evidence), curves.section(evidence)]
    if outcomes is not None and outcomes.kind in ("labels", "label-sets"):
        found += [classes.section(outcomes, metrics), calibration.section(outcomes, evidence.split)]
    if outcomes is not None and outcomes.kind == "numbers":
        found.append(regression.section(outcomes))
    if outcomes is not None and outcomes.kind == "tokens":
        found.append(language.section(evidence, outcomes))
    elif outcomes is not None:
        found.append(mistakes.section(evidence, outcomes))
    found.append(language.samples(evidence))
    yield from (section for section in found if section is not None)
    yield reproduce.about(evidence)
    yield reproduce.section(evidence)


def _headline(evidence: Evidence) -> Iterator[tuple[str, str]]:
    metrics, monitor = evidence.metrics, evidence.monitor
    value = metrics.get(monitor)
    if isinstance(value, int | float):
        yield f"{evidence.split} {monitor.replace('_', ' ')}", number(value)
        low, high = metrics.get(f"{monitor}_low"), metrics.get(f"{monitor}_high")
        if low is not None and high is not None:
            yield "95 % interval", f"{number(low)} to {number(high)}"
    if "examples" in metrics:
        yield "examples", f"{metrics['examples']:,}"
    times = evidence.run.history.get("seconds")
    if times:
        yield "training", reproduce.seconds(times[-1])


def _distinct(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the names of runs; their paths where two have the same name."""
    return list(names) if len(set(names)) == len(names) else list(paths)


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("zoo_report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
