"""The vectors of texts: what the model returns for their tokens, or the mean of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from zoo.data.ragged import Ragged
from zoo.nn import pool
from zoo_lm.network import TokenPredictor


@torch.inference_mode()
def embed_tokens(
    network: nn.Module, texts: Sequence[Sequence[int]], *, per_step: bool
) -> list[npt.NDArray[np.float32]]:
    """Return the mean of the model's outputs (F,) for each text, or all of them (T, F).

    Args:
        network: A :class:`zoo_lm.network.TokenPredictor`.
        texts: The token ids of each.
        per_step: Whether to return the outputs of all tokens.
    """
    assert isinstance(network, TokenPredictor)
    device = next(network.parameters()).device
    vectors: dict[int, npt.NDArray[np.float32]] = {}
    for batch in Ragged.of(texts, range(len(texts))).eval_batches():
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
