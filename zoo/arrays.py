"""Functions of arrays as ``torch.nn.functional`` has them of tensors, for runtimes by NumPy."""

from __future__ import annotations

import numpy as np

from zoo.interfaces import Array


def softmax(logits: Array) -> Array:
    """Return the probabilities (..., V) of logits (..., V).

    Args:
        logits: Floating-point numbers, of which each row has one that is finite.
    """
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    chances: Array = raised / raised.sum(-1, keepdims=True)
    return chances


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the probabilities (..., V) of logits (..., V).

    Args:
        logits: As for :func:`softmax`.
    """
    lowered = logits - logits.max(-1, keepdims=True)
    logarithms: Array = lowered - np.log(np.exp(lowered).sum(-1, keepdims=True))
    return logarithms
