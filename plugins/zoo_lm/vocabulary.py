"""Text to token ids and back: what language models share of it. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence


class Vocabulary(ABC):
    """What language model tasks learn, by torch and by NumPy."""

    @abstractmethod
    def encode(self, text: str, where: str = "the prompt") -> list[int]:
        """Turn a text into token ids.

        Args:
            text: The text.
            where: What it is, in messages.
        """

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of texts; an empty one is the token that generation starts from.

        Args:
            texts: Any number of them.

        Raises:
            DataError: A text cannot be encoded; the message names what the vocabulary lacks.
        """
        return [self.encode(t, f"the text {t[:40]!r}") or [self.start_token()] for t in texts]

    @abstractmethod
    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn token ids into text.

        Args:
            token_ids: Any number of them.
        """

    @abstractmethod
    def start_token(self) -> int:
        """Return the token id that an empty prompt starts from."""

    @abstractmethod
    def probe_columns(self) -> list[int]:
        """Return the tokens whose logits the probe of a weights file has."""
