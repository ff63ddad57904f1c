"""How far a measured figure can be trusted: 95 % intervals."""

from __future__ import annotations

import math

Z95 = 1.959963984540054


def wilson(hits: float, examples: float) -> tuple[float, float]:
    """Return the 95 % interval of a proportion.

    Source: E. Wilson, J. Am. Stat. Assoc. 22 (1927); unlike the normal one it stays within 0..1.

    Args:
        hits: Examples that count.
        examples: All examples; none: nothing is known of the proportion.
    """
    if not examples:
        return 0.0, 1.0
    share = hits / examples
    scale = 1 + Z95**2 / examples
    middle = (share + Z95**2 / (2 * examples)) / scale
    half = Z95 * math.sqrt(share * (1 - share) / examples + (Z95 / (2 * examples)) ** 2) / scale
    # Rounding may carry an end past what a proportion can be, or short of the share itself.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def mean_interval(total: float, squares: float, examples: float) -> tuple[float, float]:
    """Return the 95 % interval of a mean, from the sum and the sum of squares of its parts.

    Args:
        total: Sum of the parts.
        squares: Sum of their squares.
        examples: How many parts there are.
    """
    if examples < 2:
        return -math.inf, math.inf
    mean = total / examples
    variance = max(squares / examples - mean**2, 0.0) * examples / (examples - 1)
    half = Z95 * math.sqrt(variance / examples)
    return mean - half, mean + half
