"""The vocabulary and pretrained word vectors, by torchtext."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import DataError

SPECIALS = ("<pad>", "<unk>")
PAD, UNKNOWN = 0, 1


def build_vocabulary(
    counts: Counter[str], min_count: int, max_vocab: int, specials: Sequence[str] = SPECIALS
) -> list[str]:
    """Return the vocabulary: special tokens, then words by decreasing frequency.

    Args:
        counts: How often each word occurs in the training split.
        min_count: Occurrences that a word needs.
        max_vocab: Largest number of words, special tokens not counted; 0: all.
        specials: Tokens that stand for no word.
    """
    # Imported here: it takes a while, and predictions do not need it.
    from torchtext.vocab import Vocab

    vocab = Vocab(counts, max_size=max_vocab or None, min_freq=min_count, specials=list(specials))
    return list(vocab.itos)


def load_vectors(path: Path, vocabulary: list[str], size: int) -> Tensor:
    """Return pretrained vectors (V, size).

    Words that the file lacks have random ones, of standard deviation 0.1; that of ``<pad>`` is 0.

    Args:
        path: A text file: on each line a word and the elements of its vector.
        vocabulary: V words.
        size: Dimensions of a vector.

    Raises:
        DataError: The file is missing, malformed, or its vectors have another size.
    """
    from torchtext.vocab import Vectors

    if not path.is_file():
        raise DataError("no file of word vectors", where=str(path), fix="check --set vectors=PATH")
    # torchtext caches what it read as a pickle; in a private folder no pickle is ever loaded.
    with tempfile.TemporaryDirectory() as cache:
        try:
            table = Vectors(str(path), cache=cache)
        except (ValueError, RuntimeError, UnicodeDecodeError) as error:
            raise DataError(
                "word vectors are malformed", where=str(path), why=str(error)
            ) from error
    if table.dim != size:
        raise DataError(
            f"word vectors have {table.dim} dimensions",
            where=str(path),
            why=f"embed_size is {size}",
            fix=f"add --set embed_size={table.dim}",
        )
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(vocabulary), size, generator=generator) * 0.1
    for token_id, word in enumerate(vocabulary):
        if word in table.stoi:
            values[token_id] = table.vectors[table.stoi[word]]
    values[PAD] = 0.0
    return values
