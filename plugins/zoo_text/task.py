"""What the text tasks share: texts to batches, the vocabulary, the linear model, the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo import files
from zoo.data.ragged import Array, IntArray
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Metrics,
    MetricSums,
    RowNames,
    Split,
    State,
    Step,
    Task,
)
from zoo.nn import pool
from zoo_text.batches import TextBatch, TextSplit
from zoo_text.encoding import TokenEncoder
from zoo_text.linear import NGramLinear, NGramSizes, choose_sizes
from zoo_text.network import TextNetwork
from zoo_text.options import TextOptions
from zoo_text.subwords import SubwordEmbedding
from zoo_text.tables import LabeledTexts, load_table

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was learned from the training split and goes into a network before its training.

    Args:
        units: Hashes of the subword units that have a vector.
        linear: The linear model.
    """

    units: IntArray | None
    linear: NGramLinear | None


class TextTask(Task):
    """A text in, labels or a number out.

    Args:
        options: See ``zoo show text-classification``.

    Attributes:
        kind: What :func:`zoo_text.tables.load_table` calls such labels.
    """

    kind: ClassVar[str]

    def __init__(self, options: TextOptions) -> None:
        self.options = options
        self.encoder = TokenEncoder(options)
        self.sizes: NGramSizes | None = None
        self._num_ngrams: int | None = None
        self._source = ""
        self._fitted: Fitted | None = None

    # What a subclass says of its labels.

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """K, the outputs of the network."""

    @abstractmethod
    def fit_targets(self, source: LabeledTexts, train: IntArray) -> None:
        """Learn the labels from the training texts."""

    @abstractmethod
    def targets(self, source: LabeledTexts) -> Array:
        """Return what the loss compares with, one a text."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor, *, training: bool) -> Tensor:
        """Return the loss of each text (B,), of outputs (B, K)."""

    @abstractmethod
    def initial_bias(self) -> Tensor:
        """Return outputs (K,) that give each label its probability in the training."""

    @abstractmethod
    def known_labels(self) -> list[str] | None:
        """Return the labels of the training; None for numbers."""

    def scaling_classes(self, targets: Tensor) -> Tensor | None:
        """Return labels (M, C) by which features of the linear model are scaled, or None."""
        del targets
        return None

    # Data

    def load(self, path: Path | None, seed: int, *, fit: bool) -> LabeledTexts:
        """Read texts and labels, in parts."""
        if path is None:
            raise DataError("no data", fix="give a table of texts and labels with --data FILE")
        options = self.options
        if fit:
            return self.check(load_table(path, options, seed, kind=self.asked_kind), path)
        if files.digest(path) == self._source:
            options = replace(
                options,
                validation_data=_beside(path, options.validation_data),
                test_data=_beside(path, options.test_data),
            )
            return load_table(path, options, seed, kind=self.kind, names=self.known_labels())
        # Another file than that of the training: unless it has parts, all of it is tested on.
        options = replace(options, validation_data="", test_data="", text_column="",
                          label_column="")  # fmt: skip
        source = load_table(path, options, seed, kind=self.kind, names=self.known_labels())
        if source.test_is_drawn:
            source = replace(source, part=np.full_like(source.part, TEST))
        return source

    @property
    def asked_kind(self) -> str:
        """The kind of labels that the user asks for."""
        return self.kind

    def check(self, source: LabeledTexts, path: Path) -> LabeledTexts:
        """Return texts that are fit for the task.

        Raises:
            DataError: They are not.
        """
        if source.kind != self.kind:
            other = {"multilabel": "text-multilabel", "numbers": "text-regression"}.get(source.kind)
            raise DataError(
                f"the labels are not {self.kind}",
                where=str(path),
                why=f"column {source.resolved['label_column']!r} holds {source.kind}",
                fix=f"use {other}, or say what they are: --set labels={self.kind}",
            )
        return source

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read texts; the vocabulary and the linear model are fitted to the training split."""
        source = self.load(path, seed, fit=fit)
        parts = {
            name: np.flatnonzero(source.part == part)
            for name, part in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
        }
        if fit:
            self._source = files.digest(path) if path else ""
            self.fit_targets(source, parts["train"])
            tokens, types = self.encoder.fit_encode(source.texts, parts["train"])
        else:
            tokens, types = self.encoder.encode(source.texts)
        targets = self.targets(source)
        linear = self._fit_linear(source.texts, targets, parts) if fit else None
        everything = TextSplit(tokens, targets, types, source.texts, self.sizes)
        splits = {name: everything.select(rows) for name, rows in parts.items()}
        if linear is not None:
            splits["validation"] = replace(splits["validation"], linear=linear)
        return Data(
            splits={**splits, "all": everything},
            digest=source.digest,
            summary=f"{len(source.texts):,} texts of {path.name if path else 'the sample'}",
            notes=source.notes,
        )

    def _split(self, texts: Sequence[str], targets: Array) -> TextSplit:
        tokens, types = self.encoder.encode(texts)
        return TextSplit(tokens, targets, types, texts, self.sizes)

    def _fit_linear(
        self, texts: Sequence[str], targets: Array, parts: Mapping[str, IntArray]
    ) -> Tensor | None:
        """Fit the linear model; return its outputs (M, K) where it has not seen the texts.

        The validation texts are answered by a model of the training texts. The one that is kept
        learns from both.
        """
        units = self.encoder.units
        self.sizes = None
        self._num_ngrams = None
        self._fitted = Fitted(units, None)
        if not self.options.ngram_weight:
            return None
        train, validation = parts["train"], parts["validation"]
        self.sizes = choose_sizes([texts[row] for row in train])
        first = self._linear(texts, targets, train)
        held_out = self.sizes.ngrams([texts[row] for row in validation])
        outputs = torch.zeros(len(texts), self.num_outputs)
        outputs[torch.from_numpy(validation)] = first(held_out, len(validation))
        both = np.concatenate((train, validation))
        final = self._linear(texts, targets, both, start=first)
        self._num_ngrams = len(final.keys)
        self._fitted = Fitted(units, final)
        return outputs

    def _linear(
        self,
        texts: Sequence[str],
        targets: Array,
        rows: IntArray,
        start: NGramLinear | None = None,
    ) -> NGramLinear:
        assert self.sizes is not None
        chosen = torch.as_tensor(targets[rows])
        return NGramLinear.fit(
            self.sizes.ngrams([texts[row] for row in rows]),
            len(rows),
            lambda outputs: self.losses(outputs, chosen, training=False).sum(),
            self.initial_bias(),
            self.scaling_classes(chosen),
            start,
        )

    # Network

    def state_dict(self) -> dict[str, Any]:
        state = {**self.encoder.state_dict(), "source": self._source}
        if self.sizes is not None:
            state |= {"ngram_sizes": list(self.sizes), "num_ngrams": self._num_ngrams}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(state)
        self._source = state.get("source", "")
        self._fitted = None
        self.sizes = None
        if "ngram_sizes" in state:
            words, characters = state["ngram_sizes"]
            if not all(isinstance(n, int) and 0 <= n <= 8 for n in (words, characters)):
                raise ValueError("ngram_sizes are not two small numbers")
            self.sizes = NGramSizes(words, characters)
            self._num_ngrams = int(state["num_ngrams"])

    def network(self, build_model: BuildModel) -> nn.Module:
        network = TextNetwork(
            build_model, self.options, self.encoder.num_tokens, self.num_outputs,
            self._num_ngrams, calibrated=self.calibrated,
        )  # fmt: skip
        if self._fitted is not None:
            if self._fitted.units is not None:
                assert isinstance(network.embedding, SubwordEmbedding)
                network.embedding.keys.copy_(torch.from_numpy(self._fitted.units))
            if self._fitted.linear is not None:
                network.linear = self._fitted.linear
            self.initialise(network)
        if self.encoder.pretrained is not None and isinstance(network.embedding, nn.Embedding):
            network.embedding.weight.data.copy_(self.encoder.pretrained)
        return network

    @property
    def calibrated(self) -> bool:
        """Whether the network has a temperature and a threshold."""
        return False

    def initialise(self, network: TextNetwork) -> None:
        """Set the last bias, so that the training starts from the shares of the labels."""
        if self.options.tokens != "words":
            network.fc2.bias.data.copy_(self.initial_bias())

    def row_names(self, network: nn.Module) -> dict[str, RowNames]:
        """Return the words and labels that rows stand for; see :class:`zoo.interfaces.NamesRows`.

        The linear model is fitted to the new data, and takes nothing.
        """
        assert isinstance(network, TextNetwork)
        labels = self.known_labels() or []
        names = {name: RowNames(labels, by_row=False) for name in ("fc2.weight", "fc2.bias")}
        for name, _ in network.named_buffers():
            names[name] = RowNames([name, self._source], by_row=False)
        if isinstance(network.embedding, SubwordEmbedding):
            units = [*map(str, network.embedding.keys.tolist()), "unknown"]
            return names | {"embedding.weight": RowNames(units)}
        words = self.encoder.words
        if self.options.ngram_bits:
            # A bucket is a hash of token ids.
            names["ngrams.weight"] = RowNames([*words, *labels], by_row=False)
        if self.options.input == "onehot":
            # All parameters of the model depend on the vocabulary.
            of_model = [name for name, _ in network.named_parameters() if name.startswith("rnn.")]
            return names | dict.fromkeys(of_model, RowNames(words, by_row=False))
        return names | {"embedding.weight": RowNames(words)}

    # Training

    def outputs(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the outputs (B, K) of the network, and those of the linear model alone.

        In training they are those of the recurrent part: the linear model is fitted already.
        """
        assert isinstance(network, TextNetwork)
        if not isinstance(batch, TextBatch):
            return network(batch.inputs, batch.lengths)[0], None
        recurrent = network(
            batch.inputs, batch.lengths, units=batch.units, starts=batch.starts
        )[0]  # fmt: skip
        if network.training:
            return recurrent, None
        linear = network.linear_outputs(batch)
        return network.combine(recurrent, linear), linear

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        del state
        outputs, linear = self.outputs(network, batch)
        losses = self.losses(outputs, batch.targets, training=network.training)
        sums = {
            "loss": losses.detach().sum(),
            "examples": torch.tensor(float(len(batch)), device=losses.device),
        }
        if network.training:
            sums |= self.training_sums(outputs.detach(), batch.targets)
        return Step(
            losses.mean(),
            sums,
            outputs=self.in_units(outputs.detach()),
            baseline_outputs=None if linear is None else self.in_units(linear),
        )

    def in_units(self, outputs: Tensor) -> Tensor:
        """Return outputs in the unit of the targets; those of labels stay logits."""
        return outputs

    def collect(self, network: nn.Module, split: Split) -> tuple[Tensor, Tensor]:
        """Return outputs (M, K) and targets of a split, on the CPU."""
        network.eval()
        device = next(network.parameters()).device
        outputs, targets = [], []
        for batch in split.eval_batches():
            outputs.append(self.outputs(network, batch.to(device))[0].float().cpu())
            targets.append(batch.targets)
        return torch.cat(outputs), torch.cat(targets)

    def training_sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return further sums of a training batch."""
        del outputs, targets
        return {}

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return number and loss; everything else is computed by :meth:`make_metrics`."""
        examples = float(metric_sums["examples"])
        loss = float(metric_sums["loss"]) / examples
        found: Metrics = {"examples": int(examples), "loss": loss}
        found |= {
            name: float(value) / examples
            for name, value in metric_sums.items()
            if name not in ("loss", "examples")
        }
        return found

    def probe(self) -> Batch:
        """Return two texts of different lengths of common tokens."""
        tokens, types = self.encoder.probe()
        split = TextSplit(tokens, np.zeros(2, np.int64), types, ("a b c", "b"), self.sizes)
        return split.batch(np.arange(2))

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        return self.outputs(network, batch)[0]

    # Use

    @torch.inference_mode()
    def answer(
        self, network: nn.Module, texts: Sequence[str]
    ) -> tuple[Tensor, npt.NDArray[np.float64]]:
        """Return outputs (M, K) of M texts, and the share of the tokens of each that is known.

        A text of which nothing is known has the outputs of :meth:`initial_bias`.
        """
        device = next(network.parameters()).device
        split = self._split(list(texts), np.arange(len(texts)))
        outputs = torch.empty(len(texts), self.num_outputs)
        known = np.ones(len(texts))
        network.eval()
        for batch in split.eval_batches():
            batch = batch.to(device)
            assert isinstance(batch, TextBatch)
            outputs[batch.targets.cpu()] = self.outputs(network, batch)[0].float().cpu()
            known[batch.targets.cpu().numpy()] = self._known(network, batch)
        unknown = torch.from_numpy(known == 0)
        if unknown.any() and self.options.tokens != "words":
            outputs[unknown] = self.initial_bias()
        return outputs, known

    def _known(self, network: nn.Module, batch: TextBatch) -> npt.NDArray[np.float64]:
        assert isinstance(network, TextNetwork)
        known = self.encoder.known(network.embedding, batch)
        mask = torch.arange(known.shape[1], device=known.device) < batch.lengths[:, None]
        share = (known & mask).sum(1) / batch.lengths
        return share.double().cpu().numpy()

    @torch.inference_mode()
    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the pooled vector (F,) of each text, or the model's outputs (T, F).

        T is the number of tokens that are read; a text without any is one unknown token.
        """
        if not texts:
            return []
        assert isinstance(network, TextNetwork)
        device = next(network.parameters()).device
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        for batch in self._split(list(texts), np.arange(len(texts))).eval_batches():
            batch = batch.to(device)
            assert isinstance(batch, TextBatch)
            outputs, state = network.model_outputs(
                batch.inputs, batch.lengths, None, batch.units, batch.starts
            )
            if per_step:
                values = outputs.float().cpu().numpy()
                found = [values[row, :n].copy() for row, n in enumerate(batch.lengths.tolist())]
            else:
                pooled = pool(network.rnn, outputs, batch.lengths, state, self.options.pooling)
                found = list(pooled.float().cpu().numpy())
            vectors.update(zip(batch.targets.tolist(), found, strict=True))
        return [vectors[index] for index in range(len(texts))]


def _beside(data: Path, name: str) -> str:
    """Return the path of a further file; an exported model knows its name alone."""
    beside = data.parent / name
    return str(beside) if name and not Path(name).exists() and beside.exists() else name
