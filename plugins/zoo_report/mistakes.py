"""The worst mistakes, with the words that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from zoo.interfaces import Explanation, Outcomes
from zoo_report.colours import explained
from zoo_report.evidence import Evidence
from zoo_report.parts import Passage, Passages, Section, number, shortened

SHOWN = 8

_LEGEND = Markup(
    '<span class="supports" style="--s:.8">Blue</span> words speak for {}, '
    '<span class="against" style="--s:.8">orange</span> ones against it. Computed by {}.'
)


def section(evidence: Evidence, outcomes: Outcomes) -> Section | None:
    """Return the worst mistakes on the split; None where there are none, or no texts."""
    found = find(outcomes)
    worst = found[:SHOWN]
    if not len(worst) or not outcomes.texts:
        return None
    texts = [outcomes.texts[int(at)] for at in worst]
    explanations = evidence.explain(texts)
    shown = [
        Passage(_head(outcomes, int(at)), explained(text, explanation))
        for at, text, explanation in zip(worst, texts, explanations, strict=True)
    ]
    note = _note(outcomes, explanations)
    order = {
        "labels": "the most confident first",
        "label-sets": "the largest loss first",
        "numbers": "the largest error first",
    }[outcomes.kind]
    title = f"{len(found):,} of {len(outcomes.targets):,} examples are wrong; {order}"
    if outcomes.kind == "numbers":
        title = f"Of {len(outcomes.targets):,} examples, {order}"
    return Section("Worst mistakes", [Passages(shown, title, note)])


def find(outcomes: Outcomes) -> npt.NDArray[Any]:
    """Return the indexes of examples that are wrong, the worst first."""
    predicted, targets, scores = outcomes.predicted, outcomes.targets, outcomes.scores
    assert scores is not None
    if outcomes.kind == "labels":
        wrong = np.flatnonzero(predicted != targets)
        badness = scores[wrong, predicted[wrong]]
    elif outcomes.kind == "label-sets":
        wrong = np.flatnonzero((predicted != targets).any(1))
        badness = outcomes.losses[wrong]
    else:
        errors = np.abs(predicted - targets)
        wrong = np.flatnonzero(errors > 0)
        badness = errors[wrong]
    return np.asarray(wrong[np.argsort(-badness, kind="stable")])


def _head(outcomes: Outcomes, at: int) -> list[tuple[str, str]]:
    """Return what was predicted and what is true of an example."""
    names, predicted, target = outcomes.names, outcomes.predicted[at], outcomes.targets[at]
    assert outcomes.scores is not None
    if outcomes.kind == "labels":
        sure = f"{outcomes.scores[at, predicted]:.4f}"
        return [
            ("predicted", f"{shortened(names[predicted])} ({sure})"),
            ("true", shortened(names[target])),
        ]
    if outcomes.kind == "label-sets":
        return [("predicted", _listed(names, predicted)), ("true", _listed(names, target))]
    return [("predicted", number(float(predicted))), ("true", number(float(target)))]


def _listed(names: Sequence[str], chosen: npt.NDArray[np.bool_]) -> str:
    found = [shortened(names[index]) for index in np.flatnonzero(chosen)[:10]]
    more = int(chosen.sum()) - len(found)
    return (", ".join(found) or "none") + (f" and {more} more" if more > 0 else "")


def _note(outcomes: Outcomes, explanations: Sequence[Explanation | None]) -> Markup | str:
    methods = {each.method for each in explanations if each is not None}
    if not methods:
        return ""
    what = {"numbers": "a higher number"}.get(outcomes.kind, "what is predicted")
    return _LEGEND.format(what, ", ".join(sorted(methods)))
