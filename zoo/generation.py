"""Sampling text from any causal model, one symbol at a time, one stream or many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.interfaces import Generates, State

# From here on products with logits may overflow, and nothing but the likeliest is left anyway.
GREEDY = 1e30


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next symbol is drawn.

    Args:
        scale: What logits are multiplied by before the softmax; 1 / temperature. Infinite: always
            the likeliest symbol.
        top_k: Draw among the k likeliest symbols; 0: all.
        top_p: Draw among the likeliest symbols that together have this probability; 1: all.
            Source: A. Holtzman et al., arXiv:1904.09751.
        seed: Seed of the draws.

    Raises:
        UsageError: A value is out of bounds.
    """

    scale: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UsageError("scale is not positive", why=f"got {self.scale}")
        if self.top_k < 0:
            raise UsageError("top-k is negative", why=f"got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError("top-p is not above 0 and at most 1", why=f"got {self.top_p}")


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the distribution (S, V) that the next symbols are drawn from."""
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
        # A symbol goes when those before it already reach top_p; the first always stays.
        beyond = ranked.cumsum(1) - ranked >= sampling.top_p
        chances = chances.masked_fill(beyond.gather(1, order.argsort(1)), 0.0)
    return chances


def draw(chances: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one symbol (S,) from each distribution (S, V).

    What of exponential waiting times at these rates ends first. It is ``torch.multinomial`` at
    half of its price. Source: L. Devroye, Non-Uniform Random Variate Generation (1986).
    """
    return (chances / torch.empty_like(chances).exponential_(generator=generator)).argmax(1)


def generate(
    task: Generates,
    network: nn.Module,
    prompt: str,
    length: int,
    sampling: Sampling,
    streams: int = 1,
) -> Iterator[list[str]]:
    """Yield what follows a prompt, one symbol of every stream at a time.

    Args:
        task: Encodes the prompt, decodes the symbols, and gives the step function.
        network: A trained network of the task.
        prompt: Where every stream starts.
        length: Symbols to draw.
        sampling: How they are drawn.
        streams: Texts that are drawn side by side.

    Raises:
        DataError: The prompt has a character that the vocabulary lacks.
    """
    symbols = task.encode(prompt) or [task.start()]
    step = task.stepper(network)
    device = next(network.parameters()).device
    generator = torch.Generator(device)
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    state: State | None = None
    with torch.inference_mode():
        for symbol in symbols:
            logits, state = step(torch.full((streams,), symbol, device=device), state)
    for left in reversed(range(length)):
        with torch.inference_mode():  # Never across a yield: the caller would be in it, too.
            drawn = draw(probabilities(logits, sampling), generator)
            if left:
                logits, state = step(drawn, state)
        yield [task.decode([symbol]) for symbol in drawn.tolist()]
