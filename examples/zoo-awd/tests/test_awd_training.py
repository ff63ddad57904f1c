"""The model in training: penalties in the loss, parameter groups in the optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zoo


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{n} ships and {n * 7 % 41} gulls.\n" for n in range(200)))
    return path


def train(data: Path, callbacks: tuple[zoo.Callback, ...] = (), **settings: Any) -> zoo.Run:
    """Train a language model for one step."""
    return zoo.train(
        "char-lm/awd-lstm",
        data,
        out=data.with_name("-".join(map(str, ("run", *settings.values())))),
        settings={"steps": 1, "log_every": 1, "hidden_size": 8, "embed_size": 8, **settings},
        callbacks=callbacks,
        threads=1,
        device="cpu",
        progress=False,
    )


def test_penalties_are_added_to_the_loss(text_file: Path) -> None:
    def first_penalty(alpha: float, beta: float) -> float:
        history = train(text_file, activation_penalty=alpha, difference_penalty=beta).history
        # ``loss`` is that of the task alone.
        return float(history["batch_loss"][0] - history["loss"][0])

    assert first_penalty(0, 0) == pytest.approx(0, abs=1e-6)
    activation, difference = first_penalty(100, 0), first_penalty(0, 100)
    assert activation > 0
    assert difference > 0
    expected = 2 * activation + 3 * difference
    assert first_penalty(200, 300) == pytest.approx(expected, rel=1e-3)


class KeepGroups(zoo.Callback):
    """Keeps the weight decay of each parameter."""

    def on_train_begin(self, trainer: Any) -> None:
        names = {id(p): name for name, p in trainer.network.named_parameters()}
        self.weight_decay = {
            names[id(parameter)]: group["weight_decay"]
            for group in trainer.optimizer.param_groups
            for parameter in group["params"]
        }
        self.names = set(names.values())


def test_the_model_has_a_weight_decay_of_its_own(text_file: Path) -> None:
    kept = KeepGroups()
    decays = {"model.weight_decay": 0.25, "optimizer.weight_decay": 0.5}
    train(text_file, (kept,), **decays)
    assert kept.weight_decay.keys() == kept.names
    assert kept.weight_decay["rnn.layers.0.weight_hh_l0"] == 0.25
    assert kept.weight_decay["rnn.layers.1.weight_ih_l0"] == 0.25
    assert kept.weight_decay["rnn.layers.0.bias_hh_l0"] == 0.0
    assert kept.weight_decay["embedding.weight"] == kept.weight_decay["fc.bias"] == 0.5


def test_it_learns_and_generates(text_file: Path) -> None:
    run = train(text_file, steps=60, learning_rate=0.02, input_dropout=0.0, output_dropout=0.0)
    assert run.metrics["validation"]["loss"] < 2.5
    assert run.model.generate("1 ship", 5, seed=1).startswith("1 ship")
    assert run.model.verify() == 0.0
