"""How labels are predicted: confusions, scores of single labels, and curves of two labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.interfaces import Outcomes
from zoo_report.charts import Line, lines
from zoo_report.parts import Figure, Part, Section, Table, number, shortened

Array = npt.NDArray[Any]

MATRIX_LABELS = 20
"""Of more labels the commonest confusions are listed, in place of a matrix."""

CONFUSIONS = 20
CLASS_ROWS = 40
WORST = 20
"""Of more than ``CLASS_ROWS`` labels so many are listed: those with the lowest F1."""

CURVE_POINTS = 200


def section(outcomes: Outcomes, metrics: Mapping[str, Any]) -> Section:
    """Return what is said of labels and of sets of labels."""
    parts: list[Part] = []
    if outcomes.kind == "labels":
        parts.append(confusion(outcomes))
    parts.append(per_class(outcomes))
    if outcomes.kind == "labels" and len(outcomes.names) == 2:
        parts += curves(outcomes, metrics)
    return Section("Labels", parts)


def confusion(outcomes: Outcomes) -> Table:
    """Return the confusion matrix, or the commonest confusions of many labels."""
    names = [shortened(name) for name in outcomes.names]
    targets, predicted = outcomes.targets, outcomes.predicted
    if len(names) > MATRIX_LABELS:
        return _commonest(names, targets, predicted)
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (targets, predicted), 1)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    return Table(
        "Confusion matrix",
        ["true \\ predicted", *names],
        [
            [name, *(f"{n:,}" for n in row)]
            for name, row in zip(names, matrix.tolist(), strict=True)
        ],
        "Rows are true labels, columns predicted ones. The darker a cell, the larger its share of "
        "the row.",
        shares.round(3).tolist(),
    )


def _commonest(names: list[str], targets: Array, predicted: Array) -> Table:
    wrong = targets != predicted
    pairs, counts = np.unique(
        np.stack([targets[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    support = np.bincount(targets, minlength=len(names))
    worst = np.argsort(-counts, kind="stable")[:CONFUSIONS]
    rows = [
        [names[true], names[other], f"{counts[at]:,}", f"{counts[at] / support[true]:.1%}"]
        for at, (true, other) in zip(worst, pairs[worst].tolist(), strict=True)
    ]
    note = f"The {len(rows)} commonest of {len(pairs):,} confusions between {len(names)} labels."
    head = ["true", "predicted", "examples", "of the true label"]
    return Table("Commonest confusions", head, rows, note)


def per_class(outcomes: Outcomes) -> Table:
    """Return precision, recall, F1 and support of labels: of many, of those with the lowest F1."""
    from sklearn.metrics import precision_recall_fscore_support

    names = outcomes.names
    targets, predicted = outcomes.targets, outcomes.predicted
    given = {"labels": np.arange(len(names))} if outcomes.kind == "labels" else {}
    if outcomes.kind == "label-sets" and len(names) == 1:
        # scikit-learn takes a single column for two classes, of which one is its absence.
        targets, predicted, given = targets[:, 0], predicted[:, 0], {"labels": np.array([True])}
    found = precision_recall_fscore_support(targets, predicted, zero_division=0, **given)
    order = np.arange(len(names))
    note = ""
    if len(names) > CLASS_ROWS:
        occurring = order[found[3] > 0]
        order = occurring[np.lexsort((-found[3][occurring], found[2][occurring]))][:WORST]
        note = f"The {len(order)} of {len(names):,} labels with the lowest F1."
    rows = [
        [shortened(names[at]), *(f"{values[at]:.3f}" for values in found[:3]), f"{found[3][at]:,}"]
        for at in order.tolist()
    ]
    return Table("Single labels", ["label", "precision", "recall", "F1", "support"], rows, note)


def curves(outcomes: Outcomes, metrics: Mapping[str, Any]) -> list[Part]:
    """Return the ROC and the precision-recall curve of two labels; none if only one occurs."""
    from sklearn.metrics import (
        average_precision_score,
        precision_recall_curve,
        roc_auc_score,
        roc_curve,
    )

    named = str(metrics.get("f1_label"))
    positive = list(outcomes.names).index(named) if named in outcomes.names else 1
    truth = outcomes.targets == positive
    if truth.all() or not truth.any() or outcomes.scores is None:
        return []
    scores, chosen = outcomes.scores[:, positive], outcomes.predicted == positive
    false_rate, true_rate, _ = roc_curve(truth, scores)
    precision, recall, _ = precision_recall_curve(truth, scores)
    area, average = roc_auc_score(truth, scores), average_precision_score(truth, scores)
    name = shortened(outcomes.names[positive], 20)
    hits = float((chosen & truth).sum())
    hit_rate, alarm_rate = hits / truth.sum(), float((chosen & ~truth).sum() / (~truth).sum())
    legend = [(0, f"'{name}' against the rest"), (1, "as it is predicted")]
    whole = (0.0, 1.0)
    found: list[Part] = [
        Figure(
            "Receiver operating characteristic",
            lines(
                [
                    Line("curve", *_picked(false_rate, true_rate)),
                    Line("as it is predicted", [alarm_rate], [hit_rate], colour=1),
                ],
                title=f"ROC curve, area {area:.4f}", x=whole, y=whole, diagonal=True,
                x_label="false positive rate", y_label="true positive rate",
            ),
            f"Area under the curve: {area:.4f}.",
            legend,
        )
    ]  # fmt: skip
    operating = [Line("as it is predicted", [hit_rate], [hits / chosen.sum()], colour=1)]
    found.append(
        Figure(
            "Precision and recall",
            lines(
                [Line("curve", *_picked(recall, precision)), *(operating if chosen.any() else [])],
                title=f"precision-recall curve, average precision {average:.4f}", x=whole, y=whole,
                x_label="recall", y_label="precision",
            ),
            f"Average precision: {average:.4f}; {number(float(truth.mean()))} for random answers.",
            legend,
        )
    )  # fmt: skip
    return found


def _picked(x: Array, y: Array) -> tuple[list[float], list[float]]:
    """Return at most so many points of a curve, evenly along its length."""
    if len(x) > CURVE_POINTS:
        along = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        at = np.searchsorted(along, np.linspace(0, along[-1], CURVE_POINTS))
        at = np.unique(np.append(at, [0, len(x) - 1]))
        x, y = x[at], y[at]
    return x.tolist(), y.tolist()
