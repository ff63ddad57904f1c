"""Which n-grams the linear model of a task reads. torch is imported for tensors alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo_text.ngrams import IntArray, character_ngrams, word_ngrams

if TYPE_CHECKING:
    from zoo_text.linear import NGrams


class NGramSizes(NamedTuple):
    """The longest n-grams of words and of characters; 0: none."""

    words: int
    characters: int

    def ngrams(self, texts: Sequence[str]) -> NGrams:
        """Return the n-grams of texts, as tensors."""
        import torch

        from zoo_text.linear import NGrams

        return NGrams(*map(torch.from_numpy, self.arrays(texts)))

    def arrays(self, texts: Sequence[str]) -> tuple[IntArray, IntArray, IntArray]:
        """Return the n-grams of M texts, sorted by their segments.

        Returns:
            (N,) hashes; (N,) how often each occurs in its text; (N,) its segment: the text, plus M
            for n-grams of characters where there are also words.
        """
        found = []
        if self.words:
            found.append(word_ngrams(texts, self.words))
        if self.characters:
            found.append(character_ngrams(texts, self.characters))
        segments = [part.texts + i * len(texts) for i, part in enumerate(found)]
        return (
            np.concatenate([part.keys for part in found]),
            np.concatenate([part.counts for part in found]),
            np.concatenate(segments),
        )
