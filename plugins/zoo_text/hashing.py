"""The numbers by which words, n-grams and pairs of tokens are hashed. No torch here."""

from __future__ import annotations

GOLDEN = 0x9E3779B97F4A7C15
"""2^64 / golden ratio, which is odd: the factor of Fibonacci hashing.

The highest bits of a product with it, modulo 2^64, are the bucket. Source: D. Knuth, The Art of
Computer Programming 3, section 6.4.
"""

SIGNED_GOLDEN = GOLDEN - (1 << 64)
"""The same bits as a signed integer."""

PAIR = 65_537
"""A pair of the token ids v and w is hashed as ``65537 v + w + 1``."""

BUCKET_SCALE = 10.0
"""What the weights of buckets are multiplied by.

They are this much smaller than what they add to a logit, so that one learning rate suits both them
and the rest of the network.
"""
