"""Whether a training computes in mixed precision: as its options say, where the device can."""

from __future__ import annotations

import warnings

import torch

from zoo.errors import ZooWarning
from zoo.spec import TrainingOptions


def is_mixed(options: TrainingOptions, device: torch.device) -> bool:
    """Return whether matrix products of training steps are computed in bfloat16.

    A processor without instructions for them (AMX) would imitate them, at a fraction of the speed
    of float32. It computes float32, with a warning.

    Args:
        options: Their ``precision`` is ``float32`` or ``bfloat16``.
        device: Where the training is.
    """
    if options.precision == "float32":
        return False
    if device.type != "cpu" or multiplies_bfloat16():
        return True
    warnings.warn(
        "precision=bfloat16 is trained in float32 here: this processor has no instructions for "
        "bfloat16 (AMX), or torch cannot tell",
        ZooWarning,
        stacklevel=2,
    )
    return False


def multiplies_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 matrices; older torch cannot tell."""
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    return get_capabilities is not None and bool(get_capabilities().get("amx_bf16"))
