"""What the rows of a network's parameters stand for, for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.interfaces import RowNames
from zoo_text.embedding import SubwordEmbedding
from zoo_text.network import TextNetwork


def row_names(
    network: TextNetwork, words: Sequence[str], labels: Sequence[str], source: str
) -> dict[str, RowNames]:
    """Return names of rows by parameter; see :class:`zoo.interfaces.NamesRows`.

    The linear model is fitted to the new data, and takes nothing.

    Args:
        network: The network.
        words: Its vocabulary, with tokens=words.
        labels: Its labels; none for numbers.
        source: Digest of the data that buffers were fitted to.
    """
    names = {name: RowNames(labels, by_row=False) for name in ("fc2.weight", "fc2.bias")}
    for name, _ in network.named_buffers():
        names[name] = RowNames([name, source], by_row=False)
    if isinstance(network.embedding, SubwordEmbedding):
        units = [*map(str, network.embedding.keys.tolist()), "unknown"]
        return names | {"embedding.weight": RowNames(units)}
    if network.options.ngram_bits:
        # A bucket is a hash of token ids.
        names["ngrams.weight"] = RowNames([*words, *labels], by_row=False)
    if network.options.input == "onehot":
        # All parameters of the model depend on the vocabulary.
        of_model = [name for name, _ in network.named_parameters() if name.startswith("rnn.")]
        return names | dict.fromkeys(of_model, RowNames(words, by_row=False))
    return names | {"embedding.weight": RowNames(words)}
