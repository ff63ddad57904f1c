"""Whether texts are read by words or by characters. No torch here."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Scripts that are written without spaces between words.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_SAMPLE = 2_000


def choose_tokens(texts: Sequence[str]) -> str:
    """Return ``characters`` for names and for languages without spaces, else ``subwords``."""
    texts = texts[:_SAMPLE]
    letters = [c for text in texts for c in text[:200] if c.isalpha()]
    sample = letters[:: max(1, len(letters) // 20_000)]
    unspaced = sum(unicodedata.name(c, "").startswith(_UNSPACED) for c in sample)
    few = mean_words(texts) < 3
    return "characters" if few or unspaced > 0.3 * len(sample) else "subwords"


def mean_words(texts: Sequence[str]) -> float:
    """Return how many words a text has on average, by white space."""
    return sum(len(text.split()) for text in texts) / max(len(texts), 1)
