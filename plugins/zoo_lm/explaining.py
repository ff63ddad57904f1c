"""How much each character of a text surprises the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.interfaces import Explanation, Piece
from zoo_lm.network import CharPredictor

if TYPE_CHECKING:
    from zoo_lm.char_task import CharLM

# Steps whose logits are computed at once: a vocabulary may have thousands of characters.
MAX_STEPS = 4096


@torch.inference_mode()
def explain(
    task: CharLM, network: nn.Module, texts: Sequence[str], target: str
) -> list[Explanation]:
    """Return -ln p of each character, given those before it; see :class:`zoo.interfaces.Explains`.

    The first character follows the token that generation starts from.

    Raises:
        UsageError: A target is given.
        DataError: The vocabulary lacks a character of a text.
    """
    assert isinstance(network, CharPredictor)
    if target:
        raise UsageError(
            f"no label {target!r}", why="a language model has none", fix="leave the target out"
        )
    rows = [task.encode(text, f"the text {text[:40]!r}") for text in texts]
    found: dict[int, list[float]] = {index: [] for index in range(len(texts))}
    filled = [index for index, row in enumerate(rows) if row]
    network.eval()
    device = next(network.parameters()).device
    # Of one more token, which the first character follows; the last one predicts nothing.
    inputs = Ragged.of([[task.start_token(), *rows[index][:-1]] for index in filled], filled)
    for batch in inputs.eval_batches() if filled else ():
        lengths = batch.lengths.to(device)
        outputs, _ = network.model_outputs(batch.inputs.to(device), lengths)
        for index, output, length in zip(
            batch.targets.tolist(), outputs, batch.lengths.tolist(), strict=True
        ):
            targets = torch.tensor(rows[index], device=device)
            found[index] = _surprises(network, output[:length], targets)
    return [
        Explanation(
            text=text,
            target="",
            score=sum(found[index]),
            base=0.0,
            unit="nats",
            pieces=tuple(Piece(at, at + 1, value) for at, value in enumerate(found[index])),
            method="negative logarithm of the probability of each character",
        )
        for index, text in enumerate(texts)
    ]


def _surprises(network: CharPredictor, outputs: Tensor, targets: Tensor) -> list[float]:
    """Return -ln p of characters (T,) from the outputs (T, F) before them."""
    parts = [
        nn.functional.cross_entropy(network.fc(part), following, reduction="none")
        for part, following in zip(outputs.split(MAX_STEPS), targets.split(MAX_STEPS), strict=True)
    ]
    surprises: list[float] = torch.cat(parts).double().tolist()
    return surprises
