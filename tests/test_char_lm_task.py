"""The character language model task: which text it reads, and how well it says it did."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from zoo.building import make_network, make_task
from zoo.data import streams
from zoo.engine.evaluation import score
from zoo.errors import DataError
from zoo.registry import Registry
from zoo_charlm import corpus

HEADER = "The Project Gutenberg EBook\r\n*** START OF THIS PROJECT GUTENBERG EBOOK TOYS ***\r\n"
BOOK = "\r\n\r\nTOYS\r\nby Nobody\r\n" + "The toys were — as ever — many.\r\n" * 40
FOOTER = "*** END OF THIS PROJECT GUTENBERG EBOOK TOYS ***\r\nDonate!\r\n"
Make = Callable[..., Any]


@pytest.fixture
def make(registry: Registry) -> Make:
    """Return a char-LM task with some options changed."""

    def build(**options: Any) -> Any:
        info = registry.task("char-lm")
        defaults = {name: option.default for name, option in info.options.items()}
        return make_task(info, {**defaults, "embed_size": 4, **options})

    return build


@pytest.fixture
def network(registry: Registry) -> Make:
    def build(task: Any, model: str = "lstm", **options: Any) -> nn.Module:
        info = registry.model(model)
        known = {name: option.default for name, option in info.options.items()}
        torch.manual_seed(5)
        made = make_network(task, info, {**known, "hidden_size": 6, **options})
        for parameter in made.parameters():
            nn.init.normal_(parameter, std=0.5)
        return made

    return build


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    return path


def spelled(task: Any, split: Any) -> str:
    return "".join(task.characters[code] for code in split.codes)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_is_cut_at_its_markers(mark: str, make: Make, tmp_path: Path) -> None:
    path = write(tmp_path, mark + HEADER + BOOK + FOOTER)
    task = make(start="by Nobody", end="*** END")
    data = task.prepare(path, 1)
    text = spelled(task, data.splits["all"])
    assert text == (HEADER + BOOK)[len(HEADER + "\r\n\r\nTOYS\r\n") :].replace("\r\n", "\n")
    assert task.characters == "".join(sorted(set(text)))
    assert str(len(text)) in data.summary


@pytest.mark.parametrize("words", ["THIS", "THE"])
def test_a_gutenberg_book_needs_no_markers(words: str, make: Make, tmp_path: Path) -> None:
    whole = (HEADER + BOOK + FOOTER).replace("THIS", words)
    task = make()
    data = task.prepare(write(tmp_path, "\ufeff" + whole), 1)
    assert spelled(task, data.splits["all"]) == BOOK.replace("\r\n", "\n")


@pytest.mark.parametrize("whole", [HEADER + BOOK, BOOK + FOOTER, BOOK])
def test_any_other_text_is_read_whole(whole: str, make: Make, tmp_path: Path) -> None:
    task = make()
    data = task.prepare(write(tmp_path, whole), 1)
    assert spelled(task, data.splits["all"]) == whole.replace("\r\n", "\n")


def test_a_missing_marker_is_told(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"marker not found.*'nowhere'"):
        make(start="nowhere").prepare(write(tmp_path, BOOK), 1)


def test_parts_follow_each_other_and_make_up_the_whole(make: Make, tmp_path: Path) -> None:
    task = make(validation=0.1, test=0.2)
    splits = task.prepare(write(tmp_path, BOOK), 1).splits
    parts = [spelled(task, splits[name]) for name in ("train", "validation", "test", "all")]
    assert "".join(parts[:3]) == parts[3]
    size = len(parts[3])
    assert [len(part) for part in parts[:3]] == [
        size - round(size * 0.2) - round(size * 0.1), round(size * 0.1), round(size * 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a", "ab", "abcdefgh"])
def test_a_text_too_short_for_its_parts_is_refused(text: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        make().prepare(write(tmp_path, text), 1)


def test_a_folder_is_no_text(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        make().prepare(tmp_path, 1)


def test_alphabets_of_more_than_256_characters(
    make: Make, train_here: Callable[..., Any], tmp_path: Path
) -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 700))) + "😀"
    draw = np.random.default_rng(1)
    text = letters + "".join(draw.choice(list(letters), size=2000))
    path = write(tmp_path, text)
    task = make()
    data = task.prepare(path, 1)
    assert len(task.characters) == 701
    assert spelled(task, data.splits["all"]) == text
    assert data.splits["all"].codes.dtype == np.uint16
    train_here("char-lm/rnn", tmp_path / "run", "steps=2", "embed_size=4", data=path)
    written = zoo.load(tmp_path / "run").generate("😀", 20, seed=1)
    assert len(written) == 21
    assert set(written) <= set(letters)


def test_the_sample_is_the_manual_of_this_python(make: Make) -> None:
    from pydoc_data.topics import topics

    task = make()
    data = task.prepare(None, 1)
    text = spelled(task, data.splits["all"])
    assert len(text) > 400_000
    assert all(topic in text for topic in topics.values())
    assert data.digest == make().prepare(None, 1).digest


def whole_losses(network: nn.Module, codes: np.ndarray) -> torch.Tensor:
    """Return the loss at every character, read in a single call, in float64."""
    text = torch.from_numpy(codes.astype(np.int64))
    with torch.no_grad():
        logits, _ = network(text[None, :-1], torch.tensor([len(text) - 1]))
    return nn.functional.cross_entropy(logits[0].double(), text[1:], reduction="none")


@pytest.mark.parametrize("window", [30, 50, 2048])
def test_the_loss_is_that_of_the_whole_text(
    window: int, make: Make, network: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "EVALUATION_WINDOW", window)
    task = make(window=40)
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task, num_layers=2)
    losses = whole_losses(made.eval(), split.codes)
    metrics = task.evaluate(split, lambda part: score(task, made, part))
    loss = losses.mean().item()
    assert metrics["examples"] == len(losses) == len(split.codes) - 1
    assert metrics["loss"] == pytest.approx(loss, abs=1e-6)
    assert metrics["bits_per_character"] == pytest.approx(loss / math.log(2), abs=1e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)


def test_cold_windows_start_from_nothing(make: Make, network: Make, tmp_path: Path) -> None:
    task = make(window=40)
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task).eval()
    losses = torch.cat([
        whole_losses(made, split.codes[at : at + 41]) for at in range(0, len(split.codes) - 1, 40)
    ])  # fmt: skip
    metrics = task.evaluate(split, lambda part: score(task, made, part))
    assert metrics["cold_loss"] == pytest.approx(losses.mean().item(), abs=1e-6)
    assert metrics["cold_bits_per_character"] == pytest.approx(
        losses.mean().item() / math.log(2), abs=1e-6
    )
    assert abs(metrics["cold_loss"] - metrics["loss"]) > 1e-4


def test_the_interval_is_that_of_the_mean_over_blocks_of_about_32(
    make: Make, network: Make, tmp_path: Path
) -> None:
    task = make()
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task).eval()
    losses = whole_losses(made, split.codes).numpy()
    blocks = np.array([part.mean() for part in np.array_split(losses, len(losses) // 32)])
    half = 1.959964 * blocks.std(ddof=1) / math.sqrt(len(blocks))
    metrics = score(task, made, split)
    assert metrics["loss_low"] == pytest.approx(blocks.mean() - half, abs=1e-6)
    assert metrics["loss_high"] == pytest.approx(blocks.mean() + half, abs=1e-6)


@pytest.mark.parametrize("window", [1, 7, 20, 40])
def test_windows_and_texts_shorter_than_a_block_are_scored(
    window: int, train_here: Callable[..., Any], tmp_path: Path
) -> None:
    path = write(tmp_path, "to be or not to be " * 12)
    train_here(
        "char-lm/rnn", tmp_path / "run", "steps=3", "embed_size=4", f"window={window}", data=path,
    )  # fmt: skip
    # Strict JSON: neither NaN nor infinity.
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line, parse_constant=pytest.fail)
        assert math.isfinite(metrics["loss"])
        assert metrics.get("loss_low", -math.inf) < metrics["loss"]
        assert metrics.get("loss_high", math.inf) > metrics["loss"]


@pytest.mark.parametrize("input", ["embedding", "onehot"])
def test_one_hot_characters_are_an_identity_embedding(
    input: str, make: Make, network: Make, tmp_path: Path
) -> None:
    task = make(input=input)
    task.restore({"vocabulary": list("abcdef")})
    made = network(task, "gru")
    table = torch.eye(6) if input == "onehot" else made.embedding.weight
    symbols = torch.randint(6, (2, 9))
    outputs, _ = made.rnn(table[symbols], torch.tensor([9, 9]))
    expected = made.fc(outputs)
    found, _ = made.eval()(symbols, torch.tensor([9, 9]))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(made.table(), table)


@pytest.mark.parametrize("kind", ["dropout", "embed_dropout"])
def test_dropout_acts_in_training_alone(kind: str, make: Make, network: Make) -> None:
    made = []
    for share in (0.5, 0.0):
        task = make(**{kind: share})
        task.restore({"vocabulary": list("abcdef")})
        made.append(network(task))
    dropping, whole = made
    symbols, lengths = torch.randint(6, (2, 9)), torch.tensor([9, 9])
    outputs = [dropping.train()(symbols, lengths)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    expected = whole.eval()(symbols, lengths)[0]
    assert torch.equal(dropping.eval()(symbols, lengths)[0], expected)


def test_a_text_of_known_characters_can_be_scored(make: Make, tmp_path: Path) -> None:
    task = make()
    task.restore({"vocabulary": list("\n abcdef")})
    data = task.prepare(write(tmp_path, "fade a bead\n" * 30), 1, learn=False)
    assert spelled(task, data.splits["all"]) == "fade a bead\n" * 30
    assert len(task.characters) == 8


def test_a_text_with_unknown_characters_is_refused(make: Make, tmp_path: Path) -> None:
    task = make()
    task.restore({"vocabulary": list("\n abcdef")})
    path = write(tmp_path, "a zebra\n" * 50)
    with pytest.raises(DataError, match=r"lacks 'r', 'z' in .*text\.txt"):
        task.prepare(path, 1, learn=False)


@pytest.mark.parametrize("vocabulary", ["abc", ["ab", "c"], [1, 2], None])
def test_assets_of_another_form_are_refused(vocabulary: Any, make: Make) -> None:
    with pytest.raises(ValueError, match="not a list of characters"):
        make().restore({"vocabulary": vocabulary})


def test_encode_and_decode_are_inverse(make: Make) -> None:
    task = make()
    task.restore({"vocabulary": list("abc")})
    assert task.encode("cab") == [2, 0, 1]
    assert task.decode([2, 0, 1]) == "cab"


def test_a_text_is_coded_once_for_each_pair_of_markers(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, BOOK + "of its own")
    coded = []
    alphabet = corpus.alphabet
    monkeypatch.setattr(corpus, "alphabet", lambda texts: coded.append(1) or alphabet(texts))
    found = []
    for start in ("", "", "The toys", "The toys", ""):
        task = make(start=start)
        split = task.prepare(path, 1).splits["all"]
        found.append(spelled(task, split))
    assert len(coded) == 2
    assert found[0] == found[1] == found[4]
    assert found[2] == found[3] == found[0][found[0].index("The toys") :]
