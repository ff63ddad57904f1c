"""The task: its checks, its sample, its files, and what the CRF adds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo_crf.conll import Sentence, parse
from zoo_crf.options import NEROptions
from zoo_crf.sample import sample
from zoo_crf.spans import spans_of
from zoo_crf.task import NER

import zoo
from zoo.errors import DataError
from zoo.testing import check_task


@check_task("ner")
def test_task(check: Callable[[], None]) -> None:
    check()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zoo.Run]:
    """A run that predicts each tag by itself, and one with a CRF."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        output: zoo.train(
            "ner/bilstm",
            out=folder / output,
            settings={"output": output, "epochs": 2},
            threads=1,
            device="cpu",
            progress=False,
        )
        for output in ("softmax", "constrained-crf")
    }


def parts() -> tuple[list[Sentence], list[Sentence]]:
    """Return the sentences of the sample for training and test."""
    sentences = list(parse(sample(), "the sample"))
    order = np.random.default_rng(1).permutation(len(sentences))
    tenth = round(len(order) / 10)
    train, test = order[2 * tenth :], order[tenth : 2 * tenth]
    return [sentences[row] for row in train], [sentences[row] for row in test]


def f1(found: list[Any], true: list[Any]) -> float:
    """Return F1 of lists of sets of spans."""
    right = sum(len(set(a) & set(b)) for a, b in zip(found, true, strict=True))
    return 2 * right / (sum(map(len, found)) + sum(map(len, true)))


def test_scores_are_those_of_predicted_spans_and_plain_counting(runs: dict[str, zoo.Run]) -> None:
    train, test = parts()
    true = [spans_of(sentence.tags) for sentence in test]
    model = runs["constrained-crf"].model
    answers: list[Any] = list(model.predict(" ".join(sentence.words) for sentence in test))
    assert [answer.words for answer in answers] == [sentence.words for sentence in test]
    metrics = model.evaluate()
    assert metrics["training_data"]
    assert metrics["examples"] == len(test)
    assert metrics["f1"] == pytest.approx(f1([spans_of(a.tags) for a in answers], true))
    assert metrics["f1_low"] < metrics["f1"] < metrics["f1_high"]

    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(*sentence, strict=True):
            counts[word][tag] += 1
    by_word = [
        spans_of([max(sorted(counts[w]), key=counts[w].get, default="O") for w in s.words])  # type: ignore[arg-type]
        for s in test
    ]
    (baseline,) = metrics["baselines"].values()
    assert baseline == pytest.approx(f1(by_word, true), abs=0.01)  # Ties are broken otherwise.
    assert metrics["f1_low"] > baseline + 0.2


def test_a_crf_finds_more_names_and_predicts_no_illegal_tags(
    runs: dict[str, zoo.Run], tmp_path: Path
) -> None:
    (tmp_path / "further.conll").write_text(sample(seed=16), encoding="utf-8")
    scores = {name: run.model.evaluate(tmp_path / "further.conll") for name, run in runs.items()}
    assert scores["softmax"]["examples"] > 2900  # All of another file is the test split.
    assert scores["softmax"]["f1_high"] < scores["constrained-crf"]["f1_low"]

    texts = [" ".join(sentence.words) for sentence in parts()[1]]
    illegal = {}
    for name, run in runs.items():
        answers: list[Any] = list(run.model.predict(texts))
        illegal[name] = sum(
            tag[0] == "I" and before[2:] != tag[2:]
            for answer in answers
            for before, tag in zip(("O", *answer.tags), answer.tags, strict=False)
        )
    assert illegal["softmax"] > 0
    assert illegal["constrained-crf"] == 0


def test_entities_are_places_in_the_text(runs: dict[str, zoo.Run]) -> None:
    texts = ["  Anna Korzuson lives in New  Baladen.", "", "it rained"]
    answers: list[Any] = list(runs["constrained-crf"].model.predict(texts))
    entities = [(e.text, e.type, texts[0][e.start : e.end]) for e in answers[0].entities]
    assert entities == [
        ("Anna Korzuson", "PER", "Anna Korzuson"),
        ("New  Baladen", "LOC", "New  Baladen"),
    ]
    assert answers[0].tags == ("B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O")
    assert (answers[1].tags, answers[1].entities, answers[1].probability) == ((), (), 1.0)
    assert answers[2].columns()[0] == "-"
    assert all(0 < answer.probability <= 1 for answer in answers)


def write(path: Path, sentences: int, name: str = "Anna") -> Path:
    """Write sentences such as 'Anna 3 left'."""
    rows = (f"{name} B-PER\n{n} I-PER\nleft O\n\n" for n in range(sentences))
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("output", ["softmax", "crf", "constrained-crf"])
def test_every_output_learns_names_of_two_words(output: str, tmp_path: Path) -> None:
    data = write(tmp_path / "names.conll", 40)
    run = zoo.train(
        "ner/gru",
        data,
        out=tmp_path / "run",
        settings={"output": output, "scheme": "bioes", "steps": 30, "batch_size": 8},
        threads=1,
        device="cpu",
        progress=False,
    )
    assert run.model.evaluate(data)["f1"] == 1
    names = [name for name in run.model.module.state_dict() if name.startswith("output.")]
    assert len(names) == (0 if output == "softmax" else 3)


def test_parts_that_have_files_of_their_own(tmp_path: Path) -> None:
    data, test = write(tmp_path / "train.conll", 20), write(tmp_path / "test.conll", 7, "Peter")
    task = NER(NEROptions(test_data=str(test), scheme="bioes"))
    prepared = task.prepare(data, seed=1)
    sizes = {name: split.num_examples for name, split in prepared.splits.items()}
    assert sizes == {"train": 18, "validation": 2, "test": 7, "all": 27}
    assert "Peter" not in task.encoder.words
    assert task.encoder.tags == ["O", "B-PER", "I-PER", "E-PER", "S-PER"]
    assert prepared.notes == ("words    81", "spans    PER 27")

    # An exported model knows the name alone, and finds the file beside the data.
    other = NER(NEROptions(test_data=test.name, scheme="bioes"))
    other.load_state_dict(task.state_dict())
    again = other.prepare(data, seed=1, fit=False)
    assert again.digest == prepared.digest
    # Of another file all sentences are for the test.
    further = other.prepare(write(tmp_path / "further.conll", 5), seed=1, fit=False)
    assert {name: split.num_examples for name, split in further.splits.items()} == {
        "train": 0, "validation": 0, "test": 5, "all": 5,
    }  # fmt: skip


def test_unfit_data_is_refused(tmp_path: Path) -> None:
    task = NER(NEROptions())
    path = write(tmp_path / "few.conll", 3)
    with pytest.raises(DataError, match="3 sentences are too few"):
        task.prepare(path, seed=1)
    path.write_text("left O\n\n" * 20, encoding="utf-8")
    with pytest.raises(DataError, match="all tags are O"):
        task.prepare(path, seed=1)
    task.prepare(write(path, 20), seed=1)
    path.write_text("Paris B-LOC\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="type 'LOC' was not in the training data"):
        task.prepare(path, seed=1, fit=False)
