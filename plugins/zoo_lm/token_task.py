"""What tasks over one long sequence of tokens share: splits, vectors of texts, the probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoo.data.ragged import Ragged
from zoo.data.sequence import TokenSequence
from zoo.errors import DataError
from zoo.interfaces import Split, Task
from zoo.nn import pool
from zoo_lm.network import TokenPredictor
from zoo_lm.options import CorpusOptions
from zoo_lm.vocabulary import Vocabulary

Options = TypeVar("Options", bound=CorpusOptions)


class TokenTask(Vocabulary, Task, Generic[Options]):
    """A task that predicts tokens of a text.

    Args:
        options: The task's options.

    Attributes:
        unit: What a token is, in messages.
    """

    unit: ClassVar[str]

    def __init__(self, options: Options) -> None:
        self.options = options

    def make_splits(
        self, whole: TokenSequence, validation: int, test: int, where: str
    ) -> dict[str, Split]:
        """Return the splits of a sequence.

        Args:
            whole: The sequence.
            validation: Where the validation split begins.
            test: Where the test split begins.
            where: The source, for messages.

        Raises:
            DataError: One has fewer than two tokens to predict.
        """
        length = len(whole.token_ids)
        splits = {
            "train": whole.slice(0, validation),
            "validation": whole.slice(validation, test),
            "test": whole.slice(test, length),
            "all": whole,
        }
        for name, split in splits.items():
            if split.num_examples < 2:
                raise DataError(
                    f"{name} split has {split.num_examples + 1} {self.unit}s",
                    where=where,
                    why=f"the text has {length}",
                    fix="give a longer text",
                )
        return {**splits}

    @torch.inference_mode()
    def probe_answers(self, network: nn.Module, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return token ids, the text that they stand for, and logits at the last token.

        The answer is not the token that is generated next: two may be about equally likely.
        """
        device = next(network.parameters()).device
        found = []
        for text in texts:
            token_ids = self.encode(text, "the probe") or [self.start_token()]
            inputs = torch.tensor([token_ids], device=device)
            logits = network(inputs, torch.tensor([len(token_ids)], device=device))[0][0, -1]
            outputs = logits[..., self.probe_columns()].float().flatten().cpu().tolist()
            answer = self.decode(token_ids)
            found.append({"token_ids": token_ids, "answer": answer, "outputs": outputs})
        return found

    @torch.inference_mode()
    def embed(
        self, network: nn.Module, texts: Sequence[str], *, per_step: bool
    ) -> list[npt.NDArray[np.float32]]:
        """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

        An empty text is read as the token that generation starts from.

        Raises:
            DataError: A text cannot be encoded; the message names what the vocabulary lacks.
        """
        assert isinstance(network, TokenPredictor)
        device = next(network.parameters()).device
        vectors: dict[int, npt.NDArray[np.float32]] = {}
        for batch in Ragged.of(self.encode_texts(texts), range(len(texts))).eval_batches():
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
