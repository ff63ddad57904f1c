"""Which sentences are for training, validation and test: those of files, or shares of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data.ragged import IntArray
from zoo.errors import DataError
from zoo.files import digest, digest_text
from zoo_crf.conll import Sentence, parse, read
from zoo_crf.options import NEROptions
from zoo_crf.sample import sample


class Source(NamedTuple):
    """Sentences of all parts.

    Args:
        sentences: The sentences.
        parts: Their numbers, by the name of the part.
        digest: sha256 of all files.
        main_digest: sha256 of the file of the training data.
    """

    sentences: list[Sentence]
    parts: Mapping[str, IntArray]
    digest: str
    main_digest: str


def load(path: Path | None, options: NEROptions, seed: int, trained_on: str = "") -> Source:
    """Read the sentences of a file and of those that the options name.

    Args:
        path: The file; None: the sample.
        options: What has a file of its own, and the shares of what has none.
        seed: By which shares are drawn.
        trained_on: ``main_digest`` of the training. Of another file all sentences are for the test.

    Raises:
        DataError: A file cannot be read or is malformed; there are too few sentences.
    """
    if path is None:
        text = sample()
        sentences, main = list(parse(text, "the sample")), digest_text(text)
    else:
        sentences, main = read(path), digest(path)
    if not sentences:
        raise DataError("no sentences", where=str(path))
    if trained_on and trained_on != main:
        nothing, everything = np.arange(0), np.arange(len(sentences))
        parts = {"train": nothing, "validation": nothing, "test": everything}
        return Source(sentences, parts, main, main)

    rest = np.random.default_rng(seed).permutation(len(sentences))
    drawn, digests, parts = len(sentences), [main], {}
    for name, size in (("validation", options.validation_size), ("test", options.test_size)):
        if file := getattr(options, f"{name}_data"):
            further = _beside(path, file)
            found = read(further)
            parts[name] = np.arange(len(found)) + len(sentences)
            sentences += found
            digests.append(digest(further))
        else:
            count = round(size * drawn)
            parts[name], rest = rest[:count], rest[count:]
    parts = {"train": rest, **parts}
    if not len(rest) or not len(parts["validation"]):
        raise DataError(f"{len(sentences)} sentences are too few", where=str(path or "the sample"))
    whole = main if len(digests) == 1 else digest_text("\n".join(digests))
    return Source(sentences, parts, whole, main)


def _beside(data: Path | None, name: str) -> Path:
    """Return the path of a further file; an exported model knows its name alone."""
    path = Path(name)
    return data.parent / name if data is not None and not path.exists() else path
