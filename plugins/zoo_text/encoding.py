"""Texts to token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.ragged import IntArray, Ragged
from zoo_text.lookup import Lookup
from zoo_text.options import TextOptions
from zoo_text.subwords import Types, choose_units, index_tokens
from zoo_text.tokens import spaced
from zoo_text.truncation import truncate
from zoo_text.vocabulary import SPECIALS, UNKNOWN, build_vocabulary, load_vectors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo_text.batches import TextBatch


class TokenEncoder:
    """Turns texts into token ids, after it has learned what the tokens are.

    Args:
        options: The task's options.

    Attributes:
        words: The vocabulary, with tokens=words.
        units: Hashes of the units that have a vector, with subwords, after :meth:`fit`.
        pretrained: Vectors of the vocabulary that were read from a file.
    """

    def __init__(self, options: TextOptions) -> None:
        self.options = options
        self.units: IntArray | None = None
        self.pretrained: Tensor | None = None
        self._num_units = 0
        self._kept: Sequence[str] = ()
        self.set_words([])

    def set_words(self, words: list[str]) -> None:
        """Take a vocabulary."""
        self.words = words
        self._lookup = Lookup(words, UNKNOWN)

    def keep(self, names: Sequence[str]) -> None:
        """Have what is learned begin with a vocabulary of words, or hold hashes of units."""
        self._kept = names

    @property
    def num_kept(self) -> int:
        """How many words or units are those of other weights."""
        return len(self._kept)

    @property
    def num_tokens(self) -> int:
        """Rows of the embedding."""
        return len(self.words) if self.options.tokens == "words" else self._num_units

    def fit_encode(self, texts: Sequence[str], train: IntArray) -> tuple[Ragged, Types | None]:
        """Learn the vocabulary, or the units, of training texts; return what :meth:`encode` does.

        Args:
            texts: All texts.
            train: Which of them are for training.
        """
        if self.options.tokens == "words":
            words = (spaced(texts[row]).decode().split() for row in train)
            self.fit_words(Counter(word for text in words for word in text))
            return self.encode(texts)
        tokens, types = self.encode(texts)
        assert types is not None
        rows = zip(tokens.starts[train], tokens.lengths[train], strict=True)
        seen = np.concatenate([tokens.values[start : start + length] for start, length in rows])
        counts = np.bincount(seen, minlength=len(types.starts) - 1)
        self.fit_units(types, counts)
        return tokens, types

    def fit_words(self, counts: Counter[str]) -> None:
        """Learn the vocabulary from how often each word occurs; words that are kept come first."""
        options, kept = self.options, self._kept or SPECIALS
        known = set(kept)
        further = Counter({word: count for word, count in counts.items() if word not in known})
        learned = build_vocabulary(further, options.min_count, options.max_vocab)
        self.set_words([*kept, *learned[len(SPECIALS) :]])
        if options.vectors:
            path = Path(options.vectors)
            self.pretrained = load_vectors(path, self.words, options.embed_size)

    def fit_units(self, types: Types, counts: IntArray) -> None:
        """Learn the units from how often each distinct token occurs; those kept stay.

        Args:
            types: The distinct tokens.
            counts: (U,) how often each occurs in training.
        """
        kept = np.array([int(unit) for unit in self._kept], np.int64)
        self.units = np.union1d(
            kept, choose_units(types, counts.astype(np.int64), self.options.max_units)
        )
        self._num_units = len(self.units)

    def encode(self, texts: Sequence[str]) -> tuple[Ragged, Types | None]:
        """Return token ids of the tokens that are read, and what they stand for.

        Targets are the indexes of the texts. A text without tokens is one unknown token.
        """
        kind = self.options.tokens
        if kind == "words":
            values, lengths = self.look_up([spaced(text) for text in texts])
            starts = np.cumsum(lengths) - lengths
            return self.truncate(Ragged(values, starts, lengths, np.arange(len(texts)))), None
        # The first token, which has no unit, stands for nothing at all.
        known = {"": 0}
        rows, known = index_tokens(texts, kind, known)
        tokens = self.truncate(Ragged.of(rows, np.arange(len(texts))), unknown=0)
        return tokens, Types.of(known, kind)

    def look_up(self, texts: Sequence[bytes]) -> tuple[IntArray, IntArray]:
        """Return token ids of words, end to end, and how many each text has."""
        return self._lookup.token_ids(texts)

    def truncate(self, texts: Ragged, unknown: int = UNKNOWN) -> Ragged:
        """Return the tokens of each text that are read."""
        return truncate(texts, self.options.max_tokens, self.options.truncation, unknown)

    def read_tokens(self, number: int) -> IntArray:
        """Return which of the tokens of a text of so many are read; -1 for a text without any."""
        tokens = Ragged.of([np.arange(number)], np.arange(1))
        read = self.truncate(tokens, unknown=-1)
        return read.values[read.starts[0] : read.starts[0] + read.lengths[0]]

    def probe(self) -> tuple[Ragged, Types | None]:
        """Return two rows of different lengths: frequent words, or a few letters."""
        if self.options.tokens == "words":
            number = max(len(self.words), 2)
            rows = [np.arange(12) % (number - 1) + 1, np.arange(5)[::-1] % (number - 1) + 1]
            return Ragged.of(rows, [0, 1]), None
        return self.encode(["This is not a bad film, is it? 12 很好", "ab"])

    def known(self, embedding: nn.Module, batch: TextBatch) -> Tensor:
        """Return which tokens (B, T) have a vector of their own, or a unit that has one."""
        # Here, as it imports torch: texts are encoded without it, too.
        from zoo_text.embedding import SubwordEmbedding

        if not isinstance(embedding, SubwordEmbedding):
            return batch.inputs != UNKNOWN
        assert batch.units is not None
        assert batch.starts is not None
        return embedding.known(batch.units, batch.starts)[batch.inputs]

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned, as JSON values."""
        if self.options.tokens == "words":
            return {"vocabulary": self.words}
        return {"num_units": self._num_units}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state_dict` returned.

        Raises:
            ValueError: It is not of that form.
        """
        self.units, self.pretrained = None, None
        if self.options.tokens != "words":
            self._num_units = int(state["num_units"])
            return
        words = state["vocabulary"]
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("vocabulary is not a list of strings")
        if len(set(words)) < len(words):
            raise ValueError("the vocabulary has a word twice")
        self.set_words(words)
