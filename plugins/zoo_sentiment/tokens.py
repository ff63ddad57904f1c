"""Text to words."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[^>]*>")
# An emoticon, in lower case and not the start of a word, or a run of letters, digits and _.
_EMOTICON = re.compile(r"[:;=]-?[()dp](?!\w)")
_TOKEN = re.compile(rf"{_EMOTICON.pattern}|\w+")
# Of the bytes of ASCII, those that are in no word become spaces.
_SPACES = re.sub(rb"\W", b" ", bytes(range(128))).ljust(256)


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words and emoticons; HTML tags and punctuation are dropped.

    >>> tokenize("It's <br />GREAT, really :-) 10/10 :D")
    ['it', 's', 'great', 'really', ':)', '10', '10', ':d']
    """
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = text.lower()
    eyes = ":" in text or ";" in text or "=" in text
    if text.isascii() and not (eyes and _EMOTICON.search(text)):
        # The same words, and most of what reading reviews takes: a regular expression is slow.
        return text.encode().translate(_SPACES).decode().split()
    words: list[str] = _TOKEN.findall(text)
    if "-" in text:
        return [word.replace("-", "") if word[0] in ":;=" else word for word in words]
    return words
