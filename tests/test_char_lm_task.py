"""The character language model task: data, metrics, network, vectors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from zoo import options as options_of
from zoo.data import sequence
from zoo.data.ragged import IntArray
from zoo.data.text import alphabet
from zoo.engine.evaluation import evaluate, evaluate_split
from zoo.errors import DataError
from zoo.interfaces import Embeds, NamesRows
from zoo_lm import char_corpus
from zoo_lm.char_task import CharLM
from zoo_lm.options import CharLMOptions

HEADER = "The Project Gutenberg EBook\r\n*** START OF THIS PROJECT GUTENBERG EBOOK TOYS ***\r\n"
BOOK = "\r\n\r\nTOYS\r\nby Nobody\r\n" + "The toys were — as ever — many.\r\n" * 40
FOOTER = "*** END OF THIS PROJECT GUTENBERG EBOOK TOYS ***\r\nDonate!\r\n"


def make(**options: Any) -> Any:
    """Return a character language model task."""
    return CharLM(CharLMOptions(**{"embed_size": 4, **options}))


def network(task: Any, model: str = "lstm", **options: Any) -> Any:
    """Return a network of the task with random weights."""
    torch.manual_seed(5)
    build: Any = partial(zoo.create_model, model, **{"hidden_size": 6, **options})
    made = task.network(build)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    return path


def spelled(task: Any, split: Any) -> str:
    return "".join(task.characters[token_id] for token_id in split.token_ids)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_is_cut_at_its_markers(mark: str, tmp_path: Path) -> None:
    path = write(tmp_path, mark + HEADER + BOOK + FOOTER)
    task = make(start="by Nobody", end="*** END")
    data = task.prepare(path, 1)
    text = spelled(task, data.splits["all"])
    assert text == (HEADER + BOOK)[len(HEADER + "\r\n\r\nTOYS\r\n") :].replace("\r\n", "\n")
    assert task.characters == "".join(sorted(set(text)))
    assert str(len(text)) in data.summary


@pytest.mark.parametrize("words", ["THIS", "THE"])
def test_a_gutenberg_book_needs_no_markers(words: str, tmp_path: Path) -> None:
    whole = (HEADER + BOOK + FOOTER).replace("THIS", words)
    task = make()
    data = task.prepare(write(tmp_path, "\ufeff" + whole), 1)
    assert spelled(task, data.splits["all"]) == BOOK.replace("\r\n", "\n")


@pytest.mark.parametrize("whole", [HEADER + BOOK, BOOK + FOOTER, BOOK])
def test_any_other_text_is_read_whole(whole: str, tmp_path: Path) -> None:
    task = make()
    data = task.prepare(write(tmp_path, whole), 1)
    assert spelled(task, data.splits["all"]) == whole.replace("\r\n", "\n")


def test_a_missing_marker_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"marker not found.*'nowhere'"):
        make(start="nowhere").prepare(write(tmp_path, BOOK), 1)


def test_splits_follow_each_other_and_make_up_the_text(tmp_path: Path) -> None:
    task = make(validation_size=0.1, test_size=0.2)
    splits = task.prepare(write(tmp_path, BOOK), 1).splits
    parts = [spelled(task, splits[name]) for name in ("train", "validation", "test", "all")]
    assert "".join(parts[:3]) == parts[3]
    size = len(parts[3])
    assert [len(part) for part in parts[:3]] == [
        size - round(size * 0.2) - round(size * 0.1), round(size * 0.1), round(size * 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a", "ab", "abcdefgh"])
def test_a_text_too_short_for_its_splits_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        make().prepare(write(tmp_path, text), 1)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        make().prepare(tmp_path, 1)


def test_vocabularies_of_more_than_256_characters(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 700))) + "😀"
    draw = np.random.default_rng(1)
    text = letters + "".join(draw.choice(list(letters), size=2000))
    path = write(tmp_path, text)
    task = make()
    data = task.prepare(path, 1)
    assert len(task.characters) == 701
    assert spelled(task, data.splits["all"]) == text
    assert data.splits["all"].token_ids.dtype == np.uint16
    train_here("char-lm/rnn", tmp_path / "run", "steps=2", "embed_size=4", data=path)
    written = zoo.load(tmp_path / "run").generate("😀", 20, seed=1)
    assert len(written) == 21
    assert set(written) <= set(letters)


def test_the_sample_is_the_manual_of_this_python() -> None:
    from pydoc_data.topics import topics

    task = make()
    data = task.prepare(None, 1)
    text = spelled(task, data.splits["all"])
    assert len(text) > 400_000
    assert all(topic in text for topic in topics.values())
    assert data.digest == make().prepare(None, 1).digest


def losses_of(network: nn.Module, token_ids: IntArray) -> torch.Tensor:
    """Return the loss at every character, read in a single call, in float64."""
    text = torch.from_numpy(token_ids.astype(np.int64))
    with torch.no_grad():
        logits, _ = network(text[None, :-1], torch.tensor([len(text) - 1]))
    return nn.functional.cross_entropy(logits[0].double(), text[1:], reduction="none")


@pytest.mark.parametrize("steps", [30, 50, 2048])
def test_the_loss_is_that_of_the_whole_text(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "EVALUATION_STEPS", steps)
    task = make(bptt_steps=40)
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task, num_layers=2)
    losses = losses_of(made.eval(), split.token_ids)
    metrics = evaluate_split(task, made, split)
    loss = losses.mean().item()
    assert metrics["examples"] == len(losses) == len(split.token_ids) - 1
    assert metrics["loss"] == pytest.approx(loss, abs=1e-6)
    assert metrics["bits_per_character"] == pytest.approx(loss / math.log(2), abs=1e-6)
    assert metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)


def test_windowed_metrics_start_each_window_from_the_initial_state(tmp_path: Path) -> None:
    task = make(bptt_steps=40)
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task).eval()
    token_ids = split.token_ids
    starts = range(0, len(token_ids) - 1, 40)
    losses = torch.cat([losses_of(made, token_ids[start : start + 41]) for start in starts])
    metrics = evaluate_split(task, made, split)
    assert metrics["windowed_loss"] == pytest.approx(losses.mean().item(), abs=1e-6)
    assert metrics["windowed_bits_per_character"] == pytest.approx(
        losses.mean().item() / math.log(2), abs=1e-6
    )
    assert abs(metrics["windowed_loss"] - metrics["loss"]) > 1e-4


def test_the_interval_is_that_of_the_mean_over_blocks_of_about_32(tmp_path: Path) -> None:
    task = make()
    split = task.prepare(write(tmp_path, BOOK), 1).splits["all"]
    made = network(task).eval()
    losses = losses_of(made, split.token_ids).numpy()
    blocks = np.array([part.mean() for part in np.array_split(losses, len(losses) // 32)])
    half = 1.959964 * blocks.std(ddof=1) / math.sqrt(len(blocks))
    metrics = evaluate(task, made, split)
    assert metrics["loss_low"] == pytest.approx(blocks.mean() - half, abs=1e-6)
    assert metrics["loss_high"] == pytest.approx(blocks.mean() + half, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 20, 40])
def test_windows_and_texts_shorter_than_a_block_are_evaluated(
    steps: int, train_here: Callable[..., Any], tmp_path: Path
) -> None:
    path = write(tmp_path, "to be or not to be " * 12)
    settings = ("steps=3", "embed_size=4", f"bptt_steps={steps}")
    train_here("char-lm/rnn", tmp_path / "run", *settings, data=path)
    # Strict JSON: neither NaN nor infinity.
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line, parse_constant=pytest.fail)
        assert math.isfinite(metrics["loss"])
        assert metrics.get("loss_low", -math.inf) < metrics["loss"]
        assert metrics.get("loss_high", math.inf) > metrics["loss"]


@pytest.mark.parametrize("input", ["embedding", "onehot"])
def test_one_hot_characters_are_an_identity_embedding(input: str, tmp_path: Path) -> None:
    task = make(input=input)
    task.load_state_dict({"vocabulary": list("abcdef")})
    made = network(task, "gru")
    table = torch.eye(6) if input == "onehot" else made.embedding.weight
    token_ids = torch.randint(6, (2, 9))
    outputs, _ = made.rnn(table[token_ids], torch.tensor([9, 9]))
    expected = made.fc(outputs)
    found, _ = made.eval()(token_ids, torch.tensor([9, 9]))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(made.embedding(torch.arange(6)), table)


@pytest.mark.parametrize("kind", ["dropout", "embed_dropout"])
def test_dropout_acts_in_training_alone(kind: str) -> None:
    made = []
    for share in (0.5, 0.0):
        task = make(**{kind: share})
        task.load_state_dict({"vocabulary": list("abcdef")})
        made.append(network(task))
    dropping, whole = made
    token_ids, lengths = torch.randint(6, (2, 9)), torch.tensor([9, 9])
    outputs = [dropping.train()(token_ids, lengths)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    expected = whole.eval()(token_ids, lengths)[0]
    assert torch.equal(dropping.eval()(token_ids, lengths)[0], expected)


def test_a_text_of_known_characters_can_be_scored(tmp_path: Path) -> None:
    task = make()
    task.load_state_dict({"vocabulary": list("\n abcdef")})
    data = task.prepare(write(tmp_path, "fade a bead\n" * 30), 1, fit=False)
    assert spelled(task, data.splits["all"]) == "fade a bead\n" * 30
    assert len(task.characters) == 8


def test_a_text_with_unknown_characters_is_refused(tmp_path: Path) -> None:
    task = make()
    task.load_state_dict({"vocabulary": list("\n abcdef")})
    path = write(tmp_path, "a zebra\n" * 50)
    with pytest.raises(DataError, match=r"lacks 'r', 'z' in .*text\.txt"):
        task.prepare(path, 1, fit=False)


@pytest.mark.parametrize("vocabulary", ["abc", ["ab", "c"], [1, 2], None])
def test_a_state_of_another_form_is_refused(vocabulary: Any) -> None:
    with pytest.raises(ValueError, match="not a list of characters"):
        make().load_state_dict({"vocabulary": vocabulary})


def test_encode_and_decode_are_inverse() -> None:
    task = make()
    task.load_state_dict({"vocabulary": list("abc")})
    assert task.encode("cab") == [2, 0, 1]
    assert task.decode([2, 0, 1]) == "cab"


def test_a_text_is_encoded_once_for_each_pair_of_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, BOOK + "of its own")
    encoded: list[int] = []

    def counted(texts: Iterable[str]) -> tuple[str, int]:
        encoded.append(1)
        return alphabet(texts)

    monkeypatch.setattr(char_corpus, "alphabet", counted)
    found = []
    for start in ("", "", "The toys", "The toys", ""):
        task = make(start=start)
        split = task.prepare(path, 1).splits["all"]
        found.append(spelled(task, split))
    assert len(encoded) == 2
    assert found[0] == found[1] == found[4]
    assert found[2] == found[3] == found[0][found[0].index("The toys") :]


def vocabulary_task(**options: Any) -> Any:
    task = make(**options)
    task.load_state_dict({"vocabulary": list("\nabcdef")})
    return task


@pytest.mark.parametrize("input", ["embedding", "onehot"])
@pytest.mark.parametrize("model", ["lstm", "rnn-oh"])
def test_decoding_step_by_step_gives_the_logits_of_the_whole_text(model: str, input: str) -> None:
    task = vocabulary_task(input=input)
    made = network(task, model, num_layers=2).eval()
    token_ids = torch.randint(7, (3, 12))
    with torch.inference_mode():
        expected, _ = made(token_ids, torch.full((3,), 12))
        step, state, logits = task.decode_step(made), None, []
        for column in token_ids.unbind(1):
            outputs, state = step(column, state)
            logits.append(outputs)
    torch.testing.assert_close(torch.stack(logits, dim=1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("input", ["embedding", "onehot"])
def test_vectors_are_those_of_each_text_by_itself(input: str) -> None:
    task = vocabulary_task(input=input)
    made = network(task).eval()
    assert isinstance(vocabulary_task(), Embeds)
    texts = ["fade", "a", "", "bead" * 20]
    means = list(task.embed(made, texts, per_step=False))
    per_step = list(task.embed(made, texts, per_step=True))
    for text, mean, outputs in zip(texts, means, per_step, strict=True):
        row = torch.tensor([task.encode(text or "\n")])
        with torch.no_grad():
            expected, _ = made.rnn(made.embedding(row), torch.tensor([row.shape[1]]))
        np.testing.assert_allclose(outputs, expected[0], atol=1e-6)
        np.testing.assert_allclose(mean, expected[0].mean(0), atol=1e-6)
    with pytest.raises(DataError, match=r"lacks 'r', 'z' in the text 'zebra'"):
        task.embed(made, ["a", "zebra"], per_step=False)


@pytest.mark.parametrize("input", ["embedding", "onehot"])
def test_row_names_name_every_row(input: str) -> None:
    task = vocabulary_task(input=input)
    assert isinstance(task, NamesRows)
    made = network(task)
    parameters = dict(made.named_parameters())
    names = task.row_names(made)
    for rows in names.values():
        assert list(rows.names) == list("\nabcdef")
    by_row = {name for name, rows in names.items() if rows.by_row}
    in_rnn = {name for name in parameters if name.startswith("rnn.")}
    embedding = {"embedding.weight"} if input == "embedding" else set()
    assert by_row == {"fc.weight", "fc.bias"} | embedding
    assert names.keys() - by_row == (in_rnn if input == "onehot" else set())
    assert all(len(parameters[name]) == 7 for name in by_row)


def test_a_step_has_the_logits_of_the_batch() -> None:
    task = vocabulary_task()
    made = network(task).eval()
    batch = task.probe()
    assert torch.equal(task.step(made, batch, None).outputs, made(batch.inputs, batch.lengths)[0])


def test_options_of_0_1_are_read_under_their_new_names() -> None:
    old = {"reading": "streams", "window": 64, "validation": 0.1, "test": 0.3}
    assert options_of.from_json(CharLMOptions, old) == CharLMOptions(
        batching="contiguous", bptt_steps=64, validation_size=0.1, test_size=0.3
    )
    assert CharLMOptions(batching="windows") == CharLMOptions(batching="random")
