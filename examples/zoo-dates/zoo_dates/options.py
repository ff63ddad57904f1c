"""The options of the date task. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class DatesOptions(zoo.Options):
    """Options of :class:`zoo_dates.task.Dates`."""

    embed_size: int = zoo.option(32, "dimensions of the character embeddings", minimum=1)
