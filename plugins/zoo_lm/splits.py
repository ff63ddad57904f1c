"""The splits of one long sequence of tokens."""

from __future__ import annotations

from zoo.data.sequence import TokenSequence
from zoo.errors import DataError
from zoo.interfaces import Split


def make_splits(
    whole: TokenSequence, validation: int, test: int, where: str, unit: str
) -> dict[str, Split]:
    """Return the splits of a sequence: train, validation, test and all.

    Args:
        whole: The sequence.
        validation: Where the validation split begins.
        test: Where the test split begins.
        where: The source, for messages.
        unit: What a token is, for messages.

    Raises:
        DataError: One has fewer than two tokens to predict.
    """
    length = len(whole.token_ids)
    splits = {
        "train": whole.slice(0, validation),
        "validation": whole.slice(validation, test),
        "test": whole.slice(test, length),
        "all": whole,
    }
    for name, split in splits.items():
        if split.num_examples < 2:
            raise DataError(
                f"{name} split has {split.num_examples + 1} {unit}s",
                where=where,
                why=f"the text has {length}",
                fix="give a longer text",
            )
    return {**splits}
