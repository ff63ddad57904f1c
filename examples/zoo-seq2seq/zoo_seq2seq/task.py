"""The sequence-to-sequence task: a text in, a text of another length out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    Metrics,
    MetricSums,
    State,
    Step,
    Task,
    TextPrediction,
)
from zoo.intervals import wilson
from zoo.nn import length_mask
from zoo_seq2seq.data import PairBatch, PairSplit, join_units, load, split_rows, split_units
from zoo_seq2seq.network import END, AttentionSeq2Seq, Generated
from zoo_seq2seq.options import Seq2SeqOptions


class Seq2Seq(Task):
    """Many-to-many, any length to any length.

    Args:
        options: See ``zoo show seq2seq``.
    """

    def __init__(self, options: Seq2SeqOptions) -> None:
        self.options = options
        self.commonest = ""
        self.longest = 0
        self._set_vocabularies([], [])

    def _set_vocabularies(self, source: list[str], target: list[str]) -> None:
        self.source_tokens, self.target_tokens = source, target
        self._source_ids = {token: token_id for token_id, token in enumerate(source)}
        # The token id 0 is END.
        self._target_ids = {token: token_id for token_id, token in enumerate(target, 1)}

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read pairs: 80 % for training, 10 % each for validation and test.

        The vocabularies are those of all splits, so that each can be scored.
        """
        pairs, digest = load(path)
        train, validation, test = split_rows(len(pairs), seed)
        if not len(validation):
            raise DataError(f"{len(pairs)} pairs are too few", where=str(path))
        if fit:
            options = self.options
            sources = [split_units(text, options.source_units) for text, _ in pairs]
            targets = [split_units(text, options.target_units) for _, text in pairs]
            self._set_vocabularies(sorted(set().union(*sources)), sorted(set().union(*targets)))
            # Of the training split: the baseline, and the limit of decoding.
            ((self.commonest, _),) = Counter(pairs[row][1] for row in train).most_common(1)
            self.longest = max(len(targets[row]) for row in train)
        everything = PairSplit.of(
            [self.encode_source(text) for text, _ in pairs],
            [self.encode_target(text) for _, text in pairs],
        )
        return Data(
            splits={
                "train": everything.select(train),
                "validation": everything.select(validation),
                "test": everything.select(test),
                "all": everything,
            },
            digest=digest,
            summary=f"{len(pairs)} pairs of {path.name if path else 'the sample'}",
        )

    def encode_source(self, text: str) -> list[int]:
        """Return the token ids of a source.

        Raises:
            DataError: It is empty, or has a token that the vocabulary lacks.
        """
        if not text.strip():
            raise DataError("an empty source", where=repr(text), fix="leave empty lines out")
        return _look_up(text, self.options.source_units, self._source_ids)

    def encode_target(self, text: str) -> list[int]:
        """Return the token ids of a target, END last; errors as for :meth:`encode_source`."""
        return [*_look_up(text, self.options.target_units, self._target_ids), END]

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """Return the text of the token ids before END."""
        tokens = []
        for token_id in token_ids:
            if token_id == END:
                break
            tokens.append(self.target_tokens[token_id - 1])
        return join_units(tokens, self.options.target_units)

    # Network

    def state_dict(self) -> dict[str, Any]:
        return {
            "source_vocabulary": self.source_tokens,
            "target_vocabulary": self.target_tokens,
            "commonest_target": self.commonest,
            "longest_target": self.longest,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("source_vocabulary", "target_vocabulary"):
            tokens = state[name]
            if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
                raise ValueError(f"{name} is not a list of strings")
        if not isinstance(state["commonest_target"], str):
            raise ValueError("commonest_target is not a string")
        if type(state["longest_target"]) is not int:
            raise ValueError("longest_target is not an integer")
        self._set_vocabularies(state["source_vocabulary"], state["target_vocabulary"])
        self.commonest, self.longest = state["commonest_target"], state["longest_target"]

    def network(self, build_model: BuildModel) -> AttentionSeq2Seq:
        return AttentionSeq2Seq(
            build_model, self.options, len(self.source_tokens), len(self.target_tokens) + 1
        )

    # Training

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        assert isinstance(network, AttentionSeq2Seq)
        assert isinstance(batch, PairBatch)
        logits = self.probe_outputs(network, batch)
        mask = length_mask(batch.target_lengths, logits.shape[1])
        flat, targets = logits[mask], batch.targets[mask]  # (N, V) and (N,), without padding
        losses = nn.functional.cross_entropy(flat, targets, reduction="none")
        sums = {
            "examples": torch.tensor(len(batch)),
            "loss": losses.detach().sum(),
            "tokens": torch.bincount(targets, minlength=logits.shape[2]),
        }
        if not network.training:
            # Scored as it is used: without the true tokens.
            generated = self._generate(network, batch)
            sums |= {
                "exact": _rows_equal(generated.token_ids, batch.targets, generated.ended).sum(),
                "commonest": self._is_commonest(batch.targets).sum(),
            }
        return Step(losses.mean(), sums, outputs=logits.detach())

    def _generate(self, network: AttentionSeq2Seq, batch: Batch) -> Generated:
        limit = self.options.max_tokens
        return network.generate(
            batch.inputs, batch.lengths, 2 * self.longest if limit is None else limit
        )

    def _is_commonest(self, targets: Tensor) -> Tensor:
        row = torch.tensor([self.encode_target(self.commonest)], device=targets.device)
        return _rows_equal(row.expand(len(targets), -1), targets)

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the loss per token and, of an evaluated split, the share of exact outputs.

        ``baseline`` is that share for a constant output, the commonest target of the training
        split, and ``baseline_loss`` the entropy of the tokens of the split.
        """
        counts = metric_sums["tokens"].double()
        shares = counts / counts.sum()
        examples = float(metric_sums["examples"])
        metrics = {
            "examples": int(examples),
            "loss": float(metric_sums["loss"] / counts.sum()),
            "baseline_loss": float(torch.special.entr(shares).sum()),
        }
        if "exact" not in metric_sums:
            return metrics
        low, high = wilson(float(metric_sums["exact"]), examples)
        return {
            **metrics,
            "accuracy": float(metric_sums["exact"]) / examples,
            "accuracy_low": low,
            "accuracy_high": high,
            "baseline": float(metric_sums["commonest"]) / examples,
        }

    def probe(self) -> PairBatch:
        """Return two pairs of different lengths that run through the vocabularies."""
        sources, targets = len(self.source_tokens), len(self.target_tokens)
        return PairSplit.of(
            [[i % sources for i in range(12)], [i % sources for i in range(5)]],
            [
                [*(1 + i % targets for i in range(6)), END],
                [*(1 + i % targets for i in range(9)), END],
            ],
        ).batch(np.arange(2))

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the logits under teacher forcing, which change gradually with the weights."""
        assert isinstance(batch, PairBatch)
        logits: Tensor = network(batch.inputs, batch.lengths, batch.targets, batch.target_lengths)
        return logits

    # Use

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[TextPrediction]:
        """Yield the output for each text, and its probability."""
        assert isinstance(network, AttentionSeq2Seq)
        device = next(network.parameters()).device
        sources = [self.encode_source(text.strip()) for text in texts]
        found: dict[int, TextPrediction] = {}
        for batch in Ragged.of(sources, range(len(sources))).eval_batches():
            generated = self._generate(network, batch.to(device))
            outputs = generated.token_ids.tolist()
            probabilities = generated.log_probabilities.exp().tolist()
            for row, *answer in zip(batch.targets.tolist(), outputs, probabilities, strict=True):
                token_ids, probability = answer
                found[row] = TextPrediction(texts[row], self.decode_target(token_ids), probability)
        for row in range(len(texts)):
            yield found[row]


def _look_up(text: str, units: str, token_ids: Mapping[str, int]) -> list[int]:
    tokens = split_units(text, units)
    if missing := [token for token in tokens if token not in token_ids]:
        raise DataError(
            f"the vocabulary lacks {missing[0]!r}",
            where=repr(text),
            why=f"it was not in the training data, which has {len(token_ids)} different {units}",
        )
    return [token_ids[token] for token in tokens]


def _rows_equal(generated: Tensor, targets: Tensor, ended: Tensor | None = None) -> Tensor:
    """Return (B,) whether rows are equal; they are padded with END, which is also their last."""
    steps = max(generated.shape[1], targets.shape[1])
    padded = (nn.functional.pad(rows, (0, steps - rows.shape[1])) for rows in (generated, targets))
    first, second = padded
    equal = (first == second).all(1)
    return equal if ended is None else equal & ended
