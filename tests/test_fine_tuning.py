"""Options for fine-tuning: adversarial training, learning rates of layers, gradual unfreezing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_sentiment import PLAIN
from safetensors.torch import load_file
from sum_task import Recorder, equal
from torch import Tensor, nn

import zoo
from zoo.building import build_network, build_task
from zoo.engine.parameters import parameter_groups
from zoo.errors import UsageError
from zoo.installed import registry
from zoo.settings import resolve
from zoo_text.network import TextNetwork

Train = Callable[..., zoo.Run]
SMALL = (*PLAIN, "hidden_size=3", "embed_size=4", "fc_size=5", "batch_size=64")
NO_DROPOUT = {"word_dropout": 0.0, "embed_dropout": 0.0, "task.dropout": 0.0}


def sentiment(**settings: object) -> tuple[Any, TextNetwork, Any]:
    """Return the task on its sample, a network in training mode and a batch."""
    given = {"hidden_size": 3, "embed_size": 4, "fc_size": 5, **NO_DROPOUT, **settings}
    spec = resolve("sentiment/lstm", registry(), given)
    task = build_task(spec.network.task)
    data = task.prepare(None, 1)
    torch.manual_seed(0)
    network = build_network(task, spec.network)
    assert isinstance(network, TextNetwork)
    if network.ngrams is not None:
        nn.init.normal_(network.ngrams.weight)
    return task, network.train(), data.splits["train"].train_batches(1, 0, 8)[0]


def gradients(network: nn.Module) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return {name: gradient.clone() for name, gradient in found.items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": "words", "ngram_weight": 0.0},
        {"tokens": "words", "ngram_weight": 0.0, "ngram_bits": 8},
        {"tokens": "words", "fc_size": 0, "pooling": "last", "model.num_layers": 2},
        {"tokens": "subwords"},
    ],
)
def test_the_adversarial_loss_is_that_of_the_paper(settings: dict[str, Any]) -> None:
    share = 0.3
    task, network, batch = sentiment(adversarial=share, **settings)
    vectors = network.token_vectors(batch)
    ngrams = 0 if network.ngrams is None else network.ngrams(batch.inputs, batch.lengths)

    def loss(points: Tensor) -> Tensor:
        logits = network.forward_vectors(points, batch.lengths) + ngrams
        smoothed = 0.95 * batch.targets + 0.025
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], smoothed)

    (gradient,) = torch.autograd.grad(loss(vectors), vectors, retain_graph=True)
    change = np.zeros(vectors.shape, np.float32)
    for row, length in enumerate(batch.lengths.tolist()):
        s, g = vectors[row, :length].detach().numpy(), gradient[row, :length].numpy()
        change[row, :length] = share * np.linalg.norm(s) * g / np.linalg.norm(g)
    expected = loss(vectors) + loss(vectors + torch.from_numpy(change))
    expected.backward()
    wanted = gradients(network)
    step = task.step(network, batch, None)
    (step.loss * 0.5).backward()  # As one of two batches whose gradients are added up.
    assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    clean = float(loss(vectors).detach())
    assert float(expected.detach()) > 2 * clean
    assert float(step.metric_sums["loss"]) == pytest.approx(8 * clean, rel=1e-5)
    found = gradients(network)
    assert set(found) == set(wanted) == {name for name, _ in network.named_parameters()}
    for name, gradient in wanted.items():
        torch.testing.assert_close(2 * found[name], gradient, rtol=2e-3, atol=1e-6, msg=name)


def test_a_step_without_the_option_computes_one_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    task, network, batch = sentiment()
    calls = []
    network.rnn.register_forward_hook(lambda *_: calls.append(1))
    task.step(network, batch, None).loss.backward()
    assert len(calls) == 1
    task.options = replace(task.options, adversarial=0.1)
    network.options = task.options
    task.step(network, batch, None).loss.backward()
    assert len(calls) == 3
    network.eval()
    task.step(network, batch, None)
    assert len(calls) == 4


def test_one_hot_words_have_no_vectors_to_change() -> None:
    with pytest.raises(UsageError, match="adversarial is for input=embedding"):
        resolve("sentiment/lstm", registry(), {
            "tokens": "words", "input": "onehot", "adversarial": 0.1,
        })  # fmt: skip


def test_embedding_and_model_have_a_learning_rate_of_their_own() -> None:
    _, network, _ = sentiment(encoder_learning_rate=0.25)
    rates = {
        id(p): group.get("lr", 0.1)
        for group in parameter_groups(network, 0.1)
        for p in group["params"]
    }
    for name, parameter in network.named_parameters():
        is_encoder = name.startswith(("embedding.", "rnn."))
        assert rates[id(parameter)] == pytest.approx(0.025 if is_encoder else 0.1), name
    (one,) = parameter_groups(sentiment()[1], 0.1)
    assert len(one["params"]) == len(rates)


def test_layers_are_unfrozen_from_the_top_down(train_here: Train, tmp_path: Path) -> None:
    recorder = Recorder()
    run = train_here(
        "sentiment/lstm", tmp_path / "run", *SMALL, "num_layers=2", "epochs=5",
        "unfreeze_every=1", callbacks=[recorder],
    )  # fmt: skip
    steps = run.history["step"][-1] // 5
    changed = []
    for epoch in range(5):
        before, after = (recorder.parameters[(epoch + end) * steps] for end in (0, 1))
        changed.append({name for name in after if not torch.equal(before[name], after[name])})
    head = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert changed[0] == head
    top, bottom = (
        {name for name in changed[-1] if name.endswith(f"_l{layer}")} for layer in (1, 0)
    )
    assert len(top) == len(bottom) == 4
    assert changed[1] == head | top
    assert changed[2] == head | top | bottom
    assert changed[3] == changed[4] == head | top | bottom | {"embedding.weight"}


@pytest.mark.parametrize("stop", [1, 5])
def test_a_run_with_all_of_them_resumes_with_the_same_bits(
    stop: int, train_here: Train, tmp_path: Path
) -> None:
    settings = (
        *SMALL, "epochs=4", "unfreeze_every=1", "adversarial=0.02", "word_dropout=0.1",
        "embed_dropout=0.2", "encoder_learning_rate=0.5", "optimizer=adamw", "average=0.5",
    )  # fmt: skip
    whole = train_here("sentiment/lstm", tmp_path / "whole", *settings)
    train_here("sentiment/lstm", tmp_path / "run", *settings, stop_after=stop)
    resumed = train_here("", tmp_path / "run", resume=True)
    one, other = (load_file(run.path / "weights.safetensors") for run in (whole, resumed))
    assert equal(one, other)
