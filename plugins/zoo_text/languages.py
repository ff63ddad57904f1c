"""What language texts are in, as far as it decides how they are read. No torch here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Scripts that are written without spaces between words.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_SAMPLE = 2_000
# Common words of English. They are about a third of the words of English texts, and a few in a
# hundred of those of other languages.
_ENGLISH = frozenset((
    "the", "of", "and", "to", "is", "that", "it", "was", "for", "you", "he", "be", "with", "on",
    "by", "at", "have", "are", "this", "not", "but", "had", "his", "they", "from", "she", "which",
    "or", "we", "an", "there", "were", "one", "been", "what", "would", "who", "has", "if", "out",
    "its", "about", "into", "than", "them", "can", "only", "other", "some", "my", "like", "very",
    "your", "just", "how", "good", "too", "all", "as", "do", "me", "when", "up", "no", "more",
))  # fmt: skip
_ENGLISH_SHARE = 0.2
_WORD = re.compile(r"[^\W\d_]+")


def choose_tokens(texts: Sequence[str]) -> str:
    """Return ``characters`` for names and for languages without spaces, else ``subwords``."""
    texts = texts[:_SAMPLE]
    letters = [c for text in texts for c in text[:200] if c.isalpha()]
    sample = letters[:: max(1, len(letters) // 20_000)]
    unspaced = sum(unicodedata.name(c, "").startswith(_UNSPACED) for c in sample)
    few = mean_words(texts) < 3
    return "characters" if few or unspaced > 0.3 * len(sample) else "subwords"


def is_english(texts: Sequence[str]) -> bool:
    """Return whether texts are English: whether many of their words are common English ones."""
    words = [w for text in texts[:_SAMPLE] for w in _WORD.findall(text[:1000].lower())]
    return sum(word in _ENGLISH for word in words) > _ENGLISH_SHARE * max(len(words), 1)


def mean_words(texts: Sequence[str]) -> float:
    """Return how many words a text has on average, by white space."""
    return sum(len(text.split()) for text in texts) / max(len(texts), 1)
