"""Sampling text from a causal model, one token at a time, one sample or many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.environment import use_one_thread_if_forked
from zoo.errors import UsageError
from zoo.interfaces import Generates, State
from zoo.values import check_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# From this scale on products with logits may overflow, and only the likeliest token is left anyway.
GREEDY = 1e30
MOST_SAMPLES = 100_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    Args:
        scale: What logits are multiplied by before the softmax; 1 / temperature. Infinite: always
            the likeliest token.
        top_k: Draw among the k likeliest tokens; 0: all.
        top_p: Draw among the likeliest tokens that together have this probability; 1: all.
            Source: A. Holtzman et al., arXiv:1904.09751.
        seed: Seed of the draws.

    Raises:
        UsageError: A value is out of bounds.
    """

    scale: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None

    @classmethod
    def at_temperature(
        cls, temperature: float, top_k: int = 0, top_p: float = 1.0, seed: int | None = None
    ) -> Sampling:
        """Return the sampling with the scale 1 / temperature.

        Args:
            temperature: What logits are divided by; 0: always the likeliest token.
            top_k: As above, and so are the others.
            top_p: See there.
            seed: See there.

        Raises:
            UsageError: A value is out of bounds.
        """
        if not temperature >= 0:
            raise UsageError("temperature is negative or no number", why=f"got {temperature}")
        return cls(1 / temperature if temperature else math.inf, top_k, top_p, seed)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UsageError("scale is not positive", why=f"got {self.scale}")
        if self.top_k < 0:
            raise UsageError("top-k is negative", why=f"got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError("top-p is not above 0 and at most 1", why=f"got {self.top_p}")
        if self.seed is not None:
            check_seed(self.seed)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the distribution (N, V) that the next tokens are drawn from.

    Args:
        logits: (N, V).
        sampling: How tokens are drawn.
    """
    import torch
    from torch import nn

    if sampling.scale > GREEDY:
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
    if sampling.scale != 1:
        logits = logits * sampling.scale
    if sampling.top_k and sampling.top_k < logits.shape[1]:
        least = logits.topk(sampling.top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    chances = logits.softmax(1)
    if sampling.top_p < 1:
        ranked, order = chances.sort(dim=1, descending=True)
        # A token is excluded when those before it already reach top_p; the first never is.
        beyond = ranked.cumsum(1) - ranked >= sampling.top_p
        chances = chances.masked_fill(beyond.gather(1, order.argsort(1)), 0.0)
    return chances


def draw(chances: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token (N,) from each distribution (N, V).

    The index of the smallest of exponential variates with these rates: as ``torch.multinomial``,
    in half of its time. Source: L. Devroye, Non-Uniform Random Variate Generation (1986).

    Args:
        chances: (N, V), not negative; they need not add up to 1.
        generator: Source of random numbers, on the device of ``chances``.
    """
    import torch

    return (chances / torch.empty_like(chances).exponential_(generator=generator)).argmax(1)


def generate(
    task: Generates,
    network: nn.Module,
    prompt: str,
    length: int,
    sampling: Sampling,
    samples: int = 1,
) -> Iterator[list[str]]:
    """Yield what follows a prompt, the next token of every sample at a time.

    Args:
        task: Encodes the prompt, decodes the tokens, and gives the step function.
        network: A trained network of the task.
        prompt: Where every sample starts.
        length: Tokens to draw.
        sampling: How they are drawn.
        samples: Texts that are drawn side by side.

    Raises:
        UsageError: There are too many samples, or none.
        DataError: The prompt has a character that the vocabulary lacks.
    """
    check_samples(samples)
    return _generate(task, network, prompt, length, sampling, samples)


def check_samples(samples: int) -> None:
    """Refuse a number of samples.

    Args:
        samples: Texts that are drawn side by side.

    Raises:
        UsageError: There are too many samples, or none.
    """
    if not 0 < samples <= MOST_SAMPLES:
        raise UsageError(f"samples are not between 1 and {MOST_SAMPLES}", why=f"got {samples}")


def _generate(
    task: Generates, network: nn.Module, prompt: str, length: int, sampling: Sampling, samples: int
) -> Iterator[list[str]]:
    import torch

    use_one_thread_if_forked()
    prompt_ids = task.encode(prompt) or [task.start_token()]
    step = task.decode_step(network)
    device = next(network.parameters()).device
    generator = torch.Generator(device)
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    state: State | None = None
    with torch.inference_mode():
        for token_id in prompt_ids:
            logits, state = step(torch.full((samples,), token_id, device=device), state)
    for remaining in reversed(range(length)):
        with torch.inference_mode():  # Never across a yield: it would hold for the caller as well.
            drawn = draw(probabilities(logits, sampling), generator)
            if remaining:
                logits, state = step(drawn, state)
        yield [task.decode([token_id]) for token_id in drawn.tolist()]
