"""The sample: a series with two seasons and noise that is correlated from step to step."""

from __future__ import annotations

import math
import random

STEPS = 10_000
SEED = 15


def sample() -> str:
    """Return the sample as CSV, the same each time.

    A season of 24 steps whose amplitude swells and falls, one of 60 steps, a slow trend, and
    autoregressive noise.
    """
    draw = random.Random(SEED)
    noise = 0.0
    lines = ["load"]
    for step in range(STEPS):
        noise = 0.8 * noise + draw.gauss(0.0, 0.3)
        amplitude = 3 + math.sin(2 * math.pi * step / 500)
        day = amplitude * math.sin(2 * math.pi * step / 24)
        other = math.sin(2 * math.pi * step / 60)
        lines.append(f"{20 + step / 2000 + day + other + noise:.3f}")
    return "\n".join(lines) + "\n"
