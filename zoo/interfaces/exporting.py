"""What an exporter returns; see :class:`zoo.ExporterInfo`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A trained network in another format. zoo writes it, so that it is there whole or not at all.

    Args:
        content: The bytes of the file.
        note: A line for the user on how it was checked.
    """

    content: bytes
    note: str
