"""How often the right label is among the likeliest."""

from __future__ import annotations

import numpy as np

from zoo.interfaces import Batch, Metrics, Step
from zoo_text.classification import TextClassification
from zoo_text.collecting import Collector
from zoo_text.metrics import all_logits

TOP = 5


class Top5:
    """Share of texts whose label is among the five likeliest; 1 with five labels or fewer.

    Args:
        task: The task whose logits and targets are compared.
    """

    def __init__(self, task: TextClassification) -> None:
        self._num_labels = len(task.labels)
        self._collected = Collector()

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch; ``step.outputs`` are logits."""
        self._collected.update(batch, step)

    def compute(self) -> Metrics:
        """Return the share as ``top5``; nothing where a logit is not finite."""
        if self._num_labels <= TOP:
            return {"top5": 1.0}
        from sklearn.metrics import top_k_accuracy_score

        logits = all_logits(self._collected.outputs()).numpy()
        if not np.isfinite(logits).all():
            return {}
        targets, labels = self._collected.targets().numpy(), np.arange(self._num_labels)
        return {"top5": float(top_k_accuracy_score(targets, logits, k=TOP, labels=labels))}
