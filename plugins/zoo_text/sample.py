"""A deterministic sample of made-up reviews whose label depends on the order of the words.

Most reviews have a counterpart with the same words and the opposite label: 'the acting was superb
but the plot was dull' is negative, 'the plot was dull but the acting was superb' positive. A
bag of single words cannot separate them; a sequence model can, and so can n-grams of three words.
"""

from __future__ import annotations

import random

REVIEWS = 6000
SEED = 15

_GOOD = [
    "superb",
    "brilliant",
    "charming",
    "moving",
    "gripping",
    "witty",
    "delightful",
    "clever",
    "graceful",
    "thrilling",
    "warm",
    "inspired",
    "touching",
    "lively",
    "stunning",
]
_BAD = [
    "dull",
    "clumsy",
    "boring",
    "hollow",
    "tedious",
    "lazy",
    "bland",
    "awkward",
    "dreary",
    "tiresome",
    "shallow",
    "messy",
    "lifeless",
    "silly",
    "painful",
]
_ASPECTS = [
    "acting",
    "plot",
    "script",
    "music",
    "camera",
    "dialogue",
    "pacing",
    "ending",
    "cast",
    "story",
    "humour",
    "editing",
    "lighting",
    "direction",
    "scenery",
]
_RIVALS = ["book", "sequel", "original", "remake", "trailer", "play", "series", "cartoon"]
_OPENINGS = (
    "we saw it on a rainy evening",
    "my brother lent me the disc",
    "it was shown at the town hall",
    "i had read nothing about it before",
    "the tickets were sold out for days",
    "there were nine of us in the room",
    "it runs for about two hours",
    "somebody behind us kept whispering",
)


def sample() -> list[tuple[str, str]]:
    """Return text and label of each review of the sample, the same ones at every call.

    Every fifth one, from the first on, is for testing.
    """
    draw = random.Random(SEED)
    return [_review(draw) for _ in range(REVIEWS)]


def _review(draw: random.Random) -> tuple[str, str]:
    label = ("neg", "pos")[draw.randrange(2)]
    opening = draw.choice(_OPENINGS)
    kinds = (_turn, _negation, _comparison, _late_turn, _plain)
    verdict = draw.choice(kinds)(draw, label == "pos")
    sentences = [opening, verdict] if draw.random() < 0.7 else [verdict]
    return ". ".join(sentences) + ".", label


def _turn(draw: random.Random, good: bool) -> str:
    first, second = draw.sample(_ASPECTS, 2)
    praise = f"the {first} was {draw.choice(_GOOD)}"
    blame = f"the {second} was {draw.choice(_BAD)}"
    return f"{blame} but {praise}" if good else f"{praise} but {blame}"


def _negation(draw: random.Random, good: bool) -> str:
    aspect, praise, blame = draw.choice(_ASPECTS), draw.choice(_GOOD), draw.choice(_BAD)
    if good:
        return f"the {aspect} was not {blame}, it was {praise}"
    return f"the {aspect} was not {praise}, it was {blame}"


def _comparison(draw: random.Random, good: bool) -> str:
    rival, how = draw.choice(_RIVALS), draw.choice(_GOOD + _BAD)
    film_first = good == (how in _GOOD)
    if film_first:
        return f"this film is more {how} than the {rival}"
    return f"the {rival} is more {how} than this film"


def _late_turn(draw: random.Random, good: bool) -> str:
    praise, blame = draw.choice(_GOOD), draw.choice(_BAD)
    middle = draw.choice(_OPENINGS)
    if good:
        return f"at first it seemed {blame}, {middle}, and in the end it was {praise}"
    return f"at first it seemed {praise}, {middle}, and in the end it was {blame}"


def _plain(draw: random.Random, good: bool) -> str:
    words = _GOOD if good else _BAD
    return f"the {draw.choice(_ASPECTS)} was {draw.choice(words)} and {draw.choice(words)}"
