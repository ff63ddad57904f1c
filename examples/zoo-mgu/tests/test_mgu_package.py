"""The minimal gated unit against its published equations, and in training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from zoo_mgu import MGUOptions
from zoo_mgu.model import MGU

import zoo
from zoo.data.ragged import Ragged
from zoo.nn import OneHot, forward_embedded

Array = npt.NDArray[Any]


def sigmoid(x: Array) -> Array:
    values: Array = 1 / (1 + np.exp(-x))
    return values


def run_equations(model: torch.nn.Module, x: Array, h: Array) -> Array:
    """Run a row (T, I) from a state (H,): Zhou et al., arXiv:1603.09420, equations 4 to 6."""
    size = len(h)
    weight = {name: value.detach().numpy() for name, value in model.named_parameters()}
    w_f, w_h = weight["w.weight"][:size], weight["w.weight"][size:]
    b_f, b_h = weight["w.bias"][:size], weight["w.bias"][size:]
    u_f, u_h = weight["u_f.weight"], weight["u_h.weight"]
    states = []
    for step in x:
        f = sigmoid(w_f @ step + u_f @ h + b_f)
        candidate = np.tanh(w_h @ step + u_h @ (f * h) + b_h)
        h = (1 - f) * h + f * candidate
        states.append(h)
    return np.array(states)


@pytest.fixture
def mgu() -> torch.nn.Module:
    torch.manual_seed(3)
    return MGU(5, MGUOptions(hidden_size=7)).double()


def test_outputs_are_those_of_the_equations_on_padded_rows(mgu: torch.nn.Module) -> None:
    generator = np.random.default_rng(4)
    rows = [generator.normal(size=(steps, 5)) for steps in (9, 1, 6)]
    start = generator.normal(size=(3, 7))
    batch = Ragged.of(rows, [0, 0, 0]).batch(np.arange(3))
    padded = batch.inputs.clone()
    padded[torch.arange(padded.shape[1]) >= batch.lengths[:, None]] = 1e6
    with torch.no_grad():
        outputs, (end,) = mgu(padded, batch.lengths, (torch.from_numpy(start)[None],))
    assert outputs.shape[2] == mgu.output_size == 7
    for number, row in enumerate(rows):
        states = run_equations(mgu, row, start[number])
        found = outputs[number].numpy()
        np.testing.assert_allclose(found[: len(row)], states, atol=1e-12)
        assert (found[len(row) :] == 0).all()
        np.testing.assert_allclose(end[0, number].numpy(), states[-1], atol=1e-12)


def test_the_state_continues_a_sequence(mgu: torch.nn.Module) -> None:
    x = np.random.default_rng(5).normal(size=(1, 8, 5))
    whole = run_equations(mgu, x[0], np.zeros(7))
    with torch.no_grad():
        first, state = mgu(torch.from_numpy(x[:, :3]), torch.tensor([3]))
        rest, _ = mgu(torch.from_numpy(x[:, 3:]), torch.tensor([5]), state)
    np.testing.assert_allclose(torch.cat((first, rest), 1)[0].numpy(), whole, atol=1e-12)


def test_one_hot_token_ids_reach_the_model_as_vectors(mgu: torch.nn.Module) -> None:
    mgu = mgu.float()
    token_ids, lengths = torch.tensor([[4, 0, 2], [1, 3, 0]]), torch.tensor([3, 2])
    with torch.no_grad():
        outputs, (end,) = forward_embedded(mgu, OneHot(5), token_ids, lengths)
        expected, (expected_end,) = mgu(torch.eye(5)[token_ids], lengths)
    assert torch.equal(outputs, expected)
    assert torch.equal(end, expected_end)


def test_it_trains_for_the_tasks_of_seqzoo(tmp_path: Path) -> None:
    small = {"hidden_size": 8, "embed_size": 8, "learning_rate": 0.02, "batch_size": 128}
    arguments: dict[str, Any] = {"threads": 1, "device": "cpu", "progress": False}
    # Without the linear model, which is good at these reviews by itself.
    alone = {**small, "epochs": 2, "ngram_weight": 0}
    reviews = zoo.train("sentiment/mgu", out=tmp_path / "reviews", settings=alone, **arguments)
    scores = reviews.metrics["validation"]
    assert scores["accuracy_low"] > scores["baselines"]["majority"]
    text = tmp_path / "text.txt"
    text.write_text("".join(f"The {n * 7 % 41} gulls, {n} ships.\n" for n in range(400)))
    book = zoo.train(
        "char-lm/mgu", text, out=tmp_path / "book", settings={**small, "steps": 30}, **arguments
    )
    characters = len(set(text.read_text()))
    assert book.metrics["validation"]["loss"] < math.log(characters)
    assert book.model.generate("The ", 20, seed=1).startswith("The ")
