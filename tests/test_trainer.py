"""The training loop: what it learns from, what it saves, when it stops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_sentiment import PLAIN, TASK, TRAINING
from safetensors.torch import load_file
from sum_task import Recorder, batches_of, equal, registered
from torch import Tensor, nn

import zoo
from zoo import installed
from zoo.building import build_network, build_task
from zoo.engine.evaluation import evaluate
from zoo.engine.run_directory import RunDirectory
from zoo.engine.trainer import Trainer
from zoo.errors import DataError, DivergedError, UsageError
from zoo.interfaces import Batch, Callback
from zoo.settings import resolve

Train = Callable[..., zoo.Run]
# Networks so small that a step is next to nothing.
SMALL = ("hidden_size=4", "embed_size=4")


def lines(run: Path, kind: str) -> list[dict[str, Any]]:
    every = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in every if line["kind"] == kind]


DROPPING = ("task.dropout=0.2", "word_dropout=0.1", "embed_dropout=0.1")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sentiment/bilstm", (*PLAIN, "epochs=1", "batch_size=256", "average=0.9", *DROPPING)),
        ("char-lm/gru", ("steps=12", "batching=contiguous", "task.dropout=0.2", "optimizer=adamw")),
        ("char-lm/lstm", ("steps=12", "batching=random", "model.initial_state=random")),
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


def test_the_weights_of_the_best_evaluation_are_saved(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    # The learning rate rises from zero to far too much: the best is somewhere in between.
    train_here(
        "char-lm/rnn", tmp_path / "run", "steps=60", "evaluate_every=5", "warmup=1.0",
        "learning_rate=4.0", *SMALL, data=text_file, callbacks=[recorder],
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
    saved = load_file(tmp_path / "run" / "weights.safetensors")
    assert equal(saved, recorder.parameters[best["step"]])


def test_the_last_weights_are_saved_with_selection_last(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/rnn", tmp_path / "run", "steps=50", "evaluate_every=20", "selection=last",
        "warmup=1.0", "learning_rate=4.0", *SMALL, data=text_file, callbacks=[recorder],
    )  # fmt: skip
    evaluations = lines(tmp_path / "run", "evaluation")
    assert [line["step"] for line in evaluations] == [20, 40, 50]
    assert not evaluations[-1]["best"]
    assert equal(load_file(tmp_path / "run" / "weights.safetensors"), recorder.parameters[-1])


@pytest.mark.parametrize("average", ["0.0", "0.8"])
def test_the_metrics_in_the_file_are_those_of_its_weights(
    average: str, train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    train_here(
        "char-lm/gru", tmp_path / "run", "steps=9", "learning_rate=0.05", f"average={average}",
        "task.dropout=0.5", *SMALL, data=text_file,
    )  # fmt: skip
    loaded = zoo.load(tmp_path / "run")
    split = loaded.task.prepare(text_file, 1, fit=False).splits["validation"]
    again = evaluate(loaded.task, loaded.module, split)
    assert loaded.info["metrics"]["validation"]["loss"] == pytest.approx(again["loss"], abs=1e-7)


def test_averaged_weights_are_the_moving_average_of_the_steps(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/lstm", tmp_path / "run", "steps=8", "average=0.7", "selection=last",
        "learning_rate=0.1", *SMALL, data=text_file, callbacks=[recorder],
    )  # fmt: skip
    after = recorder.parameters[1:]
    saved = load_file(tmp_path / "run" / "weights.safetensors")
    for name in saved:
        mean = after[0][name].double()
        for parameters in after[1:]:
            mean = 0.7 * mean + 0.3 * parameters[name].double()
        torch.testing.assert_close(saved[name].double(), mean, atol=1e-6, rtol=0)
        assert not torch.allclose(saved[name], after[-1][name], atol=1e-3)


def test_patience_ends_a_training_that_does_not_improve(train_here: Train, tmp_path: Path) -> None:
    run = train_here(
        "sentiment/rnn", tmp_path / "run", *PLAIN, "epochs=50", "batch_size=512", "patience=3",
        "learning_rate=1e-12", *SMALL,
    )  # fmt: skip
    # Three evaluations are no better than the first; of equal ones the last is saved.
    assert [line["best"] for line in lines(tmp_path / "run", "evaluation")] == [True] * 4
    assert not run.interrupted
    assert run.stop_reason == "no improvement in 3 evaluations; the best was at step 8"


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (("epochs=2", "batch_size=768"), [5, 10]),
        (("epochs=2", "batch_size=768", "evaluate_every=4"), [4, 8, 10]),
        (("steps=7", "batch_size=768"), [5, 7]),
        (("steps=7", "evaluate_every=3"), [3, 6, 7]),
    ],
)
def test_evaluations_are_made_every_so_many_steps_and_at_the_end(
    settings: tuple[str, ...], steps: list[int], train_here: Train, tmp_path: Path
) -> None:
    train_here("sentiment/rnn", tmp_path / "run", *PLAIN, *settings, *SMALL)
    assert [line["step"] for line in lines(tmp_path / "run", "evaluation")] == steps


def test_training_metrics_are_means_over_examples_not_over_batches(
    train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    # The learning rate is too small to change anything; the last batch holds 40 of 3,840 reviews.
    train_here(
        "sentiment/lstm", tmp_path / "run", *PLAIN, "epochs=1", "batch_size=950",
        "log_every=100", "learning_rate=1e-12", *SMALL, callbacks=[recorder],
    )  # fmt: skip
    (line,) = lines(tmp_path / "run", "train")
    split = recorder.data.splits["train"]
    losses = []
    with torch.no_grad():
        for batch in split.eval_batches():
            logits = recorder.network(batch.inputs, batch.lengths)[0][:, 0].double()
            sign = batch.targets.double() * 2 - 1
            losses.append(nn.functional.softplus(-sign * logits))
    assert split.num_examples == 3840
    assert line["loss"] == pytest.approx(torch.cat(losses).mean().item(), abs=1e-6)


def test_gradients_are_clipped(train_here: Train, tmp_path: Path) -> None:
    recorder = Recorder()
    train_here(
        "sentiment/lstm", tmp_path / "run", *TASK, *TRAINING, "steps=1", "optimizer=sgd",
        "learning_rate=1.0", "clip_norm=0.001", *SMALL, callbacks=[recorder],
    )  # fmt: skip
    before, after = recorder.parameters
    moved = math.sqrt(sum(float(((after[k] - before[k]) ** 2).sum()) for k in before))
    assert moved == pytest.approx(0.001, rel=1e-2)


RATE, BPTT_STEPS = 0.8, 5


def by_hand(
    start: dict[str, Tensor], batches: list[Batch], *, carry: bool, truncate: bool
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
        loss.backward(retain_graph=not truncate)
        with torch.no_grad():
            for parameter in network.parameters():
                # Out of place, because the untruncated graph still needs the old values.
                assert parameter.grad is not None
                parameter.data = parameter.data - RATE * parameter.grad
        state = tuple(part.detach() for part in end) if truncate else end
    return dict(network.state_dict())


def test_state_is_carried_and_gradients_are_truncated(
    train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "char-lm/lstm", tmp_path / "run", "steps=3", f"bptt_steps={BPTT_STEPS}", "batch_size=2",
        "batching=contiguous", "optimizer=sgd", f"learning_rate={RATE}", *SMALL,
        data=text_file, callbacks=[recorder],
    )  # fmt: skip
    start = recorder.parameters[0]
    batches = list(batches_of(recorder.data, 2)[:3])
    assert [batch.inputs.shape for batch in batches] == [(2, BPTT_STEPS)] * 3

    def distance(**how: bool) -> float:
        expected = by_hand(start, batches, **how)
        return max(
            float((value - recorder.parameters[-1][name]).abs().max())
            for name, value in expected.items()
        )

    assert distance(carry=True, truncate=True) < 1e-6
    assert distance(carry=False, truncate=True) > 1e-4
    assert distance(carry=True, truncate=False) > 1e-4


class Explode(Callback):
    """Makes the parameters so large that nothing is finite any more, from a step on."""

    def __init__(self, step: int) -> None:
        self.step = step

    @torch.no_grad()
    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step >= self.step:
            for parameter in trainer.network.parameters():
                parameter.fill_(float("inf"))


def test_a_loss_that_is_not_finite_ends_the_training_and_the_checkpoint_stays(
    train_here: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_here("sentiment/lstm", run, *PLAIN, "epochs=9", "batch_size=512", *SMALL, stop_after=10)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DivergedError, match=r"^loss is nan in step 13: .*learning_rate"):
        train_here("", run, resume=True, callbacks=[Explode(12)])
    for name in ("checkpoint.safetensors", "weights.safetensors", "config.json"):
        assert (run / name).read_bytes() == before[name]
    recorder = Recorder()
    assert train_here("", run, resume=True, stop_after=3, callbacks=[recorder]).interrupted
    assert len(recorder.parameters) == 4


@pytest.mark.parametrize("name", ["sentiment/lstm", "char-lm/lstm"])
def test_weights_with_a_metric_that_is_not_finite_are_not_saved(
    name: str, train_here: Train, text_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    data, plain = (text_file, ()) if name.startswith("char-lm") else ("", PLAIN)
    settings = (*plain, "steps=20", "evaluate_every=1", *SMALL)
    train_here(name, run, *settings, data=data, stop_after=3)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DivergedError, match=r"^validation loss is nan in step 4"):
        train_here(name, run, resume=True, callbacks=[Explode(4)])
    for file in ("checkpoint.safetensors", "weights.safetensors"):
        assert (run / file).read_bytes() == before[file]


def test_a_run_is_not_started_where_there_is_one(train_here: Train, tmp_path: Path) -> None:
    train_here("sentiment/rnn", tmp_path / "run", *PLAIN, "steps=1", *SMALL)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match=r"run already in .*--resume"):
        train_here("sentiment/rnn", tmp_path / "run", *PLAIN, "steps=1", *SMALL)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_the_configuration_of_a_run_is_stored(train_here: Train, tmp_path: Path) -> None:
    settings = (*PLAIN, "steps=1", "clip_norm=0.5", *SMALL)
    train_here("sentiment/rnn", tmp_path / "run", *settings, seed=7)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["seed"] == 7
    assert (config["task"]["name"], config["model"]["name"]) == ("sentiment", "rnn")
    assert config["training"]["clip_norm"] == 0.5
    assert config["model"]["options"]["hidden_size"] == 4
    assert config["training"]["learning_rate"] == 1e-3


class Wrapper(nn.Module):
    """A network inside a module of another type, as DistributedDataParallel has it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Any) -> Any:
        return self.module(*arguments)


def trainer(out: Path, wrap: Callable[[nn.Module], nn.Module], **settings: object) -> Trainer:
    with registered():
        spec = resolve("sum/lstm", installed.registry(), {"hidden_size": 4, **settings})
    task = build_task(spec.network.task)
    data = task.prepare(None, 1)
    torch.manual_seed(1)
    directory = RunDirectory(out)
    directory.create(spec.to_json())
    return Trainer(spec, task, data, wrap(build_network(task, spec.network)), directory)


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_wrapped_network_is_trained_as_the_network_itself(average: float, tmp_path: Path) -> None:
    settings = {"steps": 7, "evaluate_every": 3, "clip_norm": 0.1, "average": average}
    plain = trainer(tmp_path / "plain", lambda network: network, **settings)
    wrapped = trainer(tmp_path / "wrapped", Wrapper, **settings)
    plain.fit()
    wrapped.fit()
    trained = wrapped.eval_network
    assert isinstance(trained, Wrapper)
    assert equal(plain.eval_network.state_dict(), trained.module.state_dict())
    again = trainer(tmp_path / "again", Wrapper, **settings)
    again.directory = wrapped.directory
    again.resume()
    assert equal(again.network.state_dict(), wrapped.network.state_dict())
    assert again.state == wrapped.state


@pytest.mark.parametrize("length", [{"steps": 5}, {"epochs": 2}])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_refused_before_anything_is_written(
    split: str, length: dict[str, int], tmp_path: Path
) -> None:
    empty = {"train": "rows", "validation": "validation_rows"}[split]
    with registered(), pytest.raises(DataError, match=rf"^the {split} split is empty in random"):
        zoo.train("sum/lstm", out=tmp_path / "run", settings={empty: 0, **length}, progress=False)
    assert not (tmp_path / "run").exists()
    if split == "train":
        with pytest.raises(DataError, match="the training split is empty"):
            trainer(tmp_path / "run", lambda network: network, rows=0, **length)
