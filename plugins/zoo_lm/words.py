"""The vocabulary of a word language model: text to token ids and back. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zoo_lm.vocabulary import Vocabulary
from zoo_text.lookup import Lookup
from zoo_text.tokens import spaced
from zoo_text.vocabulary import UNKNOWN

SPECIALS = ("<pad>", "<unk>", "<eos>")
# Follows the last word of every text.
END_OF_TEXT = 2
# Words in the probe of a weights file, and columns of the logits that are compared.
PROBE_WORDS = 64


class Words(Vocabulary):
    """What tasks over words learn, by torch and by NumPy.

    Attributes:
        words: The vocabulary in order of decreasing frequency; the index of a word is its token id.
        source: sha256 of the file that it was made of.
    """

    words: list[str]
    source: str = ""

    def _set_vocabulary(self, words: list[str]) -> None:
        self.words = words
        self._lookup = Lookup(words, UNKNOWN)

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": self.words, "source": self.source}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        words = state["vocabulary"]
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("vocabulary is not a list of words")
        if tuple(words[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"the vocabulary does not begin with {', '.join(SPECIALS)}")
        if len(set(words)) < len(words):
            raise ValueError("the vocabulary has a word twice")
        self._set_vocabulary(words)
        self.source = str(state["source"])

    def probe_texts(self) -> list[str]:
        """Return words from all over the vocabulary, some of them backwards, and unknown ones."""
        words = [self.words[n] for n in self.probe_columns()[len(SPECIALS) :]]
        return [" ".join(words), " ".join(words[::-1][:12]), "qqqqxzqq " + " ".join(words[:2])]

    def probe_columns(self) -> list[int]:
        """Return tokens from all over the vocabulary."""
        step = max(1, -(-len(self.words) // PROBE_WORDS))
        return list(range(0, len(self.words), step))

    def encode(self, text: str, where: str = "the prompt") -> list[int]:
        """Turn a text into token ids; words that the vocabulary lacks are ``<unk>``."""
        del where
        token_ids: list[int] = self._lookup.token_ids([spaced(text)])[0].tolist()
        return token_ids

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn token ids into words with a space before each; a text ends with a line."""
        return "".join(
            "\n" if token_id == END_OF_TEXT else f" {self.words[token_id]}"
            for token_id in token_ids
        )

    def start_token(self) -> int:
        return END_OF_TEXT


def adaptive_cutoffs(num_words: int) -> list[int]:
    """Return the token ids at which the clusters of the adaptive softmax begin.

    Args:
        num_words: V, the size of the vocabulary.
    """
    return [cutoff for cutoff in (2_000, 10_000, 50_000) if cutoff < num_words - 1] or [
        max(1, num_words // 2)
    ]


ADAPTIVE_DIVISOR = 2
"""How much smaller the vectors of each cluster of the adaptive softmax are."""
