"""The sentiment task: loss, metrics, truncation, predictions, vectors."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_sentiment import OPTIONS
from torch import nn

import zoo
from zoo import options as options_of
from zoo.data import ragged
from zoo.data.ragged import Array, Ragged
from zoo.engine.evaluation import evaluate
from zoo.errors import UsageError
from zoo.interfaces import Embeds, HasReadout, NamesRows
from zoo.intervals import wilson
from zoo.nn import OneHot
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.task import Sentiment
from zoo_text.sample import sample
from zoo_text.tokens import tokenize

WORDS = ["<pad>", "<unk>", "the", "film", "was", "not", "good", "bad", "very", "long", "dull"]


def make(model: str = "bilstm", labels: str = "neg pos", **options: Any) -> tuple[Any, Any]:
    """Return a task with a small vocabulary, and its network with random weights."""
    task = Sentiment(SentimentOptions(**{**OPTIONS, **options}))
    task.load_state_dict({"vocabulary": WORDS, "labels": labels.split()})
    torch.manual_seed(3)
    build: Any = partial(zoo.create_model, model, hidden_size=6)
    return task, task.network(build)


def reviews(count: int = 60, labels: int = 2) -> Ragged:
    draw = np.random.default_rng(4)
    rows = [draw.integers(1, len(WORDS), size=draw.integers(1, 40)) for _ in range(count)]
    return Ragged.of(rows, draw.integers(labels, size=count))


def token_ids(task: Any, text: str) -> list[int]:
    """Return the token ids of the words of a text that are read."""
    batch = task.encoder.encode([text])[0].batch(np.array([0]))
    row: list[int] = batch.inputs[0, : batch.lengths[0]].tolist()
    return row


def inputs_of(split: Ragged, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch = split.batch(np.arange(rows))
    return batch.inputs, batch.lengths


def one_by_one(network: nn.Module, split: Ragged) -> torch.Tensor:
    """Return the logits of every review, each read alone and without padding."""
    network.eval()
    rows = []
    with torch.no_grad():
        for start, length in zip(split.starts, split.lengths, strict=True):
            row = torch.from_numpy(split.values[start : start + length])[None]
            rows.append(network(row, torch.tensor([length]))[0][0])
    return torch.stack(rows).double()


def test_metrics_do_not_depend_on_how_reviews_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    task, network = make()
    split = reviews()
    logits = one_by_one(network, split)[:, 0]
    truth = torch.from_numpy(split.targets)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, truth.double())
    for limit in (64, 1 << 16):
        monkeypatch.setattr(ragged, "EVALUATION_STEPS", limit)
        metrics = evaluate(task, network, split)
        assert metrics["examples"] == 60
        assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
        assert metrics["accuracy"] == ((logits > 0).long() == truth).double().mean().item()


def test_binary_metrics_are_those_of_the_confusion_matrix() -> None:
    task, network = make()
    split = reviews()
    answers = (one_by_one(network, split)[:, 0] > 0).long().numpy()
    truth = split.targets
    metrics = evaluate(task, network, split)
    table = [[int(((truth == t) & (answers == a)).sum()) for a in (0, 1)] for t in (0, 1)]
    assert metrics["confusion"]["values"] == table
    assert metrics["confusion"]["rows"] == metrics["confusion"]["columns"] == ["neg", "pos"]
    assert metrics["baselines"]["majority"] == max(np.mean(truth == 0), np.mean(truth == 1))
    precision, recall = table[1][1] / sum(row[1] for row in table), table[1][1] / sum(table[1])
    assert metrics["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    hits = table[0][0] + table[1][1]
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == wilson(hits, 60)


def test_three_labels_have_three_logits_and_a_mean_f1() -> None:
    task, network = make(labels="a b c")
    split = reviews(labels=3)
    logits = one_by_one(network, split)
    assert logits.shape == (60, 3)
    truth, answers = torch.from_numpy(split.targets), logits.argmax(1)
    metrics = evaluate(task, network, split)
    loss = nn.functional.cross_entropy(logits, truth)
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert metrics["accuracy"] == (answers == truth).double().mean().item()
    f1 = []
    for label in range(3):
        right = int(((truth == label) & (answers == label)).sum())
        f1.append(2 * right / max(int((truth == label).sum() + (answers == label).sum()), 1))
    assert metrics["f1_macro"] == pytest.approx(sum(f1) / 3)
    assert "f1" not in metrics


def test_the_training_loss_is_the_mean_of_the_batch() -> None:
    task, network = make()
    split = reviews(10)
    logits = one_by_one(network, split)[:, 0]
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(split.targets).double()
    )
    step = task.step(network, split.batch(np.arange(10)), None)
    assert step.loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert step.loss.requires_grad
    assert torch.equal(step.outputs, network(*inputs_of(split, 10))[0])
    assert float(step.metric_sums["loss"]) == pytest.approx(10 * expected.item(), abs=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "last+mean+max"])
@pytest.mark.parametrize("model", ["lstm", "bigru"])
def test_an_answer_does_not_depend_on_padding_or_neighbours(model: str, pooling: str) -> None:
    _, network = make(model, pooling=pooling)
    split = reviews(12)
    alone = one_by_one(network, split)
    batch = split.batch(np.arange(12))
    padding = torch.zeros(12, 50, dtype=torch.int64)
    with torch.no_grad():
        for inputs in (batch.inputs, torch.cat((batch.inputs, padding), dim=1)):
            together = network(inputs, batch.lengths)[0].double()
            torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_the_padding_row_is_zero_and_never_trained() -> None:
    task, network = make()
    assert (network.embedding.weight[0] == 0).all()
    task.step(network, reviews(8).batch(np.arange(8)), None).loss.backward()
    assert (network.embedding.weight.grad[0] == 0).all()
    assert (network.embedding.weight.grad[1:] != 0).any()


@pytest.mark.parametrize("model", ["rnn", "bilstm", "gru"])
def test_one_hot_words_are_an_identity_embedding(model: str) -> None:
    _, one_hot = make(model, input="onehot")
    _, embedded = make(model, embed_size=len(WORDS))
    assert isinstance(one_hot.embedding, OneHot)
    embedded.load_state_dict(
        {**one_hot.state_dict(), "embedding.weight": torch.eye(len(WORDS))}, strict=True
    )
    for mode in (True, False):
        networks = one_hot.train(mode), embedded.train(mode)
        found, expected = (network(*inputs_of(reviews(12), 12))[0] for network in networks)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def buckets(words: list[int], bits: int) -> set[int]:
    """Return the buckets of the words and word pairs of a text, in Python's integers."""
    pairs = [65_537 * first + second + 1 for first, second in itertools.pairwise(words)]
    return {(key * 0x9E3779B97F4A7C15) % 2**64 >> (64 - bits) for key in [*words, *pairs]}


@pytest.mark.parametrize(("bits", "labels"), [(3, "neg pos"), (12, "neg pos"), (12, "a b c")])
def test_ngrams_add_up_the_words_and_pairs_of_a_text(bits: int, labels: str) -> None:
    _, wide = make(ngram_bits=bits, labels=labels)
    _, narrow = make(labels=labels)
    split = reviews(12)
    batch = split.batch(np.arange(12))
    padded = torch.cat((batch.inputs, torch.zeros(12, 40, dtype=torch.int64)), dim=1)
    with torch.no_grad():
        # Initial weights are zero.
        expected = narrow(batch.inputs, batch.lengths)[0]
        assert torch.equal(wide(batch.inputs, batch.lengths)[0], expected)
        table = wide.ngrams.weight.normal_()
        for inputs in (batch.inputs, padded):
            added = wide(inputs, batch.lengths)[0] - expected
            for row, length in enumerate(batch.lengths.tolist()):
                found = buckets(inputs[row, :length].tolist(), bits)
                by_hand = 10 / len(found) ** 0.5 * table[sorted(found)].sum(0)
                torch.testing.assert_close(added[row], by_hand, atol=1e-4, rtol=0)


def test_initial_word_vectors_have_the_standard_deviation_of_the_option() -> None:
    for std in (1.0, 0.1):
        _, network = make(embed_std=std, embed_size=500)
        assert network.embedding.weight[1:].std().item() == pytest.approx(std, rel=0.05)
        assert (network.embedding.weight[0] == 0).all()


@pytest.mark.parametrize("kind", ["word_dropout", "embed_dropout", "dropout"])
def test_dropout_acts_in_training_alone(kind: str) -> None:
    options: dict[str, Any] = {kind: 0.5}
    (_, dropping), (_, whole) = make(**options), make()
    batch = reviews(12).batch(np.arange(12))
    outputs = [dropping.train()(batch.inputs, batch.lengths)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    expected = whole(batch.inputs, batch.lengths)[0]
    assert torch.equal(dropping.eval()(batch.inputs, batch.lengths)[0], expected)


def test_word_dropout_makes_words_unknown_and_leaves_padding() -> None:
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
    ("truncation", "kept"),
    [("head", "the film was not good"), ("tail", "not good very very dull"),
     ("head+tail", "the film very very dull")],
)  # fmt: skip
def test_a_longer_text_is_truncated(truncation: str, kept: str, tmp_path: Path) -> None:
    task, _ = make(max_tokens=5, truncation=truncation)
    long = "the film was not good very very dull"
    expected = [WORDS.index(word) for word in kept.split()]
    assert token_ids(task, long) == expected
    assert token_ids(task, "the film") == [2, 3]
    # Training reads what prediction reads.
    rows = "\n".join(f"{long},pos\n{long} {long},neg" for _ in range(10))
    (tmp_path / "r.csv").write_text(f"text,label\n{rows}\n")
    splits = task.prepare(tmp_path / "r.csv", 1, fit=False).splits
    for batch in splits["all"].eval_batches():
        assert batch.lengths.tolist() == [5] * 20
        assert expected in batch.inputs[:, :5].tolist()


def test_a_text_without_words_is_one_unknown_word(tmp_path: Path) -> None:
    task, network = make()
    assert token_ids(task, "?!") == [1]
    (tmp_path / "r.csv").write_text("text,label\n" + "?!,pos\ngood,neg\n" * 10)
    data = task.prepare(tmp_path / "r.csv", 1, fit=False)
    assert min(int(batch.lengths.min()) for batch in data.splits["all"].eval_batches()) == 1
    assert len(task.predict(network.eval(), ["", "good"])) == 2
    assert task.predict(network, []) == []


def test_predictions_come_in_order_with_the_probability_of_each_label() -> None:
    task, network = make()
    draw = np.random.default_rng(5)
    texts = [" ".join(draw.choice(WORDS[2:], size=draw.integers(1, 30))) for _ in range(200)]
    predictions = list(task.predict(network.eval(), texts))
    assert [prediction.text for prediction in predictions] == texts
    for prediction in predictions:
        row = torch.tensor([[WORDS.index(word) for word in prediction.text.split()]])
        with torch.no_grad():
            positive = network(row, torch.tensor([row.shape[1]]))[0].sigmoid().item()
        assert prediction.scores == pytest.approx({"neg": 1 - positive, "pos": positive}, abs=1e-5)
        assert prediction.label == ("pos" if positive > 0.5 else "neg")
        assert prediction.probability == max(prediction.scores.values())


@pytest.mark.parametrize(
    "state",
    [
        {"vocabulary": "abc", "labels": ["a", "b"]},
        {"vocabulary": ["<pad>", 3], "labels": ["a", "b"]},
        {"vocabulary": ["<pad>", "<unk>"], "labels": None},
    ],
)
def test_a_state_of_another_form_is_refused(state: dict[str, Any]) -> None:
    task, _ = make()
    with pytest.raises(ValueError, match="not a list of strings"):
        task.load_state_dict(state)


def test_a_loaded_network_predicts_by_the_order_of_words(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    assert not model.module.training
    predicted: Any = model.predict([
        "the plot was dull but the acting was superb",
        "the acting was superb but the plot was dull",
    ])  # fmt: skip
    good, bad = predicted
    assert (good.label, bad.label) == ("pos", "neg")


def test_predict_refuses_a_single_text(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    with pytest.raises(TypeError, match="give \\[text\\] for one"):
        model.predict("A film to remember.")
    with pytest.raises(UsageError, match="fewer than one"):
        model.predict(["A film to remember."], threads=0)


def test_predict_evaluates_in_evaluation_mode(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    model.module.train()
    first, again = (next(iter(model.predict(["a film"]))) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("pooling", ["last", "last+mean+max"])
@pytest.mark.parametrize("model", ["lstm", "bigru", "rnn-oh"])
def test_vectors_are_those_of_each_text_by_itself(model: str, pooling: str) -> None:
    task, network = make(model, pooling=pooling, max_tokens=20)
    assert isinstance(task, Embeds)
    draw = np.random.default_rng(5)
    texts = [" ".join(draw.choice(WORDS[2:], size=n)) for n in (3, 40, 1, 17)] + [""]
    pooled = list(task.embed(network.eval(), texts, per_step=False))
    per_step = list(task.embed(network, texts, per_step=True))
    for text, vector, outputs in zip(texts, pooled, per_step, strict=True):
        row = torch.tensor([token_ids(task, text)])
        with torch.no_grad():
            expected, state = network.rnn(network.embedding(row), torch.tensor([row.shape[1]]))
        assert outputs.shape == (min(max(len(text.split()), 1), 20), network.rnn.output_size)
        np.testing.assert_allclose(outputs, expected[0], atol=1e-6)
        is_causal = not isinstance(network.rnn, HasReadout)
        last = expected[:, -1] if is_causal else network.rnn.readout(state)
        parts = {"last": last[0], "mean": expected[0].mean(0), "max": expected[0].amax(0)}
        by_hand = torch.cat([parts[name] for name in pooling.split("+")])
        np.testing.assert_allclose(vector, by_hand, atol=1e-6)
        assert vector.dtype == outputs.dtype == np.float32
    assert list(task.embed(network, [], per_step=False)) == []


@pytest.mark.parametrize("labels", ["neg pos", "a b c"])
@pytest.mark.parametrize("input", ["embedding", "onehot"])
def test_row_names_name_every_row(input: str, labels: str) -> None:
    task, network = make("lstm", labels, input=input, ngram_bits=3)
    assert isinstance(task, NamesRows)
    names = task.row_names(network)
    parameters = dict(network.named_parameters())
    assert names.keys() <= parameters.keys()
    for name, rows in names.items():
        assert not rows.by_row or list(rows.names) == WORDS
        assert not rows.by_row or len(rows.names) == len(parameters[name])
    unnamed = parameters.keys() - names.keys()
    in_rnn = {name for name in parameters if name.startswith("rnn.")}
    assert unnamed == {"fc1.weight", "fc1.bias"} | (in_rnn if input == "embedding" else set())
    assert list(names["fc2.weight"].names) == labels.split()
    assert set(names["ngrams.weight"].names) == {*WORDS, *labels.split()}


def matthews_by_formula(truth: Array, predicted: Array) -> float:
    """Return the correlation of one-hot labels, summed over classes (Gorodkin, 2004)."""
    classes = np.union1d(truth, predicted)
    x, y = (np.equal.outer(labels, classes).astype(float) for labels in (truth, predicted))
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.mark.parametrize("labels", ["neg pos", "a b c"])
def test_matthews_is_the_correlation_of_true_and_predicted_labels(labels: str) -> None:
    task, network = make(labels=labels, max_tokens=0)
    split = reviews(labels=len(task.labels))
    logits = one_by_one(network, split)
    predicted = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    assert len(predicted.unique()) > 1
    expected = matthews_by_formula(split.targets, predicted.numpy())
    assert evaluate(task, network, split)["matthews"] == pytest.approx(expected, abs=1e-9)


def test_options_of_0_1_are_read_under_their_new_names() -> None:
    old = {"keep": "both", "validation": 0.1, "test": 0.3, "max_tokens": 5}
    assert options_of.from_json(SentimentOptions, old) == SentimentOptions(
        truncation="head+tail", validation_size=0.1, test_size=0.3, max_tokens=5,
        tokens="words", ngram_weight=0.0, label_smoothing=0.0, calibration="none",
    )  # fmt: skip


def test_the_most_confident_mistakes_are_reviews_with_another_label(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    label = {" ".join(tokenize(text)): name for text, name in sample()}
    found: Any = model.mistakes(split="test", count=5)
    confidence = [mistake.prediction.probability for mistake in found]
    assert confidence == sorted(confidence, reverse=True)
    for mistake in found:
        assert label[mistake.prediction.text] == mistake.target != mistake.prediction.label
