"""Precision, recall and F1 of spans, as conlleval defines them, by sums that add up over batches.

A predicted span is right if a span of the data has the same words and the same type. Scores are
micro averages: spans count alike, whatever their type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.intervals import wilson
from zoo_crf.spans import OUTSIDE, begins_span


class _Found(NamedTuple):
    """Spans in tag ids (B, T).

    Args:
        ends: (B, T) whether a span ends at a step.
        first: (B, T) the step at which the last span up to here has begun.
        types: (B, T) the number of the type of the span; of no meaning outside.
    """

    ends: Tensor
    first: Tensor
    types: Tensor


def _is_right(found: _Found, true: _Found) -> Tensor:
    """Return (B, T) whether a span ends at a step that is also in the data."""
    same = (found.first == true.first) & (found.types == true.types)
    return found.ends & true.ends & same


class SpanCounter:
    """Counts spans in batches of tag ids.

    Args:
        tags: The tags by tag id; the first one is O, which stands at padding, too.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.types = sorted({tag.partition("-")[2] for tag in tags if tag != OUTSIDE})
        numbers = {kind: number for number, kind in enumerate(self.types)}
        self._types = torch.tensor([numbers.get(tag.partition("-")[2], 0) for tag in tags])
        self._begins = torch.tensor([[begins_span(a, b) for b in tags] for a in tags])

    def count(self, predicted: Tensor, targets: Tensor, baseline: Tensor) -> dict[str, Tensor]:
        """Return sums over a batch, from which :func:`span_metrics` computes.

        Args:
            predicted: (B, T) tag ids, zero at padding.
            targets: As ``predicted``, those of the data.
            baseline: As ``predicted``, those of a baseline.
        """
        found, true, other = (self._find(tags) for tags in (predicted, targets, baseline))
        right = _is_right(found, true)
        # Of each sentence, for the interval: twice the right spans, and all spans.
        hits = 2.0 * right.sum(1)
        spans = (found.ends.sum(1) + true.ends.sum(1)).to(hits.dtype)
        return {
            "right": self._by_type(found.types[right]),
            "predicted": self._by_type(found.types[found.ends]),
            "true": self._by_type(true.types[true.ends]),
            "hits_hits": hits.square().sum(),
            "hits_spans": (hits * spans).sum(),
            "spans_spans": spans.square().sum(),
            "baseline_hits": 2 * _is_right(other, true).sum(),
            "baseline_spans": other.ends.sum() + true.ends.sum(),
        }

    def _find(self, tags: Tensor) -> _Found:
        begins = self._begins.to(tags.device)
        starts = begins[pad(tags[:, :-1], (1, 0)), tags]
        following = pad(tags[:, 1:], (0, 1))
        steps = torch.arange(tags.shape[1], device=tags.device)
        return _Found(
            ends=(tags != 0) & ((following == 0) | begins[tags, following]),
            first=torch.where(starts, steps, -1).cummax(1).values,
            types=self._types.to(tags.device)[tags],
        )

    def _by_type(self, kinds: Tensor) -> Tensor:
        return torch.bincount(kinds, minlength=len(self.types))


def span_metrics(
    sums: Mapping[str, Tensor], types: Sequence[str], sentences: float
) -> dict[str, Any]:
    """Return F1 with its interval, precision and recall, and a table of them by type.

    Args:
        sums: Those of :meth:`SpanCounter.count`, added up.
        types: The types of spans.
        sentences: Number of sentences.
    """
    right, predicted, true = (sums[name].tolist() for name in ("right", "predicted", "true"))
    f1 = _ratio(2 * sum(right), sum(predicted) + sum(true))
    low, high = f1_interval(sums, sentences)
    return {
        "f1": f1,
        "f1_low": low,
        "f1_high": high,
        "precision": _ratio(sum(right), sum(predicted)),
        "recall": _ratio(sum(right), sum(true)),
        "types": {
            "rows": list(types),
            "columns": ["precision", "recall", "f1", "spans"],
            "values": [
                [_ratio(r, p), _ratio(r, t), _ratio(2 * r, p + t), int(t)]
                for r, p, t in zip(right, predicted, true, strict=True)
            ],
        },
    }


def baseline_f1(sums: Mapping[str, Tensor]) -> float:
    """Return F1 of the baseline that was counted."""
    return _ratio(float(sums["baseline_hits"]), float(sums["baseline_spans"]))


def f1_interval(sums: Mapping[str, Tensor], sentences: float) -> tuple[float, float]:
    """Return the 95 % interval of F1, for sentences that are drawn independently.

    F1 is the ratio of two sums over sentences: twice the right spans, to all spans that are
    predicted or true. The variance is that of a ratio estimator (W. Cochran, Sampling Techniques,
    1977, chapter 6), so that spans of one sentence need not be independent. As the normal interval
    would leave 0..1, it becomes Wilson's interval of as many independent spans as have the same
    variance, of no more than there are.
    """
    spans = float(sums["predicted"].sum() + sums["true"].sum())
    f1 = _ratio(2 * float(sums["right"].sum()), spans)
    squares = sums["hits_hits"] - 2 * f1 * sums["hits_spans"] + f1**2 * sums["spans_spans"]
    independent = spans / 2
    if sentences > 1 and float(squares) > 0:
        variance = sentences / (sentences - 1) * float(squares) / spans**2
        independent = min(independent, f1 * (1 - f1) / variance)
    return wilson(f1 * independent, independent)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
