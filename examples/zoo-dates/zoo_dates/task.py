"""The date task: a written date in, the same date in ISO 8601 out."""

from __future__ import annotations

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
from zoo_dates.data import load
from zoo_dates.network import ISO, STEPS, EncoderDecoder
from zoo_dates.options import DatesOptions


class Dates(Task):
    """Many-to-many, outputs after inputs: a written date to ISO 8601.

    Args:
        options: See ``zoo show dates``.
    """

    def __init__(self, options: DatesOptions) -> None:
        self.options = options
        self.characters = ""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read pairs of dates: 80 % for training, 10 % each for validation and test.

        The vocabulary is that of all splits, so that each can be scored.
        """
        pairs, digest = load(path)
        order = np.random.default_rng(seed).permutation(len(pairs))
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if not len(validation):
            raise DataError(f"{len(pairs)} dates are too few", where=str(path))
        if fit:
            self.characters = "".join(sorted({c for written, _ in pairs for c in written.lower()}))
        everything = Ragged.of(
            [self.encode(written) for written, _ in pairs],
            [[ISO.index(character) for character in iso] for _, iso in pairs],
        )
        return Data(
            splits={
                "train": everything.select(train),
                "validation": everything.select(validation),
                "test": everything.select(test),
                "all": everything,
            },
            digest=digest,
            summary=f"{len(pairs)} dates of {path.name if path else 'the sample'}",
        )

    def encode(self, written: str) -> list[int]:
        """Return the token ids of a written date.

        Raises:
            DataError: It is empty, or has a character that the vocabulary lacks.
        """
        text = written.lower()
        if missing := set(text) - set(self.characters):
            raise DataError(
                f"the vocabulary lacks {min(missing)!r}",
                where=repr(written),
                why=f"it has {self.characters!r}",
            )
        if not text:
            raise DataError("no date", where=repr(written), fix="leave empty lines out")
        return [self.characters.index(character) for character in text]

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": list(self.characters)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        characters = state["vocabulary"]
        if not isinstance(characters, list) or not all(
            isinstance(character, str) and len(character) == 1 for character in characters
        ):
            raise ValueError("vocabulary is not a list of characters")
        self.characters = "".join(characters)

    def network(self, build_model: BuildModel) -> EncoderDecoder:
        return EncoderDecoder(build_model, len(self.characters), self.options.embed_size)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        assert isinstance(network, EncoderDecoder)
        logits = network(batch.inputs, batch.lengths, batch.targets)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        sums = {"examples": torch.tensor(len(batch)), "loss": loss.detach() * len(batch)}
        if not network.training:
            # Scored as it is used: without the true characters.
            correct = network.generate(batch.inputs, batch.lengths)[0] == batch.targets
            sums |= {"dates": correct.all(1).sum(), "characters": correct.sum()}
        return Step(loss, sums, outputs=logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the loss per character and, of an evaluated split, the accuracy.

        ``accuracy`` is the share of dates without an error, with its interval.
        """
        examples = float(metric_sums["examples"])
        metrics = {"examples": int(examples), "loss": float(metric_sums["loss"]) / examples}
        if "dates" not in metric_sums:
            return metrics
        low, high = wilson(float(metric_sums["dates"]), examples)
        return {
            **metrics,
            "accuracy": float(metric_sums["dates"]) / examples,
            "accuracy_low": low,
            "accuracy_high": high,
            "character_accuracy": float(metric_sums["characters"]) / (examples * STEPS),
        }

    def probe(self) -> Batch:
        """Return two rows of different lengths that run through the vocabulary."""
        rows = [np.arange(12) % len(self.characters), np.arange(5) % len(self.characters)]
        targets = [[step % len(ISO) for step in range(first, first + STEPS)] for first in (0, 5)]
        return Ragged.of(rows, targets).batch(np.arange(2))

    def probe_outputs(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the logits under teacher forcing, which change gradually with the weights."""
        logits: Tensor = network(batch.inputs, batch.lengths, batch.targets)
        return logits

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[TextPrediction]:
        """Yield the date that each text stands for, and its probability."""
        assert isinstance(network, EncoderDecoder)
        device = next(network.parameters()).device
        for text in texts:
            inputs = torch.tensor([self.encode(text)], device=device)
            lengths = torch.tensor([inputs.shape[1]], device=device)
            generated, probability = network.generate(inputs, lengths)
            output = "".join(ISO[token_id] for token_id in generated[0])
            yield TextPrediction(text, output, float(probability))
