"""The sentiment task: reviews in, a label out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.ragged import IntArray, Ragged
from zoo.errors import DataError
from zoo.interfaces import Data
from zoo_sentiment.corpus import Corpus, CorpusTexts, load
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.reviews import may_be_imdb
from zoo_sentiment.splits import check_labels, draw_at_random, split_rows
from zoo_sentiment.texts import read_texts, repeated_notes
from zoo_text.batches import TextSplit
from zoo_text.classification import TextClassification
from zoo_text.options import TextOptions
from zoo_text.tables import LabeledTexts
from zoo_text.tables.splits import Parts, draw
from zoo_text.tables.table import PARTS


class Sentiment(TextClassification):
    """Text classification that also reads the IMDb archive, and has a sample of its own.

    Args:
        options: See ``zoo show sentiment``.
    """

    options: SentimentOptions

    def load(self, path: Path | None, seed: int, *, fit: bool, digest: str) -> LabeledTexts:
        """Read reviews: the IMDb archive or its folder, the sample, or any table."""
        if not self._is_table(path):
            return read_texts(path, self.options, seed, digest)
        return super().load(path, seed, fit=fit, digest=digest)

    def read(self, path: Path, options: TextOptions, seed: int, **how: Any) -> LabeledTexts:
        """Read a table; parts are drawn at random where nothing is beside the network."""
        drawing = draw_at_random if self.options.is_plain else draw
        return super().read(path, options, seed, draw=drawing, **how)

    def fit_targets(self, source: LabeledTexts, train: IntArray | slice) -> None:
        super().fit_targets(source, train)
        if self.options.is_plain:
            # 10 before 2, as ever: the order decides what a training arrives at.
            labels, shares = zip(*sorted(zip(self.labels, self.shares, strict=True)), strict=True)
            self.labels, self.shares = list(labels), list(shares)

    def _is_source(self, digest: str) -> bool:
        # Files of before do not say what they were trained on: the splits are drawn as ever.
        is_unknown = self.options.is_plain and not self._source
        return is_unknown or super()._is_source(digest)

    def _is_table(self, path: Path | None) -> bool:
        return path is not None and not may_be_imdb(path)

    def _check_options(self, path: Path | None) -> None:
        options = self.options
        if self._is_table(path):
            if options.split == "film":
                raise DataError(
                    "films are not known", where=str(path), fix="use --set split=random"
                )
        elif options.validation_data or options.test_data:
            raise DataError(
                "the reviews have a test split of their own", where=str(path or "the sample"),
                fix="leave --validation and --test out",
            )  # fmt: skip

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read reviews; the vocabulary is built of the training split alone.

        Words of a vocabulary are encoded once and cached; everything else is encoded anew.
        """
        if fit:
            self._check_options(path)
        if not self.options.is_plain or self.options.more_data:
            return super().prepare(path, seed, fit=fit)
        if self._is_table(path):
            data = super().prepare(path, seed, fit=fit)
            return replace(data, summary=_summary(data.splits["all"].num_examples, path))
        corpus = load(path)
        rows = split_rows(corpus, self.options, seed)
        if fit:
            self._source = corpus.digest
            check_labels(corpus, rows)
            self._fit_corpus(corpus, rows["train"])
        elif unknown := sorted(set(corpus.labels) - set(self.labels)):
            raise DataError(
                f"label {unknown[0]!r} is not among those of the training",
                where=str(path or "the sample"),
                why=f"they are {', '.join(self.labels)}",
            )
        # From the token ids of the corpus to those of the vocabulary.
        words = " ".join(corpus.words).encode()
        table = self.encoder.look_up([words])[0].astype(np.int32)
        numbers = np.arange(len(corpus.lengths))
        tokens = Ragged(table[corpus.values], corpus.starts, corpus.lengths, numbers)
        label = np.array([self.labels.index(label) for label in corpus.labels])[corpus.label]
        everything = TextSplit(self.encoder.truncate(tokens), label, texts=CorpusTexts(corpus))
        splits = {name: everything.select(part) for name, part in rows.items()}
        return Data(
            splits={**splits, "all": everything},
            digest=corpus.digest,
            summary=_summary(len(corpus.lengths), path),
            notes=repeated_notes(corpus.groups(), _parts(rows)),
        )

    def _fit_corpus(self, corpus: Corpus, train: IntArray) -> None:
        counts = np.bincount(corpus.label[train], minlength=len(corpus.labels))
        self.set_labels(corpus.labels, counts)
        token_ids = np.concatenate([corpus.review(row) for row in train])
        words = np.bincount(token_ids, minlength=len(corpus.words))
        seen = Counter({corpus.words[i]: int(words[i]) for i in np.flatnonzero(words)})
        self.encoder.fit_words(seen)


def _summary(count: int, path: Path | None) -> str:
    return f"{count} reviews of {path.name if path else 'the sample'}"


def _parts(rows: Mapping[str, IntArray]) -> Parts:
    """Return the number of the split of each review."""
    part = np.zeros(sum(map(len, rows.values())), np.int8)
    for number, name in enumerate(PARTS):
        part[rows[name]] = number
    return part
