"""Texts by which a weights file is checked: they pass through all that was learned."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import chain, cycle, islice
from typing import Any

import numpy as np

from zoo_text.encoding import TokenEncoder
from zoo_text.options import TextOptions
from zoo_text.vocabulary import SPECIALS

# Words of the vocabulary, and texts that they make.
NUM_WORDS, NUM_TEXTS = 64, 4

# The longest text that is made to show how texts are truncated.
MAX_TOKENS = 2_000

# Where a token has no id in a file, these stand for what may be known.
TEXTS = (
    "This is not a bad film, is it? I gave it 12 of 10 :-)",
    "FREE entry! You have WON a prize of 1000, call now",
    "how do I change the card that was sent to my old address",
    "Große Häuser sind schön, aber nicht für jeden",
    "Une très belle soirée, où le café était chaud; mañana será otro año",
    "Это очень хорошая книга, не правда ли?",
    "这家酒店的房间很好、服务也不错。下次再来",
    "とても良い部屋でした。また来ます",
    "방이 아주 깨끗하고 조용했어요",
    "الغرفة نظيفة جدا والإفطار جيد",
    "O'Brien Nguyen Kowalski Müller Yamamoto García",
)


def probe_texts(options: TextOptions, words: Sequence[str]) -> list[str]:
    """Return a few texts, the same ones for the same options and words.

    With tokens=words they are of words from all over the vocabulary, otherwise fixed ones in
    several scripts. One is empty, and one a token longer than what is read.

    Args:
        options: Those of the task.
        words: The vocabulary, with tokens=words.
    """
    texts = list(TEXTS)
    if options.tokens == "words":
        first, last = len(SPECIALS), len(words) - 1
        index = {int(at) for at in np.linspace(first, last, NUM_WORDS)} if last > first else {last}
        chosen = [words[at] for at in sorted(index) if at >= first]
        texts = [" ".join(chosen[number::NUM_TEXTS]) for number in range(NUM_TEXTS)]
    pieces = [word for text in texts for word in text.split()]
    blank = " "
    if options.tokens == "characters":
        pieces, blank = list(chain.from_iterable(pieces)), ""
    elif options.tokens == "subwords":
        pieces = [word for word in pieces if word.isalpha()]  # These are a token each.
    too_long = []
    if 0 < options.max_tokens <= MAX_TOKENS:
        too_long = [blank.join(islice(cycle(pieces), options.max_tokens + 1))]
    return [*texts, "", *too_long]


def probe_answers(
    encoder: TokenEncoder,
    labels: Sequence[str] | None,
    texts: Sequence[str],
    outputs: Sequence[Sequence[float]],
    answers: Sequence[str],
) -> list[dict[str, Any]]:
    """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`.

    An answer ends with a digest of the vocabulary and the labels, of which a few texts show a part
    alone.

    Args:
        encoder: That of the task.
        labels: The labels of the training; None for numbers.
        texts: M texts.
        outputs: (M, K) of the network.
        answers: What they say, as text.
    """
    tokens, _ = encoder.encode(texts)
    learned = repr([encoder.words, labels]).encode("utf-8", "surrogatepass")
    digest = sha256(learned).hexdigest()[:16]
    return [
        {
            "token_ids": tokens.values[start : start + length].tolist(),
            "outputs": list(row),
            "answer": f"{answer} ({digest})",
        }
        for start, length, row, answer in zip(
            tokens.starts, tokens.lengths, outputs, answers, strict=True
        )
    ]
