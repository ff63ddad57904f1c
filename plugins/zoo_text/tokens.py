"""The tokenizer: text to words."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[^>]*>")
# An emoticon, not the start of a word, or a run of letters, digits and _.
_MOUTH = r"-?[()dpDP](?!\w)"
_TOKEN = re.compile(rf"[:;=]{_MOUTH}|\w+")
# One pattern for each eye: patterns that begin with a fixed character search five times faster.
_EMOTICONS = {eye: re.compile(eye + _MOUTH) for eye in ":;="}
# Characters beyond ASCII that are not part of words.
_OTHER = re.compile(r"[^\w\x00-\x7f]")
# Bytes of ASCII in lower case, with spaces for those that are not part of words.
_WORDS = re.sub(rb"\W", b" ", bytes(range(128)).lower()) + bytes(range(128, 256))


def spaced(text: str) -> bytes:
    """Return the words of a text as :func:`tokenize` does, in UTF-8 with spaces between."""
    if "<" in text:
        # What follows the last `>` has no tag. To search it would take quadratic time.
        end = text.rfind(">") + 1
        text = _TAG.sub(" ", text[:end]) + text[end:]
    if not text.isascii():
        text = _OTHER.sub(" ", text.lower())
    if any(eye in text and smile.search(text) for eye, smile in _EMOTICONS.items()):
        words = _TOKEN.findall(text.lower())
        return " ".join(w.replace("-", "") if w[0] in ":;=" else w for w in words).encode()
    # The same words, faster: a regular expression that finds every word is slow.
    return text.encode().translate(_WORDS)


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words and emoticons; HTML tags and punctuation are dropped.

    >>> tokenize("It's <br />GREAT, really :-) 10/10 :D")
    ['it', 's', 'great', 'really', ':)', '10', '10', ':d']
    """
    return spaced(text).decode().split()
