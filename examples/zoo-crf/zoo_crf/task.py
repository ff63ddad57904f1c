"""The task: sentences in, spans of words and their types out."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import Batch, BuildModel, Data, Metrics, MetricSums, State, Step, Task
from zoo_crf import inference
from zoo_crf.conll import Sentence
from zoo_crf.encoding import Encoder
from zoo_crf.network import NERNetwork
from zoo_crf.options import NEROptions
from zoo_crf.parts import load
from zoo_crf.predictions import EntitiesPrediction
from zoo_crf.scoring import SpanCounter, baseline_f1, span_metrics
from zoo_crf.spans import spans_of
from zoo_crf.words import NUM_FEATURES

BASELINE = "most-frequent-tag"


class NER(Task):
    """Named-entity recognition, or any other kind of spans such as phrases (chunking).

    Args:
        options: See ``zoo show ner``.
    """

    def __init__(self, options: NEROptions) -> None:
        self.options = options
        self.encoder = Encoder(options)
        self.source = ""
        self.word_tags: list[int] = []  # The tag that each word has most often: the baseline.

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read sentences; the vocabulary is that of the training split."""
        source = load(path, self.options, seed, "" if fit else self.source)
        types = {tag.partition("-")[2] for s in source.sentences for tag in s.tags} - {""}
        if not types and fit:
            raise DataError("there is nothing to learn", where=str(path), why="all tags are O")
        if fit:
            self.source = source.main_digest
            self._fit([source.sentences[row] for row in source.parts["train"]], types)
        elif unknown := types - set(self.encoder.types):
            raise DataError(
                f"type {min(unknown)!r} was not in the training data",
                where=str(path),
                why=f"its types are {', '.join(self.encoder.types)}",
            )
        known: dict[str, list[int]] = {}
        everything = Ragged.of(
            [self.encoder.encode(sentence.words, known) for sentence in source.sentences],
            [self.encoder.tag_ids(sentence) for sentence in source.sentences],
            per_step=True,
        )
        splits = {name: everything.select(rows) for name, rows in source.parts.items()}
        return Data(
            splits={**splits, "all": everything},
            digest=source.digest,
            summary=f"{len(source.sentences):,} sentences of {path.name if path else 'the sample'}",
            notes=_notes(source.sentences),
        )

    def _fit(self, sentences: Sequence[Sentence], types: set[str]) -> None:
        self.encoder.fit(sentences, types)
        counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for sentence in sentences:
            for word, tag in zip(sentence.words, self.encoder.tag_ids(sentence), strict=True):
                counts[word][tag] += 1
        # Of tags that are as frequent the first one; O for unknown words.
        self.word_tags = [
            min(counts[word], key=lambda tag: (-counts[word][tag], tag), default=0)
            for word in self.encoder.words
        ]

    # Network

    def state_dict(self) -> dict[str, Any]:
        return {
            **self.encoder.state_dict(),
            "word_tags": self.word_tags,
            "source": self.source,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(state)
        tags, source = state["word_tags"], state["source"]
        if not isinstance(tags, list) or len(tags) != len(self.encoder.words):
            raise ValueError("word_tags are not a list of tag ids, one for each word")
        if not all(tag in range(len(self.encoder.tags)) for tag in tags):
            raise ValueError("word_tags are not tag ids")
        if not isinstance(source, str):
            raise ValueError("source is not a string")
        self.word_tags, self.source = tags, source

    def network(self, build_model: BuildModel) -> NERNetwork:
        return NERNetwork(build_model, self.options, len(self.encoder.words), self.encoder.tags)

    # Training

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        """Return the mean negative log-likelihood of a sentence, in nats; see :meth:`metrics`."""
        assert isinstance(network, NERNetwork)
        emissions = network(batch.inputs, batch.lengths)
        losses = -network.output.log_likelihood(emissions, batch.targets, batch.lengths)
        sums = {
            "loss": losses.detach().sum(),
            "examples": torch.tensor(float(len(batch)), device=losses.device),
        }
        if not network.training:
            tags = network.output.decode(emissions, batch.lengths)
            # The word of padding has the tag O.
            word_tags = torch.tensor(self.word_tags, device=tags.device)[batch.inputs[..., 0]]
            sums |= SpanCounter(self.encoder.tags).count(tags, batch.targets, word_tags)
            # At padding both are zero.
            sums["wrong_tags"] = (tags != batch.targets).sum()
            sums["words"] = batch.lengths.sum()
        return Step(losses.mean(), sums, outputs=emissions.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the loss and, of an evaluated split, scores of spans.

        ``examples`` are sentences and ``loss`` is in nats a sentence. ``f1``, ``precision`` and
        ``recall`` are those of spans; the baseline is F1 of the tag that each word had most often
        in training. ``tag_accuracy`` is the share of words whose tag is right.
        """
        examples = float(metric_sums["examples"])
        found: Metrics = {
            "examples": int(examples),
            "loss": float(metric_sums["loss"]) / examples,
        }
        if "words" in metric_sums:
            wrong = float(metric_sums["wrong_tags"]) / float(metric_sums["words"])
            found |= {"tag_accuracy": 1 - wrong}
            found |= span_metrics(metric_sums, self.encoder.types, examples)
            found |= {"baselines": {BASELINE: baseline_f1(metric_sums)}}
        return found

    def probe(self) -> Batch:
        """Return two sentences of different lengths that run through vocabulary and features."""
        words, buckets = len(self.encoder.words), self.options.buckets
        rows = [
            [
                [step % words, *((37 * step + number) % buckets for number in range(NUM_FEATURES))]
                for step in range(length)
            ]
            for length in (12, 5)
        ]
        targets = [np.arange(len(row)) % len(self.encoder.tags) for row in rows]
        return Ragged.of(rows, targets, per_step=True).batch(np.arange(2))

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return emissions and, as one more output at each step, the row's log-partition.

        So that the parameters of the CRF count, too. The shape is (B, T, K + 1).
        """
        assert isinstance(network, NERNetwork)
        emissions: Tensor = network(batch.inputs, batch.lengths)
        partition = network.output.log_partition(emissions, batch.lengths)
        return torch.cat((emissions, partition[:, None, None].expand_as(emissions[..., :1])), 2)

    # Use

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[EntitiesPrediction]:
        """Yield the spans of each text, with the probability of all its tags together."""
        return inference.predict(self.encoder, network, texts)

    def probe_texts(self) -> list[str]:
        """Return fixed texts; see :class:`zoo.interfaces.ProbesTexts`."""
        return inference.probe_texts(self.encoder)

    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        return inference.probe_answers(self.encoder, network, texts)


def _notes(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Return how many words there are, and how many spans of each type, commonest first."""
    counts = Counter(span.type for sentence in sentences for span in spans_of(sentence.tags))
    words = sum(len(sentence.words) for sentence in sentences)
    spans = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common())
    lines = textwrap.wrap(spans, 80, initial_indent="spans    ", subsequent_indent=" " * 9)
    return (f"words    {words:,}", *lines)
