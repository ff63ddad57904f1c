"""The date task against plain torch modules, trained on its sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo_dates.data import load
from zoo_dates.options import DatesOptions
from zoo_dates.task import Dates

import zoo
from zoo.errors import DataError, UsageError

ISO = "0123456789-"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train(
        "dates/lstm",
        out=tmp_path_factory.mktemp("runs") / "dates",
        settings={"steps": 300, "batch_size": 64, "learning_rate": 4e-3},
        threads=1,
        device="cpu",
        progress=False,
    )


class PlainDates:
    """The network of dates/lstm in modules of torch, one row and one step at a time."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.encoder = self._lstm("encoder.")
        self.decoder = self._lstm("decoder.")

    def _lstm(self, prefix: str) -> nn.LSTM:
        lstm = nn.LSTM(32, 64, batch_first=True)
        own = {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
        lstm.load_state_dict(own)
        return lstm

    @torch.inference_mode()
    def decode(
        self, source: list[int], targets: list[int] | None = None
    ) -> tuple[list[int], list[float]]:
        """Return the most probable token of each step, and the log-probability of the token that
        the decoder reads next: that of the target or, without targets, the most probable one.
        """
        tensors = self.tensors
        _, state = self.encoder(tensors["source_embedding.weight"][source][None])
        previous, best, log_probabilities = 11, [], []
        for step in range(10):
            vector = tensors["target_embedding.weight"][previous]
            output, state = self.decoder(vector[None, None], state)
            logits = tensors["fc.weight"] @ output[0, 0] + tensors["fc.bias"]
            best.append(int(logits.argmax()))
            previous = targets[step] if targets else best[-1]
            log_probabilities.append(float(logits.log_softmax(0)[previous]))
        return best, log_probabilities


def test_loss_and_predictions_are_those_of_plain_modules(run: zoo.Run) -> None:
    model = run.model
    task: Any = model.task
    plain = PlainDates(model.module.state_dict())
    pairs = load(None)[0][:25]
    sources = [task.encode(text) for text, _ in pairs]
    targets = [[ISO.index(character) for character in iso] for _, iso in pairs]

    batch: Any = task.prepare(None, seed=1, fit=False).splits["all"].batch(np.arange(25))
    with torch.inference_mode():
        metrics = task.metrics(task.step(model.module, batch, None).metric_sums)
    forced = [plain.decode(*pair)[1] for pair in zip(sources, targets, strict=True)]
    assert metrics["loss"] == pytest.approx(-np.mean(forced), abs=1e-5)
    free = [plain.decode(source) for source in sources]
    correct = np.array([found for found, _ in free]) == np.array(targets)
    assert metrics["accuracy"] == pytest.approx(correct.all(1).mean())
    assert metrics["character_accuracy"] == pytest.approx(correct.mean())

    answers: list[Any] = list(model.predict(text for text, _ in pairs))
    for answer, (token_ids, log_probabilities) in zip(answers, free, strict=True):
        assert answer.output == "".join(ISO[token_id] for token_id in token_ids)
        assert answer.probability == pytest.approx(np.exp(sum(log_probabilities)), abs=1e-5)


def test_characters_are_better_than_the_commonest_of_each_place(run: zoo.Run) -> None:
    metrics = run.model.evaluate()
    pairs = load(None)[0]
    order = np.random.default_rng(1).permutation(len(pairs))
    answers = [pairs[row][1] for row in order[len(pairs) * 9 // 10 :]]
    places = [max(Counter(place).values()) for place in zip(*answers, strict=True)]
    assert metrics["examples"] == len(answers) == 2000
    assert metrics["character_accuracy"] > np.mean(places) / len(answers) + 0.1


def test_bad_data_and_bidirectional_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a causal model"):
        zoo.train("dates/bilstm", out=tmp_path / "run", progress=False)
    path = tmp_path / "dates.tsv"
    path.write_text("3 March 1986\t1986-03-03\n" * 10, encoding="utf-8")
    task = Dates(DatesOptions())
    assert task.prepare(path, seed=1).splits["all"].num_examples == 10
    path.write_text("3 March 1986\t1986-03-03\n4 March 1986 1986-03-04\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"no date '' in line 2 of {path}"):
        task.prepare(path, seed=1)
    path.write_text("7 March 1986\t1986-03-07\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="the vocabulary lacks '7'"):
        task.prepare(path, seed=1, fit=False)
