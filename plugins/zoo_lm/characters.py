"""The vocabulary of a character language model: text to token ids and back. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zoo.errors import DataError
from zoo_lm.vocabulary import Vocabulary

# In the probe of a weights file; larger vocabularies, such as of Chinese, are sampled.
PROBE_CHARACTERS = 200


class Characters(Vocabulary):
    """What tasks over characters learn, by torch and by NumPy.

    Attributes:
        characters: The distinct characters, sorted; the index of a character is its token id.
    """

    characters: str

    def _set_vocabulary(self, characters: str) -> None:
        self.characters = characters
        self._token_ids = {character: index for index, character in enumerate(characters)}

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": list(self.characters)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        characters = state["vocabulary"]
        if not isinstance(characters, list) or not all(
            isinstance(c, str) and len(c) == 1 for c in characters
        ):
            raise ValueError("vocabulary is not a list of characters")
        if len(set(characters)) < len(characters):
            raise ValueError("the vocabulary has a character twice")
        self._set_vocabulary("".join(characters))

    def probe_texts(self) -> list[str]:
        """Return characters from all over the vocabulary, and some of them backwards."""
        step = max(1, -(-len(self.characters) // PROBE_CHARACTERS))
        spread = self.characters[::step]
        return [spread, spread[::-1][:12], self.characters[-1:]]

    def probe_columns(self) -> list[int]:
        """Return all tokens."""
        return list(range(len(self.characters)))

    def encode(self, text: str, where: str = "the prompt") -> list[int]:
        missing = sorted({character for character in text if character not in self._token_ids})
        if missing:
            raise DataError(
                f"the vocabulary lacks {', '.join(map(repr, missing))}",
                where=where,
                why=f"it has {len(self.characters)} characters: {self.characters!r}",
                fix="leave them out",
            )
        return [self._token_ids[character] for character in text]

    def decode(self, token_ids: Iterable[int]) -> str:
        return "".join(self.characters[token_id] for token_id in token_ids)

    def start_token(self) -> int:
        return self._token_ids.get("\n", 0)
