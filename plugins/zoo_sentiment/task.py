"""The sentiment task: reviews in, a label out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from zoo.data.ragged import IntArray, Ragged
from zoo.errors import DataError
from zoo.interfaces import Data
from zoo_sentiment.corpus import Corpus, CorpusTexts, load
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.reviews import is_imdb
from zoo_sentiment.splits import check_labels, split_rows
from zoo_sentiment.texts import read_texts
from zoo_text.batches import TextSplit
from zoo_text.classification import TextClassification
from zoo_text.tables import LabeledTexts


class Sentiment(TextClassification):
    """Text classification that also reads the IMDb archive, and has a sample of its own.

    Args:
        options: See ``zoo show sentiment``.
    """

    options: SentimentOptions

    def load(self, path: Path | None, seed: int, *, fit: bool, digest: str) -> LabeledTexts:
        """Read reviews: the IMDb archive or its folder, the sample, or any table."""
        if path is None or is_imdb(path):
            return read_texts(path, self.options, seed, digest)
        return super().load(path, seed, fit=fit, digest=digest)

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read reviews; the vocabulary is built of the training split alone.

        Words of a vocabulary are encoded once and cached; everything else is encoded anew.
        """
        if self.options.tokens != "words" or self.options.ngram_weight:
            return super().prepare(path, seed, fit=fit)
        options = self.options
        corpus = load(path, options.text_column or "text", options.label_column or "label")
        rows = split_rows(corpus, options, seed)
        if fit:
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
            summary=f"{len(corpus.lengths)} reviews of {path.name if path else 'the sample'}",
        )

    def _fit_corpus(self, corpus: Corpus, train: IntArray) -> None:
        counts = np.bincount(corpus.label[train], minlength=len(corpus.labels))
        self.set_labels(corpus.labels, counts)
        token_ids = np.concatenate([corpus.review(row) for row in train])
        words = np.bincount(token_ids, minlength=len(corpus.words))
        seen = Counter({corpus.words[i]: int(words[i]) for i in np.flatnonzero(words)})
        self.encoder.fit_words(seen)
