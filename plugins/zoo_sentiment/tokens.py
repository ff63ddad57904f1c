"""Text to words."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[^>]*>")
# An emoticon, in lower case and not the start of a word, or a run of letters, digits and _.
_TOKEN = re.compile(r"[:;=]-?[()dp](?!\w)|\w+")


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words and emoticons; HTML tags and punctuation are dropped.

    >>> tokenize("It's <br />GREAT, really :-) 10/10 :D")
    ['it', 's', 'great', 'really', ':)', '10', '10', ':d']
    """
    words: list[str] = _TOKEN.findall(_TAG.sub(" ", text).lower())
    if "-" in text:
        return [word.replace("-", "") if word[0] in ":;=" else word for word in words]
    return words
