"""How much each token of a text surprises the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.data.ragged import Ragged
from zoo.errors import UsageError
from zoo.interfaces import Explanation, Piece
from zoo_lm.network import TokenPredictor

if TYPE_CHECKING:
    from zoo_lm.task import LanguageModel


@torch.inference_mode()
def explain(
    task: LanguageModel[Any], network: nn.Module, texts: Sequence[str], target: str
) -> list[Explanation]:
    """Return -ln p of each token, given those before it; see :class:`zoo.interfaces.Explains`.

    The first token follows the token that generation starts from.

    Raises:
        UsageError: A target is given.
        DataError: A text cannot be encoded.
    """
    assert isinstance(network, TokenPredictor)
    if target:
        raise UsageError(
            f"no label {target!r}", why="a language model has none", fix="leave the target out"
        )
    rows = [task.encode(text, f"the text {text[:40]!r}") for text in texts]
    found: dict[int, list[float]] = {index: [] for index in range(len(texts))}
    filled = [index for index, row in enumerate(rows) if row]
    network.eval()
    device = next(network.parameters()).device
    # Of one more token, which the first one follows; the last one predicts nothing.
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
            pieces=tuple(
                Piece(start, end, value)
                for (start, end), value in zip(task.spans(text), found[index], strict=True)
            ),
            method=f"negative logarithm of the probability of each {task.unit}",
        )
        for index, text in enumerate(texts)
    ]


def _surprises(network: TokenPredictor, outputs: Tensor, targets: Tensor) -> list[float]:
    """Return -ln p of tokens (T,) from the outputs (T, F) of the model before them."""
    features = network.project(outputs[None])
    surprises: list[float] = network.losses(features, targets[None])[0].double().tolist()
    return surprises
