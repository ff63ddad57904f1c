"""Made-up sentences in which a word's tag depends on the words on both sides of it.

Many words have two tags. 'watch' is a noun in 'they see the watch' and a verb in 'they watch the
boats', which the words before it decide. 'her' is a pronoun in 'they watch her' and a determiner in
'they watch her boats', which the words after it decide. In 'the old guard the boats' and 'the old
guard see the boats' the tags of 'old' and 'guard' both depend on what follows.
"""

from __future__ import annotations

import random
from pathlib import Path

from zoo.data.text import blocks
from zoo.errors import DataError
from zoo.files import digest, digest_text

SENTENCES = 4000
SEED = 15

_PRONOUNS = ("they", "we", "you", "i")
_OBJECTS = ("her", "them", "us", "you")
_DETERMINERS = ("the", "her", "those", "our", "some")
_ADJECTIVES = ("small", "green", "wooden", "famous", "empty")
_NOUNS = ("boats", "dogs", "farmers", "sailors", "letters", "gardens")
_VERBS = ("see", "find", "carry", "follow", "remember", "sell")
_ADVERBS = ("often", "gladly", "today", "again")
_CONJUNCTIONS = ("and", "while", "because")
_PREPOSITIONS = ("near", "behind", "without", "under")
# Two tags each: 'the old boats', 'they see the old'; 'they see the guard', 'they guard the boats'.
_ADJECTIVES_OR_NOUNS = ("old", "young", "rich", "poor", "brave", "blind")
_NOUNS_OR_VERBS = ("guard", "watch", "cook", "fish", "nurse", "judge", "paint", "ship")

Word = tuple[str, str]
"""A word and its tag."""


def load(path: Path | None) -> tuple[list[list[Word]], str]:
    """Return the sentences of a file, or of the sample, and the sha256 of their source.

    Raises:
        DataError: The file cannot be read, or does not have the form that :func:`sample` returns.
    """
    text = sample() if path is None else "".join(blocks(path))
    sentences = [
        [_word(token, f"line {number} of {path}") for token in line.split()]
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    return sentences, digest_text(text) if path is None else digest(path)


def _word(token: str, where: str) -> Word:
    word, _, tag = token.rpartition("/")
    if not (word and tag):
        raise DataError(f"{token!r} has no tag", where=where, fix="write it as word/TAG")
    return word.lower(), tag


def sample() -> str:
    """Return the sample, the same each time: a sentence a line, each word as ``word/TAG``."""
    draw = random.Random(SEED)
    sentences = [
        " ".join(f"{word}/{tag}" for word, tag in _sentence(draw)) for _ in range(SENTENCES)
    ]
    # Without duplicates, which could be both in the training and in the test split.
    return "\n".join(dict.fromkeys(sentences)) + "\n"


def _sentence(draw: random.Random) -> list[Word]:
    words = _clause(draw)
    while draw.random() < 0.4:
        words += [(draw.choice(_CONJUNCTIONS), "C"), *_clause(draw)]
    return words


def _clause(draw: random.Random) -> list[Word]:
    """Return subject, verb, object and, in some clauses, an adverb or a prepositional phrase."""
    subject = [(draw.choice(_PRONOUNS), "P")] if draw.random() < 0.3 else _noun_phrase(draw)
    verb = (draw.choice(_VERBS + _NOUNS_OR_VERBS), "V")
    object_ = [(draw.choice(_OBJECTS), "P")] if draw.random() < 0.4 else _noun_phrase(draw)
    words = [*subject, verb, *object_]
    if draw.random() < 0.3:
        words.append((draw.choice(_ADVERBS), "R"))
    if draw.random() < 0.3:
        words += [(draw.choice(_PREPOSITIONS), "I"), *_noun_phrase(draw)]
    return words


def _noun_phrase(draw: random.Random) -> list[Word]:
    words = [(draw.choice(_DETERMINERS), "D")]
    if draw.random() < 0.5:
        words.append((draw.choice(_ADJECTIVES + _ADJECTIVES_OR_NOUNS), "A"))
    words.append((draw.choice(_NOUNS + _NOUNS_OR_VERBS + _ADJECTIVES_OR_NOUNS), "N"))
    return words
