"""The options of the sentiment task. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import zoo
from zoo_text.options import ClassificationOptions


@dataclass(frozen=True)
class SentimentOptions(ClassificationOptions):
    """Options of :class:`zoo_sentiment.task.Sentiment`."""

    before: ClassVar[Mapping[str, Any]] = {
        "tokens": "words",
        "ngram_weight": 0.0,
        "label_smoothing": 0.0,
        "calibration": "none",
    }

    split: str = zoo.option(
        "random",
        "how examples are assigned to splits; film: all reviews of a film to the same one",
        choices=("random", "film"),
    )

    @property
    def is_plain(self) -> bool:
        """Whether the network reads words of a vocabulary, and nothing is beside it."""
        return self.tokens == "words" and not self.ngram_weight
