"""Weights files that were changed: refused, or without any effect on answers."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from promises import Promise
from weights_reader import Tensors, canonical, forge, parse, unparse
from word_task import WORDS_TASK, Words

import zoo
from zoo import installed
from zoo.errors import WeightsError, ZooError
from zoo.weights.comparison import settings_digest

BYTES = Promise(
    "A weights file with changed bytes is refused, or has the same weights and settings",
    quick=300, full=20_000,
)  # fmt: skip
VALUES = Promise(
    "A weights file with any value in its header is refused or gives the same answers, also where "
    "its digest was computed anew",
    quick=300, full=20_000,
)  # fmt: skip
MEANING = Promise(
    "Another vocabulary, other labels, options or weights are found where the digest of the file "
    "was computed anew",
    quick=100, full=2_000,
)  # fmt: skip
ANSWERS = Promise(
    "A permuted vocabulary, permuted labels, another truncation or tokenizer are found where all "
    "digests were computed anew",
    quick=100, full=2_000,
)  # fmt: skip

TEXTS = ["sala Torb minc", "Reld " * 9 + "salj", "sal tor"]


@contextmanager
def seconds(number: int) -> Iterator[None]:
    """Fail if the body takes longer, as a file that hangs does."""

    def fail(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still computing after {number} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(number)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def original(
    train_here: Callable[..., zoo.Run], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    installed.forget()
    zoo.register(WORDS_TASK)
    out = tmp_path_factory.mktemp("words") / "run"
    train_here("words/gru", out, "steps=3", "hidden_size=5", "learning_rate=0.1")
    yield out / "weights.safetensors"
    installed.forget()


def answers(model: zoo.TrainedModel) -> list[Any]:
    task = model.task
    assert isinstance(task, Words)
    return [dict(answer) for answer in task.probe_answers(model.module, TEXTS)]


def is_refused(path: Path, expected: list[Any]) -> bool:
    """Load a file; it gives the same answers where it is not refused."""
    try:
        with seconds(30):
            found = answers(zoo.load(path))
    except ZooError as error:
        assert "\n" not in str(error)
        return True
    assert found == expected
    return False


def with_changed_bytes(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    length = draw.choice((1, 1, 2, 8, 100))
    some = draw.randbytes(length)
    kind = draw.randrange(5)
    if kind == 0:
        return (
            content[:start]
            + bytes([content[start] ^ 1 << draw.randrange(8)])
            + content[start + 1 :]
        )
    if kind == 1:
        return content[:start] + some + content[start + length :]
    if kind == 2:
        return content[:start] + some + content[start:]
    if kind == 3:
        return content[:start] + content[start + length :]
    return content[:start]


def test_changed_bytes(original: Path, tmp_path: Path) -> None:
    content, expected = original.read_bytes(), answers(zoo.load(original))
    refused = 0
    for case in range(BYTES.cases):
        (tmp_path / "w").write_bytes(with_changed_bytes(content, random.Random(case)))
        refused += is_refused(tmp_path / "w", expected)
    assert refused > 0.9 * BYTES.cases


HOSTILE: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "x", "../../etc/passwd", "\ud800", "\x1b[2J", "a" * 10_000, [], {}, [[]],
    [None], {"": None}, [1] * 1000, [[1e300]], [[[[[[[[]]]]]]]],
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a document."""
    if path:
        yield path
    inner: Any = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = enumerate(value[:3])
    for key, one in inner:
        yield from places(one, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


def test_any_value_anywhere(original: Path, tmp_path: Path) -> None:
    header, tensors = parse(original)
    expected = answers(zoo.load(original))
    everywhere = list(places(header))
    for case in range(VALUES.cases):
        draw = random.Random(case)
        changed = header
        for _ in range(draw.choice((1, 1, 1, 2))):
            way = draw.choice(everywhere)
            try:
                changed = replaced(changed, way, draw.choice(HOSTILE))
            except (LookupError, TypeError):  # The first change took this place away.
                continue
        try:
            file = forge(tmp_path / "w", changed, tensors)
        except UnicodeEncodeError:
            file = unparse(tmp_path / "w", canonical(changed).replace("\ud800", "\\ud800"), tensors)
        is_refused(file, expected)


def shuffled(values: list[Any], draw: random.Random, number: int = 0) -> list[Any]:
    """Return values in another order; ``number`` says how many of them move."""
    while True:
        order = list(values)
        places = draw.sample(range(len(values)), number or len(values))
        moved = [values[place] for place in draw.sample(places, len(places))]
        for place, value in zip(places, moved, strict=True):
            order[place] = value
        if order != values:
            return order


def with_state(header: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**header, "task_state": {**header["task_state"], **changes}}


def with_options(header: dict[str, Any], part: str, **changes: Any) -> dict[str, Any]:
    made = header["run"][part]
    changed = {**made, "options": {**made["options"], **changes}}
    return {**header, "run": {**header["run"], part: changed}}


def permuted(header: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Return a header of another meaning: the way from text to answer is another one."""
    state = header["task_state"]
    changes: list[Callable[[], dict[str, Any]]] = [
        lambda: with_state(header, vocabulary=shuffled(state["vocabulary"], draw)),
        lambda: with_state(header, labels=shuffled(state["labels"], draw)),
        lambda: with_options(header, "task", max_tokens=draw.choice((1, 3, 5, 9))),
        lambda: with_options(header, "task", truncation="tail"),
        lambda: with_options(header, "task", lower=True),
    ]  # fmt: skip
    return draw.choice(changes)()


def with_other_weights(tensors: Tensors, draw: random.Random) -> Tensors:
    name = draw.choice(sorted(tensors))
    dtype, shape, content = tensors[name]
    place = 4 * draw.randrange(len(content) // 4)
    other = content[:place] + draw.randbytes(3) + b"\x3d" + content[place + 4 :]
    return {**tensors, name: (dtype, shape, other)}


def test_another_meaning_with_the_digest_of_the_file_computed_anew(
    original: Path, tmp_path: Path
) -> None:
    header, tensors = parse(original)
    vocabulary = header["task_state"]["vocabulary"]
    for case in range(MEANING.cases):
        draw = random.Random(case)
        changed, weights = header, tensors
        if case % 3 == 0:  # Two rare words, which the texts of the probe may not have.
            changed = with_state(header, vocabulary=shuffled(vocabulary, draw, 2))
        elif case % 3 == 1:
            weights = with_other_weights(tensors, draw)
        else:
            changed = permuted(header, draw)
        with pytest.raises(WeightsError):
            zoo.load(forge(tmp_path / "w", changed, weights))


def test_another_meaning_with_all_digests_computed_anew(original: Path, tmp_path: Path) -> None:
    header, tensors = parse(original)
    for case in range(ANSWERS.cases):
        changed = permuted(header, random.Random(case))
        changed["probe"] = {**changed["probe"], "sha256": settings_digest(changed)}
        with pytest.raises(WeightsError, match="probe does not agree"):
            zoo.load(forge(tmp_path / "w", changed, tensors))
