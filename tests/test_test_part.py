"""After a training: the score on the test part, what it is worth, mistakes and next commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from torch import nn
from toy_task import TOY, Toy

import zoo
from zoo import api, installed
from zoo.cli.terminal import one_line
from zoo.errors import ZooWarning
from zoo.interfaces import Data, LabelPrediction, Metrics, MetricSums, Mistake, Split

SMALL = ("hidden_size=4", "epochs=1")
READS: list[bool] = []


class Judged(Toy):
    """The toy with baselines and mistakes; counts how often its data is read."""

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        READS.append(fit)
        return super().prepare(path, seed, fit=fit)

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        values = super().metrics(metric_sums)
        interval = {"accuracy_low": 0.0, "accuracy_high": 1.0}
        return {**values, **interval, "baselines": {"majority": 0.25, "linear": 2.0}}

    def mistakes(self, network: nn.Module, split: Split, count: int) -> list[Mistake]:
        assert not network.training
        text = f"one of {split.num_examples}\n" + "很长的文字 " * 100
        found = [Mistake(LabelPrediction(text, "yes", 0.99), "no")] * 5
        return found[:count]

    def predict(self, network: nn.Module, texts: Any) -> list[LabelPrediction]:
        return [LabelPrediction(text, "yes", 0.5) for text in texts]


class WithoutTest(Judged):
    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        data = super().prepare(path, seed, fit=fit)
        return replace(data, splits={n: s for n, s in data.splits.items() if n != "test"})


@pytest.fixture(autouse=True)
def judged() -> Iterator[None]:
    installed.forget()
    READS.clear()
    shared: dict[str, Any] = {"monitor": "accuracy", "higher_is_better": True}
    zoo.register(replace(TOY, name="judged", target=Judged, **shared))
    zoo.register(replace(TOY, name="untested", target=WithoutTest, **shared))
    yield
    installed.forget()


def test_a_run_is_tested_once_with_the_data_that_it_has(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("judged/gru", tmp_path / "run", *SMALL)
    assert not (run.path / "evaluations.json").exists()
    assert run.test is not None
    assert run.test["examples"] == 12
    assert READS == [True]
    assert run.test["accuracy"] == run.model.evaluate("sample")["accuracy"]
    stored = json.loads((run.path / "evaluations.json").read_text())
    assert stored == {"test": run.test}
    assert run.metrics["test"] == run.test
    reads = len(READS)
    assert zoo.open_run(run.path).test == run.test  # As it is stored.
    assert len(READS) == reads
    (run.path / "evaluations.json").unlink()
    assert zoo.open_run(run.path).test == run.test  # Measured again.
    assert len(READS) == reads + 1


def test_an_evaluation_on_other_data_is_no_score_of_the_test_part(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("judged/gru", tmp_path / "run", *SMALL)
    measured = api.evaluate(run.path, progress=False)
    (run.path / "evaluations.json").write_text(
        json.dumps({"test": {**measured, "training_data": False, "accuracy": 0.0}})
    )
    assert run.test == measured


def test_further_metrics_of_the_run_are_those_of_its_test(tmp_path: Path) -> None:
    class Longest:
        def __init__(self, task: object) -> None: ...
        def update(self, batch: Any, step: Any) -> None: ...
        def compute(self) -> dict[str, float]:
            return {"longest": 4.0}

    zoo.register(zoo.MetricInfo(name="longest", summary="", target=Longest))
    run = zoo.train("judged/gru", out=tmp_path / "run", settings={"epochs": 1}, metrics=["longest"],
                    threads=1, progress=False)  # fmt: skip
    assert run.test
    assert run.test["longest"] == 4.0


def test_the_verdict_and_the_mistakes_of_a_run(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("judged/gru", tmp_path / "run", *SMALL)
    score, sentence = run.verdict
    assert re.fullmatch(r"test accuracy 0\.\d{3} \(95 %: 0 to 1\.000\) on 12 examples",
                        score.replace("0.000", "0"))  # fmt: skip
    assert "does NOT beat the linear baseline (2.000)" in sentence
    assert [mistake.target for mistake in run.mistakes(2)] == ["no", "no"]
    (first,) = run.model.mistakes("sample", split="validation", count=1)
    assert first.prediction.text.startswith("one of 12")
    assert zoo.open_run(run.path).mistakes(1) == [run.mistakes(1)[0]]


def test_data_without_a_test_part_has_no_verdict(
    train_here: Callable[..., zoo.Run], tmp_path: Path, zoo_here: Run
) -> None:
    run = train_here("untested/gru", tmp_path / "run", *SMALL)
    assert run.test is None
    assert run.verdict == ()
    assert run.mistakes() == []
    assert not (run.path / "evaluations.json").exists()
    done = zoo_here("train", "untested/gru", "--epochs", 1, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("next:\n")


def test_a_test_that_cannot_be_stored_is_shown_with_a_warning(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("judged/gru", tmp_path / "run", *SMALL)
    (run.path / "evaluations.json").symlink_to(tmp_path / "nowhere" / "it")
    with pytest.warns(ZooWarning, match="not stored for the export"):
        assert run.test


def test_the_command_prints_verdict_mistakes_next_commands_and_the_directory(
    tmp_path: Path, zoo_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = tmp_path / "a run"
    done = zoo_here("train", "judged/gru", "--epochs", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("test accuracy 0.")
    assert lines[1].startswith("beats majority by ") or "does NOT beat majority" in lines[1]
    assert lines[2] == "most confident mistakes:"
    assert len(set(lines[3:6])) == 1
    assert lines[3].startswith("  yes 0.9900, should be no: one of 12 很长的文字")
    assert lines[3].endswith("…")
    assert lines[6:] == [
        "next:",
        f"  zoo predict '{out}' \"a text\"",
        f"  zoo evaluate '{out}'",
        f"  zoo export '{out}' -o model.safetensors",
        f"report: {out}/report.html",
        str(out),
    ]


def test_an_interrupted_training_has_no_verdict(tmp_path: Path, zoo_here: Run) -> None:
    class Stop(zoo.Callback):
        def __init__(self, options: zoo.Options) -> None: ...
        def on_step_end(self, trainer: Any) -> None:
            trainer.stop("enough")

    zoo.register(zoo.CallbackInfo(name="stop", summary="", target=Stop))
    out = tmp_path / "run"
    done = zoo_here("train", "judged/gru", "--callback", "stop", "--epochs", 3, "--out", out)
    assert (done.returncode, done.stdout) == (130, f"{out}\n")
    assert f"continue with: zoo train judged/gru --out {out} --resume" in done.stderr


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("a plain text", 12, "a plain text"),
        ("a plain text", 11, "a plain te…"),
        ("a plain text", 3, "a…"),
        ("很长的文字", 10, "很长的文字"),
        ("很长的文字", 9, "很长的文…"),
        ("很长的文字", 8, "很长的…"),
        ("é" * 3, 3, "é" * 3),
        ("e\N{COMBINING ACUTE ACCENT}" * 3, 3, "e\N{COMBINING ACUTE ACCENT}" * 3),
        ("two\nlines\r\nhere", 80, "two lines here"),
        ("\x1b[31mred\x07", 80, "[31mred"),
        ("pos\t0.5\tx", 80, "pos     0.5     x"),
        ("", 5, ""),
        ("x" * 100_000, 5, "xxxx…"),
    ],
)
def test_a_text_is_cut_to_the_columns_of_a_terminal(text: str, columns: int, shown: str) -> None:
    assert one_line(text, columns) == shown
