"""What the text tasks share: texts to batches, the vocabulary, the linear model, the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo import files
from zoo.data.mapped import MappedRagged
from zoo.data.ragged import Array, IntArray
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Explanation,
    Metrics,
    MetricSums,
    RowNames,
    State,
    Step,
)
from zoo_text import explaining, inference
from zoo_text.adversarial import adversarial_step
from zoo_text.baseline import with_baseline
from zoo_text.batches import HeldOut, TextBatch, TextSplit
from zoo_text.embedding import SubwordEmbedding
from zoo_text.encoding import TokenEncoder
from zoo_text.layers import freeze
from zoo_text.learned import read_sizes
from zoo_text.linear import NGramLinear, NGramSizes, choose_sizes
from zoo_text.linear_fitting import LinearFitting
from zoo_text.more_data import find_more_data, joined_digest, refuse_without, with_more_data
from zoo_text.network import TextNetwork
from zoo_text.options import TextOptions
from zoo_text.probing import probe_answers, probe_texts
from zoo_text.row_names import kept_names, row_names
from zoo_text.shards.finding import find_shards
from zoo_text.shards.prepare import prepare as prepare_shards
from zoo_text.sources import TEST, TRAIN, VALIDATION, read_again, read_training
from zoo_text.tables import LabeledTexts, load_table
from zoo_text.tables.notes import listed
from zoo_text.targets import TargetTask


class TextOutputs(NamedTuple):
    """What a network says of a batch of texts.

    Args:
        outputs: (B, K), of the whole network.
        recurrent: (B, K), of its recurrent part alone; None where it has no linear one.
        linear: (B, K), of its linear part, or of a linear baseline beside it; None without one.
    """

    outputs: Tensor
    recurrent: Tensor | None = None
    linear: Tensor | None = None


class TextTask(TargetTask):
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
        self._more_source, self._lacks_texts = "", False
        self._is_fitted = False
        self._linear: NGramLinear | None = None

    # Data

    def load(self, path: Path | None, seed: int, *, fit: bool, digest: str) -> LabeledTexts:
        """Read texts and labels, in parts.

        Args:
            path: The file; None for the sample that the task carries.
            seed: Of the parts that are drawn.
            fit: Whether the task learns from them.
            digest: sha256 of the file.
        """
        if path is None:
            raise DataError("no data", fix="give a table of texts and labels with --data FILE")
        if fit:
            return read_training(
                self.read,
                path,
                self.options,
                seed,
                kind=self.kind,
                asked_kind=self.options.labels,
                digest=digest,
            )
        return read_again(
            self.read, path, self.options, seed, kind=self.kind, names=self.known_labels(),
            digest=digest, is_source=self._is_source(digest),
        )  # fmt: skip

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read texts; the vocabulary and the linear model are fitted to the training split."""
        if (shards := find_shards(path)) is not None:
            return prepare_shards(self, shards, seed, fit=fit)
        digest = files.digest(path) if path else ""
        source = self.load(path, seed, fit=fit, digest=digest)
        source = self._with_more_data(source, path, fit=fit, digest=digest)
        parts = {
            name: np.flatnonzero(source.part == part)
            for name, part in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
        }
        if fit:
            self.set_source(digest)
            self.fit_targets(source, parts["train"])
            tokens, types = self.encoder.fit_encode(source.texts, parts["train"])
        else:
            tokens, types = self.encoder.encode(source.texts)
        targets = self.targets(source)
        held_out = None
        if fit:
            held_out = self._fit_linear(source.texts, targets, parts)
        elif self.sizes and self._is_source(digest):
            # The network's own linear model has seen the validation texts.
            fitting = LinearFitting(self, source.texts, targets, self.sizes)
            held_out = fitting.held_out(parts["train"], parts["validation"])
            if self._lacks_texts:
                held_out = HeldOut(
                    parts["validation"], lambda: refuse_without(self.options.more_data)
                )
        everything = TextSplit(tokens, targets, types, source.texts, self.sizes)
        splits = {name: everything.select(rows) for name, rows in parts.items()}
        splits["validation"] = replace(splits["validation"], held_out=held_out)
        return Data(
            splits={**splits, "all": everything},
            digest=source.digest,
            summary=f"{len(source.texts):,} texts of {self._files(path, digest)}",
            notes=source.notes,
        )

    def read(self, path: Path, options: TextOptions, seed: int, **how: Any) -> LabeledTexts:
        """Read a table; ``how`` is as for :func:`zoo_text.tables.load_table`."""
        return load_table(path, options, seed, **how)

    def _with_more_data(
        self, source: LabeledTexts, path: Path | None, *, fit: bool, digest: str
    ) -> LabeledTexts:
        """Add the further training texts; without their file the other parts can be evaluated."""
        self._lacks_texts = False
        if not self.options.more_data or not (fit or self._is_source(digest)):
            return source
        more = find_more_data(self.options.more_data, path if not fit else None)
        found = files.digest(more) if fit or more.exists() else ""
        if fit:
            self._more_source = found
        if found == self._more_source:
            return with_more_data(source, more, self.options, found)
        self._lacks_texts = True
        return replace(source, digest=joined_digest(source.digest, self._more_source))

    def _files(self, path: Path | None, digest: str) -> str:
        """Return the names of the files that the data is from."""
        if path is None:
            return "the sample"
        options = self.options
        more = "" if self._lacks_texts else options.more_data
        named = (options.validation_data, options.test_data, more)
        further = named if self._is_source(digest) else ()
        return listed([path.name, *(Path(file).name for file in further if file)])

    def set_source(self, digest: str) -> None:
        """Take the digest of the data of the training."""
        self._source = digest

    def _is_source(self, digest: str) -> bool:
        """Return whether data is that of the training, by its digest."""
        return digest == self._source

    def _fit_linear(
        self, texts: Sequence[str], targets: Array, parts: Mapping[str, IntArray]
    ) -> HeldOut | None:
        """Fit the linear model; return its outputs for the validation texts.

        These are answered by a model of the training texts. The one that is kept learns from both.
        """
        self._reset_linear()
        if not self.options.ngram_weight:
            return None
        train, validation = parts["train"], parts["validation"]
        self.sizes = choose_sizes([texts[row] for row in train])
        fitting = LinearFitting(self, texts, targets, self.sizes)
        first = fitting.fit(train)
        outputs = fitting.outputs(first, validation)
        self._linear = fitting.fit(np.concatenate((train, validation)), start=first)
        self._num_ngrams = len(self._linear.keys)
        return HeldOut(validation, lambda: outputs)

    def _reset_linear(self) -> None:
        self.sizes, self._num_ngrams, self._linear, self._is_fitted = None, None, None, True

    def fit_linear(self, texts: Sequence[str], targets: Array, rows: IntArray) -> None:
        """Fit the linear model to some of the training texts, where the options ask for one.

        Args:
            texts: All M texts.
            targets: (M, ...) what the loss compares with.
            rows: Which of them.
        """
        self._reset_linear()
        if self.options.ngram_weight:
            self.sizes = choose_sizes([texts[row] for row in rows.tolist()])
            self._linear = LinearFitting(self, texts, targets, self.sizes).fit(rows)
            self._num_ngrams = len(self._linear.keys)

    def with_baseline(self, data: Data) -> Data:
        """Return data with a linear baseline; see :class:`zoo.interfaces.FitsBaseline`.

        Shards have none: it would be fitted to all texts at once.
        """
        split = data.splits["all"]
        mapped = isinstance(split, TextSplit) and isinstance(split.tokens, MappedRagged)
        has_none = self.options.ngram_weight or mapped or self._lacks_texts
        return data if has_none else with_baseline(self, data)

    def split(self, texts: Sequence[str], targets: Array) -> TextSplit:
        """Return texts as a split."""
        tokens, types = self.encoder.encode(texts)
        return TextSplit(tokens, targets, types, texts, self.sizes)

    # Network

    def state_dict(self) -> dict[str, Any]:
        state = {**self.encoder.state_dict(), "source": self._source}
        if self._more_source:
            state["more_source"] = self._more_source
        if self.sizes is not None:
            state |= {"ngram_sizes": list(self.sizes), "num_ngrams": self._num_ngrams}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(state)
        self._source = state.get("source", "")
        self._more_source = state.get("more_source", "")
        self._linear, self._is_fitted = None, False
        self.sizes, self._num_ngrams = read_sizes(state)

    def network(self, build_model: BuildModel) -> nn.Module:
        network = TextNetwork(
            build_model, self.options, self.encoder.num_tokens, self.num_outputs,
            self._num_ngrams, calibrated=self.calibrated,
        )  # fmt: skip
        if self._linear is not None:
            network.linear = self._linear
        if self._is_fitted:
            if isinstance(network.embedding, SubwordEmbedding):
                assert self.encoder.units is not None
                network.embedding.keys.copy_(torch.from_numpy(self.encoder.units))
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
        """Return what rows stand for; see :class:`zoo.interfaces.NamesRows`."""
        assert isinstance(network, TextNetwork)
        return row_names(
            network, self.encoder.words, self.encoder.num_kept, self.known_labels() or [],
            self._source,
        )  # fmt: skip

    def keep_rows(self, rows: Mapping[str, RowNames], shapes: Mapping[str, Sequence[int]]) -> None:
        """Keep words or units of other weights; see :class:`zoo.interfaces.KeepsRows`.

        Without vectors of the same size they would be of no use.
        """
        name = "embedding.weight"
        vectors = rows.get(name)
        if vectors is not None and tuple(shapes[name][1:]) == (self.options.embed_size,):
            self.encoder.keep(kept_names(vectors.names, self.options.tokens))

    # Training

    def outputs(self, network: nn.Module, batch: Batch) -> TextOutputs:
        """Return what the network and its parts say of a batch.

        In training it is the recurrent part that answers: the linear model is fitted already. A
        text of which nothing is known is answered by :meth:`initial_bias`.
        """
        assert isinstance(network, TextNetwork)
        if not isinstance(batch, TextBatch):
            return TextOutputs(network(batch.inputs, batch.lengths)[0])
        recurrent = network(
            batch.inputs, batch.lengths, units=batch.units, starts=batch.starts
        )[0]  # fmt: skip
        if network.training:
            return TextOutputs(recurrent)
        linear = network.linear_outputs(batch)
        outputs = network.combine(recurrent, linear)
        if batch.units is not None:
            known = self.known(network, batch)[:, None] > 0
            outputs = outputs.where(known, self.initial_bias().to(outputs))
        if linear is None:
            return TextOutputs(outputs, linear=batch.baseline)
        return TextOutputs(outputs, recurrent, linear)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        del state
        training = network.training

        def losses_of(outputs: Tensor) -> Tensor:
            smoothing = self.smoothing if training else 0.0
            return self.losses(outputs, batch.targets, weighted=training, smoothing=smoothing)

        assert isinstance(network, TextNetwork)
        texts = batch if training and isinstance(batch, TextBatch) else None
        if texts is not None and self.options.unfreeze_every:
            freeze(network, texts.epoch)
        linear = recurrent = None
        if texts is not None and self.options.adversarial:
            outputs, loss = adversarial_step(network, texts, losses_of)
            losses = losses_of(outputs)
        else:
            outputs, recurrent, linear = self.outputs(network, batch)
            losses = losses_of(outputs)
            loss = losses.mean()
        sums = {
            "loss": losses.detach().sum(),
            "examples": torch.tensor(float(len(batch)), device=losses.device),
        }
        if training:
            sums |= self.score_sums(outputs.detach(), batch.targets)
        elif recurrent is not None:
            scores = self.score_sums(recurrent, batch.targets)
            sums |= {f"recurrent_{name}": value for name, value in scores.items()}
        return Step(
            loss,
            sums,
            outputs=self.in_units(outputs.detach()),
            baseline_outputs=None if linear is None else self.in_units(linear),
        )

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
        return self.outputs(network, batch).outputs

    def probe_texts(self) -> list[str]:
        """Return fixed texts; see :class:`zoo.interfaces.ProbesTexts`."""
        return probe_texts(self.options, self.encoder.words)

    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
        outputs, _ = inference.answer(self, network, texts)
        return probe_answers(
            self.encoder, self.known_labels(), texts, outputs.tolist(),
            self.answers(network, outputs),
        )  # fmt: skip

    def known(self, network: nn.Module, batch: TextBatch) -> Tensor:
        """Return the share of the tokens of each text (B,) that is known."""
        assert isinstance(network, TextNetwork)
        known = self.encoder.known(network.embedding, batch)
        mask = torch.arange(known.shape[1], device=known.device) < batch.lengths[:, None]
        share: Tensor = (known & mask).sum(1) / batch.lengths
        return share

    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return vectors of texts; see :class:`zoo.interfaces.Embeds`."""
        return inference.embed(self, network, texts, per_step=per_step)

    def explain(self, network: nn.Module, texts: Sequence[str], target: str) -> list[Explanation]:
        """Return what each word adds to an answer; see :class:`zoo.interfaces.Explains`."""
        return explaining.explain(self, network, texts, target)
