"""The sentiment task: its loss, its metrics, what it reads of a text, how it answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from zoo.building import make_network, make_task
from zoo.data import ragged
from zoo.data.ragged import Ragged
from zoo.engine.evaluation import Adder, score
from zoo.errors import UsageError
from zoo.intervals import wilson
from zoo.registry import Registry

WORDS = ["<pad>", "<unk>", "the", "film", "was", "not", "good", "bad", "very", "long", "dull"]
Make = Callable[..., tuple[Any, nn.Module]]


@pytest.fixture
def make(registry: Registry) -> Make:
    """Return a task that knows a few words, and an untrained network."""

    def build(model: str = "bilstm", labels: str = "neg pos", **options: Any) -> tuple[Any, Any]:
        info = registry.task("sentiment")
        defaults = {name: option.default for name, option in info.options.items()}
        task = make_task(info, {**defaults, **options})
        task.restore({"vocabulary": WORDS, "labels": labels.split()})
        model_info = registry.model(model)
        known = {name: option.default for name, option in model_info.options.items()}
        torch.manual_seed(3)
        return task, make_network(task, model_info, {**known, "hidden_size": 6})

    return build


def reviews(count: int = 60, labels: int = 2) -> Ragged:
    draw = np.random.default_rng(4)
    rows = [draw.integers(1, len(WORDS), size=draw.integers(1, 40)) for _ in range(count)]
    return Ragged.of(rows, draw.integers(labels, size=count))


def numbers(task: Any, text: str) -> list[int]:
    """Return the numbers of the words of a text that are read."""
    batch = task.encode([text]).batch(np.array([0]))
    row: list[int] = batch.inputs[0, : batch.lengths[0]].tolist()
    return row


def one_by_one(network: nn.Module, split: Ragged) -> torch.Tensor:
    """Return the logits of every review, each read alone and without padding."""
    network.eval()
    rows = []
    with torch.no_grad():
        for start, length in zip(split.starts, split.lengths, strict=True):
            row = torch.from_numpy(split.values[start : start + length])[None]
            rows.append(network(row, torch.tensor([length]))[0][0])
    return torch.stack(rows).double()


def test_metrics_are_sums_over_reviews_whatever_the_batches(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, network = make()
    split = reviews()
    logits = one_by_one(network, split)[:, 0]
    truth = torch.from_numpy(split.targets)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, truth.double())
    for limit in (64, 1 << 16):
        monkeypatch.setattr(ragged, "EVALUATION_STEPS", limit)
        metrics = score(task, network, split)
        assert metrics["examples"] == 60
        assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
        assert metrics["accuracy"] == ((logits > 0).long() == truth).double().mean().item()


def test_binary_metrics_are_those_of_the_confusion_matrix(make: Make) -> None:
    task, network = make()
    split = reviews()
    answers = (one_by_one(network, split)[:, 0] > 0).long().numpy()
    truth = split.targets
    metrics = score(task, network, split)
    table = [[int(((truth == t) & (answers == a)).sum()) for a in (0, 1)] for t in (0, 1)]
    assert metrics["confusion"] == table
    assert metrics["labels"] == ["neg", "pos"]
    assert metrics["baseline"] == max(np.mean(truth == 0), np.mean(truth == 1))
    precision, recall = table[1][1] / sum(row[1] for row in table), table[1][1] / sum(table[1])
    assert metrics["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    hits = table[0][0] + table[1][1]
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == wilson(hits, 60)


def test_three_labels_have_three_logits_and_a_mean_f1(make: Make) -> None:
    task, network = make(labels="a b c")
    split = reviews(labels=3)
    logits = one_by_one(network, split)
    assert logits.shape == (60, 3)
    truth, answers = torch.from_numpy(split.targets), logits.argmax(1)
    metrics = score(task, network, split)
    loss = nn.functional.cross_entropy(logits, truth)
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert metrics["accuracy"] == (answers == truth).double().mean().item()
    f1 = []
    for label in range(3):
        right = int(((truth == label) & (answers == label)).sum())
        f1.append(2 * right / max(int((truth == label).sum() + (answers == label).sum()), 1))
    assert metrics["f1"] == pytest.approx(sum(f1) / 3)


def test_the_training_loss_is_the_mean_of_the_batch(make: Make) -> None:
    task, network = make()
    split = reviews(10)
    logits = one_by_one(network, split)[:, 0]
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(split.targets).double()
    )
    step = task.step(network, split.batch(np.arange(10)), None)
    assert step.loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert step.loss.requires_grad
    adder = Adder()
    adder.add(step.sums)
    assert float(adder.sums["loss"]) == pytest.approx(10 * expected.item(), abs=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "last+mean+max"])
@pytest.mark.parametrize("model", ["lstm", "bigru"])
def test_an_answer_does_not_depend_on_padding_or_neighbours(
    model: str, pooling: str, make: Make
) -> None:
    _, network = make(model, pooling=pooling)
    split = reviews(12)
    alone = one_by_one(network, split)
    batch = split.batch(np.arange(12))
    padding = torch.zeros(12, 50, dtype=torch.int64)
    with torch.no_grad():
        for inputs in (batch.inputs, torch.cat((batch.inputs, padding), dim=1)):
            together = network(inputs, batch.lengths)[0].double()
            torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_the_padding_row_is_zero_and_never_trained(make: Make) -> None:
    task, network = make()
    assert (network.embedding.weight[0] == 0).all()
    task.step(network, reviews(8).batch(np.arange(8)), None).loss.backward()
    assert (network.embedding.weight.grad[0] == 0).all()
    assert (network.embedding.weight.grad[1:] != 0).any()


@pytest.mark.parametrize("model", ["rnn", "bilstm", "gru"])
def test_one_hot_words_are_an_identity_embedding(model: str, make: Make) -> None:
    _, one_hot = make(model, input="onehot")
    _, embedded = make(model, embed_size=len(WORDS))
    assert one_hot.embedding is None
    embedded.load_state_dict(
        {**one_hot.state_dict(), "embedding.weight": torch.eye(len(WORDS))}, strict=True
    )
    batch = reviews(12).batch(np.arange(12))
    found, expected = (n(batch.inputs, batch.lengths)[0] for n in (one_hot, embedded))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def buckets(words: list[int], bits: int) -> set[int]:
    """Return the buckets of the words and word pairs of a text, in Python's whole numbers."""
    pairs = [65_537 * first + second + 1 for first, second in itertools.pairwise(words)]
    return {(key * 0x9E3779B97F4A7C15) % 2**64 >> (64 - bits) for key in [*words, *pairs]}


@pytest.mark.parametrize(("bits", "labels"), [(3, "neg pos"), (12, "neg pos"), (12, "a b c")])
def test_the_wide_part_adds_up_the_words_and_pairs_of_a_text(
    bits: int, labels: str, make: Make
) -> None:
    _, wide = make(ngram_bits=bits, labels=labels)
    _, narrow = make(labels=labels)
    split = reviews(12)
    batch = split.batch(np.arange(12))
    padded = torch.cat((batch.inputs, torch.zeros(12, 40, dtype=torch.int64)), dim=1)
    with torch.no_grad():
        # A fresh one adds nothing.
        expected = narrow(batch.inputs, batch.lengths)[0]
        assert torch.equal(wide(batch.inputs, batch.lengths)[0], expected)
        table = wide.ngrams.weight.normal_()
        for inputs in (batch.inputs, padded):
            added = wide(inputs, batch.lengths)[0] - expected
            for row, length in enumerate(batch.lengths.tolist()):
                found = buckets(inputs[row, :length].tolist(), bits)
                by_hand = 10 / len(found) ** 0.5 * table[sorted(found)].sum(0)
                torch.testing.assert_close(added[row], by_hand, atol=1e-4, rtol=0)


def test_fresh_word_vectors_have_the_spread_asked_for(make: Make) -> None:
    for spread in (1.0, 0.1):
        _, network = make(embed_std=spread, embed_size=500)
        assert network.embedding.weight[1:].std().item() == pytest.approx(spread, rel=0.05)
        assert (network.embedding.weight[0] == 0).all()


@pytest.mark.parametrize("kind", ["word_dropout", "embed_dropout", "dropout"])
def test_dropout_acts_in_training_alone(kind: str, make: Make) -> None:
    (_, dropping), (_, whole) = make(**{kind: 0.5}), make()
    batch = reviews(12).batch(np.arange(12))
    outputs = [dropping.train()(batch.inputs, batch.lengths)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    expected = whole(batch.inputs, batch.lengths)[0]
    assert torch.equal(dropping.eval()(batch.inputs, batch.lengths)[0], expected)


def test_word_dropout_makes_words_unknown_and_leaves_padding(make: Make) -> None:
    _, network = make(word_dropout=0.3)
    seen: list[torch.Tensor] = []
    network.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inputs = torch.full((50, 40), 5)
    inputs[:, 30:] = 0
    network.train()(inputs, torch.full((50,), 30))
    assert set(seen[0].unique().tolist()) == {0, 1, 5}
    assert (seen[0][:, 30:] == 0).all()
    assert (seen[0][:, :30] == 1).double().mean().item() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("head", "the film was not good"), ("tail", "not good very very dull"),
     ("both", "the film very very dull")],
)  # fmt: skip
def test_a_longer_text_is_cut_as_asked(keep: str, kept: str, make: Make, tmp_path: Path) -> None:
    task, _ = make(max_tokens=5, keep=keep)
    long = "the film was not good very very dull"
    expected = [WORDS.index(word) for word in kept.split()]
    assert numbers(task, long) == expected
    assert numbers(task, "the film") == [2, 3]
    # Training reads what prediction reads.
    rows = "\n".join(f"{long},pos\n{long} {long},neg" for _ in range(10))
    (tmp_path / "r.csv").write_text(f"text,label\n{rows}\n")
    splits = task.prepare(tmp_path / "r.csv", 1, learn=False).splits
    for batch in splits["all"].ordered():
        assert batch.lengths.tolist() == [5] * 20
        assert expected in batch.inputs[:, :5].tolist()


def test_a_text_without_words_is_one_unknown_word(make: Make, tmp_path: Path) -> None:
    task, network = make()
    assert numbers(task, "?!") == [1]
    (tmp_path / "r.csv").write_text("text,label\n" + "?!,pos\ngood,neg\n" * 10)
    data = task.prepare(tmp_path / "r.csv", 1, learn=False)
    assert min(int(batch.lengths.min()) for batch in data.splits["all"].ordered()) == 1
    assert len(task.predict(network.eval(), ["", "good"])) == 2
    assert task.predict(network, []) == []


def test_predictions_come_in_order_with_the_probability_of_each_label(make: Make) -> None:
    task, network = make()
    draw = np.random.default_rng(5)
    texts = [" ".join(draw.choice(WORDS[2:], size=draw.integers(1, 30))) for _ in range(200)]
    answers = list(task.predict(network.eval(), texts))
    assert [answer.text for answer in answers] == texts
    for answer in answers:
        row = torch.tensor([[WORDS.index(word) for word in answer.text.split()]])
        with torch.no_grad():
            positive = network(row, torch.tensor([row.shape[1]]))[0].sigmoid().item()
        assert answer.scores == pytest.approx({"neg": 1 - positive, "pos": positive}, abs=1e-5)
        assert answer.label == ("pos" if positive > 0.5 else "neg")
        assert answer.probability == max(answer.scores.values())


@pytest.mark.parametrize(
    "assets",
    [
        {"vocabulary": "abc", "labels": ["a", "b"]},
        {"vocabulary": ["<pad>", 3], "labels": ["a", "b"]},
        {"vocabulary": ["<pad>", "<unk>"], "labels": None},
    ],
)
def test_assets_of_another_form_are_refused(assets: dict[str, Any], make: Make) -> None:
    task, _ = make()
    with pytest.raises(ValueError, match="not a list of texts"):
        task.restore(assets)


def test_a_trained_network_knows_order_from_a_fresh_load(sentiment_run: Path) -> None:
    loaded = zoo.load(sentiment_run)
    assert not loaded.network.training
    good, bad = loaded.predict([
        "the plot was dull but the acting was superb",
        "the acting was superb but the plot was dull",
    ])  # fmt: skip
    assert (good.label, bad.label) == ("pos", "neg")


def test_predict_takes_texts_and_not_one(sentiment_run: Path) -> None:
    loaded = zoo.load(sentiment_run)
    with pytest.raises(TypeError, match="give \\[text\\] for one"):
        loaded.predict("A film to remember.")
    with pytest.raises(UsageError, match="fewer than one"):
        loaded.predict(["A film to remember."], threads=0)


def test_predict_and_generate_do_not_train(sentiment_run: Path) -> None:
    loaded = zoo.load(sentiment_run)
    loaded.network.train()
    first, again = (next(iter(loaded.predict(["a film"]))) for _ in range(2))
    assert first == again
