"""The date task: a written date is read to its end, and only then written anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import DataError
from zoo.interfaces import Batch, Data, MakeModel, Metrics, Prediction, State, Step, Sums, Task
from zoo.intervals import wilson
from zoo_dates.data import load

ISO = "0123456789-"
STEPS = len("1986-03-03")
START = len(ISO)  # What the decoder reads first; it never writes it.


class EncoderDecoder(nn.Module):
    """An encoder whose last state is the decoder's first; the two share no weights.

    Source: I. Sutskever, O. Vinyals, Q. Le, Sequence to sequence learning with neural networks,
    NeurIPS 2014. All that is read passes through the state, and both halves are built alike, so
    that it fits, whatever the model.

    Args:
        make_model: Builds the encoder, and the decoder.
        characters: Size of the alphabet that is read.
        embed_size: Numbers in a character's vector.
    """

    def __init__(self, make_model: MakeModel, characters: int, embed_size: int) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(characters, embed_size)
        self.encoder = make_model(embed_size)
        self.target_embedding = nn.Embedding(len(ISO) + 1, embed_size)
        self.decoder = make_model(embed_size)
        self.fc = nn.Linear(self.decoder.output_size, len(ISO))

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the logits (B, STEPS, len(ISO)) of each character, given the true ones before it.

        Teacher forcing: the decoder reads the targets, a step late.

        Args:
            inputs: (B, T) characters read.
            lengths: (B,).
            targets: (B, STEPS) characters to write.
        """
        state = self.encode(inputs, lengths)
        before = nn.functional.pad(targets[:, :-1], (1, 0), value=START)
        return self.decode(before, state)[0]

    @torch.inference_mode()
    def write(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Write greedily: the likeliest character at each step, and on from there.

        Returns:
            The characters (B, STEPS), and the probability (B,) of writing them.
        """
        state = self.encode(inputs, lengths)
        character = torch.full_like(lengths, START)
        characters, chances = [], []
        for _ in range(STEPS):
            logits, state = self.decode(character[:, None], state)
            chance, character = logits[:, 0].softmax(1).max(1)
            characters.append(character)
            chances.append(chance)
        return torch.stack(characters, dim=1), torch.stack(chances, dim=1).prod(1)

    def encode(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the state after the last character (B, T) of each row."""
        state: State = self.encoder(self.source_embedding(inputs), lengths)[1]
        return state

    def decode(self, before: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits (B, T, len(ISO)) of what follows characters (B, T), and the state."""
        lengths = torch.full_like(before[:, 0], before.shape[1])
        outputs, state = self.decoder(self.target_embedding(before), lengths, state)
        return self.fc(outputs), state


class Dates(Task):
    """Many-to-many delayed: a written date to ISO 8601.

    The options are those of the plugin's record; see ``zoo show dates``.
    """

    def __init__(self, *, embed_size: int) -> None:
        self.embed_size = embed_size
        self.characters = ""

    def prepare(self, path: Path | None, seed: int, *, learn: bool = True) -> Data:
        """Read pairs of dates: four fifths to train on, a tenth each to validate and to test.

        The alphabet is that of the whole, so that every part can be read.
        """
        pairs, digest = load(path)
        order = np.random.default_rng(seed).permutation(len(pairs))
        train, validation, test = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
        if not len(validation):
            raise DataError(f"{len(pairs)} dates are too few", where=str(path))
        if learn:
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
        """Return the numbers of the characters of a written date.

        Raises:
            DataError: It has none, or one that the alphabet lacks.
        """
        text = written.lower()
        if lacking := set(text) - set(self.characters):
            raise DataError(
                f"the alphabet lacks {min(lacking)!r}",
                where=repr(written),
                why=f"it has {self.characters!r}",
            )
        if not text:
            raise DataError("no date", where=repr(written), fix="leave empty lines out")
        return [self.characters.index(character) for character in text]

    def assets(self) -> dict[str, Any]:
        return {"vocabulary": list(self.characters)}

    def restore(self, assets: Mapping[str, Any]) -> None:
        characters = assets["vocabulary"]
        if not isinstance(characters, list) or not all(
            isinstance(character, str) and len(character) == 1 for character in characters
        ):
            raise ValueError("vocabulary is not a list of characters")
        self.characters = "".join(characters)

    def network(self, make_model: MakeModel) -> EncoderDecoder:
        return EncoderDecoder(make_model, len(self.characters), self.embed_size)

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        assert isinstance(network, EncoderDecoder)
        logits = network(batch.inputs, batch.lengths, batch.targets)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        sums = {"examples": torch.tensor(len(batch.targets)), "loss": loss.detach() * len(logits)}
        if not network.training:
            # Scored as it is used: with nobody to tell it what it should have written so far.
            right = network.write(batch.inputs, batch.lengths)[0] == batch.targets
            sums |= {"dates": right.all(1).sum(), "characters": right.sum()}
        return Step(loss, sums)

    def metrics(self, sums: Sums) -> Metrics:
        """Return the loss a character and, of a split that was scored, what was written right.

        ``accuracy`` is the share of dates without an error, with its interval.
        """
        examples = float(sums["examples"])
        metrics = {"examples": int(examples), "loss": float(sums["loss"]) / examples}
        if "dates" not in sums:
            return metrics
        low, high = wilson(float(sums["dates"]), examples)
        return {
            **metrics,
            "accuracy": float(sums["dates"]) / examples,
            "accuracy_low": low,
            "accuracy_high": high,
            "character_accuracy": float(sums["characters"]) / (examples * STEPS),
        }

    def probe(self) -> Batch:
        """Two rows of unlike length that run through the alphabet."""
        rows = [np.arange(12) % len(self.characters), np.arange(5) % len(self.characters)]
        targets = [[step % len(ISO) for step in range(first, first + STEPS)] for first in (0, 5)]
        return Ragged.of(rows, targets).batch(np.arange(2))

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the logits under teacher forcing, which do not hang on a close decision."""
        answer: Tensor = network(batch.inputs, batch.lengths, batch.targets)
        return answer

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[Prediction]:
        """Yield the date that each text means, and how probable the network finds it."""
        assert isinstance(network, EncoderDecoder)
        device = next(network.parameters()).device
        for text in texts:
            inputs = torch.tensor([self.encode(text)], device=device)
            lengths = torch.tensor([inputs.shape[1]], device=device)
            characters, probability = network.write(inputs, lengths)
            yield Prediction(text, "".join(ISO[c] for c in characters[0]), float(probability))
