"""Sentences to numbers: the vocabulary, the features of words, and the tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo_crf.conll import Sentence
from zoo_crf.options import NEROptions
from zoo_crf.spans import spans_of, tag_set, tags_of
from zoo_crf.words import hash_features

PAD, UNKNOWN = 0, 1


class Encoder:
    """Words and tags to numbers, after :meth:`fit` or :meth:`load_state_dict`.

    Args:
        options: The task's options.

    Attributes:
        words: The vocabulary by token id.
        types: The types of spans.
        tags: The tags by tag id; the first one is O.
    """

    def __init__(self, options: NEROptions) -> None:
        self.options = options
        self._set([], [])

    def _set(self, words: list[str], types: list[str]) -> None:
        self.words, self.types = words, types
        self.tags = tag_set(types, self.options.scheme)
        self._token_ids = {word: token_id for token_id, word in enumerate(words)}
        self._tag_ids = {tag: tag_id for tag_id, tag in enumerate(self.tags)}

    def fit(self, sentences: Iterable[Sentence], types: Iterable[str]) -> None:
        """Take the words of sentences as the vocabulary."""
        words = {word for sentence in sentences for word in sentence.words}
        self._set(["<pad>", "<unk>", *sorted(words)], sorted(types))

    def encode(
        self, words: Sequence[str], known: dict[str, list[int]] | None = None
    ) -> list[list[int]]:
        """Return the token id and the features of each word, (T, 1 + F).

        Args:
            words: T words.
            known: What was returned before, by word; new words are added.
        """
        known = {} if known is None else known
        for word in words:
            if word not in known:
                token_id = self._token_ids.get(word, UNKNOWN)
                known[word] = [token_id, *hash_features(word, self.options.buckets)]
        return [known[word] for word in words]

    def tag_ids(self, sentence: Sentence) -> list[int]:
        """Return the tag ids (T,) of a sentence, in the scheme that the network predicts."""
        tags = tags_of(spans_of(sentence.tags), len(sentence.tags), self.options.scheme)
        return [self._tag_ids[tag] for tag in tags]

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned, as JSON values."""
        return {"vocabulary": self.words, "types": self.types}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state_dict` returned.

        Raises:
            ValueError: The values are of another form.
        """
        for name in ("vocabulary", "types"):
            texts = state[name]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} is not a list of strings")
        self._set(state["vocabulary"], state["types"])
