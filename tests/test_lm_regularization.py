"""Locked dropout, rows that begin anew and windows of evaluation of the language models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo
from zoo.engine.evaluation import evaluate_split
from zoo.errors import UsageError
from zoo.interfaces import Batch
from zoo_lm.char_task import CharLM
from zoo_lm.options import CharLMOptions

VOCABULARY = list("abcdefgh")
ROWS, STEPS, EMBED, HIDDEN = 4, 9, 6, 10


def make_task(**options: Any) -> CharLM:
    task = CharLM(CharLMOptions(**{"embed_size": EMBED, **options}))
    task.load_state_dict({"vocabulary": VOCABULARY})
    return task


def make_network(task: CharLM, **options: Any) -> Any:
    torch.manual_seed(5)
    build: Any = partial(zoo.create_model, "lstm", hidden_size=HIDDEN, **options)
    return task.network(build).train()


def token_ids(columns: int = STEPS) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(len(VOCABULARY), (ROWS, columns), generator=generator)


def plain_logits(network: Any, masks: tuple[Tensor, Tensor]) -> Tensor:
    """Return logits of the same weights in torch's modules, with a mask for each dropout."""
    rnn = nn.LSTM(EMBED, HIDDEN, batch_first=True)
    rnn.load_state_dict(network.rnn.state_dict())
    outputs, _ = rnn(F.embedding(token_ids(), network.embedding.weight) * masks[0])
    return F.linear(outputs * masks[1], network.fc.weight, network.fc.bias)


def test_locked_dropout_zeroes_the_same_features_at_every_step() -> None:
    network = make_network(make_task(embed_dropout=0.3, dropout=0.5, locked_dropout=True))
    lengths = torch.full((ROWS,), STEPS)
    torch.manual_seed(2)
    logits, _ = network(token_ids(), lengths)
    torch.manual_seed(2)
    masks = (
        F.dropout(torch.ones(ROWS, 1, EMBED), 0.3),
        F.dropout(torch.ones(ROWS, 1, HIDDEN), 0.5),
    )
    assert all(bool((mask == 0).any()) for mask in masks)
    torch.testing.assert_close(logits, plain_logits(network, masks), atol=2e-6, rtol=0)
    ones = torch.ones(())
    found, _ = network.eval()(token_ids(), lengths)
    torch.testing.assert_close(found, plain_logits(network, (ones, ones)), atol=2e-6, rtol=0)


@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_some_rows_of_a_training_batch_start_from_the_initial_state(initial_state: str) -> None:
    task = make_task(reset_probability=0.5, batching="contiguous")
    network = make_network(task, initial_state=initial_state)
    if initial_state == "learned":
        nn.init.normal_(network.rnn.initial_state)
    ids = token_ids(STEPS + 1)
    batch = Batch(ids[:, :-1], torch.full((ROWS,), STEPS), ids[:, 1:])
    state = tuple(torch.randn(1, ROWS, HIDDEN) for _ in range(2))

    def logits(state: tuple[Tensor, ...] | None) -> Tensor:
        outputs = task.step(network, batch, state).outputs
        assert outputs is not None
        return outputs

    torch.manual_seed(4)
    reset = torch.rand(ROWS) < 0.5
    assert 0 < int(reset.sum()) < ROWS
    torch.manual_seed(4)
    found = logits(state)
    network.eval()
    carried, fresh = logits(state), logits(None)
    expected = torch.where(reset[:, None, None], fresh, carried)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
    assert not torch.allclose(carried, fresh, atol=1e-3)


@pytest.mark.parametrize("window_steps", [7, 200])
def test_windows_of_evaluation_have_a_length_of_their_own(
    window_steps: int, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(VOCABULARY[n * n % 13 % 8] for n in range(600)))
    measured = []
    for options in ({"bptt_steps": 20, "window_steps": window_steps}, {"bptt_steps": window_steps}):
        task = make_task(**options)
        split = task.prepare(path, 1).splits["all"]
        measured.append(evaluate_split(task, make_network(task), split))
    assert measured[0] == measured[1]
    assert measured[0]["windowed_loss"] != measured[0]["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task.locked_dropout": True}, "both dropouts are 0"),
        ({"reset_probability": 0.1}, "batching=contiguous"),
    ],
)
def test_options_that_would_change_nothing_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        zoo.train("char-lm/lstm", out=tmp_path / "run", settings=options, progress=False)


def test_char_best_takes_a_text_without_markers_and_reports_both_protocols(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{n} bells, {n * 7 % 41} gulls.\n" for n in range(500)))
    run = zoo.train(
        "char-best", path, out=tmp_path / "run", progress=False,
        settings={"steps": 60, "hidden_size": 16, "embed_size": 8, "log_every": 60},
    )  # fmt: skip
    assert run.test is not None
    assert run.test["examples"] == round(len(path.read_text()) * 0.1) - 1
    assert run.test["loss"] < run.test["windowed_loss"] < 3.5
    settings = run.settings
    assert (settings["task.window_steps"], settings["model.dropout"]) == (256, 0.3)
