"""What the probe of a weights file says of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from zoo_lm.vocabulary import Vocabulary


@torch.inference_mode()
def answers(
    vocabulary: Vocabulary, network: nn.Module, texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Return token ids, the text that they stand for, and logits at the last token.

    The answer is not the token that is generated next: two may be about equally likely.

    Args:
        vocabulary: The task.
        network: Its network.
        texts: Those of the probe.
    """
    device = next(network.parameters()).device
    found = []
    for text in texts:
        token_ids = vocabulary.encode(text, "the probe") or [vocabulary.start_token()]
        inputs = torch.tensor([token_ids], device=device)
        logits = network(inputs, torch.tensor([len(token_ids)], device=device))[0][0, -1]
        outputs = logits[..., vocabulary.probe_columns()].float().flatten().cpu().tolist()
        answer = vocabulary.decode(token_ids)
        found.append({"token_ids": token_ids, "answer": answer, "outputs": outputs})
    return found
