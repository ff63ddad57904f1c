"""The word language model task: texts, splits, losses, generation, and what a classifier takes."""

from __future__ import annotations

import io
import json
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from zoo.engine.evaluation import evaluate_split
from zoo.errors import DataError
from zoo.interfaces import Generates, NamesRows, ProbesTexts
from zoo_lm import word_corpus
from zoo_lm.documents import find_documents
from zoo_lm.options import WordLMOptions
from zoo_lm.sampled_softmax import SampledSoftmax
from zoo_lm.word_task import WordLM

ANIMALS = ["cat", "dog", "owl", "hen", "fox", "ant"]


def make(**options: Any) -> Any:
    """Return a word language model task."""
    return WordLM(WordLMOptions(**{"embed_size": 4, "min_count": 1, "bptt_steps": 5, **options}))


def network(task: Any, model: str = "lstm") -> Any:
    """Return a network of the task with random weights."""
    torch.manual_seed(5)
    build: Any = partial(zoo.create_model, model, hidden_size=6)
    made = task.network(build)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def texts(number: int = 60) -> list[str]:
    """Return texts that each have a word of their own."""
    return [f"The {ANIMALS[n % 6]} saw N{n}, the {ANIMALS[n % 5]}!" for n in range(number)]


def write_table(path: Path, rows: list[str]) -> Path:
    lines = "\n".join(json.dumps({"text": row, "label": "x"}) for row in rows)
    path.write_text(lines, encoding="utf-8")
    return path


def write_archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def spelled(task: Any, split: Any) -> list[str]:
    """Return the texts of a split, from its token ids alone."""
    words = [task.words[token_id] for token_id in split.token_ids]
    return [text.strip() for text in " ".join(words).split("<eos>") if text.strip()]


# Data


def test_no_text_is_in_two_splits_and_none_is_lost(tmp_path: Path) -> None:
    path = write_table(tmp_path / "texts.jsonl", texts())
    task = make(validation_size=0.2, test_size=0.2, min_count=1)
    splits = task.prepare(path, 1).splits
    # Words of validation and test alone are unknown, so texts are told apart by their lengths.
    rows = {name: spelled(task, splits[name]) for name in ("train", "validation", "test")}
    assert sum(map(len, rows.values())) == 60
    assert rows["train"] + rows["validation"] + rows["test"] == spelled(task, splits["all"])
    assert all(len(text.split()) == 6 for part in rows.values() for text in part)
    assert len(rows["train"]) == pytest.approx(36, abs=2)
    own = {word for text in rows["train"] for word in text.split() if word[0] == "n"}
    assert set(task.words[3:]) == own | {"the", "saw", *ANIMALS}
    assert sum(text.count("<unk>") for text in rows["train"]) == 0


def test_rows_that_are_said_to_be_test_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    rows = [f"the cat saw n{n},{part}" for n, part in enumerate(["train", "dev", "test"] * 5)]
    path.write_text("\n".join(["text,split", *rows]), encoding="utf-8")
    numbers = [int(text.rpartition("n")[2]) for text in find_documents(path).read()]
    assert numbers == [n for n in range(15) if n % 3 != 2]


def test_each_split_has_a_text_of_a_few_long_ones(tmp_path: Path) -> None:
    path = write_table(tmp_path / "texts.jsonl", ["one two three " * 50] * 3)
    splits = make().prepare(path, 1).splits
    sizes = [len(splits[name].token_ids) for name in ("train", "validation", "test")]
    assert sizes == [151, 151, 151]


def test_the_vocabulary_of_a_text_on_one_line_is_that_of_its_training_part(
    tmp_path: Path,
) -> None:
    path = tmp_path / "text.txt"
    path.write_text(" ".join(f"w{n}" for n in range(200)), encoding="utf-8")
    task = make(validation_size=0.1, test_size=0.1)
    train = task.prepare(path, 1).splits["train"]
    assert set(task.words[3:]) == {task.words[n] for n in train.token_ids}


def test_a_file_is_read_anew_where_it_has_another_kind(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "a.jsonl"
    write_table(first, texts())
    write_table(second, texts())
    assert "label" in _words(first)
    assert "label" not in _words(second)


def _words(path: Path) -> list[str]:
    task = make()
    task.prepare(path, 1)
    words: list[str] = task.words
    return words


def test_the_seed_draws_the_order_of_texts_but_not_of_paragraphs(tmp_path: Path) -> None:
    table = write_table(tmp_path / "texts.jsonl", texts())
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(texts()), encoding="utf-8")

    def order(path: Path, seed: int) -> list[str]:
        task = make()
        return spelled(task, task.prepare(path, seed).splits["all"])

    assert order(table, 1) == order(table, 1) != order(table, 2)
    assert order(book, 1) == order(book, 2)
    assert order(book, 1)[0] == "the cat saw n0 the cat"


def test_the_vocabulary_has_the_words_that_scikit_learn_counts(tmp_path: Path) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    path = write_table(tmp_path / "texts.jsonl", texts())
    task = make(min_count=8, max_vocab=7)
    train = spelled(task, task.prepare(path, 1).splits["train"])
    everything = make(min_count=1)
    known = everything.prepare(path, 1).splits["train"]
    vectorizer = text.CountVectorizer(token_pattern=r"\w+")
    counts = vectorizer.fit_transform(spelled(everything, known)).sum(0).A1
    ranked = sorted(zip(-counts, vectorizer.get_feature_names_out(), strict=True))
    expected = [word for count, word in ranked if -count >= 8][:7]
    assert task.words == ["<pad>", "<unk>", "<eos>", *expected]
    assert len(train) == len(spelled(everything, known))


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_files_of_a_test_part_are_not_read(form: str, tmp_path: Path) -> None:
    files = {
        "aclImdb/train/unsup/1_0.txt": "Unlabelled",
        "aclImdb/train/pos/2_9.txt": "Positive",
        "aclImdb/test/neg/3_1.txt": "Secret",
        "aclImdb/train/urls_pos.txt": "http://address",
        "aclImdb/imdbEr.txt": "0.5",
        "aclImdb/train/labeledBow.feat": "0:1",
    }
    path = tmp_path / "reviews"
    if form == "archive":
        path = write_archive(tmp_path / "reviews.tar.gz", files)
    else:
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text, encoding="utf-8")
    assert sorted(find_documents(path).read()) == ["Positive", "Unlabelled"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b\nc\n", ["a b", "c", ""]), ("a\nb\n\nc\n\n\nd", ["a\nb", "c", "\nd"]), ("a", ["a"])],
)
def test_a_text_has_paragraphs_or_lines(text: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert list(find_documents(path).read()) == expected


def test_further_data_is_read_in_training_and_with_the_same_file_alone(tmp_path: Path) -> None:
    path = write_table(tmp_path / "texts.jsonl", texts())
    more = write_table(tmp_path / "more.jsonl", ["More and more " * 3] * 40)
    task = make(more_data=str(more))
    fitted = task.prepare(path, 1).splits["all"]
    assert "more" in task.words
    again = make(more_data=str(more))
    again.load_state_dict(task.state_dict())
    same = again.prepare(path, 1, fit=False).splits
    assert np.array_equal(same["all"].token_ids, fitted.token_ids)
    other = write_table(tmp_path / "other.jsonl", ["The cat saw more zebras"] * 40)
    assert set(spelled(again, again.prepare(other, 1, fit=False).splits["all"])) == {
        "the cat saw more <unk>"
    }


def test_rare_words_of_a_huge_vocabulary_are_forgotten(monkeypatch: Any) -> None:
    monkeypatch.setattr(word_corpus, "_MAX_COUNTED", 3)
    lines = [b"a a b b", b"c d e", b"a b f"]
    assert word_corpus._count(lines) == {b"a": 3, b"b": 3, b"f": 1}


@pytest.mark.parametrize("text", ["", "...\n!!!\n"])
def test_a_text_without_words_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="no words"):
        make().prepare(path, 1)


def test_the_vocabulary_of_initial_weights_is_kept(tmp_path: Path) -> None:
    table = write_table(tmp_path / "texts.jsonl", texts())
    settings = {"hidden_size": 6, "embed_size": 4, "steps": 2, "min_count": 2}
    first = zoo.train("word-lm/lstm", table, out=tmp_path / "a", settings=settings, progress=False)
    other = write_table(tmp_path / "other.jsonl", ["The zebra saw the emu"] * 40)
    tuned = zoo.train(
        "word-lm/lstm", other, out=tmp_path / "b", init=first.path, progress=False,
        settings={"steps": 2},
    )  # fmt: skip
    before: Any = first.model
    after: Any = tuned.model
    words = before.task.words
    assert after.task.words == [*words, "emu", "zebra"]
    assert after.spec.task.options.embed_size == 4
    assert f"all {len(words)} rows, 2 fresh" in str(tuned.transfer)


def test_texts_of_words_that_do_not_repeat_are_noted(tmp_path: Path) -> None:
    path = write_table(tmp_path / "texts.jsonl", texts())
    assert not any("char-lm" in note for note in make().prepare(path, 1).notes)
    assert any("char-lm" in note for note in make(min_count=30).prepare(path, 1).notes)


# Losses


def vocabulary_task(**options: Any) -> Any:
    task = make(**options)
    words = ["<pad>", "<unk>", "<eos>", "the", *ANIMALS, "saw"]
    task.load_state_dict({"vocabulary": words, "source": ""})
    return task


def softmax_losses(made: Any, features: Any, targets: Any) -> Any:
    """Return the losses (B, T) by NumPy, from tied weights."""
    vectors, bias = made.embedding.weight.detach().numpy(), made.bias.detach().numpy()
    logits = features.numpy() @ vectors.T.astype(np.float64) + bias
    totals = np.log(np.exp(logits).sum(-1))
    return totals - np.take_along_axis(logits, targets.numpy()[..., None], -1)[..., 0]


@pytest.mark.parametrize("block", [1 << 24, 20])
def test_the_loss_is_the_cross_entropy_with_tied_weights(block: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("zoo_lm.network._MAX_LOGITS", block)
    task = vocabulary_task(softmax="full")
    made = network(task).eval()
    features, targets = torch.randn(2, 9, 4), torch.randint(len(task.words), (2, 9))
    with torch.inference_mode():
        losses, _ = task.losses(made, features, targets)
    np.testing.assert_allclose(losses, softmax_losses(made, features, targets), atol=1e-5)


def test_the_sampled_loss_estimates_that_of_the_whole_vocabulary() -> None:
    """Over many samples the mean of the normaliser is the sum over the vocabulary."""
    task = vocabulary_task()
    made = network(task).eval()
    counts = np.array([0, 5, 40, 100, 50, 30, 20, 10, 5, 2, 1])
    features, targets = torch.randn(1, 3, 4), torch.tensor([[3, 7, 10]])
    sampler = SampledSoftmax(counts, 40)
    weight, bias = made.embedding.weight, made.bias
    torch.manual_seed(1)
    with torch.inference_mode():
        drawn = torch.stack([sampler.losses(features, weight, bias, targets) for _ in range(4000)])
        # exp(loss) is (target + others) / target.
        others = (drawn.double().exp() - 1).mean(0).numpy()
    exact = np.exp(softmax_losses(made, features, targets)) - 1
    np.testing.assert_allclose(others, exact, rtol=0.05)


def test_gradients_of_the_sampled_loss_reach_words_that_were_drawn_alone() -> None:
    task = vocabulary_task()
    made = network(task)
    counts = np.array([0] * 3 + [1_000_000, 1_000_000] + [0] * 6)
    loss = SampledSoftmax(counts, 8).losses(
        torch.randn(1, 2, 4), made.embedding.weight, made.bias, torch.tensor([[4, 9]])
    )
    loss.sum().backward()
    assert set(made.bias.grad.nonzero().flatten().tolist()) == {3, 4, 9}


def test_the_adaptive_softmax_gives_the_probabilities_that_it_is_trained_on() -> None:
    task = vocabulary_task(softmax="adaptive")
    made = network(task).eval()
    features, targets = torch.randn(2, 3, 4), torch.randint(len(task.words), (2, 3))
    with torch.inference_mode():
        losses, _ = task.losses(made, features, targets)
        logits = made.logits(features)
    np.testing.assert_allclose(logits.exp().sum(-1), 1, atol=1e-5)
    expected = -logits.gather(2, targets[..., None])[..., 0]
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_metrics_are_those_of_the_whole_text_with_carried_state(tmp_path: Path) -> None:
    task = make()
    split = task.prepare(write_table(tmp_path / "texts.jsonl", texts()), 1).splits["validation"]
    made = network(task).eval()
    metrics = evaluate_split(task, made, split)
    token_ids = torch.from_numpy(split.token_ids.astype(np.int64))[None]
    with torch.inference_mode():
        features, _ = made.features(token_ids[:, :-1], torch.tensor([token_ids.shape[1] - 1]))
    losses = softmax_losses(made, features, token_ids[:, 1:])
    words = [task.words[n] for n in token_ids[0, 1:]]
    known = [word for word in words if word not in ("<unk>", "<eos>")]
    characters = sum(len(word) + 1 for word in known) + words.count("<eos>")
    assert metrics["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(np.exp(losses.mean()), rel=1e-5)
    assert metrics["bits_per_character"] == pytest.approx(
        losses.sum() / characters / np.log(2), rel=1e-5
    )
    assert metrics["unknown"] == pytest.approx(words.count("<unk>") / len(words))


# Use


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
def test_words_are_generated_and_unknown_ones_never(softmax: str) -> None:
    task = vocabulary_task(softmax=softmax)
    assert isinstance(vocabulary_task(), Generates)
    made = network(task).eval()
    assert task.encode("The CAT, saw zebras.") == [3, 4, 10, 1]
    assert task.decode([3, 4, 2, 10]) == " the cat\n saw"
    step, state = task.decode_step(made), None
    token_ids = torch.tensor([2, 3])
    for _ in range(3):
        with torch.inference_mode():
            logits, state = step(token_ids, state)
            expected = made.logits(made.project(made.rnn.readout(state)))
        assert torch.isinf(logits[:, :2]).all()
        torch.testing.assert_close(logits[:, 2:], expected[:, 2:], atol=1e-5, rtol=0)
        token_ids = logits.argmax(1)


def test_every_word_has_its_surprise() -> None:
    task = vocabulary_task()
    made = network(task).eval()
    (found,) = task.explain(made, ["The cat, saw."], "")
    assert "in 3 words, " in found.headline()
    assert [(piece.start, piece.end) for piece in found.pieces] == [(0, 3), (4, 7), (9, 12)]
    with torch.inference_mode():
        logits, _ = made(torch.tensor([[2, 3, 4]]), torch.tensor([3]))
    expected = -logits.log_softmax(2)[0, range(3), [3, 4, 10]]
    np.testing.assert_allclose([piece.value for piece in found.pieces], expected, atol=1e-5)


def test_the_probe_covers_words_from_all_over_the_vocabulary() -> None:
    task = vocabulary_task()
    made = network(task).eval()
    assert isinstance(vocabulary_task(), ProbesTexts)
    answers = task.probe_answers(made, task.probe_texts())
    assert {token_id for answer in answers for token_id in answer["token_ids"]} == {
        1,
        *range(3, 11),
    }
    batch = task.probe()
    assert set(batch.inputs.flatten().tolist()) == set(range(11))
    assert task.probe_outputs(made, batch).shape == (2, 12, 11)


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
def test_row_names_name_every_row(softmax: str) -> None:
    task = vocabulary_task(softmax=softmax)
    made = network(task)
    assert isinstance(vocabulary_task(), NamesRows)
    parameters = dict(made.named_parameters())
    names = task.row_names(made)
    assert all(rows.names == task.words for rows in names.values())
    by_row = {name for name, rows in names.items() if rows.by_row}
    assert by_row == {"embedding.weight", *(["bias"] if softmax == "sampled" else [])}
    assert all(len(parameters[name]) == len(task.words) for name in by_row)
    depends = {name for name in parameters if name.startswith("adaptive.")}
    assert names.keys() - by_row == depends


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (["a"], "begin with"),
        ([1], "list of words"),
        (["<pad>", "<unk>", "<eos>", "a", "a"], "twice"),
    ],
)
def test_a_state_of_another_form_is_refused(vocabulary: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().load_state_dict({"vocabulary": vocabulary, "source": ""})


def test_a_run_is_trained_exported_and_started_from(tmp_path: Path) -> None:
    path = write_table(tmp_path / "texts.jsonl", texts(200))
    settings = {"hidden_size": 6, "embed_size": 4, "steps": 6, "batch_size": 8, "min_count": 1}
    run = zoo.train("word-lm/lstm", path, out=tmp_path / "lm", settings=settings, progress=False)
    assert run.model.evaluate(path, split="validation")["perplexity"] > 1
    assert run.model.verify() < 1e-4
    exported = tmp_path / "lm.safetensors"
    run.model.save(exported)
    assert zoo.load(exported).generate("the cat", 5, seed=1).startswith("the cat ")
    table = tmp_path / "labelled.jsonl"
    rows = [{"text": row.replace("N", "n "), "label": "ab"[n % 2]} for n, row in enumerate(texts())]
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tuned = zoo.train(
        "text-classification/lstm", table, out=tmp_path / "tuned", init=exported, progress=False,
        settings={"hidden_size": 6, "embed_size": 4, "steps": 1, "tokens": "words"},
    )  # fmt: skip
    # The layer's four tensors, and the vectors of the words that both know.
    assert "4 tensors taken; embedding.weight: " in tuned.transfer
