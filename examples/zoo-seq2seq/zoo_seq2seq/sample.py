"""The sample: integers below a billion, and how they are written in English words."""

from __future__ import annotations

import random

NUMBERS = 20_000
SEED = 15
MOST_DIGITS = 9

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"
)  # fmt: skip


def spell(number: int) -> str:
    """Return a number from 0 to 999,999,999 in words: 1204 is one thousand two hundred and four."""
    if number == 0:
        return _SMALL[0]
    millions, thousands, rest = number // 10**6, number // 1000 % 1000, number % 1000
    words = []
    if millions:
        words += [_below_thousand(millions), "million"]
    if thousands:
        words += [_below_thousand(thousands), "thousand"]
    if rest:
        words += ["and"] if words and rest < 100 else []
        words.append(_below_thousand(rest))
    return " ".join(words)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [_SMALL[hundreds], "hundred"] if hundreds else []
    if rest:
        words += ["and"] if hundreds else []
        words.append(_SMALL[rest] if rest < 20 else _TENS[rest // 10] + _unit(rest % 10))
    return " ".join(words)


def _unit(number: int) -> str:
    return f"-{_SMALL[number]}" if number else ""


def sample() -> str:
    """Return the sample, the same each time: number, tab and words in each line.

    Numbers are distinct, have up to nine digits, and many zeros, so that inputs of the same length
    have outputs of very different lengths.
    """
    draw = random.Random(SEED)
    numbers: dict[int, None] = {}
    while len(numbers) < NUMBERS:
        digits = [draw.randrange(10) for _ in range(draw.randint(1, MOST_DIGITS))]
        zeros = draw.choice((0.0, 0.3, 0.6))
        numbers[int("".join(str(0 if draw.random() < zeros else d) for d in digits))] = None
    return "".join(f"{number}\t{spell(number)}\n" for number in numbers)
