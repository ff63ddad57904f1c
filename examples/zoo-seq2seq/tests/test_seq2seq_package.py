"""Attention, loss, decoding and the sample against NumPy and plain loops."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from zoo_seq2seq.data import PairSplit, load
from zoo_seq2seq.network import END, AttentionSeq2Seq, GlobalAttention
from zoo_seq2seq.options import Seq2SeqOptions
from zoo_seq2seq.sample import sample, spell
from zoo_seq2seq.task import Seq2Seq

import zoo
from zoo.errors import DataError

NUMBERS = range(90, 130)
MAX_TOKENS = 4


class Builder:
    """A bidirectional encoder and a causal decoder of another size."""

    def __call__(self, input_size: int) -> torch.nn.Module:
        return zoo.create_model("bilstm", input_size, hidden_size=6)

    def submodel(self, name: str, input_size: int) -> torch.nn.Module:
        assert name == "decoder"
        return zoo.create_model("gru", input_size, hidden_size=7)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seq2Seq, PairSplit]:
    path = tmp_path_factory.mktemp("data") / "numbers.tsv"
    path.write_text("".join(f"{n}\t{spell(n)}\n" for n in NUMBERS), encoding="utf-8")
    task = Seq2Seq(Seq2SeqOptions(embed_size=5, max_tokens=MAX_TOKENS))
    split = task.prepare(path, seed=1).splits["all"]
    assert isinstance(split, PairSplit)
    return task, split


@pytest.fixture(scope="module")
def task(prepared: tuple[Seq2Seq, PairSplit]) -> Seq2Seq:
    return prepared[0]


@pytest.fixture(scope="module")
def network(prepared: tuple[Seq2Seq, PairSplit]) -> AttentionSeq2Seq:
    """A network that has learned some of the numbers."""
    task, split = prepared
    torch.manual_seed(1)
    network = task.network(Builder())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        task.step(network, split.batch(np.arange(len(NUMBERS))), None).loss.backward()
        optimizer.step()
    return network.eval()


def test_attention_equals_the_equations_of_the_paper_and_skips_padding() -> None:
    torch.manual_seed(1)
    attention = GlobalAttention(query_size=4, memory_size=3).double()
    queries = torch.randn(2, 5, 4, dtype=torch.float64)
    memory = torch.randn(2, 6, 3, dtype=torch.float64)
    memory[1, 2:] = 1e6  # Padding.
    with torch.no_grad():
        attended, weights = attention(queries, memory, torch.tensor([6, 2]))
    w_a, w_c = (layer.weight.detach().numpy() for layer in (attention.score, attention.combine))
    for row, length in enumerate((6, 2)):
        s = memory[row, :length].numpy()
        for step, h in enumerate(queries[row].numpy()):
            score = np.exp([h @ w_a.T @ source for source in s])
            a = score / score.sum()
            np.testing.assert_allclose(weights[row, step, :length].numpy(), a)
            assert not weights[row, step, length:].any()
            expected = np.tanh(w_c @ np.concatenate((a @ s, h)))
            np.testing.assert_allclose(attended[row, step].numpy(), expected)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 5, dtype=torch.float64))


def test_loss_is_the_mean_over_tokens_of_a_loop_over_single_pairs(
    task: Seq2Seq, network: AttentionSeq2Seq
) -> None:
    texts = [("129", "one hundred and twenty-nine"), ("90", "ninety"), ("100", "one hundred")]
    sources = [task.encode_source(source) for source, _ in texts]
    targets = [task.encode_target(target) for _, target in texts]
    batch = PairSplit.of(sources, targets).batch(np.arange(3))
    assert batch.target_lengths.tolist() == [5, 2, 3]
    with torch.no_grad():
        step = task.step(network, batch, None)
        losses = []
        for source, target in zip(sources, targets, strict=True):
            lengths = torch.tensor([len(source)])
            memory, _ = network.encoder(network.source_embedding(torch.tensor([source])), lengths)
            state, previous = None, END
            for token_id in target:
                vector = network.target_embedding(torch.tensor([[previous]]))
                query, state = network.decoder(vector, torch.tensor([1]), state)
                attended, _ = network.attention(query, memory, lengths)
                logits = network.fc(attended)[0, 0]
                losses.append(float(logits.logsumexp(0) - logits[token_id]))
                previous = token_id
    assert float(step.loss) == pytest.approx(np.mean(losses), rel=1e-5)
    metrics = task.metrics(step.metric_sums)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_greedy_decoding_is_that_of_single_rows_and_its_probability_is_the_product(
    task: Seq2Seq, network: AttentionSeq2Seq
) -> None:
    texts = [str(number) for number in NUMBERS]
    predictions = list(task.predict(network, texts))
    assert [prediction.text for prediction in predictions] == texts
    assert len({len(prediction.output.split()) for prediction in predictions}) > 1
    for prediction in predictions:
        source = torch.tensor([task.encode_source(prediction.text)])
        generated: list[int] = []
        probability = 1.0
        while END not in generated and len(generated) <= MAX_TOKENS:
            # The decoder reads all but the last of these.
            targets = torch.tensor([[*generated, END]])
            lengths = torch.tensor([source.shape[1]]), torch.tensor([targets.shape[1]])
            with torch.no_grad():
                shares = network(source, lengths[0], targets, lengths[1])[0, -1].softmax(0)
            generated.append(int(shares.argmax()))
            probability *= float(shares.max())
        assert prediction.output == task.decode_target(generated)
        assert prediction.probability == pytest.approx(probability, rel=1e-3)


def test_accuracy_is_the_share_of_equal_texts(
    prepared: tuple[Seq2Seq, PairSplit], network: AttentionSeq2Seq
) -> None:
    task, split = prepared
    with torch.no_grad():
        step = task.step(network, split.batch(np.arange(len(NUMBERS))), None)
    metrics = task.metrics(step.metric_sums)
    answers = [prediction.output for prediction in task.predict(network, list(map(str, NUMBERS)))]
    # An output that is not finished after max_tokens is one word too short to be right.
    correct = sum(answer == spell(n) for answer, n in zip(answers, NUMBERS, strict=True))
    assert 0 < correct < len(NUMBERS)
    assert metrics["accuracy"] == correct / len(NUMBERS)
    assert metrics["baseline"] == 1 / len(NUMBERS)
    tokens = [word for n in NUMBERS for word in (*spell(n).split(), "<end>")]
    shares = np.array(list(Counter(tokens).values())) / len(tokens)
    assert metrics["baseline_loss"] == pytest.approx(-(shares * np.log(shares)).sum())


def test_numbers_in_words() -> None:
    words = {
        0: "zero",
        21: "twenty-one",
        1204: "one thousand two hundred and four",
        1_000_004: "one million and four",
        300_015_100: "three hundred million fifteen thousand one hundred",
    }
    assert {number: spell(number) for number in words} == words
    lengths = [len(line.split("\t")[1].split()) for line in sample().splitlines()]
    assert min(lengths) == 1
    assert max(lengths) == 14


def test_files_of_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('"a, b",c\nd,"e ""f"""\n', encoding="utf-8")
    assert load(path)[0] == [("a, b", "c"), ("d", 'e "f"')]
    path = tmp_path / "pairs.tsv"
    path.write_text('a, b\t"c\nd\n', encoding="utf-8")
    with pytest.raises(DataError, match=f"1 columns in line 2 of {path}"):
        load(path)
