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
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Metrics,
    MetricSums,
    State,
    Step,
    Task,
)
from zoo_crf.conll import Sentence
from zoo_crf.network import UNKNOWN, NERNetwork
from zoo_crf.options import NEROptions
from zoo_crf.parts import Source, load
from zoo_crf.predictions import EntitiesPrediction, Entity
from zoo_crf.scoring import SpanCounter, span_metrics
from zoo_crf.spans import spans_of, tag_set, tags_of
from zoo_crf.words import NUM_FEATURES, hash_features, split_words

BASELINE = "most-frequent-tag"


class NER(Task):
    """Named-entity recognition, or any other kind of spans such as phrases (chunking).

    Args:
        options: See ``zoo show ner``.
    """

    def __init__(self, options: NEROptions) -> None:
        self.options = options
        self.source = ""
        self._set_vocabulary([], [])
        self.word_tags = torch.zeros(0, dtype=torch.int64)

    def _set_vocabulary(self, words: list[str], types: list[str]) -> None:
        self.words, self.types = words, types
        self.tags = tag_set(types, self.options.scheme)
        self._token_ids = {word: token_id for token_id, word in enumerate(words)}
        self._counter = SpanCounter(self.tags)

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read sentences; the vocabulary is that of the training split."""
        source = load(path, self.options, seed, "" if fit else self.source)
        types = {tag.partition("-")[2] for s in source.sentences for tag in s.tags} - {""}
        if fit:
            self._fit(source, sorted(types), str(path))
        elif unknown := types - set(self.types):
            raise DataError(
                f"type {min(unknown)!r} was not in the training data",
                where=str(path),
                why=f"its types are {', '.join(self.types)}",
            )
        features: dict[str, list[int]] = {}
        everything = Ragged.of(
            [self.encode(sentence.words, features) for sentence in source.sentences],
            [self._tag_ids(sentence) for sentence in source.sentences],
            per_step=True,
        )
        splits = {name: everything.select(rows) for name, rows in source.parts.items()}
        return Data(
            splits={**splits, "all": everything},
            digest=source.digest,
            summary=f"{len(source.sentences):,} sentences of {path.name if path else 'the sample'}",
            notes=_notes(source.sentences),
        )

    def _fit(self, source: Source, types: list[str], where: str) -> None:
        if not types:
            raise DataError("there is nothing to learn", where=where, why="all tags are O")
        self.source = source.main_digest
        training = [source.sentences[row] for row in source.parts["train"]]
        known = sorted({word for sentence in training for word in sentence.words})
        self._set_vocabulary(["<pad>", "<unk>", *known], types)
        # The baseline: the tag that each word has most often.
        counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for sentence in training:
            for word, tag in zip(sentence.words, self._tag_ids(sentence), strict=True):
                counts[self._token_ids[word]][tag] += 1
        # Of tags that are as frequent the first one.
        commonest = [max(counts[i], key=lambda tag: (counts[i][tag], -tag), default=0)
                     for i in range(len(self.words))]  # fmt: skip
        self.word_tags = torch.tensor(commonest)

    def encode(
        self, words: Sequence[str], known: dict[str, list[int]] | None = None
    ) -> list[list[int]]:
        """Return the token id and the features of each word, (T, 1 + F).

        Args:
            words: T words.
            known: Features that were computed before, by word; new ones are added.
        """
        known = {} if known is None else known
        for word in words:
            if word not in known:
                known[word] = hash_features(word, self.options.buckets)
        return [[self._token_ids.get(word, UNKNOWN), *known[word]] for word in words]

    def _tag_ids(self, sentence: Sentence) -> list[int]:
        tags = tags_of(spans_of(sentence.tags), len(sentence.tags), self.options.scheme)
        return [self.tags.index(tag) for tag in tags]

    # Network

    def state_dict(self) -> dict[str, Any]:
        return {
            "vocabulary": self.words,
            "types": self.types,
            "word_tags": self.word_tags.tolist(),
            "source": self.source,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("vocabulary", "types"):
            texts = state[name]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} is not a list of strings")
        if not isinstance(state["source"], str):
            raise ValueError("source is not a string")
        self._set_vocabulary(state["vocabulary"], state["types"])
        tags = state["word_tags"]
        if len(tags) != len(self.words) or not all(tag in range(len(self.tags)) for tag in tags):
            raise ValueError("word_tags are not tag ids, one for each word")
        self.word_tags, self.source = torch.tensor(tags, dtype=torch.int64), state["source"]

    def network(self, build_model: BuildModel) -> NERNetwork:
        return NERNetwork(build_model, self.options, len(self.words), self.tags)

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
            by_word = self.word_tags.to(tags.device)[batch.inputs[..., 0]]
            baseline = self._counter.count(by_word, batch.targets)
            sums |= self._counter.count(tags, batch.targets)
            sums |= {f"baseline_{name}": baseline[name] for name in ("right", "predicted", "true")}
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
        if "words" not in metric_sums:
            return found
        right, predicted, true = (
            float(metric_sums[f"baseline_{name}"].sum()) for name in ("right", "predicted", "true")
        )
        wrong = float(metric_sums["wrong_tags"]) / float(metric_sums["words"])
        return {
            **found,
            "tag_accuracy": 1 - wrong,
            **span_metrics(metric_sums, self.types, examples),
            "baselines": {BASELINE: 2 * right / max(predicted + true, 1.0)},
        }

    def probe(self) -> Batch:
        """Return two sentences of different lengths that run through vocabulary and features."""
        words, buckets = len(self.words), self.options.buckets
        rows = [
            [
                [step % words, *((37 * step + number) % buckets for number in range(NUM_FEATURES))]
                for step in range(length)
            ]
            for length in (12, 5)
        ]
        targets = [np.arange(len(row)) % len(self.tags) for row in rows]
        return Ragged.of(rows, targets, per_step=True).batch(np.arange(2))

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return emissions and, as one further output at each step, the log-partition of the row.

        So that the parameters of the CRF count, too. (B, T, K + 1)
        """
        assert isinstance(network, NERNetwork)
        emissions: Tensor = network(batch.inputs, batch.lengths)
        partition = network.output.log_partition(emissions, batch.lengths)
        return torch.cat((emissions, partition[:, None, None].expand_as(emissions[..., :1])), 2)

    # Use

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[EntitiesPrediction]:
        """Yield the spans of each text, with the probability of all its tags together."""
        places = [split_words(text) for text in texts]
        answers = self._tag(network, [_cut(*each) for each in zip(texts, places, strict=True)])
        for text, words, (tags, probability) in zip(texts, places, answers, strict=True):
            entities = []
            for span in spans_of(tags):
                start, end = words[span.start][0], words[span.end - 1][1]
                entities.append(Entity(text[start:end], span.type, start, end))
            yield EntitiesPrediction(
                text, tags, probability, tuple(_cut(text, words)), tuple(entities)
            )

    @torch.inference_mode()
    def _tag(
        self, network: nn.Module, sentences: Sequence[Sequence[str]]
    ) -> list[tuple[tuple[str, ...], float]]:
        """Return the tags of each sentence, and their probability."""
        assert isinstance(network, NERNetwork)
        device = next(network.parameters()).device
        found: list[tuple[tuple[str, ...], float]] = [((), 1.0)] * len(sentences)
        rows = [row for row, words in enumerate(sentences) if words]
        known: dict[str, list[int]] = {}
        split = Ragged.of([self.encode(sentences[row], known) for row in rows], rows)
        for batch in split.eval_batches():
            batch = batch.to(device)
            emissions = network(batch.inputs, batch.lengths)
            tags = network.output.decode(emissions, batch.lengths)
            likelihood = network.output.log_likelihood(emissions, tags, batch.lengths).exp()
            for row, length, ids, probability in zip(
                batch.targets.tolist(), batch.lengths.tolist(), tags.tolist(),
                likelihood.tolist(), strict=True,
            ):  # fmt: skip
                found[row] = tuple(self.tags[tag] for tag in ids[:length]), probability
        return found

    def probe_texts(self) -> list[str]:
        """Return fixed texts; see :class:`zoo.interfaces.ProbesTexts`."""
        words = self.words[2:]
        some = words[:: max(len(words) // 40, 1)]
        known = [" ".join(part) for part in (some[:20], some[20:]) if part]
        return [*known, "Zyxel Qwertz flew to Ouagadougou."]

    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        answers = []
        device = next(network.parameters()).device
        for prediction in self.predict(network, texts):
            rows = self.encode(prediction.words)
            with torch.inference_mode():
                emissions = network(
                    torch.tensor([rows], device=device), torch.tensor([len(rows)], device=device)
                )
            answers.append(
                {
                    "token_ids": [number for row in rows for number in row],
                    "outputs": emissions.flatten().tolist(),
                    "answer": " ".join(prediction.tags),
                }
            )
        return answers


def _cut(text: str, places: Sequence[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in places]


def _notes(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Return how many spans of each type there are, commonest first."""
    counts = Counter(span.type for sentence in sentences for span in spans_of(sentence.tags))
    words = sum(len(sentence.words) for sentence in sentences)
    spans = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common())
    indent = {"initial_indent": "spans    ", "subsequent_indent": " " * 9}
    return (f"words    {words:,}", *textwrap.wrap(spans, 80, **indent))
