"""Precision, recall and F1 of spans, as conlleval defines them, by sums that add up over batches.

A predicted span is right if a span of the data has the same words and the same type. Scores are
micro averages: spans count alike, whatever their type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.intervals import wilson
from zoo_crf.spans import OUTSIDE, begins_span


class SpanCounter:
    """Counts spans in batches of tag ids.

    Args:
        tags: The tags by tag id; the first one is O, which stands at padding, too.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.types = sorted({tag.partition("-")[2] for tag in tags if tag != OUTSIDE})
        numbers = {kind: number for number, kind in enumerate(self.types)}
        # The type of O is never read.
        self._types = torch.tensor([numbers.get(tag.partition("-")[2], 0) for tag in tags])
        self._begins = torch.tensor([[begins_span(a, b) for b in tags] for a in tags])

    def count(self, predicted: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return sums over a batch, from which :func:`span_metrics` computes.

        Args:
            predicted: (B, T) tag ids, zero at padding.
            targets: (B, T) tag ids, zero at padding.
        """
        ends, first = self._find(predicted)
        true_ends, true_first = self._find(targets)
        types = self._types.to(targets.device)
        kinds, true_kinds = types[predicted], types[targets]
        right = ends & true_ends & (first == true_first) & (kinds == true_kinds)
        # Of each sentence, for the interval: twice the right spans, and all spans.
        hits = 2.0 * right.sum(1)
        spans = (ends.sum(1) + true_ends.sum(1)).to(hits.dtype)
        return {
            "right": self._by_type(kinds[right]),
            "predicted": self._by_type(kinds[ends]),
            "true": self._by_type(true_kinds[true_ends]),
            "hits_hits": hits.square().sum(),
            "hits_spans": (hits * spans).sum(),
            "spans_spans": spans.square().sum(),
        }

    def _find(self, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T) where spans end, and where the span at each step has begun."""
        begins = self._begins.to(tags.device)
        starts = begins[pad(tags[:, :-1], (1, 0)), tags]
        following = pad(tags[:, 1:], (0, 1))
        ends = (tags != 0) & ((following == 0) | begins[tags, following])
        steps = torch.arange(tags.shape[1], device=tags.device)
        return ends, torch.where(starts, steps, -1).cummax(1).values

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
