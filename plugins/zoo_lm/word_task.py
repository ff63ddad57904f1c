"""The word language model task: texts in, the next word out."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from zoo.interfaces import Batch, State, Step
from zoo_lm.options import WordLMOptions
from zoo_lm.task import LanguageModel
from zoo_lm.word_base import WordTask
from zoo_text.tokens import token_spans


class WordLM(WordTask[WordLMOptions], LanguageModel[WordLMOptions]):
    """Predicts the next word at every word, over texts whose state is carried on.

    Args:
        options: See ``zoo show word-lm``.
    """

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        step = super().step(network, batch, state)
        return replace(step, metric_sums={**step.metric_sums, **self.count(batch.targets)})

    def spans(self, text: str) -> list[tuple[int, int]]:
        return token_spans(text)
