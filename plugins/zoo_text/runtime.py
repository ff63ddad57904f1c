"""The text tasks by NumPy: they predict and embed without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.arrays import softmax
from zoo.interfaces import Array, BuildRuntimeModel, Tensors
from zoo_text.encoding import TokenEncoder
from zoo_text.learned import Scale, read_labels, read_scale, read_sizes, scaling_in_words
from zoo_text.ngram_sizes import NGramSizes
from zoo_text.options import ClassificationOptions, TextOptions
from zoo_text.predictions import (
    TextLabelPrediction,
    TextLabelsPrediction,
    TextValuePrediction,
    not_finite,
    of_label_sets,
    of_labels,
    of_numbers,
)
from zoo_text.probing import probe_answers, probe_texts
from zoo_text.runtime_network import RuntimeNetwork, TextArrays
from zoo_text.subwords import Types


class TextTask(ABC):
    """A text in, labels or a number out; see :class:`zoo_text.task.TextTask`.

    Args:
        options: Those of the torch task.
    """

    known_options: Collection[str] = {
        "tokens", "max_tokens", "truncation", "input", "embed_size", "pooling", "fc_size",
        "ngram_weight", "ngram_bits", "calibration", "threshold",
        # Of the data:
        "text_column", "label_column", "encoding", "delimiter", "quote", "header",
        "validation_data", "test_data", "more_data", "validation_size", "test_size",
        "duplicates", "labels", "split",
        # In training alone:
        "max_units", "min_count", "max_vocab", "vectors", "embed_std", "word_dropout",
        "embed_dropout", "dropout", "class_weight", "label_smoothing", "adversarial",
        "encoder_learning_rate", "unfreeze_every",
    }  # fmt: skip

    def __init__(self, options: TextOptions) -> None:
        self.options = options
        self.encoder = TokenEncoder(options)
        self.sizes: NGramSizes | None = None
        self._num_ngrams: int | None = None

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """K, the outputs of the network."""

    @property
    def calibrated(self) -> bool:
        """Whether the network has a temperature and a threshold."""
        return False

    @abstractmethod
    def known_labels(self) -> list[str] | None:
        """Return the labels of the training; None for numbers."""

    @abstractmethod
    def answers(self, network: RuntimeNetwork, outputs: Array) -> list[str]:
        """Return what outputs (M, K) say, as text."""

    @abstractmethod
    def initial_bias(self) -> Array:
        """Return outputs (K,) that give each label its probability in the training."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what the torch task learned."""
        self.encoder.load_state_dict(state)
        self.sizes, self._num_ngrams = read_sizes(state)

    def network(self, build_model: BuildRuntimeModel, tensors: Tensors) -> RuntimeNetwork:
        """Return the network; see :class:`zoo.interfaces.RuntimeTask`."""
        return RuntimeNetwork(
            build_model, self.options, tensors, self.encoder.num_tokens, self.num_outputs,
            self.sizes, self._num_ngrams, calibrated=self.calibrated,
        )  # fmt: skip

    def probe_outputs(self, network: RuntimeNetwork, batch: Mapping[str, Array]) -> Array:
        """Return the outputs (B, K) of the stored batch."""
        types = Types(batch["units"], batch["starts"]) if "units" in batch else None
        ngrams = None
        if "ngram_keys" in batch:
            ngrams = batch["ngram_keys"], batch["ngram_counts"], batch["ngram_segments"]
        arrays = TextArrays(batch["inputs"], batch["lengths"], types, (), ngrams)
        return network.outputs(arrays, self.initial_bias())

    def probe_answers(self, network: RuntimeNetwork, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        outputs, _ = self.answer(network, texts)
        return probe_answers(
            self.encoder, self.known_labels(), texts, outputs.tolist(),
            self.answers(network, outputs),
        )  # fmt: skip

    def probe_texts(self) -> Sequence[str]:
        """Return fixed texts; see :class:`zoo.interfaces.ProbesTexts`."""
        return probe_texts(self.options, self.encoder.words)

    def answer(self, network: RuntimeNetwork, texts: Sequence[str]) -> tuple[Array, Array]:
        """Return outputs (M, K) of M texts, and the share of the tokens of each that is known (M,).

        Raises:
            WeightsError: An output is not finite.
        """
        outputs = np.empty((len(texts), self.num_outputs), np.float32)
        known = np.ones(len(texts))
        for rows, batch in self._batches(texts):
            outputs[rows] = network.outputs(batch, self.initial_bias())
            known[rows] = network.known(batch)
        if not np.isfinite(outputs).all():
            raise not_finite()
        return outputs, known

    def embed(
        self, network: RuntimeNetwork, texts: Sequence[str], *, per_step: bool
    ) -> list[Array]:
        """Return vectors of texts; see :class:`zoo.interfaces.Embeds`."""
        vectors: list[Array] = [np.empty(0)] * len(texts)
        for rows, batch in self._batches(texts):
            outputs, state = network.model_outputs(batch)
            if per_step:
                found = [outputs[i, :length].copy() for i, length in enumerate(batch.lengths)]
            else:
                found = list(network.pool(outputs, batch.lengths, state))
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[Array, TextArrays]]:
        """Yield texts in batches, and which they are."""
        if not texts:
            return
        tokens, types = self.encoder.encode(texts)
        for chosen in tokens.eval_batches().plan:
            token_ids, lengths, rows = tokens.padded(chosen)
            some = None
            if types is not None:
                token_ids, some = types.distinct(token_ids)
            read = [texts[row] for row in rows] if self.sizes is not None else ()
            yield rows, TextArrays(token_ids, lengths, some, read)


class LabelTask(TextTask):
    """One or several labels of a text; see :class:`zoo_text.labels.LabelTask`."""

    options: ClassificationOptions
    several = False

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.labels, self.shares = read_labels(state, several=self.several)

    def known_labels(self) -> list[str]:
        return self.labels


class TextClassification(LabelTask):
    """One label of a text; see :class:`zoo_text.classification.TextClassification`."""

    @property
    def num_outputs(self) -> int:
        return 1 if len(self.labels) == 2 else len(self.labels)

    @property
    def calibrated(self) -> bool:
        return self.options.calibration != "none" or self.options.threshold != "half"

    def initial_bias(self) -> Array:
        logits = np.log(np.array(self.shares or [1.0] * len(self.labels), np.float32))
        return logits[1:] - logits[:1] if self.num_outputs == 1 else logits

    def answers(self, network: RuntimeNetwork, outputs: Array) -> list[str]:
        best = _all_logits(outputs).argmax(1)
        if len(self.labels) == 2 and network.threshold != 0.5:
            best = (softmax(_all_logits(outputs))[:, 1] > network.threshold).astype(int)
        return [self.labels[label] for label in best.tolist()]

    def predict(self, network: RuntimeNetwork, texts: Sequence[str]) -> list[TextLabelPrediction]:
        """Return the label of each text, and the probability of every label."""
        outputs, known = self.answer(network, texts)
        probabilities = softmax(_all_logits(outputs)).tolist()
        return of_labels(texts, self.labels, self.answers(network, outputs), probabilities, known)


class TextMultilabel(LabelTask):
    """Any number of labels of a text; see :class:`zoo_text.multilabel.TextMultilabel`."""

    several = True

    @property
    def num_outputs(self) -> int:
        return len(self.labels)

    @property
    def calibrated(self) -> bool:
        return True

    def initial_bias(self) -> Array:
        shares = np.array(self.shares, np.float32)
        bias: Array = np.log(shares / (1 - shares))
        return bias

    def answers(self, network: RuntimeNetwork, outputs: Array) -> list[str]:
        chosen = _sigmoid(outputs) > network.threshold
        return ["|".join(np.array(self.labels, object)[row]) for row in chosen]

    def predict(self, network: RuntimeNetwork, texts: Sequence[str]) -> list[TextLabelsPrediction]:
        """Return the labels of each text, and the probability of every label."""
        outputs, known = self.answer(network, texts)
        scores = _sigmoid(outputs).tolist()
        return of_label_sets(texts, self.labels, scores, network.threshold, known)


class TextRegression(TextTask):
    """A number for a text; see :class:`zoo_text.regression.TextRegression`."""

    num_outputs = 1

    def known_labels(self) -> None:
        return None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.scale: Scale = read_scale(state)

    def initial_bias(self) -> Array:
        return np.zeros(1, np.float32)

    def answers(self, network: RuntimeNetwork, outputs: Array) -> list[str]:
        del network
        return [scaling_in_words(*self.scale)] * len(outputs)

    def predict(self, network: RuntimeNetwork, texts: Sequence[str]) -> list[TextValuePrediction]:
        """Return a number for each text."""
        outputs, known = self.answer(network, texts)
        values = outputs[:, 0].astype(np.float64) * self.scale.deviation + self.scale.mean
        return of_numbers(texts, values.tolist(), known)


def _all_logits(logits: Array) -> Array:
    """Return logits (N, K) of every label; logits (N, 1) are those of the second of two."""
    return np.concatenate((np.zeros_like(logits), logits), 1) if logits.shape[1] == 1 else logits


def _sigmoid(values: Array) -> Array:
    with np.errstate(over="ignore"):
        found: Array = 1 / (1 + np.exp(-values))
    return found
