"""From zoo train to zoo predict: what each command leaves on disk and prints."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors
from conftest import Run

RUN_FILES = {
    ".lock",
    "config.json",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "weights.safetensors",
}
TINY = ("--set", "hidden_size=8", "--set", "embed_size=8", "--threads", 1)


def no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def strictly(text: str) -> Any:
    """Parse JSON as every language does: NaN and Infinity are Python's own."""
    return json.loads(text, parse_constant=no_constant)


def metrics(run: Path, kind: str = "") -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(strictly, lines) if kind in ("", line["kind"])]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def own_run(sentiment_run: Path, tmp_path: Path) -> Path:
    """A copy of the sentiment run, to write into."""
    return Path(shutil.copytree(sentiment_run, tmp_path / "own"))


# Training


def test_the_run_directory_is_all_that_is_printed_and_holds_the_run(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "runs" / "book"
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 6, "--out", out, *TINY,
        "--set", "evaluate_every=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert "\r" not in done.stderr  # A progress bar is for terminals.
    assert [line for line in done.stderr.splitlines() if "step 3" in line]
    assert set(contents(out)) == RUN_FILES


def test_a_run_without_a_directory_gets_one_of_its_own_under_runs(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    printed = [
        zoo_here(
            "train", "char-lm/gru", "--data", text_file, "--steps", 1, *TINY, cwd=tmp_path
        ).stdout.strip()
        for _ in range(2)
    ]
    assert sorted(printed) == sorted(f"runs/{path.name}" for path in (tmp_path / "runs").iterdir())
    assert len(set(printed)) == 2
    assert all(re.fullmatch(r"runs/char-lm-gru-\d{8}-\d{6}(-2)?", path) for path in printed)


def test_the_configuration_on_disk_is_the_resolved_one(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file.name, "--steps", 2, "--seed", 11, *TINY,
        "--set", "training.clip_norm=0.5", "--out", tmp_path / "run", cwd=text_file.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = strictly((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert (config["name"], config["task"], config["model"]) == ("char-lm/gru", "char-lm", "gru")
    assert config["seed"] == 11
    assert config["data"] == str(text_file)  # However it was given, and wherever from.
    given = {"hidden_size": 8, "embed_size": 8, "clip_norm": 0.5, "steps": 2}
    shown = json.loads(zoo_here("show", "char-lm/gru", "--json").stdout)["options"]
    assert set(config["settings"]) == set(shown)
    for section, options in shown.items():
        expected = {key: given.get(key, option["default"]) for key, option in options.items()}
        assert config["settings"][section] == expected


def test_the_log_accounts_for_every_example_of_the_epoch(sentiment_run: Path) -> None:
    """The sample's 6,000 reviews: a fifth to test, a fifth of the rest to validation."""
    assert sum(line["examples"] for line in metrics(sentiment_run, "train")) == 3840
    (evaluation,) = metrics(sentiment_run, "evaluation")
    assert evaluation["examples"] == 960
    assert evaluation["epoch"] == 1
    assert evaluation["step"] == 3840 / 32
    steps = [line["step"] for line in metrics(sentiment_run)]
    assert steps == sorted(steps)
    for line in metrics(sentiment_run):
        confusion = line["confusion"]
        assert sum(map(sum, confusion)) == line["examples"]
        assert line["accuracy"] == (confusion[0][0] + confusion[1][1]) / line["examples"]


def test_the_log_has_a_line_every_so_many_steps_and_at_the_end(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 7, "--out", tmp_path / "run",
        "--set", "log_every=3", "--set", "evaluate_every=4", "--set", "batch_size=5", *TINY,
    )  # fmt: skip
    train = metrics(tmp_path / "run", "train")
    assert [line["step"] for line in train] == [3, 6, 7]
    assert [line["examples"] for line in train] == [3 * 5 * 40, 3 * 5 * 40, 5 * 40]
    assert [line["step"] for line in metrics(tmp_path / "run", "evaluation")] == [4, 7]


def test_windows_too_short_for_an_interval_are_logged_all_the_same(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 2, "--out", tmp_path / "run",
        "--set", "window=8", *TINY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in metrics(tmp_path / "run")] == [2, 2]


def test_the_kept_weights_are_those_of_the_best_evaluation(tmp_path: Path, zoo_here: Run) -> None:
    out, text = tmp_path / "run", tmp_path / "text.txt"
    # What is held out is unlike what is learned: the more is learned, the worse it gets.
    text.write_text("ab\n" * 3000 + "cd\n" * 600)
    zoo_here(
        "train", "char-lm/gru", "--data", text, "--steps", 40, "--out", out, *TINY,
        "--set", "learning_rate=0.02", "--set", "evaluate_every=10",
    )  # fmt: skip
    lines = metrics(out, "evaluation")
    assert [line["best"] for line in lines] == [True, False, False, False]
    assert lines[0]["loss"] < lines[-1]["loss"]
    kept = strictly(zoo_here("inspect", out, "--json").stdout)["metrics"]["validation"]
    assert (kept["loss"], kept["step"]) == (lines[0]["loss"], 10)
    again = zoo_here("evaluate", out, "--split", "validation", "--json", "--threads", 1)
    assert strictly(again.stdout)["loss"] == pytest.approx(lines[0]["loss"])


# Going on


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("sample-lstm", ("--set", "batch_size=7"), "training.batch_size"),
        ("sample-lstm", ("--set", "model.hidden_size=7"), "model.hidden_size"),
        ("sample-lstm", ("--epochs", 9), "training.epochs"),
        ("sample-lstm", ("--seed", 9), "seed"),
        ("sample-lstm", ("--data", "imdb"), "data"),
        ("sentiment/lstm", (), "name"),
    ],
)
def test_a_run_is_not_gone_on_with_under_other_settings(
    name: str, other: tuple[object, ...], said: str, own_run: Path, zoo_here: Run
) -> None:
    before = contents(own_run)
    done = zoo_here("train", name, *other, "--out", own_run, "--resume")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"the run was started otherwise in {own_run}: {said} differ" in done.stderr
    assert contents(own_run) == before


def test_going_on_with_a_finished_run_changes_nothing(own_run: Path, zoo_here: Run) -> None:
    before = contents(own_run)
    done = zoo_here("train", "sample-lstm", "--epochs", 1, "--out", own_run, "--resume")
    assert (done.returncode, done.stdout) == (0, f"{own_run}\n")
    assert contents(own_run) == before


def test_ctrl_c_saves_and_says_how_to_go_on_and_that_finishes_the_run(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "a run"  # The advice has to be fit for pasting.
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "zoo", "train", "char-lm/lstm", "--data", str(text_file)),
            *("--steps", "600", "--set", "evaluate_every=50", "--set", "log_every=1"),
            *("--out", str(out), *map(str, TINY)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Between two evaluations, which save of themselves.
    while not (out / "metrics.jsonl").exists() or '"step": 52' not in (
        out / "metrics.jsonl"
    ).read_text(encoding="utf-8"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    stdout, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert stdout == f"{out}\n"
    assert "Traceback" not in rest
    (advice,) = re.findall(r"stopped at step (\d+); go on with: zoo (.*)", rest)
    stopped = int(advice[0])
    assert 52 <= stopped < 600
    assert set(contents(out)) == RUN_FILES
    with safetensors.safe_open(out / "checkpoint.safetensors", framework="numpy") as file:
        position = json.loads(file.metadata()["zoo-checkpoint"])["position"]
    assert position["step"] == stopped

    done = zoo_here(*shlex.split(advice[1]), "--threads", 1)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    steps = [line["step"] for line in metrics(out, "evaluation")]
    assert steps == list(range(50, 601, 50))


# Evaluating and exporting


def test_what_was_evaluated_stays_with_the_run_and_travels_with_the_export(
    own_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    for split in ("test", "validation"):
        done = zoo_here("evaluate", own_run, "--split", split, "--json", "--threads", 1)
        assert done.returncode == 0, done.stderr
        shown = strictly(done.stdout)
        kept = strictly((own_run / "evaluations.json").read_text(encoding="utf-8"))
        assert kept[split] == shown
        assert shown["split"] == split
    assert set(kept) == {"test", "validation"}
    assert kept["test"]["examples"] == 1200
    # What the training measured on the same part with the same weights.
    (evaluation,) = metrics(own_run, "evaluation")
    assert kept["validation"]["accuracy"] == evaluation["accuracy"]
    out = tmp_path / "x.safetensors"
    assert zoo_here("export", own_run, "-o", out).stdout == f"{out}\n"
    assert strictly(zoo_here("inspect", out, "--json").stdout)["metrics"] == kept


def test_an_evaluation_shows_accuracy_beside_the_baseline_and_the_confusion(
    own_run: Path, zoo_here: Run
) -> None:
    shown = zoo_here("evaluate", own_run, "--threads", 1).stdout
    exact = strictly((own_run / "evaluations.json").read_text(encoding="utf-8"))["test"]
    (right, wrong), (lost, found) = exact["confusion"]
    assert exact["accuracy"] == (right + found) / 1200
    assert exact["baseline"] == max(right + wrong, lost + found) / 1200
    assert exact["accuracy_low"] < exact["accuracy"] < exact["accuracy_high"]
    table = [line.split() for line in shown.splitlines()]
    low, high = exact["accuracy_low"], exact["accuracy_high"]
    assert f"accuracy {exact['accuracy']:.4f} (95 %: {low:.4f} to {high:.4f})".split() in table
    assert ["baseline", f"{exact['baseline']:.4f}"] in table
    assert ["neg", str(right), str(wrong)] in table
    assert ["pos", str(lost), str(found)] in table


def test_an_exported_file_is_evaluated_as_its_run_is(
    own_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    out = tmp_path / "x.safetensors"
    zoo_here("export", own_run, "-o", out)
    of_run, of_file = (
        strictly(zoo_here("evaluate", path, "--json", "--threads", 1).stdout)
        for path in (own_run, out)
    )
    assert of_file == of_run


def test_a_file_whose_data_has_no_name_asks_for_it(
    char_lm_run: Path, tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "x.safetensors"
    zoo_here("export", char_lm_run, "-o", out)
    done = zoo_here("evaluate", out)
    assert done.returncode == 2
    assert "--data" in done.stderr
    given = zoo_here("evaluate", out, "--data", text_file, "--json", "--threads", 1)
    shown = strictly(given.stdout)
    assert shown["training_data"] is True
    assert {"loss", "bits_per_character", "perplexity", "cold_loss"} <= set(shown)


def test_an_export_overwrites_nothing_unless_told_to(
    own_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    out = tmp_path / "x.safetensors"
    out.write_text("precious")
    done = zoo_here("export", own_run, "-o", out)
    assert done.returncode == 2
    assert f"file exists in {out}" in done.stderr
    assert out.read_text() == "precious"
    assert zoo_here("export", own_run, "-o", out, "--force").returncode == 0
    assert zoo_here("inspect", out).returncode == 0


# Answering

TEXTS = [
    "the acting was superb but the plot was dull",
    "the plot was dull but the acting was superb",
    "",
    "zyzzyva",
    "the music was not hollow, it was witty " * 20,
    "caf\xe9 \u6d77",
]


def test_texts_are_answered_alike_from_arguments_and_from_stdin(
    sentiment_run: Path, zoo_here: Run, zoo_command: Run
) -> None:
    given = zoo_here("predict", sentiment_run, *TEXTS, "--json", "--threads", 1)
    read = zoo_command(
        "predict", sentiment_run, "--json", "--threads", 1,
        stdin="\r\n".join(TEXTS), env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert given.returncode == read.returncode == 0, read.stderr
    assert given.stderr == read.stderr == ""
    from_arguments, from_stdin = (
        [strictly(line) for line in done.stdout.splitlines()] for done in (given, read)
    )
    assert [answer["text"] for answer in from_arguments] == TEXTS
    assert from_stdin == from_arguments
    for answer in from_arguments:
        assert list(answer) == ["text", "label", "probability", "scores"]
        assert set(answer["scores"]) == {"neg", "pos"}
        assert sum(answer["scores"].values()) == pytest.approx(1)
        assert answer["label"] == max(answer["scores"], key=answer["scores"].__getitem__)
        assert answer["probability"] == max(answer["scores"].values())


def test_answers_for_people_have_label_probability_and_text(
    sentiment_run: Path, zoo_here: Run
) -> None:
    answers = ("predict", sentiment_run, *TEXTS, "--threads", 1)
    exact = [strictly(line) for line in zoo_here(*answers, "--json").stdout.splitlines()]
    lines = zoo_here(*answers).stdout.splitlines()
    assert lines == [f"{a['label']}\t{a['probability']:.4f}\t{a['text']}" for a in exact]


def test_thousands_of_lines_are_answered_in_their_order(sentiment_run: Path, zoo_here: Run) -> None:
    texts = [f"{TEXTS[n % 2]} {'and so on ' * (n % 13)}{n}" for n in range(2500)]
    done = zoo_here("predict", sentiment_run, "--json", "--threads", 1, stdin="\n".join(texts))
    answers = [strictly(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    (alone,) = zoo_here(
        "predict", sentiment_run, texts[1234], "--json", "--threads", 1
    ).stdout.splitlines()
    assert strictly(alone)["scores"]["pos"] == pytest.approx(
        answers[1234]["scores"]["pos"], abs=1e-5
    )


def test_no_lines_have_no_answers(sentiment_run: Path, zoo_here: Run) -> None:
    done = zoo_here("predict", sentiment_run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_generated_text_follows_the_prompt_and_is_the_same_for_the_same_seed(
    char_lm_run: Path, zoo_here: Run
) -> None:
    def text(*arguments: object) -> str:
        done = zoo_here("generate", char_lm_run, "--length", 40, "--threads", 1, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = text("--prompt", "The ", "--seed", 3)
    assert first.startswith("The ")
    assert len(first) == len("The ") + 40 + len("\n")
    assert text("--prompt", "The ", "--seed", 3) == first
    assert text("--prompt", "The ", "--seed", 4) != first
    assert text("--scale", 2, "--seed", 3) == text("--temperature", 0.5, "--seed", 3)
    three = text("--samples", 3, "--seed", 3)
    assert re.findall(r"^--- (\d)$", three, re.MULTILINE) == ["1", "2", "3"]
