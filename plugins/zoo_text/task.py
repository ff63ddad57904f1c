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
from zoo.errors import DataError, listed
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
from zoo_text.batches import HeldOut, TextBatch, TextSplit
from zoo_text.encoding import TokenEncoder
from zoo_text.linear import NGramLinear, NGramSizes, choose_sizes, sample_rows
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
    def losses(
        self, outputs: Tensor, targets: Tensor, *, weighted: bool, smoothing: float = 0.0
    ) -> Tensor:
        """Return the loss of each text (B,).

        Args:
            outputs: (B, K).
            targets: What :meth:`targets` returned of the texts.
            weighted: Whether rare labels count more, if the options say so.
            smoothing: Share of a target that is spread over all labels.
        """

    @abstractmethod
    def initial_bias(self) -> Tensor:
        """Return outputs (K,) that give each label its probability in the training."""

    @abstractmethod
    def known_labels(self) -> list[str] | None:
        """Return the labels of the training; None for numbers."""

    @property
    def smoothing(self) -> float:
        """Share of a target that is spread over all labels in training."""
        return 0.0

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
            return self.check(self.read(path, options, seed, kind=self.asked_kind), path)
        if self._is_source(path):
            options = replace(
                options,
                validation_data=_beside(path, options.validation_data),
                test_data=_beside(path, options.test_data),
            )
            return self.read(path, options, seed, kind=self.kind, names=self.known_labels())
        # Another file than that of the training, perhaps of another form. Unless it has parts, all
        # of it is tested on.
        options = replace(
            options, validation_data="", test_data="", encoding="", delimiter="", quote="",
            header="auto",
        )  # fmt: skip
        source = self.read(
            path, options, seed, kind=self.kind, names=self.known_labels(),
            columns_may_differ=True,
        )  # fmt: skip
        if source.test_is_drawn:
            source = replace(source, part=np.full_like(source.part, TEST))
        return source

    def read(self, path: Path, options: TextOptions, seed: int, **how: Any) -> LabeledTexts:
        """Read a table; ``how`` is as for :func:`zoo_text.tables.load_table`."""
        return load_table(path, options, seed, **how)

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
        held_out = None
        if fit:
            held_out = self._fit_linear(source.texts, targets, parts)
        elif self.sizes and self._is_source(path):
            held_out = self._held_out(source.texts, targets, parts)
        everything = TextSplit(tokens, targets, types, source.texts, self.sizes)
        splits = {name: everything.select(rows) for name, rows in parts.items()}
        splits["validation"] = replace(splits["validation"], held_out=held_out)
        return Data(
            splits={**splits, "all": everything},
            digest=source.digest,
            summary=f"{len(source.texts):,} texts of {path.name if path else 'the sample'}",
            notes=source.notes,
        )

    def _is_source(self, path: Path | None) -> bool:
        """Return whether data is that of the training."""
        return (files.digest(path) if path else "") == self._source

    def _split(self, texts: Sequence[str], targets: Array) -> TextSplit:
        tokens, types = self.encoder.encode(texts)
        return TextSplit(tokens, targets, types, texts, self.sizes)

    def _fit_linear(
        self, texts: Sequence[str], targets: Array, parts: Mapping[str, IntArray]
    ) -> HeldOut | None:
        """Fit the linear model; return its outputs for the validation texts.

        These are answered by a model of the training texts. The one that is kept learns from both.
        """
        self.sizes, self._num_ngrams = None, None
        self._fitted = Fitted(self.encoder.units, None)
        if not self.options.ngram_weight:
            return None
        train, validation = parts["train"], parts["validation"]
        self.sizes = choose_sizes([texts[row] for row in train])
        first = self._linear(texts, targets, train)
        outputs = first(self.sizes.ngrams([texts[row] for row in validation]), len(validation))
        both: IntArray = np.concatenate((train, validation))
        final = self._linear(texts, targets, both, start=first)
        self._num_ngrams = len(final.keys)
        self._fitted = Fitted(self.encoder.units, final)
        return HeldOut(validation, lambda: outputs)

    def _held_out(
        self, texts: Sequence[str], targets: Array, parts: Mapping[str, IntArray]
    ) -> HeldOut:
        """Return what a linear model of the training texts alone says of the validation texts.

        It is fitted when the validation split is evaluated: the network's own has seen its texts.
        """
        sizes, validation = self.sizes, parts["validation"]
        assert sizes is not None

        def compute() -> Tensor:
            with torch.inference_mode(mode=False):
                model = self._linear(texts, targets, parts["train"])
                ngrams = sizes.ngrams([texts[row] for row in validation])
                outputs: Tensor = model(ngrams, len(validation))
                return outputs

        return HeldOut(validation, compute)

    def _linear(
        self,
        texts: Sequence[str],
        targets: Array,
        rows: IntArray,
        start: NGramLinear | None = None,
    ) -> NGramLinear:
        assert self.sizes is not None
        rows = sample_rows(texts, rows.astype(np.int64), self.sizes)
        chosen = torch.as_tensor(targets[rows])
        return NGramLinear.fit(
            self.sizes.ngrams([texts[row] for row in rows]),
            len(rows),
            lambda outputs: self.losses(outputs, chosen, weighted=True).sum(),
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

        In training they are those of the recurrent part: the linear model is fitted already. A
        text of which nothing is known is answered by :meth:`initial_bias`.
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
        outputs = network.combine(recurrent, linear)
        if batch.units is not None:
            known = self._known(network, batch)[:, None] > 0
            outputs = outputs.where(known, self.initial_bias().to(outputs))
        return outputs, linear

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        del state
        outputs, linear = self.outputs(network, batch)
        training = network.training
        losses = self.losses(
            outputs, batch.targets, weighted=training, smoothing=self.smoothing if training else 0.0
        )
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

    def collect(self, network: nn.Module, split: Split) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return outputs (M, K), targets, and outputs of the linear model, on the CPU."""
        network.eval()
        device = next(network.parameters()).device
        outputs, targets, linears = [], [], []
        for batch in split.eval_batches():
            found, linear = self.outputs(network, batch.to(device))
            outputs.append(found.float().cpu())
            targets.append(batch.targets)
            if linear is not None:
                linears.append(linear.float().cpu())
        return torch.cat(outputs), torch.cat(targets), torch.cat(linears) if linears else None

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
        """Return outputs (M, K) of M texts, and the share of the tokens of each that is known."""
        device = next(network.parameters()).device
        split = self._split(list(texts), np.arange(len(texts)))
        outputs = torch.empty(len(texts), self.num_outputs)
        known = np.ones(len(texts))
        network.eval()
        for batch in split.eval_batches():
            batch = batch.to(device)
            assert isinstance(batch, TextBatch)
            assert isinstance(network, TextNetwork)
            outputs[batch.targets.cpu()] = self.outputs(network, batch)[0].float().cpu()
            known[batch.targets.cpu().numpy()] = self._known(network, batch).cpu().numpy()
        return outputs, known

    def _known(self, network: TextNetwork, batch: TextBatch) -> Tensor:
        """Return the share of the tokens of each text (B,) that is known."""
        known = self.encoder.known(network.embedding, batch)
        mask = torch.arange(known.shape[1], device=known.device) < batch.lengths[:, None]
        share: Tensor = (known & mask).sum(1) / batch.lengths
        return share

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


def check_labels(labels: Sequence[str], known: Sequence[str]) -> None:
    """Refuse labels that the training did not have.

    Raises:
        DataError: There is one.
    """
    for label in labels:
        if label not in known:
            raise DataError(
                f"label {label!r} is not among those of the training",
                why=f"they are {listed(known)}",
            )
