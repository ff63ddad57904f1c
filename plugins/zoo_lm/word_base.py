"""What tasks over words share: texts, the vocabulary, the loss of a word, the probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from zoo import files
from zoo.data.sequence import TokenSequence
from zoo.data.shards import Shards
from zoo.interfaces import Batch, BuildModel, Data, Metrics, MetricSums, RowNames
from zoo_lm.metrics import compute_metrics
from zoo_lm.options import WordOptions
from zoo_lm.sampled_softmax import SampledSoftmax
from zoo_lm.shard_corpus import load_words
from zoo_lm.token_task import TokenTask
from zoo_lm.word_corpus import load
from zoo_lm.word_network import WordPredictor
from zoo_lm.words import SPECIALS, Words
from zoo_text.shards.finding import find_shards
from zoo_text.sources import beside
from zoo_text.vocabulary import UNKNOWN

# Share of unknown words from which a model of words is of little use.
MANY_UNKNOWN = 0.25


Options = TypeVar("Options", bound=WordOptions)


class WordTask(Words, TokenTask[Options]):
    """Predicts words of texts.

    Words are those of :func:`zoo_text.tokens.tokenize`, in lower case and without punctuation, so
    that a classifier with ``tokens=words`` can start from the weights.

    Args:
        options: The task's options.

    Attributes:
        predictor: The class of the network.
    """

    unit = "word"
    predictor: ClassVar[type[WordPredictor]] = WordPredictor

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._sampler: SampledSoftmax | None = None
        self._kept: list[str] = list(SPECIALS)
        self._log_frequency: Tensor | None = None
        self._set_vocabulary(list(SPECIALS))

    def _set_vocabulary(self, words: list[str]) -> None:
        super()._set_vocabulary(words)
        # A word is followed by a space, a text by the end of a line.
        characters = [len(word) + 1 for word in words]
        characters[: len(SPECIALS)] = [0, 0, 1]
        self._characters = torch.tensor(characters)

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read texts; the vocabulary is that of the training split."""
        options = self.options
        words = None if fit else self.words
        if (shards := find_shards(path)) is not None:
            corpus = load_words(shards, options, seed, words, self._kept)
            self.source = corpus.digest if fit else self.source
        else:
            source = files.digest(path) if path else ""
            if fit:
                self.source = source
            elif source != self.source:  # Other data is evaluated by itself.
                options = replace(options, more_data="")
            elif path:
                options = replace(options, more_data=beside(path, options.more_data))
            corpus = load(path, options, seed, words, self._kept)
        if fit:
            self._set_vocabulary(corpus.words)
            frequency = np.maximum(corpus.counts, 1) / max(1, corpus.num_train)
            self._log_frequency = torch.from_numpy(np.log(frequency)).float()
            # A sample that is no smaller than the vocabulary saves nothing.
            if options.softmax == "sampled" and options.num_sampled < len(corpus.words):
                self._sampler = SampledSoftmax(corpus.counts, options.num_sampled)
        where = str(path or "Python's manual")
        whole = TokenSequence(corpus.token_ids, options.bptt_steps, options.batching)
        test = corpus.num_train + corpus.num_validation
        unknown = corpus.counts[UNKNOWN] / max(1, corpus.num_train)
        return Data(
            splits=self.make_splits(whole, corpus.num_train, test, where),
            digest=corpus.digest,
            summary=f"{corpus.num_texts:,} texts, {len(corpus.token_ids):,} words, "
            f"of {_name(path, shards)}",
            notes=self._notes(unknown),
        )

    def _notes(self, unknown: float) -> tuple[str, ...]:
        known = f"words    {len(self.words):,} in the vocabulary"
        lines = [f"{known}; {unknown:.1%} of the training text is unknown"]
        if unknown > MANY_UNKNOWN:
            lines += [
                "note     that is much: words that repeat are needed, and spaces between them;",
                "         for names, or a script without spaces, use char-lm",
            ]
        return tuple(lines)

    # Network

    def network(self, build_model: BuildModel) -> nn.Module:
        network = self.predictor(build_model, self.options, len(self.words))
        if self._log_frequency is not None and network.adaptive is None:
            # Training starts from the frequencies, which an optimizer would take long to learn.
            network.bias.data.copy_(self._log_frequency)
        return network

    def row_names(self, network: nn.Module) -> dict[str, RowNames]:
        """Return the words that rows stand for; see :class:`zoo.interfaces.NamesRows`."""
        names = {"embedding.weight": RowNames(self.words)}
        for name, _ in network.named_parameters():
            if name == "bias":
                names[name] = RowNames(self.words)
            elif name.startswith("adaptive."):  # Which words are in a cluster depends on all.
                names[name] = RowNames(self.words, by_row=False)
        return names

    def keep_rows(self, rows: Mapping[str, RowNames], shapes: Mapping[str, Sequence[int]]) -> None:
        """Keep the words of another word model; see :class:`zoo.interfaces.KeepsRows`."""
        vectors = rows.get("embedding.weight")
        if vectors is None or tuple(shapes["embedding.weight"][1:]) != (self.options.embed_size,):
            return
        if tuple(vectors.names[: len(SPECIALS)]) == SPECIALS:
            self._kept = list(vectors.names)

    # Training

    def losses(
        self, network: nn.Module, features: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the losses (B, T); in training, with softmax=sampled, estimates of them."""
        assert isinstance(network, WordPredictor)
        if network.adaptive is not None:
            rows = network.adaptive(features.flatten(0, 1), targets.flatten()).output
            return -rows.view(targets.shape), None
        if network.training and self._sampler is not None:
            assert isinstance(network.embedding, nn.Embedding)
            weight = network.embedding.weight
            return self._sampler.losses(features, weight, network.bias, targets), None
        return network.losses(features, targets), None

    def count(self, targets: Tensor) -> dict[str, Tensor]:
        """Return how many characters and unknown words targets (B, T) have."""
        characters = self._characters.to(targets.device)[targets].sum()
        return {"characters": characters, "unknown": (targets == UNKNOWN).sum()}

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the metrics of a language model, and the share of unknown words.

        Bits a character are those of all tokens over the characters of known words, one for the
        space or the end of the text included: an unknown word adds its loss and no characters.
        """
        unknown = float(metric_sums["unknown"]) / float(metric_sums["examples"])
        return {**compute_metrics(metric_sums), "unknown": unknown}

    # The probe of a weights file

    def probe(self) -> Batch:
        """Return two rows of equal length that run through the vocabulary."""
        inputs = torch.arange(24).view(2, 12) * 7 % max(len(self.words), 1)
        return Batch(inputs, torch.tensor([12, 12]), inputs)

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return logits (2, 12, ..., S) of words from all over the vocabulary."""
        logits: Tensor = network(batch.inputs, batch.lengths)[0]
        return logits[..., self.probe_columns()]


def _name(path: Path | None, shards: Shards | None) -> str:
    if shards is not None:
        return f"{len(shards.shards):,} shards ({shards.name})"
    return path.name if path else "the manual of this Python"
