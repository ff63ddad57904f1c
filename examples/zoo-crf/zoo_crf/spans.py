"""Spans of words and the tags that stand for them, in the schemes BIO and BIOES.

``B-PER`` begins a span of type PER, ``I-PER`` continues it, ``E-PER`` is its last word and
``S-PER`` its only one; ``O`` is outside of all spans. BIO has no E and S.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

OUTSIDE = "O"


class Span(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) of a sentence, and their type."""

    type: str
    start: int
    end: int


class Allowed(NamedTuple):
    """Which tags may follow one another, for K tags.

    Args:
        start: (K,) whether a sentence may begin with a tag.
        transitions: (K, K) whether the tag of a row may be followed by that of a column.
        end: (K,) whether a sentence may end with a tag.
    """

    start: list[bool]
    transitions: list[list[bool]]
    end: list[bool]


def tag_set(types: Iterable[str], scheme: str) -> list[str]:
    """Return all tags of some types; the first one is O.

    Args:
        types: The types.
        scheme: ``bio`` or ``bioes``.
    """
    prefixes = scheme.upper().replace(OUTSIDE, "")
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in prefixes)]


def tags_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Return the tags of a sentence of ``length`` words; the spans do not overlap."""
    tags = [OUTSIDE] * length
    for kind, start, end in spans:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        if scheme == "bioes":
            tags[end - 1] = f"S-{kind}" if end - start == 1 else f"E-{kind}"
    return tags


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the spans of any sequence of tags, also of one that the schemes forbid."""
    return list(_spans_of(tags))


def _spans_of(tags: Sequence[str]) -> Iterator[Span]:
    start, previous = 0, OUTSIDE
    for step, tag in enumerate([*tags, OUTSIDE]):
        starts = begins_span(previous, tag)
        if previous != OUTSIDE and (starts or tag == OUTSIDE):
            yield Span(_split(previous)[1], start, step)
        if starts:
            start = step
        previous = tag


def begins_span(previous: str, tag: str) -> bool:
    """Return whether a span begins at a tag, by the rule of conlleval, which takes any sequence.

    It does at B and S, after E and S, after O, and where the type changes: ``O I-PER I-LOC`` has
    two spans.
    """
    (before, kind_before), (prefix, kind) = _split(previous), _split(tag)
    return tag != OUTSIDE and (prefix in "BS" or before in "OES" or kind_before != kind)


def can_follow(previous: str, tag: str, scheme: str) -> bool:
    """Return whether a scheme allows a tag after another one; O stands for either end, too."""
    (before, kind_before), (prefix, kind) = _split(previous), _split(tag)
    is_open, continues = before in "BI", prefix in "IE"
    if scheme == "bio":
        return not continues or (is_open and kind_before == kind)
    # A span that was begun has to be ended.
    return continues == is_open and (not continues or kind_before == kind)


def allowed(tags: Sequence[str], scheme: str) -> Allowed:
    """Return which tags may follow one another."""
    return Allowed(
        start=[can_follow(OUTSIDE, tag, scheme) for tag in tags],
        transitions=[[can_follow(previous, tag, scheme) for tag in tags] for previous in tags],
        end=[can_follow(tag, OUTSIDE, scheme) for tag in tags],
    )


def _split(tag: str) -> tuple[str, str]:
    prefix, _, kind = tag.partition("-")
    return prefix, kind
