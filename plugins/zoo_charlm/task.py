"""The character language model task: text in, the next character out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.streams import Stream
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    Data,
    MakeModel,
    Metrics,
    Score,
    Split,
    State,
    Step,
    Stepper,
    Sums,
    Task,
)
from zoo.intervals import mean_interval
from zoo_charlm.corpus import load
from zoo_charlm.network import Predictor

# Losses of neighbouring characters go together, so the interval is taken over blocks of about
# so many.
BLOCK = 32


class CharLM(Task):
    """Many-to-many in step: the next character at every character.

    The options are those of the plugin's record; see ``zoo show char-lm``.
    """

    def __init__(
        self,
        *,
        input: str,
        embed_size: int,
        embed_dropout: float,
        dropout: float,
        window: int,
        reading: str,
        start: str,
        end: str,
        validation: float,
        test: float,
    ) -> None:
        self.embed_size = embed_size if input == "embedding" else 0
        self.embed_dropout = embed_dropout
        self.dropout = dropout
        self.window = window
        self.reading = reading
        self.markers = (start, end)
        self.validation = validation
        self.test = test
        self._learned("")

    def _learned(self, characters: str) -> None:
        self.characters = characters
        self._number = {character: number for number, character in enumerate(characters)}

    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Read the text; its alphabet is that of the whole, so that every part can be read."""
        text = load(path, *self.markers)
        codes = text.codes
        if learn:
            self._learned(text.characters)
        elif text.characters != self.characters:
            numbers = self.encode(text.characters, where=str(path))
            codes = np.array(numbers, dtype=np.uint16)[codes]
        length = len(codes)
        test = length - round(length * self.test)
        validation = test - round(length * self.validation)
        whole = Stream(codes, self.window, self.reading)
        parts = {
            "train": whole.part(0, validation),
            "validation": whole.part(validation, test),
            "test": whole.part(test, length),
            "all": whole,
        }
        for name, part in parts.items():
            if part.examples < 2:
                raise DataError(
                    f"{name} part has {part.examples + 1} characters",
                    where=str(path or "Python's manual"),
                    why=f"the text has {length}",
                    fix="give a longer text",
                )
        return Data(
            splits=parts,
            digest=text.digest,
            summary=f"{length} characters, {len(text.characters)} distinct, "
            f"of {path.name if path else 'the manual of this Python'}",
        )

    def assets(self) -> dict[str, Any]:
        return {"vocabulary": list(self.characters)}

    def restore(self, assets: Mapping[str, Any]) -> None:
        characters = assets["vocabulary"]
        if not isinstance(characters, list) or not all(
            isinstance(c, str) and len(c) == 1 for c in characters
        ):
            raise ValueError("vocabulary is not a list of characters")
        self._learned("".join(characters))

    def network(self, make_model: MakeModel) -> nn.Module:
        return Predictor(
            make_model,
            characters=len(self.characters),
            embed_size=self.embed_size,
            embed_dropout=self.embed_dropout,
            dropout=self.dropout,
        )

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits, end = network(batch.inputs, batch.lengths, state)
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), reduction="none"
        ).view(batch.targets.shape)
        return Step(losses.mean(), _sums(losses.detach()), end)

    def metrics(self, sums: Sums) -> Metrics:
        """Return nats and bits a character and perplexity, with the interval of the nats.

        A text of fewer than two blocks has no interval.
        """
        examples = float(sums["examples"])
        loss = float(sums["loss"]) / examples
        interval = {}
        if (blocks := float(sums["blocks"])) >= 2:
            low, high = mean_interval(
                float(sums["block_sum"]), float(sums["block_squares"]), blocks
            )
            interval = {"loss_low": low, "loss_high": high}
        return {
            "examples": int(examples),
            "loss": loss,
            **interval,
            "bits_per_character": loss / math.log(2),
            "perplexity": math.exp(min(loss, 700.0)),
        }

    def evaluate(self, split: Split, score: Score) -> Metrics:
        """Score a split with carried state, and, for comparison, from cold windows."""
        metrics = score(split)
        if isinstance(split, Stream):
            cold = score(split.cold())
            metrics |= {f"cold_{key}": cold[key] for key in ("loss", "bits_per_character")}
        return metrics

    def probe(self) -> Batch:
        """Two rows of equal length that run through the alphabet."""
        inputs = torch.arange(24).view(2, 12) % max(len(self.characters), 1)
        return Batch(inputs, torch.tensor([12, 12]), inputs)

    # Text

    def encode(self, text: str, where: str = "the prompt") -> list[int]:
        lacking = sorted({character for character in text if character not in self._number})
        if lacking:
            raise DataError(
                f"the vocabulary lacks {', '.join(map(repr, lacking))}",
                where=where,
                why=f"it has {len(self.characters)} characters: {''.join(self.characters)!r}",
                fix="leave them out",
            )
        return [self._number[character] for character in text]

    def decode(self, symbols: Iterable[int]) -> str:
        return "".join(self.characters[symbol] for symbol in symbols)

    def start(self) -> int:
        return self._number.get("\n", 0)

    def stepper(self, network: nn.Module) -> Stepper:
        assert isinstance(network, Predictor)
        ahead = getattr(network.rnn, "stepper", None)
        if ahead is None:
            return _plain_stepper(network)
        step = ahead(network.table())
        weight, bias = network.fc.weight.detach(), network.fc.bias.detach()

        def predict(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
            outputs, end = step(symbols, state)
            return nn.functional.linear(outputs, weight, bias), end

        return predict


def _plain_stepper(network: nn.Module) -> Stepper:
    """One step at a time through ``forward``, for models that offer nothing faster."""

    def predict(symbols: Tensor, state: State | None) -> tuple[Tensor, State]:
        lengths = torch.ones_like(symbols)
        logits, end = network(symbols[:, None], lengths, state)
        return logits[:, 0], end

    return predict


def _sums(losses: Tensor) -> dict[str, Tensor]:
    # Every character is in a block, so that the interval lies around the loss.
    blocks = losses.double().tensor_split(max(1, losses.shape[1] // BLOCK), dim=1)
    means = torch.cat([block.mean(1) for block in blocks])
    return {
        "loss": losses.double().sum(),
        "examples": torch.tensor(losses.numel()),
        "block_sum": means.sum(),
        "block_squares": (means * means).sum(),
        "blocks": torch.tensor(len(means)),
    }
