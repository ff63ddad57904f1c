"""The character language model task: text in, the next character out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.sequence import TokenSequence
from zoo.data.shards import Shards
from zoo.errors import DataError
from zoo.interfaces import Batch, BuildModel, Data, Evaluate, Metrics, RowNames, Split
from zoo_lm.char_corpus import load
from zoo_lm.char_network import CharPredictor
from zoo_lm.characters import Characters
from zoo_lm.options import CharLMOptions
from zoo_lm.shard_corpus import load_characters
from zoo_lm.task import LanguageModel
from zoo_text.shards.finding import find_shards


class CharLM(Characters, LanguageModel[CharLMOptions]):
    """Many-to-many in step: predicts the next character at every character.

    Args:
        options: See ``zoo show char-lm``.
    """

    unit = "character"

    def __init__(self, options: CharLMOptions) -> None:
        super().__init__(options)
        self._set_vocabulary("")

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read the text; the vocabulary is that of all splits, so that each can be scored."""
        shards = find_shards(path)
        if shards is None:
            text = load(path, self.options.start, self.options.end)
        elif self.options.start or self.options.end:
            raise DataError("shards have no start and end", where=shards.pattern)
        else:
            text = load_characters(shards)
        token_ids = text.token_ids
        if fit:
            self._set_vocabulary(text.characters)
        elif text.characters != self.characters:
            table = self.encode(text.characters, where=str(path or "Python's manual"))
            token_ids = np.array(table, dtype=np.uint16)[token_ids]
        length = len(token_ids)
        test = length - round(length * self.options.test_size)
        validation = test - round(length * self.options.validation_size)
        whole = TokenSequence(token_ids, self.options.bptt_steps, self.options.batching)
        splits = self.make_splits(whole, validation, test, str(path or "Python's manual"))
        return Data(
            splits=splits,
            digest=text.digest,
            summary=f"{length} characters, {len(text.characters)} distinct, "
            f"of {_name(path, shards)}",
        )

    # Network

    def network(self, build_model: BuildModel) -> nn.Module:
        return CharPredictor(build_model, self.options, len(self.characters))

    def row_names(self, network: nn.Module) -> dict[str, RowNames]:
        """Return the characters that rows stand for; see :class:`zoo.interfaces.NamesRows`.

        With one-hot input all parameters of the model depend on the vocabulary.
        """
        characters = list(self.characters)
        names = {name: RowNames(characters) for name in ("fc.weight", "fc.bias")}
        if self.options.input == "embedding":
            return names | {"embedding.weight": RowNames(characters)}
        whole = RowNames(characters, by_row=False)
        of_model = [name for name, _ in network.named_parameters() if name.startswith("rnn.")]
        return names | dict.fromkeys(of_model, whole)

    # Training

    def losses(
        self, network: nn.Module, features: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, CharPredictor)
        logits = network.logits(features)
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none"
        )
        return losses.view(targets.shape), logits

    def evaluate(self, split: Split, evaluate: Evaluate) -> Metrics:
        """Evaluate with carried state and, for comparison, in windows from the initial state."""
        metrics = evaluate(split)
        if isinstance(split, TokenSequence):
            steps = self.options.window_steps or self.options.bptt_steps
            windowed = evaluate(replace(split, bptt_steps=steps).windows())
            metrics |= {f"windowed_{key}": windowed[key] for key in ("loss", "bits_per_character")}
        return metrics

    def probe(self) -> Batch:
        """Return two rows of equal length that run through the vocabulary."""
        inputs = torch.arange(24).view(2, 12) % max(len(self.characters), 1)
        return Batch(inputs, torch.tensor([12, 12]), inputs)

    # Use

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(at, at + 1) for at in range(len(text))]


def _name(path: Path | None, shards: Shards | None) -> str:
    if shards is not None:
        return f"{len(shards.shards):,} shards ({shards.name})"
    return path.name if path else "the manual of this Python"
