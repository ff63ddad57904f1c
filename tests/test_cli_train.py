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

import numpy as np
import pytest
import safetensors
from conftest import Run

import zoo

RUN_FILES = {
    ".lock",
    "config.json",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "weights.safetensors",
}
TESTED_RUN_FILES = {*RUN_FILES, "evaluations.json", ".evaluations.lock"}
TINY = ("--set", "hidden_size=8", "--set", "embed_size=8", "--threads", 1)


def no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def strictly(text: str) -> Any:
    """Parse JSON as every language does: NaN and Infinity are Python's own."""
    return json.loads(text, parse_constant=no_constant)


def metrics(run: Path, kind: str = "") -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(strictly, lines) if kind in ("", line["kind"])]


def confusion(metrics: dict[str, Any]) -> list[list[int]]:
    values: list[list[int]] = metrics["confusion"]["values"]
    return values


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def own_run(sentiment_run: Path, tmp_path: Path) -> Path:
    """A copy of the sentiment run, to write into."""
    return Path(shutil.copytree(sentiment_run, tmp_path / "own"))


# Training


def test_train_prints_the_run_directory_last_and_writes_the_run_there(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "runs" / "book"
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 6, "--out", out, *TINY,
        "--set", "evaluate_every=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert last_line(done) == str(out)
    assert "\r" not in done.stderr  # A progress bar is for terminals.
    assert [line for line in done.stderr.splitlines() if "step 3" in line]
    assert set(contents(out)) == {*TESTED_RUN_FILES, "report.html"}


def test_without_the_test_the_run_directory_alone_is_printed(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "book"
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 1, "--out", out, *TINY,
        "--no-test", "--no-report",
    )  # fmt: skip
    assert done.stdout == f"{out}\n"
    assert set(contents(out)) == RUN_FILES


def test_without_out_a_new_directory_under_runs_is_made(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    printed = [
        last_line(
            zoo_here("train", "char-lm/gru", "--data", text_file, "--steps", 1, *TINY, cwd=tmp_path)
        )
        for _ in range(2)
    ]
    assert sorted(printed) == sorted(f"runs/{path.name}" for path in (tmp_path / "runs").iterdir())
    assert len(set(printed)) == 2
    assert all(re.fullmatch(r"runs/char-lm-gru-\d{8}-\d{6}(-2)?", path) for path in printed)


def test_the_configuration_on_disk_has_every_option(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file.name, "--steps", 2, "--seed", 11, *TINY,
        "--set", "training.clip_norm=0.5", "--out", tmp_path / "run", cwd=text_file.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = strictly((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert (config["name"], config["task"]["name"]) == ("char-lm/gru", "char-lm")
    assert config["model"]["name"] == "gru"
    assert config["seed"] == 11
    assert config["data"] == str(text_file)  # However it was given, and wherever from.
    given = {"hidden_size": 8, "embed_size": 8, "clip_norm": 0.5, "steps": 2}
    shown = json.loads(zoo_here("show", "char-lm/gru", "--json").stdout)["options"]
    assert set(shown) == {"task", "model", "optimizer", "scheduler", "training"}
    for section, options in shown.items():
        expected = {key: given.get(key, option["default"]) for key, option in options.items()}
        found = config[section] if section == "training" else config[section]["options"]
        assert found == expected


def test_the_log_covers_every_example_of_the_epoch(sentiment_run: Path) -> None:
    """The sample's 6,000 reviews: a fifth to test, a fifth of the rest to validation."""
    assert sum(line["examples"] for line in metrics(sentiment_run, "train")) == 3840
    (evaluation,) = metrics(sentiment_run, "evaluation")
    assert evaluation["examples"] == 960
    assert evaluation["epoch"] == 1
    assert evaluation["step"] == 3840 / 32
    steps = [line["step"] for line in metrics(sentiment_run)]
    assert steps == sorted(steps)
    (right, wrong), (missed, found) = confusion(evaluation)
    assert right + wrong + missed + found == evaluation["examples"]
    assert evaluation["accuracy"] == (right + found) / evaluation["examples"]


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


def test_batches_too_short_for_an_interval_are_logged(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 2, "--out", tmp_path / "run",
        "--set", "bptt_steps=8", *TINY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in metrics(tmp_path / "run")] == [2, 2]


def test_the_saved_weights_are_those_of_the_best_evaluation(tmp_path: Path, zoo_here: Run) -> None:
    out, text = tmp_path / "run", tmp_path / "text.txt"
    # The validation split is unlike the training split: the longer the training, the worse it is.
    text.write_text("ab\n" * 3000 + "cd\n" * 600)
    zoo_here(
        "train", "char-lm/gru", "--data", text, "--steps", 40, "--out", out, *TINY,
        "--set", "learning_rate=0.02", "--set", "evaluate_every=10",
    )  # fmt: skip
    lines = metrics(out, "evaluation")
    assert [line["best"] for line in lines] == [True, False, False, False]
    assert lines[0]["loss"] < lines[-1]["loss"]
    saved = strictly(zoo_here("inspect", out, "--json").stdout)["metrics"]["validation"]
    assert (saved["loss"], saved["step"]) == (lines[0]["loss"], 10)
    again = zoo_here("evaluate", out, "--split", "validation", "--json", "--threads", 1)
    assert strictly(again.stdout)["loss"] == pytest.approx(lines[0]["loss"])


# Old names


@pytest.mark.parametrize(
    ("old", "now", "warning"),
    [
        ("window=64", ("bptt_steps", 64),
         "option 'window' is deprecated since 0.2 and will be removed in 1.0: use 'bptt_steps'"),
        ("reading=streams", ("batching", "contiguous"),
         "option 'reading' is deprecated since 0.2 and will be removed in 1.0: use 'batching'"),
        ("task.validation=0.25", ("validation_size", 0.25),
         "option 'validation' is deprecated since 0.2 and will be removed in 1.0: "
         "use 'validation_size'"),
        ("batching=windows", ("batching", "random"), ""),
    ],
)  # fmt: skip
def test_old_names_of_options_work_with_a_warning(
    old: str, now: tuple[str, object], warning: str, tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "run"
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 1, "--set", old, "--out", out, *TINY
    )
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    assert warned == ([f"warning: {warning}"] if warning else [])
    config = strictly((out / "config.json").read_text(encoding="utf-8"))
    assert config["task"]["options"][now[0]] == now[1]


def test_a_registry_of_the_first_version_is_read_with_a_warning(
    tmp_path: Path, zoo_here: Run
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text("[runs.toy]\nsummary = 'Toy'\ntask = 'sentiment'\nmodel = 'gru'\n")
    done = zoo_here("--registry", file, "list", "toy")
    assert done.stdout.split() == ["recipes", "score", "weights", "time", "toy", "Toy"]
    told = f"table 'runs' in {file} is deprecated since 0.2 and will be removed in 1.0"
    assert done.stderr == f"warning: {told}: use 'recipes'\n"


def test_storage_is_the_old_name_of_dtype(
    sentiment_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    done = zoo_here("export", sentiment_run, "-o", old, "--storage", "float16")
    assert (done.returncode, done.stdout) == (0, f"{old}\n")
    told = "--storage is deprecated since 0.2 and will be removed in 1.0: use --dtype"
    assert done.stderr == f"warning: {told}\n"
    zoo_here("export", sentiment_run, "-o", new, "--dtype", "float16")
    assert old.read_bytes() == new.read_bytes()
    assert old.stat().st_size < (sentiment_run / "weights.safetensors").stat().st_size


# Starting from weights, callbacks and metrics


def test_init_reports_what_is_taken(tmp_path: Path, zoo_here: Run) -> None:
    out = tmp_path / "run"
    sizes = (
        "hidden_size=64", "embed_size=32", "fc_size=64", "pooling=last+mean+max", "ngram_bits=4",
        "tokens=words", "ngram_weight=0", "calibration=none",
    )  # fmt: skip
    done = zoo_here(
        "train", "sentiment/bilstm", "--init", "imdb-bilstm", "--steps", 1, "--threads", 1,
        "--out", out, "--set", "learning_rate=0", "--no-test",
        *(word for size in sizes for word in ("--set", size)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "imdb-bilstm" in line]
    taken = re.fullmatch(
        r"start: imdb-bilstm: 12 tensors taken; "
        r"embedding\.weight: all 15,002 rows, (\d+) fresh; fresh: ngrams\.weight",
        line,
    )
    assert taken, line
    assert strictly((out / "config.json").read_text(encoding="utf-8"))["init"] == "imdb-bilstm"
    # Nothing was learned at a rate of 0: the model is the published one, bit for bit.
    trained = zoo.load(out).module.state_dict()
    published = zoo.load("imdb-bilstm")
    for name, tensor in published.module.state_dict().items():
        if name.startswith("rnn."):
            assert tensor.equal(trained[name]), name
    words = zoo.load(out).info["task_state"]["vocabulary"]
    known = published.info["task_state"]["vocabulary"]
    assert words[: len(known)] == known
    assert len(words) == len(known) + int(taken[1])


def test_a_callback_writes_what_tensorboard_reads(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out, events = tmp_path / "run", tmp_path / "events"
    done = zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 6, "--out", out, *TINY,
        "--set", "log_every=2", "--set", "evaluate_every=3",
        "--callback", "tensorboard", "--set", f"tensorboard.log_dir={events}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reader = accumulator.EventAccumulator(str(events))
    reader.Reload()
    for kind, split in (("train", "train"), ("evaluation", "validation")):
        lines = metrics(out, kind)
        for key in ("loss", "perplexity"):
            found = {event.step: event.value for event in reader.Scalars(f"{split}/{key}")}
            assert found == pytest.approx({line["step"]: line[key] for line in lines})
    rates = reader.Scalars("train/learning_rate")
    assert [event.step for event in rates] == [2, 4, 6]
    # Without the option they are in the run directory.
    zoo_here(
        "train", "char-lm/gru", "--data", text_file, "--steps", 1, "--out", tmp_path / "other",
        "--callback", "tensorboard", *TINY,
    )  # fmt: skip
    assert list((tmp_path / "other" / "tensorboard").glob("events.*"))


def test_a_further_metric_is_computed_in_training_and_evaluation(
    tmp_path: Path, zoo_here: Run
) -> None:
    out = tmp_path / "run"
    done = zoo_here(
        "train", "sentiment/gru", "--steps", 20, "--metric", "top5", "--out", out, *TINY,
        "--set", "learning_rate=0.01",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (logged,) = metrics(out, "evaluation")
    asked = ("evaluate", out, "--split", "validation", "--threads", 1, "--json")
    evaluated = strictly(zoo_here(*asked, "--metric", "top5").stdout)
    assert "top5" not in strictly(zoo_here(*asked).stdout)
    # There are two labels.
    assert logged["top5"] == evaluated["top5"] == 1


# Resuming


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("sample-lstm", ("--set", "batch_size=7"), "training.batch_size"),
        ("sample-lstm", ("--set", "model.hidden_size=7"), "model.hidden_size"),
        ("sample-lstm", ("--set", "epochs=9"), "training.epochs"),
        ("sample-lstm", ("--seed", 9), "seed"),
        ("sample-lstm", ("--data", "imdb"), "data"),
        ("sentiment/lstm", (), "name"),
    ],
)
def test_a_run_is_not_continued_with_other_settings(
    name: str, other: tuple[object, ...], said: str, own_run: Path, zoo_here: Run
) -> None:
    before = contents(own_run)
    done = zoo_here("train", name, *other, "--out", own_run, "--resume")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"the run was started with other settings in {own_run}: {said} differ" in done.stderr
    assert contents(own_run) == before


def test_resuming_a_finished_run_changes_nothing(own_run: Path, zoo_here: Run) -> None:
    before = contents(own_run)
    for command in (("sample-lstm", "--epochs", 1), ()):
        done = zoo_here(
            "train", *command, "--out", own_run, "--resume", "--threads", 1, "--no-report"
        )
        assert (done.returncode, last_line(done)) == (0, str(own_run)), done.stderr
        assert "extended" not in done.stderr
    assert contents(own_run) == before


def test_ctrl_c_saves_the_run_and_the_printed_command_finishes_it(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    out = tmp_path / "a run"  # The command has to be quoted for a shell.
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
    # Between two evaluations, at which the run is saved anyway.
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
    (command,) = re.findall(r"stopped: interrupted; continue with: zoo (.*)", rest)
    assert set(contents(out)) == RUN_FILES
    with safetensors.safe_open(out / "checkpoint.safetensors", framework="numpy") as file:
        state = json.loads(file.metadata()["zoo-checkpoint"])["state"]
    assert 52 <= state["step"] < 600
    assert not state["done"]

    done = zoo_here(*shlex.split(command), "--threads", 1)
    assert (done.returncode, last_line(done)) == (0, str(out)), done.stderr
    steps = [line["step"] for line in metrics(out, "evaluation")]
    assert steps == list(range(50, 601, 50))


# Evaluating and exporting


def test_evaluations_are_stored_in_the_run_and_exported_with_it(
    own_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    for split in ("test", "validation"):
        done = zoo_here("evaluate", own_run, "--split", split, "--json", "--threads", 1)
        assert done.returncode == 0, done.stderr
        shown = strictly(done.stdout)
        stored = strictly((own_run / "evaluations.json").read_text(encoding="utf-8"))
        assert stored[split] == shown
        assert shown["split"] == split
    assert set(stored) == {"test", "validation"}
    assert stored["test"]["examples"] == 1200
    # What the training measured on the same split with the same weights.
    (evaluation,) = metrics(own_run, "evaluation")
    assert stored["validation"]["accuracy"] == evaluation["accuracy"]
    out = tmp_path / "x.safetensors"
    assert zoo_here("export", own_run, "-o", out).stdout == f"{out}\n"
    assert strictly(zoo_here("inspect", out, "--json").stdout)["metrics"] == stored


def test_an_evaluation_shows_accuracy_beside_the_baseline_and_the_confusion(
    own_run: Path, zoo_here: Run
) -> None:
    shown = zoo_here("evaluate", own_run, "--threads", 1).stdout
    exact = strictly((own_run / "evaluations.json").read_text(encoding="utf-8"))["test"]
    (right, wrong), (missed, found) = confusion(exact)
    assert exact["accuracy"] == (right + found) / 1200
    assert exact["baselines"]["majority"] == max(right + wrong, missed + found) / 1200
    assert exact["accuracy_low"] < exact["accuracy"] < exact["accuracy_high"]
    table = [line.split() for line in shown.splitlines()]
    low, high = exact["accuracy_low"], exact["accuracy_high"]
    assert f"accuracy {exact['accuracy']:.4f} (95 %: {low:.4f} to {high:.4f})".split() in table
    assert ["baseline", "majority", f"{exact['baselines']['majority']:.4f}"] in table
    assert ["neg", str(right), str(wrong)] in table
    assert ["pos", str(missed), str(found)] in table


def test_an_exported_file_is_evaluated_as_its_run_is(
    own_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    out = tmp_path / "x.safetensors"
    zoo_here("export", own_run, "-o", out)
    of_run, of_file = (
        strictly(zoo_here("evaluate", path, "--json", "--threads", 1).stdout)
        for path in (own_run, out)
    )
    # The baseline of the training is kept in the run; a file has none.
    linear = of_run["baselines"].pop("linear")
    assert 0.5 < linear <= 1
    assert of_file == of_run


def test_a_file_whose_data_has_no_name_needs_data(
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
    assert {"loss", "bits_per_character", "perplexity", "windowed_loss"} <= set(shown)


def test_an_export_overwrites_nothing_without_force(
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


# Predicting, embedding and generating

TEXTS = [
    "the acting was superb but the plot was dull",
    "the plot was dull but the acting was superb",
    "",
    "zyzzyva",
    "the music was not hollow, it was witty " * 20,
    "caf\xe9 \u6d77",
]


def test_predictions_of_arguments_and_of_stdin_are_the_same(
    sentiment_run: Path, zoo_here: Run, zoo_command: Run
) -> None:
    given = zoo_here("predict", sentiment_run, *TEXTS, "--json", "--threads", 1)
    read = zoo_command(
        "predict", sentiment_run, "--json", "--threads", 1,
        stdin="\r\n".join(TEXTS), env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert given.returncode == read.returncode == 0, read.stderr
    assert given.stderr == read.stderr
    from_arguments, from_stdin = (
        [strictly(line) for line in done.stdout.splitlines()] for done in (given, read)
    )
    assert [prediction["text"] for prediction in from_arguments] == TEXTS
    assert from_stdin == from_arguments
    for prediction in from_arguments:
        assert list(prediction) == ["text", "label", "probability", "scores", "known"]
        assert set(prediction["scores"]) == {"neg", "pos"}
        assert sum(prediction["scores"].values()) == pytest.approx(1)
        assert prediction["label"] == max(
            prediction["scores"], key=prediction["scores"].__getitem__
        )
        assert prediction["probability"] == max(prediction["scores"].values())


def test_predictions_for_people_have_label_probability_and_text(
    sentiment_run: Path, zoo_here: Run
) -> None:
    command = ("predict", sentiment_run, *TEXTS, "--threads", 1)
    exact = [strictly(line) for line in zoo_here(*command, "--json").stdout.splitlines()]
    lines = zoo_here(*command).stdout.splitlines()
    assert lines == [f"{a['label']}\t{a['probability']:.4f}\t{a['text']}" for a in exact]


def test_thousands_of_lines_are_predicted_in_order(sentiment_run: Path, zoo_here: Run) -> None:
    texts = [f"{TEXTS[n % 2]} {'and so on ' * (n % 13)}{n}" for n in range(2500)]
    done = zoo_here("predict", sentiment_run, "--json", "--threads", 1, stdin="\n".join(texts))
    predictions = [strictly(line) for line in done.stdout.splitlines()]
    assert [prediction["text"] for prediction in predictions] == texts
    (alone,) = zoo_here(
        "predict", sentiment_run, texts[1234], "--json", "--threads", 1
    ).stdout.splitlines()
    assert strictly(alone)["scores"]["pos"] == pytest.approx(
        predictions[1234]["scores"]["pos"], abs=1e-5
    )


def test_the_name_of_a_file_is_predicted_with_a_warning(
    sentiment_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("a good film\n")
    done = zoo_here("predict", sentiment_run, file)
    assert done.returncode == 0
    assert "is a file; its name is predicted, not its lines" in done.stderr
    for text in ("a good film", "хорошо " * 100):
        done = zoo_here("predict", sentiment_run, text)
        assert (done.returncode, "is a file" in done.stderr) == (0, False)


def test_no_lines_have_no_predictions(sentiment_run: Path, zoo_here: Run) -> None:
    done = zoo_here("predict", sentiment_run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_embed_writes_a_vector_for_each_text(
    sentiment_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    given, read = tmp_path / "given.npy", tmp_path / "read.npy"
    done = zoo_here("embed", sentiment_run, *TEXTS, "-o", given, "--threads", 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{given}\n", "")
    again = zoo_here("embed", sentiment_run, "other", "-o", given)
    assert (again.returncode, "file exists" in again.stderr) == (2, True)
    assert zoo_here("embed", sentiment_run, *TEXTS, "-o", given, "--force").returncode == 0
    zoo_here("embed", sentiment_run, "-o", read, "--threads", 1, stdin="\n".join(TEXTS))
    vectors = np.load(given)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 3 * 16)  # Last, mean and maximum of 16 units.
    assert np.array_equal(np.load(read), vectors)
    # The command computes by NumPy.
    np.testing.assert_allclose(zoo.load(sentiment_run).embed(TEXTS), vectors, atol=1e-5)
    # The order of words counts.
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


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
