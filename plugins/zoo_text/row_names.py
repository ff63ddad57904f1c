"""What the rows of a network's parameters stand for, for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.interfaces import RowNames
from zoo_text.embedding import SubwordEmbedding
from zoo_text.network import TextNetwork
from zoo_text.vocabulary import SPECIALS


def row_names(
    network: TextNetwork, words: Sequence[str], num_kept: int, labels: Sequence[str], source: str
) -> dict[str, RowNames]:
    """Return names of rows by parameter; see :class:`zoo.interfaces.NamesRows`.

    The linear model is fitted to the new data, and takes nothing.

    Args:
        network: The network.
        words: Its vocabulary, with tokens=words.
        num_kept: How many of these are words of the weights that it starts from; 0: none.
        labels: Its labels; none for numbers.
        source: Digest of the data that buffers were fitted to.
    """
    names = {name: RowNames(labels, by_row=False) for name in ("fc2.weight", "fc2.bias")}
    for name, _ in network.named_buffers():
        names[name] = RowNames([name, source], by_row=False)
    if isinstance(network.embedding, SubwordEmbedding):
        units = [*map(str, network.embedding.keys.tolist()), _unknown(network.options.tokens)]
        return names | {"embedding.weight": RowNames(units, match_norm=True)}
    if network.options.ngram_bits:
        # A bucket is a hash of token ids, and further words leave those that are kept as they are.
        names["ngrams.weight"] = RowNames([*words[: num_kept or None], *labels], by_row=False)
    if network.options.input == "onehot":
        # All parameters of the model depend on the vocabulary.
        of_model = [name for name, _ in network.named_parameters() if name.startswith("rnn.")]
        return names | dict.fromkeys(of_model, RowNames(words, by_row=False))
    return names | {"embedding.weight": RowNames(words, match_norm=True)}


def kept_names(names: Sequence[str], tokens: str) -> list[str]:
    """Return what can be kept of the names of an embedding's rows in another network.

    Args:
        names: Those that the other task has given.
        tokens: What is learned: words, subwords or characters.

    Returns:
        A vocabulary of words, or hashes of units; nothing where they are of another kind.
    """
    if tokens == "words":
        return list(names) if tuple(names[: len(SPECIALS)]) == SPECIALS else []
    return list(names[:-1]) if tuple(names[-1:]) == (_unknown(tokens),) else []


def _unknown(tokens: str) -> str:
    """Return the name of the last row, which says of what kind the others are."""
    return f"unknown {tokens}"
