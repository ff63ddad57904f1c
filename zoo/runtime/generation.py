"""Sampling text from a causal model by NumPy: as :mod:`zoo.generation`, with the same draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zoo.arrays import softmax
from zoo.generation import GREEDY, Sampling, check_samples
from zoo.interfaces import (
    Array,
    ArrayDecodeStep,
    ArrayState,
    DrawsTokens,
    Generates,
    TokenLoop,
)

CHUNK = 64
"""How many tokens one call of compiled code draws."""


def probabilities(logits: Array, sampling: Sampling) -> Array:
    """Return what :func:`zoo.generation.probabilities` returns of the same logits (N, V)."""
    size = logits.shape[1]
    if sampling.scale > GREEDY:
        likeliest: Array = np.zeros_like(logits)
        likeliest[np.arange(len(logits)), logits.argmax(1)] = 1
        return likeliest
    logits = logits * logits.dtype.type(sampling.scale)
    if sampling.top_k and sampling.top_k < size:
        least = np.partition(logits, size - sampling.top_k, axis=1)[:, size - sampling.top_k]
        logits = np.where(logits < least[:, None], -np.inf, logits)
    chances = softmax(logits)
    if sampling.top_p < 1:
        order = np.argsort(-chances, axis=1, kind="stable")
        ranked = np.take_along_axis(chances, order, 1)
        beyond = ranked.cumsum(1) - ranked >= sampling.top_p
        np.put_along_axis(chances, order, np.where(beyond, 0, ranked), 1)
    return chances


class Exponential:
    """Exponential variates, the same ones that a CPU generator of torch gives for a seed.

    Each is ``-ln(1 - u)`` of 53 bits of two outputs of a Mersenne Twister (M. Matsumoto and
    T. Nishimura, ACM TOMACS 8 (1998)).

    Args:
        seed: The seed; None: another one each time.
    """

    def __init__(self, seed: int | None) -> None:
        self._twister = np.random.RandomState(seed)

    def draw(self, *shape: int) -> Array:
        """Return float32 variates of a shape."""
        bits = self._twister.randint(0, 1 << 32, size=(*shape, 2), dtype=np.uint32)
        both = bits[..., 0].astype(np.uint64) << np.uint64(32) | bits[..., 1]
        uniform = (both & np.uint64((1 << 53) - 1)) * 2.0**-53
        variates: Array = (-np.log1p(-uniform)).astype(np.float32)
        return variates


def draw(chances: Array, source: Exponential) -> Array:
    """Draw one token (N,) from each distribution (N, V); see :func:`zoo.generation.draw`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn: Array = (chances / source.draw(*chances.shape)).argmax(1)
    return drawn


def generate(
    task: Generates,
    network: Any,
    prompt: str,
    length: int,
    sampling: Sampling,
    samples: int = 1,
) -> Iterator[list[str]]:
    """Yield what follows a prompt; arguments and errors are those of :mod:`zoo.generation`."""
    check_samples(samples)
    if samples == 1 and length and isinstance(task, DrawsTokens):
        prompt_ids = task.encode(prompt) or [task.start_token()]
        loop = task.draw_loop(network, len(prompt_ids) + length)
        if loop is not None:
            return _generate_one(task, loop, prompt_ids, length, sampling)
    step: ArrayDecodeStep = task.decode_step(network)  # type: ignore[assignment]
    return _generate(task, step, prompt, length, sampling, samples)


def _generate(
    task: Generates,
    step: ArrayDecodeStep,
    prompt: str,
    length: int,
    sampling: Sampling,
    samples: int,
) -> Iterator[list[str]]:
    source = Exponential(sampling.seed)
    state: ArrayState | None = None
    for token_id in task.encode(prompt) or [task.start_token()]:
        logits, state = step(np.full(samples, token_id), state)
    for remaining in reversed(range(length)):
        drawn = draw(probabilities(logits, sampling), source)
        if remaining:
            logits, state = step(drawn, state)
        yield [task.decode([token_id]) for token_id in drawn.tolist()]


def _generate_one(
    task: Generates, loop: TokenLoop, prompt_ids: Sequence[int], length: int, sampling: Sampling
) -> Iterator[list[str]]:
    """Generate one text by compiled code, with the variates of :func:`_generate`."""
    source, greedy = Exponential(sampling.seed), sampling.scale > GREEDY
    token_ids: Sequence[int] = prompt_ids
    for first in range(0, length, CHUNK):
        variates = source.draw(min(CHUNK, length - first), loop.num_tokens)
        token_ids = loop.draw(
            token_ids, variates, greedy=greedy, scale=1.0 if greedy else sampling.scale,
            top_k=sampling.top_k, top_p=sampling.top_p,
        ).tolist()  # fmt: skip
        for token_id in token_ids:
            yield [task.decode([token_id])]
        token_ids = token_ids[-1:]
