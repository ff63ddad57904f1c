"""Dynamic evaluation against plain torch modules and torch's own SGD."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from torch import Tensor, nn

import zoo
from zoo.data.sequence import TokenSequence
from zoo.errors import DivergedError, UsageError
from zoo_lm.dynamic_evaluation import adapt, evaluate_dynamic

STEPS = 7


def digests(folder: Path) -> dict[str, str]:
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.is_file()}


def expected_loss(
    weights: dict[str, Tensor], token_ids: list[int], learning_rate: float, decay: float
) -> float:
    """Return the mean loss in nats of a text that plain modules read and learn from."""
    embedding = nn.Embedding.from_pretrained(weights["embedding.weight"].clone(), freeze=False)
    rnn = nn.LSTM(embedding.embedding_dim, weights["fc.weight"].shape[1], batch_first=True)
    rnn.load_state_dict(
        {name[4:]: value for name, value in weights.items() if name.startswith("rnn.")}
    )
    fc = nn.Linear(*weights["fc.weight"].t().shape)
    fc.load_state_dict({"weight": weights["fc.weight"], "bias": weights["fc.bias"]})
    parameters = [p for module in (embedding, rnn, fc) for p in module.parameters()]
    initial = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.SGD(parameters, learning_rate)
    state = None
    total, count = 0.0, len(token_ids) - 1
    for at in range(0, count, STEPS):
        inputs = torch.tensor([token_ids[at : min(at + STEPS, count)]])
        targets = torch.tensor(token_ids[at + 1 : at + 1 + inputs.shape[1]])
        outputs, state = rnn(embedding(inputs), state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(fc(outputs[0]), targets)
        total += loss.item() * len(targets)
        optimizer.zero_grad()
        loss.backward()
        before = [p.detach().clone() for p in parameters]
        optimizer.step()
        with torch.no_grad():
            for p, start, old in zip(parameters, initial, before, strict=True):
                p += decay * (start - old)
    return total / count


@pytest.mark.parametrize(("learning_rate", "decay"), [(0.2, 0.0), (0.2, 0.05), (0.0, 0.0)])
def test_it_is_stochastic_gradient_descent_segment_by_segment(
    char_lm_run: Path, learning_rate: float, decay: float
) -> None:
    run = zoo.open_run(char_lm_run)
    split = run.data.splits["validation"]
    assert isinstance(split, TokenSequence)
    weights = {name: value.clone() for name, value in run.model.module.state_dict().items()}
    found = adapt(run.model.task, run.model.module, split, learning_rate, decay, STEPS)
    expected = expected_loss(weights, split.token_ids.tolist(), learning_rate, decay)
    assert found["loss"] == pytest.approx(expected, abs=1e-5)
    assert found["examples"] == split.num_examples
    after = run.model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in weights.items())


def test_the_rule_is_chosen_on_validation_and_files_stay_as_they_are(char_lm_run: Path) -> None:
    before = digests(char_lm_run)
    lines: list[dict[str, float]] = []
    result = evaluate_dynamic(
        char_lm_run, learning_rates=(0.5, 1e9, 0.1), decays=(0.0, 0.1), steps=STEPS,
        report=lines.append,
    )  # fmt: skip
    assert digests(char_lm_run) == before
    run = zoo.open_run(char_lm_run)
    losses = {(each["learning_rate"], each["decay"]): each["loss"] for each in lines}
    assert list(losses) == [
        (0.0, 0.0), (0.5, 0.0), (0.5, 0.1), (1e9, 0.0), (1e9, 0.1), (0.1, 0.0), (0.1, 0.1),
    ]  # fmt: skip
    assert losses[1e9, 0.0] is None
    finite = {rule: loss for rule, loss in losses.items() if loss is not None}
    chosen = min(finite, key=lambda rule: finite[rule])
    assert (result["learning_rate"], result["decay"]) == chosen
    assert result["validation"] == lines
    parts = {name: run.data.splits[name] for name in ("validation", "test")}
    for name, found in (("validation", finite[chosen]), ("test", result["loss"])):
        part = parts[name]
        assert isinstance(part, TokenSequence)
        again = adapt(run.model.task, run.model.module, part, *chosen, STEPS)
        assert found == pytest.approx(again["loss"])
    assert result["static_loss"] == pytest.approx(run.model.evaluate(run.data)["loss"], abs=1e-6)
    assert result["loss"] < result["static_loss"]


def test_a_run_directory_starts_no_download(char_lm_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(char_lm_run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data": "island"}))
    for evaluate in (evaluate_dynamic, zoo.api.evaluate):
        with pytest.raises(UsageError, match="the data 'island' has not been downloaded"):
            evaluate(run)
    with pytest.raises(UsageError, match="the data 'island' has not been downloaded"):
        _ = zoo.open_run(run).data


def test_a_text_that_repeats_itself_is_learned(char_lm_run: Path, tmp_path: Path) -> None:
    characters = zoo.open_run(char_lm_run).model.task.state_dict()["vocabulary"]
    part = "".join(np.random.default_rng(1).choice(characters, size=40))
    text = tmp_path / "text.txt"
    text.write_text(part * 100, encoding="utf-8")
    result = evaluate_dynamic(char_lm_run, text, split="all", steps=STEPS)
    assert result["loss"] < 0.8 * result["static_loss"]
    assert not result["training_data"]


def test_without_a_finite_loss_it_says_so(char_lm_run: Path) -> None:
    run = zoo.open_run(char_lm_run)
    split = run.data.splits["validation"]
    assert isinstance(split, TokenSequence)
    with pytest.raises(DivergedError, match="learning rate"):
        adapt(run.model.task, run.model.module, split, 1e9, 0.0, STEPS)


def test_what_cannot_be_evaluated_is_refused(char_lm_run: Path, sentiment_run: Path) -> None:
    with pytest.raises(UsageError, match="language model"):
        evaluate_dynamic(sentiment_run)
    with pytest.raises(UsageError, match="no split 'train2'"):
        evaluate_dynamic(char_lm_run, split="train2")
    with pytest.raises(UsageError, match="learning rate"):
        evaluate_dynamic(char_lm_run, learning_rates=(-0.1,))
    with pytest.raises(UsageError, match="decay"):
        evaluate_dynamic(char_lm_run, decays=(1.5,))


def test_the_command_prints_what_the_function_returns(char_lm_run: Path, zoo_command: Run) -> None:
    done = zoo_command(
        "dyneval", char_lm_run, "--learning-rate", 0.3, "--decay", 0, "--steps", 10,
        "--threads", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["learning_rate"] == 0.3
    assert result["loss"] == pytest.approx(
        evaluate_dynamic(char_lm_run, learning_rates=(0.3,), decays=(0.0,), steps=10)["loss"]
    )
    assert "validation, learning rate 0.3, decay 0: loss " in done.stderr
    table = zoo_command("dyneval", char_lm_run, "--learning-rate", 0.3, "--decay", 0)
    assert "static loss" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
