"""Fine-tuning: what is taken from trained weights, and what starts afresh."""

from __future__ import annotations

import csv
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run as Command
from plain_sentiment import PLAIN, as_options
from safetensors.torch import load_file
from sum_task import Recorder, equal
from torch import Tensor

import zoo
from zoo.errors import WeightsError

Train = Callable[..., zoo.Run]
SETTINGS = (
    *PLAIN, "hidden_size=3", "embed_size=4", "fc_size=5", "steps=2", "learning_rate=0.05",
)  # fmt: skip
WORDS = [
    "the",
    "film",
    "plot",
    "actor",
    "scene",
    "was",
    "never",
    "quite",
    "good",
    "bad",
    "dull",
    "great",
    "slow",
    "fine",
]


def reviews(path: Path, words: Sequence[str], labels: Sequence[str]) -> Path:
    """Write 80 reviews of some words; which words are in one tells its label."""
    generator = random.Random(1)
    half = len(words) // 2
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for number in range(80):
            label = number % len(labels)
            chosen = generator.choices(words[:half] if label else words[half:], k=5)
            table.writerow([" ".join([*chosen, *words]), labels[label]])
    return path


@pytest.fixture(scope="module")
def start(train_here: Train, tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    folder = tmp_path_factory.mktemp("start")
    data = reviews(folder / "reviews.csv", WORDS, ["neg", "pos"])
    return train_here("sentiment/lstm", folder / "run", *SETTINGS, data=data)


def first(
    train_here: Train, out: Path, name: str, *settings: str, **arguments: Any
) -> tuple[zoo.Run, Mapping[str, Tensor]]:
    """Train, and return the run and the parameters before the first step."""
    recorder = Recorder()
    run = train_here(name, out, *SETTINGS, *settings, callbacks=[recorder], **arguments)
    return run, recorder.parameters[0]


def rows_by_word(run: zoo.Run, embedding: Tensor) -> dict[str, Tensor]:
    return dict(zip(run.model.info["task_state"]["vocabulary"], embedding, strict=True))


def test_the_vocabulary_is_kept_and_its_vectors_are_taken_word_by_word(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    # Half of the words are known, in another order; the labels are the same.
    words = [*reversed(WORDS[4:]), "new", "unseen", "words"]
    data = reviews(tmp_path / "reviews.csv", words, ["neg", "pos"])
    run, tuned = first(train_here, tmp_path / "run", "sentiment/lstm", data=data, init=start.path)
    trained = load_file(start.path / "weights.safetensors")
    known = rows_by_word(start, trained["embedding.weight"])
    found = rows_by_word(run, tuned["embedding.weight"])
    assert list(found)[: len(known)] == list(known)
    assert set(list(found)[len(known) :]) == {"new", "unseen", "words"}
    assert equal({word: found[word] for word in known}, known)
    rest = {name for name in tuned if name != "embedding.weight"}
    assert equal({n: tuned[n] for n in rest}, {n: trained[n] for n in rest})
    assert run.transfer == (
        f"{len(rest)} tensors taken; embedding.weight: all {len(known)} rows, 3 fresh"
    )


def test_fresh_vectors_are_as_long_as_those_that_are_taken(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    words = [*WORDS, *(f"new{n}" for n in range(15))]
    data = reviews(tmp_path / "reviews.csv", words, ["neg", "pos"])
    settings = ("embed_std=0.01",)
    run, tuned = first(
        train_here, tmp_path / "run", "sentiment/lstm", *settings, data=data, init=start.path
    )
    lengths = {
        word: row.norm() for word, row in rows_by_word(run, tuned["embedding.weight"]).items()
    }
    taken = [lengths[word] for word in [*WORDS, "<unk>"]]
    fresh = [length for word, length in lengths.items() if word.startswith("new")]
    assert float(statistics.median(fresh)) == pytest.approx(
        float(statistics.median_low(taken)), rel=1e-5
    )
    assert len({round(float(length), 4) for length in fresh}) == 15


def test_further_words_alone_are_counted_and_limited(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    data = reviews(tmp_path / "reviews.csv", ["the", "new", "unseen", "words"], ["neg", "pos"])
    run, _ = first(
        train_here, tmp_path / "run", "sentiment/lstm", "max_vocab=2", data=data, init=start.path
    )
    assert len(run.model.info["task_state"]["vocabulary"]) == 2 + len(WORDS) + 2


def test_a_run_keeps_the_vocabulary_when_its_initial_weights_are_gone(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    data = reviews(tmp_path / "reviews.csv", ["the", "new", "unseen", "words"], ["neg", "pos"])
    start.model.save(tmp_path / "start.safetensors")
    arguments = {"data": data, "init": tmp_path / "start.safetensors"}
    long = ("steps=6", "checkpoint_every=0", "evaluate_every=2")
    whole = train_here("sentiment/lstm", tmp_path / "whole", *SETTINGS, *long, **arguments)
    train_here("sentiment/lstm", tmp_path / "run", *SETTINGS, *long, **arguments, stop_after=3)
    (tmp_path / "start.safetensors").unlink()
    resumed = train_here("", tmp_path / "run", resume=True)
    one, other = (load_file(run.path / "weights.safetensors") for run in (whole, resumed))
    assert equal(one, other)


def test_other_labels_start_the_head_afresh(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    # As many logits as before: the shape alone does not tell.
    for number, labels in enumerate((["bad", "good"], ["a", "b", "c"])):
        data = reviews(tmp_path / f"{number}.csv", WORDS, labels)
        out = tmp_path / str(number)
        run, tuned = first(train_here, out, "sentiment/lstm", data=data, init=start.path)
        _, fresh = first(train_here, tmp_path / f"fresh-{number}", "sentiment/lstm", data=data)
        trained = load_file(start.path / "weights.safetensors")
        head = {"fc2.weight", "fc2.bias"}
        for name in tuned.keys() - {"embedding.weight"}:
            assert torch.equal(tuned[name], (fresh if name in head else trained)[name]), name
        assert run.transfer.endswith("; fresh: fc2.weight, fc2.bias")


def test_the_same_data_takes_everything(start: zoo.Run, train_here: Train, tmp_path: Path) -> None:
    data = start.config["data"]
    run, tuned = first(train_here, tmp_path / "run", "sentiment/lstm", data=data, init=start.path)
    assert equal(dict(tuned), load_file(start.path / "weights.safetensors"))
    assert run.transfer == f"{len(tuned)} tensors taken"
    assert run.config["init"] == str(start.path)


def test_nothing_of_another_model_is_taken(
    start: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    data = start.config["data"]
    run, tuned = first(train_here, tmp_path / "run", "sentiment/gru", data=data, init=start.path)
    _, fresh = first(train_here, tmp_path / "fresh", "sentiment/gru", data=data)
    names = [name for name in tuned if name.startswith("rnn.")]
    assert equal({n: tuned[n] for n in names}, {n: fresh[n] for n in names})
    taken = [name for name in tuned if not name.startswith("rnn.")]
    trained = load_file(start.path / "weights.safetensors")
    assert equal({n: tuned[n] for n in taken}, {n: trained[n] for n in taken})
    assert run.transfer == f"{len(taken)} tensors taken; fresh: {', '.join(names)}"


def test_one_hot_models_are_taken_where_the_vocabulary_is_the_same(
    train_here: Train, tmp_path: Path
) -> None:
    text = "so many sailors, so many ships; " * 60
    (tmp_path / "same.txt").write_text(text, encoding="utf-8")
    (tmp_path / "other.txt").write_text(text.replace("q", "").upper(), encoding="utf-8")
    settings = ("hidden_size=3", "steps=2", "input=onehot")
    start = train_here("char-lm/gru", tmp_path / "start", *settings, data=tmp_path / "same.txt")
    trained = load_file(start.path / "weights.safetensors")
    for name, whole in (("same", True), ("other", False)):
        recorder = Recorder()
        run = train_here(
            "char-lm/gru", tmp_path / name, *settings, data=tmp_path / f"{name}.txt",
            init=start.path, callbacks=[recorder],
        )  # fmt: skip
        tuned = recorder.parameters[0]
        assert torch.equal(tuned["rnn.weight_ih_l0"], trained["rnn.weight_ih_l0"]) == whole
        assert ("rnn.weight_ih_l0" in run.transfer) != whole
    # The output layer has a row for each character: those of blanks and punctuation are known.
    assert "fc.weight: 3 of" in run.transfer


def test_training_goes_on_from_weights_by_file_run_and_recipe(
    start: zoo.Run, train_here: Train, zoo_here: Command, tmp_path: Path
) -> None:
    start.model.save(tmp_path / "start.safetensors")
    data = start.config["data"]
    done = zoo_here(
        "train", "sentiment/lstm", "--data", data, "--init", tmp_path / "start.safetensors",
        *as_options(*SETTINGS), "--threads", 1, "--out", tmp_path / "file",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"start: {tmp_path / 'start.safetensors'}: " in done.stderr
    assert "tensors taken" in done.stderr
    train_here("sentiment/lstm", tmp_path / "run", *SETTINGS, data=data, init=start.path)
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("file", "run"))
    assert equal(one, other)
    settings = (*PLAIN, "hidden_size=64", "steps=1")
    run = train_here("sentiment/bilstm", tmp_path / "tuned", *settings, data=data,
                     init="imdb-bilstm-book")  # fmt: skip
    assert run.transfer == "13 tensors taken"


def test_weights_that_do_not_exist_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights 'imdb-bilst' \(did you mean"):
        zoo.train("sentiment/lstm", out=tmp_path / "run", init="imdb-bilst", progress=False)
    assert not (tmp_path / "run").exists()
