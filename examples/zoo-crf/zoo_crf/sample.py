"""Made-up news in which the same names are those of people, places and organizations.

'Madison' is a person in 'Madison was born in Austin', a city in 'in Madison' and a team in
'Madison beat Lincoln 3 - 1'. In headlines nothing decides: 'Charlotte Douglas wins' is about a
person, a place, an organization, or about Douglas in Charlotte. The best guess for each word by
itself is then not the best guess for both. A third of the names elsewhere are made of syllables, so
that many of those in the test split are unknown.
"""

from __future__ import annotations

import random

from zoo_crf.conll import Sentence
from zoo_crf.spans import Span, tags_of

SENTENCES = 3000
SEED = 15
TYPES = ("LOC", "ORG", "PER")

# First names, family names, places and firms at once.
_ANY = (
    "Madison", "Charlotte", "Douglas", "Morgan", "Stanley", "Lincoln", "Jackson", "Austin",
    "Houston", "Victoria", "Sydney", "Florence", "Chelsea", "Georgia", "Virginia", "Jordan",
    "Carolina", "Alexandria", "Hamilton", "Wellington", "Chester", "Lancaster", "Nelson", "Salem",
)  # fmt: skip
_FIRST = ("Anna", "Peter", "Maria", "John", "Laura", "David", "Irina", "Ahmed", "Mei", "Carlos")
_SYLLABLES = ("ba", "den", "kor", "la", "mir", "no", "ra", "sel", "ta", "vin", "wes", "zu")
_FAMILY_ENDS = ("son", "ski", "ez", "mann", "ini", "er")
_PLACE_ENDS = ("ton", "ville", "burg", "ford", "ia", "er")
_FIRM_ENDS = ("corp", "tek", "sys", "soft", "ia", "er")
_BEFORE_PLACES = ("New", "North", "Port", "San")
_AFTER_PLACES = ("Springs", "Falls", "Bay", "Valley")
_AFTER_FIRMS = ("Group", "Bank", "Motors", "United", "Airlines", "Times")
_TITLES = ("Mr", "Mrs", "Dr", "President", "coach")
_DIGITS = "0123456789"
_DAYS = ("Monday", "Tuesday", "Friday", "Sunday")

# What two names in a headline stand for, and how often.
_HEADLINES = {("PER",): 6, ("LOC", "PER"): 3, ("LOC",): 4, ("ORG",): 4}

# Where a sentence says what a name stands for, and where it does not.
_TEMPLATES = (
    "PER was born in LOC .",
    "PER lives in LOC and works for ORG .",
    "PER , a lawyer from LOC , met PER on DAY .",
    "In LOC PER met PER .",
    "On DAY PER told ORG to leave LOC .",
    "ORG beat ORG NUMBER - NUMBER in LOC on DAY .",
    "ORG opened an office in LOC .",
    "Shares of ORG fell NUMBER percent after PER left .",
    "ORG hired PER from ORG .",
    "TITLE PER flew from LOC to LOC .",
    "It rained in LOC , LOC and LOC on DAY .",
    "ANY was mentioned by ANY .",
    "For ANY it was the end , said PER .",
    "HEADLINE wins",
    "HEADLINE in the news on DAY",
    "HEADLINE , HEADLINE ahead",
    "HEADLINE : no comment",
    "Report : HEADLINE",
    "HEADLINE to end HEADLINE talks",
)  # fmt: skip


def sample(seed: int = SEED) -> str:
    """Return the sample in CoNLL format; with another seed, further sentences of the kind."""
    draw = random.Random(seed)
    # Without duplicates, which could be both in the training and in the test split.
    sentences = dict.fromkeys(_sentence(draw) for _ in range(SENTENCES))
    return "\n".join(
        "".join(f"{word} {tag}\n" for word, tag in zip(*sentence, strict=True))
        for sentence in sentences
    )


def _sentence(draw: random.Random) -> Sentence:
    words: list[str] = []
    spans: list[Span] = []
    for word in draw.choice(_TEMPLATES).split():
        if word == "HEADLINE":
            (kinds,) = draw.choices(list(_HEADLINES), list(_HEADLINES.values()))
            names = [(kind, _any(draw, 2 // len(kinds))) for kind in kinds]
        else:
            kind = draw.choice(TYPES) if word == "ANY" else word
            names = [(kind, _name(draw, kind))]
        for kind, name in names:
            if kind in TYPES:
                spans.append(Span(kind, len(words), len(words) + len(name)))
            words += name
    return Sentence(tuple(words), tuple(tags_of(spans, len(words), "bio")))


def _any(draw: random.Random, count: int) -> list[str]:
    return [draw.choice(_ANY) for _ in range(count)]


def _name(draw: random.Random, kind: str) -> list[str]:
    """Return the words of a name of a type, or what stands at a place of a template."""
    if kind == "PER":
        family = _word(draw, _FAMILY_ENDS)
        return draw.choice(([family], [draw.choice(_FIRST + _ANY), family]))
    if kind == "LOC":
        place = _word(draw, _PLACE_ENDS)
        return draw.choice(
            (
                [place],
                [place],
                [draw.choice(_BEFORE_PLACES), place],
                [place, draw.choice(_AFTER_PLACES)],
            )
        )
    if kind != "ORG":
        words = {"NUMBER": _DIGITS, "DAY": _DAYS, "TITLE": _TITLES}.get(kind, (kind,))
        return [draw.choice(words)]
    firm = _word(draw, _FIRM_ENDS)
    return draw.choice(
        (
            [firm],
            [firm, _word(draw, _FAMILY_ENDS)],
            [firm, draw.choice(_AFTER_FIRMS)],
            ["University", "of", _word(draw, _PLACE_ENDS)],
        )
    )


def _word(draw: random.Random, ends: tuple[str, ...]) -> str:
    if draw.random() < 0.67:
        return draw.choice(_ANY)
    return (draw.choice(_SYLLABLES) + draw.choice(_SYLLABLES) + draw.choice(ends)).capitalize()
