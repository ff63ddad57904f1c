"""The training loop: what it learns from, what it keeps, when it stops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import zoo
from zoo.engine.evaluation import score
from zoo.errors import DivergedError, UsageError
from zoo.interfaces import Batch

Train = Callable[..., Any]
# Networks so small that a step is next to nothing.
SMALL = ("hidden_size=4", "embed_size=4")


class Recorder:
    """Keeps the parameters before the first step and after each."""

    def __init__(self) -> None:
        self.network: nn.Module = nn.Module()
        self.data: Any = None
        self.parameters: list[dict[str, Tensor]] = []

    def prepared(self, data: Any, network: nn.Module) -> None:
        self.data, self.network = data, network
        self.on_step(None)

    def on_step(self, position: Any) -> None:
        del position
        self.parameters.append({k: v.clone() for k, v in self.network.state_dict().items()})

    @property
    def hooks(self) -> dict[str, Any]:
        return {"prepared": self.prepared, "on_step": self.on_step}


def lines(run: Path, kind: str) -> list[dict[str, Any]]:
    every = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in every if line["kind"] == kind]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


DROPPING = ("task.dropout=0.2", "word_dropout=0.1", "embed_dropout=0.1")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sentiment/bilstm", ("epochs=1", "batch_size=256", "average=0.9", *DROPPING)),
        ("char-lm/gru", ("steps=12", "reading=streams", "task.dropout=0.2", "optimizer=adamw")),
        ("char-lm/lstm", ("steps=12", "reading=windows", "model.initial_state=random")),
    ],
)
def test_a_seed_gives_the_same_bytes_again(
    name: str, settings: tuple[str, ...], train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    data = text_file if name.startswith("char-lm") else ""
    files = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)  # What happened before does not matter.
        run = tmp_path / str(number)
        train_here(name, run, *settings, *SMALL, data=data, seed=seed)
        files.append((run / "weights.safetensors").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_the_weights_kept_are_those_of_the_best_evaluation(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    # The step size rises from nothing to far too much, so that the best is somewhere in between.
    train_here(
        "char-lm/rnn", tmp_path / "run", "steps=60", "evaluate_every=5", "warmup=1.0",
        "learning_rate=4.0", *SMALL, data=text_file, **recorder.hooks,
    )  # fmt: skip
    evaluations = lines(tmp_path / "run", "evaluation")
    assert [line["step"] for line in evaluations] == list(range(5, 61, 5))
    best = min(evaluations, key=lambda line: line["loss"])
    assert 5 < best["step"] < 60
    losses = [line["loss"] for line in evaluations]
    assert [line["best"] for line in evaluations] == [
        loss == min(losses[: number + 1]) for number, loss in enumerate(losses)
    ]
    info = zoo.load(tmp_path / "run").info
    assert info["metrics"]["validation"]["step"] == best["step"]
    assert info["metrics"]["validation"]["loss"] == best["loss"]
    kept = load_file(tmp_path / "run" / "weights.safetensors")
    assert same(kept, recorder.parameters[best["step"]])


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    after: dict[str, dict[str, Tensor]] = {}
    computed: set[torch.dtype] = set()
    for precision in ("float32", "bfloat16"):
        recorder = Recorder()

        def prepared(data: Any, network: nn.Module, recorder: Recorder = recorder) -> None:
            recorder.prepared(data, network)
            head = next(m for m in network.modules() if isinstance(m, nn.Linear))
            head.register_forward_hook(
                lambda module, _, out: computed.add(out.dtype) if module.training else None
            )

        train_here(
            "char-lm/lstm", tmp_path / precision, "steps=4", "learning_rate=0.01",
            f"precision={precision}", *SMALL, data=text_file, prepared=prepared,
            on_step=recorder.on_step,
        )  # fmt: skip
        after[precision] = recorder.parameters[-1]
    assert computed == {torch.float32, torch.bfloat16}
    for name, exact in after["float32"].items():
        mixed = after["bfloat16"][name]
        assert mixed.dtype == torch.float32
        torch.testing.assert_close(mixed, exact, atol=0.03, rtol=0)
    assert not same(after["float32"], after["bfloat16"])


def test_the_last_weights_are_kept_where_asked(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/rnn", tmp_path / "run", "steps=50", "evaluate_every=20", "selection=last",
        "warmup=1.0", "learning_rate=4.0", *SMALL, data=text_file, **recorder.hooks,
    )  # fmt: skip
    evaluations = lines(tmp_path / "run", "evaluation")
    assert [line["step"] for line in evaluations] == [20, 40, 50]
    assert not evaluations[-1]["best"]
    assert same(load_file(tmp_path / "run" / "weights.safetensors"), recorder.parameters[-1])


@pytest.mark.parametrize("average", ["0.0", "0.8"])
def test_the_metrics_in_the_file_are_those_of_its_weights(
    average: str, train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    train_here(
        "char-lm/gru", tmp_path / "run", "steps=9", "learning_rate=0.05", f"average={average}",
        "task.dropout=0.5",
        *SMALL, data=text_file,
    )  # fmt: skip
    loaded = zoo.load(tmp_path / "run")
    split = loaded.task.prepare(text_file, 1, learn=False).splits["validation"]
    again = score(loaded.task, loaded.network, split)
    assert loaded.info["metrics"]["validation"]["loss"] == pytest.approx(again["loss"], abs=1e-7)


def test_averaged_weights_are_the_moving_average_of_the_steps(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/lstm", tmp_path / "run", "steps=8", "average=0.7", "selection=last",
        "learning_rate=0.1", *SMALL, data=text_file, **recorder.hooks,
    )  # fmt: skip
    after = recorder.parameters[1:]
    kept = load_file(tmp_path / "run" / "weights.safetensors")
    for name in kept:
        mean = after[0][name].double()
        for parameters in after[1:]:
            mean = 0.7 * mean + 0.3 * parameters[name].double()
        torch.testing.assert_close(kept[name].double(), mean, atol=1e-6, rtol=0)
        assert not torch.allclose(kept[name], after[-1][name], atol=1e-3)


def test_patience_ends_a_training_that_no_longer_improves(
    train_here: Train, tmp_path: Path
) -> None:
    outcome = train_here(
        "sentiment/rnn", tmp_path / "run", "epochs=50", "batch_size=512", "patience=3",
        "learning_rate=1e-12", *SMALL,
    )  # fmt: skip
    # The first evaluation is the best so far, and three more do not better it; but of equals the
    # later one is kept.
    assert [line["best"] for line in lines(tmp_path / "run", "evaluation")] == [True] * 4
    assert outcome.position.done
    assert not outcome.interrupted


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (("epochs=2", "batch_size=768"), [5, 10]),
        (("epochs=2", "batch_size=768", "evaluate_every=4"), [4, 8, 10]),
        (("steps=7", "batch_size=768"), [5, 7]),
        (("steps=7", "evaluate_every=3"), [3, 6, 7]),
    ],
)
def test_evaluations_come_when_asked_and_at_the_end(
    settings: tuple[str, ...], steps: list[int], train_here: Train, tmp_path: Path
) -> None:
    train_here("sentiment/rnn", tmp_path / "run", *settings, *SMALL)
    assert [line["step"] for line in lines(tmp_path / "run", "evaluation")] == steps


def test_training_metrics_are_sums_over_reviews_not_means_of_batches(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    # Steps too small to change anything; the last batch of the epoch holds 40 of 3,840 reviews.
    train_here(
        "sentiment/lstm", tmp_path / "run", "epochs=1", "batch_size=950", "log_every=100",
        "learning_rate=1e-12", *SMALL, **recorder.hooks,
    )  # fmt: skip
    (line,) = lines(tmp_path / "run", "train")
    split = recorder.data.splits["train"]
    losses = []
    with torch.no_grad():
        for batch in split.ordered():
            logits = recorder.network(batch.inputs, batch.lengths)[0][:, 0].double()
            sign = batch.targets.double() * 2 - 1
            losses.append(nn.functional.softplus(-sign * logits))
    assert line["examples"] == split.examples == 3840
    assert line["loss"] == pytest.approx(torch.cat(losses).mean().item(), abs=1e-6)


def test_gradients_are_clipped(train_here: Train, tmp_path: Path) -> None:
    recorder = Recorder()
    train_here(
        "sentiment/lstm", tmp_path / "run", "steps=1", "optimizer=sgd", "learning_rate=1.0",
        "clip_norm=0.001", *SMALL, **recorder.hooks,
    )  # fmt: skip
    before, after = recorder.parameters
    moved = math.sqrt(sum(float(((after[k] - before[k]) ** 2).sum()) for k in before))
    assert moved == pytest.approx(0.001, rel=1e-2)


RATE, WINDOW = 0.8, 5


def by_hand(
    start: dict[str, Tensor], batches: list[Batch], *, carry: bool, cut: bool
) -> dict[str, Tensor]:
    """Plain gradient descent over the batches, in plain torch, in float64."""
    characters, size = start["embedding.weight"].shape
    embedding, fc = nn.Embedding(characters, size), nn.Linear(4, characters)
    rnn = nn.LSTM(size, 4, batch_first=True)
    network = nn.ModuleDict({"embedding": embedding, "rnn": rnn, "fc": fc}).double()
    network.load_state_dict(start)
    state = None
    for batch in batches:
        outputs, end = rnn(embedding(batch.inputs), state if carry else None)
        loss = nn.functional.cross_entropy(fc(outputs).flatten(0, 1), batch.targets.flatten())
        network.zero_grad()
        loss.backward(retain_graph=not cut)
        with torch.no_grad():
            for parameter in network.parameters():
                # Out of place, because the uncut graph still needs the old values.
                parameter.data = parameter.data - RATE * parameter.grad
        state = tuple(part.detach() for part in end) if cut else end
    return dict(network.state_dict())


def test_the_state_goes_on_and_the_gradient_stops_at_the_window(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/lstm", tmp_path / "run", "steps=3", f"window={WINDOW}", "batch_size=2",
        "reading=streams", "optimizer=sgd", f"learning_rate={RATE}", *SMALL,
        data=text_file, **recorder.hooks,
    )  # fmt: skip
    start = recorder.parameters[0]
    batches = list(recorder.data.splits["train"].epoch(1, 0, 2)[:3])
    assert [batch.inputs.shape for batch in batches] == [(2, WINDOW)] * 3

    def distance(**how: bool) -> float:
        expected = by_hand(start, batches, **how)
        return max(
            float((value - recorder.parameters[-1][name]).abs().max())
            for name, value in expected.items()
        )

    assert distance(carry=True, cut=True) < 1e-6
    assert distance(carry=False, cut=True) > 1e-4
    assert distance(carry=True, cut=False) > 1e-4


def test_a_loss_that_is_no_number_stops_and_the_last_checkpoint_stays(
    train_here: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = ("epochs=9", "batch_size=512", *SMALL)
    train_here("sentiment/lstm", run, *settings, stop_after=10)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DivergedError, match=r"^loss is (nan|inf) in step 1[1-5].*learning_rate"):
        train_here("sentiment/lstm", run, *settings, "learning_rate=1e30", resume=True)
    for name in ("checkpoint.safetensors", "weights.safetensors", "config.json"):
        assert (run / name).read_bytes() == before[name]
    outcome = train_here("sentiment/lstm", run, *settings, resume=True, stop_after=3)
    assert outcome.position.step == 13


@pytest.mark.parametrize("name", ["sentiment/lstm", "char-lm/lstm"])
def test_weights_that_score_no_number_are_neither_kept_nor_gone_on_from(
    name: str, train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    data = text_file if name.startswith("char-lm") else ""
    settings = ("steps=20", "evaluate_every=1", *SMALL)
    train_here(name, run, *settings, data=data, stop_after=3)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DivergedError):
        train_here(name, run, *settings, "learning_rate=1e38", data=data, resume=True)
    for file in ("checkpoint.safetensors", "weights.safetensors"):
        assert (run / file).read_bytes() == before[file]


def test_a_run_is_not_started_where_there_is_one(train_here: Train, tmp_path: Path) -> None:
    train_here("sentiment/rnn", tmp_path / "run", "steps=1", *SMALL)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match=r"run already in .*--resume"):
        train_here("sentiment/rnn", tmp_path / "run", "steps=1", *SMALL)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_what_a_run_was_asked_for_is_written_down(train_here: Train, tmp_path: Path) -> None:
    train_here("sentiment/rnn", tmp_path / "run", "steps=1", "clip_norm=0.5", *SMALL, seed=7)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["seed"] == 7
    assert (config["task"], config["model"]) == ("sentiment", "rnn")
    assert config["settings"]["training"]["clip_norm"] == 0.5
    assert config["settings"]["model"]["hidden_size"] == 4
    assert config["settings"]["training"]["learning_rate"] == 1e-3
