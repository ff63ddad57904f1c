"""What the task answers."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.interfaces import TagsPrediction


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a text.

    Args:
        text: Its words, as they are written.
        type: Its type, such as PER.
        start: Where it begins, in characters of the text.
        end: Where it ends.
    """

    text: str
    type: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EntitiesPrediction(TagsPrediction):
    """The words of a text, their tags and the spans that these make.

    Args:
        words: The words.
        entities: The spans, in order.
    """

    words: tuple[str, ...]
    entities: tuple[Entity, ...]

    def columns(self) -> tuple[str, ...]:
        found = ", ".join(f"{entity.text} ({entity.type})" for entity in self.entities)
        return found or "-", f"{self.probability:.4f}"
