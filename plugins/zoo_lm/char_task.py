"""The character language model task: text in, the next character out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoo.data.ragged import Ragged
from zoo.data.sequence import TokenSequence
from zoo.errors import DataError
from zoo.interfaces import (
    Batch,
    BuildModel,
    Data,
    DecodeStep,
    Evaluate,
    Explanation,
    Metrics,
    MetricSums,
    Outcomes,
    RowNames,
    Split,
    State,
    Step,
    Task,
)
from zoo.nn import pool
from zoo_lm import explaining
from zoo_lm.char_corpus import load
from zoo_lm.characters import Characters
from zoo_lm.metrics import compute_metrics, sum_losses
from zoo_lm.network import CharPredictor
from zoo_lm.options import CharLMOptions
from zoo_lm.outcomes import of_characters


class CharLM(Characters, Task):
    """Many-to-many in step: predicts the next character at every character.

    Args:
        options: See ``zoo show char-lm``.
    """

    def __init__(self, options: CharLMOptions) -> None:
        self.options = options
        self._set_vocabulary("")

    # Data

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        """Read the text; the vocabulary is that of all splits, so that each can be scored."""
        text = load(path, self.options.start, self.options.end)
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
        splits = {
            "train": whole.slice(0, validation),
            "validation": whole.slice(validation, test),
            "test": whole.slice(test, length),
            "all": whole,
        }
        for name, split in splits.items():
            if split.num_examples < 2:
                raise DataError(
                    f"{name} split has {split.num_examples + 1} characters",
                    where=str(path or "Python's manual"),
                    why=f"the text has {length}",
                    fix="give a longer text",
                )
        return Data(
            splits=splits,
            digest=text.digest,
            summary=f"{length} characters, {len(text.characters)} distinct, "
            f"of {path.name if path else 'the manual of this Python'}",
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

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        logits, end = network(batch.inputs, batch.lengths, state)
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), reduction="none"
        ).view(batch.targets.shape)
        return Step(losses.mean(), sum_losses(losses.detach()), end, logits.detach())

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        """Return the metrics of :func:`zoo_lm.metrics.compute_metrics`."""
        return compute_metrics(metric_sums)

    def evaluate(self, split: Split, evaluate: Evaluate) -> Metrics:
        """Evaluate with carried state and, for comparison, in windows from the initial state."""
        metrics = evaluate(split)
        if isinstance(split, TokenSequence):
            windowed = evaluate(split.windows())
            metrics |= {f"windowed_{key}": windowed[key] for key in ("loss", "bits_per_character")}
        return metrics

    def probe(self) -> Batch:
        """Return two rows of equal length that run through the vocabulary."""
        inputs = torch.arange(24).view(2, 12) % max(len(self.characters), 1)
        return Batch(inputs, torch.tensor([12, 12]), inputs)

    @torch.inference_mode()
    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return token ids, the text that they stand for, and the logits (V,) that follow.

        The answer is not the character that is generated next: two may be about equally likely.
        """
        device = next(network.parameters()).device
        found = []
        for text in texts:
            token_ids = self.encode(text, "the probe") or [self.start_token()]
            inputs = torch.tensor([token_ids], device=device)
            logits = network(inputs, torch.tensor([len(token_ids)], device=device))[0][0, -1]
            answer = self.decode(token_ids)
            outputs = logits.float().cpu().tolist()
            found.append({"token_ids": token_ids, "answer": answer, "outputs": outputs})
        return found

    def outcomes(self, network: nn.Module, split: Split) -> Outcomes:
        """Return the loss of each character; see :class:`zoo.interfaces.ScoresExamples`."""
        return of_characters(network, split)

    # Use

    def explain(self, network: nn.Module, texts: Sequence[str], target: str) -> list[Explanation]:
        """Return the surprise of every character; see :class:`zoo.interfaces.Explains`."""
        return explaining.explain(self, network, texts, target)

    def decode_step(self, network: nn.Module) -> DecodeStep:
        assert isinstance(network, CharPredictor)
        return network.decode_step()

    @torch.inference_mode()
    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        An empty text is read as the token that generation starts from.

        Raises:
            DataError: The vocabulary lacks a character of a text; the message names it.
        """
        assert isinstance(network, CharPredictor)
        rows = self.encode_texts(texts)
        device = next(network.parameters()).device
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        for batch in Ragged.of(rows, range(len(rows))).eval_batches():
            lengths = batch.lengths.to(device)
            outputs, state = network.model_outputs(batch.inputs.to(device), lengths)
            if per_step:
                values = outputs.float().cpu().numpy()
                found = [values[row, :n].copy() for row, n in enumerate(batch.lengths.tolist())]
            else:
                means = pool(network.rnn, outputs, lengths, state, "mean")
                found = list(means.float().cpu().numpy())
            vectors.update(zip(batch.targets.tolist(), found, strict=True))
        return [vectors[index] for index in range(len(texts))]
