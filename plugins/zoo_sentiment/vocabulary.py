"""Words to numbers and vectors. This is where torchtext works for us."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import DataError

SPECIALS = ("<pad>", "<unk>")


def learn(counts: Counter[str], min_count: int, max_vocab: int) -> list[str]:
    """Return the vocabulary: ``<pad>``, ``<unk>``, then words by falling frequency.

    Args:
        counts: How often each word occurs in the training part.
        min_count: Times that a word must occur.
        max_vocab: Words to keep beside the specials; 0: all.
    """
    # Imported here: it takes a while, and whoever only predicts does without.
    from torchtext.vocab import Vocab

    vocab = Vocab(counts, max_size=max_vocab or None, min_freq=min_count, specials=list(SPECIALS))
    return list(vocab.itos)


def vectors(path: Path, vocabulary: list[str], size: int) -> Tensor:
    """Return pretrained vectors (V, size); words that the file lacks get small random ones.

    Raises:
        DataError: The file is missing, malformed, or its vectors have another size.
    """
    from torchtext.vocab import Vectors

    if not path.is_file():
        raise DataError("no file of word vectors", where=str(path), fix="check --set vectors=PATH")
    # torchtext keeps a pickle of what it read; in a folder of our own nobody else's is ever read.
    with tempfile.TemporaryDirectory() as cache:
        try:
            table = Vectors(str(path), cache=cache)
        except (ValueError, RuntimeError, UnicodeDecodeError) as error:
            raise DataError(
                "word vectors are malformed", where=str(path), why=str(error)
            ) from error
    if table.dim != size:
        raise DataError(
            f"word vectors have {table.dim} numbers",
            where=str(path),
            why=f"embed_size is {size}",
            fix=f"add --set embed_size={table.dim}",
        )
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(vocabulary), size, generator=generator) * 0.1
    for number, word in enumerate(vocabulary):
        if word in table.stoi:
            values[number] = table.vectors[table.stoi[word]]
    values[0] = 0.0
    return values
