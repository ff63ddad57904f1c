"""Bad input: one line on stderr, the exit code of its kind, and no files left."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from conftest import Install, Run

USAGE, PLUGIN, DATA, WEIGHTS, DISK, MEMORY = 2, 3, 4, 5, 8, 9

Refused = Callable[..., None]


def check(done: CompletedProcess[str], code: int, *said: object) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for words in said:
        assert str(words) in line


@pytest.fixture
def refused(zoo_here: Run, tmp_path: Path) -> Refused:
    """Run a training that has to be refused; it may leave no file."""
    out = tmp_path / "run"

    def run(code: int, *arguments: object, said: tuple[object, ...]) -> None:
        check(zoo_here("train", *arguments, "--out", out, "--threads", 1), code, *said)
        assert not out.exists()

    return run


# Names and settings


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sample-lsmt", "no recipe 'sample-lsmt' (did you mean 'sample-lstm'"),
        ("sentiment/lsmt", "no model 'lsmt' (did you mean 'lstm'"),
        ("sentiments/lstm", "no task 'sentiments' (did you mean 'sentiment'"),
        ("", "nothing to train; give data with --data FILE"),
        ("/", "no task ''"),
    ],
)
def test_an_unknown_name(name: str, said: str, refused: Refused) -> None:
    refused(USAGE, name, said=(said,))


def test_a_bidirectional_model_where_a_causal_one_is_needed(refused: Refused) -> None:
    refused(USAGE, "char-lm/bigru", said=("model 'bigru' cannot be used for task 'char-lm'",))


def test_bad_settings_are_all_reported_at_once(refused: Refused) -> None:
    refused(
        USAGE, "sentiment/lstm",
        "--set", "hidden_sizes=5", "--set", "batch_size=many", "--set", "learning_rate=-1",
        said=("3 bad settings", "hidden_sizes: ", "batch_size: 'many'", "learning_rate: -1.0"),
    )  # fmt: skip


@pytest.mark.parametrize("setting", ["hidden_size", "=5", ""])
def test_a_setting_that_is_no_pair(setting: str, refused: Refused) -> None:
    refused(
        USAGE, "sentiment/lstm", "--set", setting, said=(f"--set {setting!r} is not KEY=VALUE",)
    )


def test_options_that_a_model_refuses_together(refused: Refused) -> None:
    refused(USAGE, "sentiment/lstm", "--set", "model.dropout=0.5", said=("lstm", "num_layers is 1"))


def test_epochs_with_steps(refused: Refused) -> None:
    refused(
        USAGE,
        "sentiment/lstm",
        "--epochs",
        2,
        "--steps",
        5,
        said=("--epochs and --steps are both",),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "optimizer=adm"), "no optimizer 'adm' (did you mean 'adam'"),
        (("--set", "schedule=plateu"), "no scheduler 'plateu' (did you mean 'plateau'?)"),
        (("--callback", "tensorbord"), "no callback 'tensorbord' (did you mean 'tensorboard'?)"),
        (("--metric", "topp5"), "no metric 'topp5' (did you mean 'top5'?)"),
    ],
)
def test_an_unknown_part(arguments: tuple[str, ...], said: str, refused: Refused) -> None:
    refused(USAGE, "sentiment/lstm", *arguments, said=(said,))


def test_a_metric_of_another_task(refused: Refused, text_file: Path) -> None:
    refused(
        USAGE, "char-lm/lstm", "--data", text_file, "--metric", "top5",
        said=("metric 'top5'", "char-lm", "sentiment"),
    )  # fmt: skip


def test_unknown_initial_weights(refused: Refused) -> None:
    refused(
        WEIGHTS, "sentiment/bilstm", "--init", "imdb-bilst", said=("did you mean 'imdb-bilstm'",)
    )


@pytest.mark.parametrize("device", ["cuda", "mps", "meta", "tpu", "cpu:x"])
def test_a_device_that_does_not_exist(device: str, refused: Refused) -> None:
    torch = pytest.importorskip("torch")
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is one")
    refused(USAGE, "sentiment/lstm", "--device", device, said=("no ", "device"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train",), "nothing to train"),
        (("train", "sentiment/lstm", "--batchsize", "8"), "--batch-size"),
        (("train", "sentiment/lstm", "--learningrate", "8"), "--learning-rate"),
        (("train", "sentiment/lstm", "--epochs", "0"), "--epochs"),
        (("list", "--colour"), "--colour"),
        (("lsit",), "no command 'lsit' (did you mean 'list'?)"),
        (("--registry", "no-such.toml", "list"), "cannot read the recipe file in no-such.toml"),
    ],
)
def test_an_invalid_command_line(arguments: tuple[str, ...], said: str, zoo_here: Run) -> None:
    check(zoo_here(*arguments), USAGE, said)


def test_zoo_without_arguments_shows_its_help(zoo_here: Run) -> None:
    done = zoo_here()
    assert done.returncode == USAGE
    assert done.stderr.startswith("Usage: zoo ")
    assert "error:" not in done.stderr


def test_a_registry_with_an_unknown_key(tmp_path: Path, zoo_here: Run) -> None:
    file = tmp_path / "registry.toml"
    file.write_text("[recipes.toy-lstm]\nsummary = ''\ntask = 'sentiment'\nmodle = 'lstm'\n")
    for command in (("list",), ("show", "toy-lstm"), ("train", "toy-lstm")):
        check(
            zoo_here("--registry", file, *command),
            USAGE,
            f"unknown key 'modle' in {file}, recipes.toy-lstm",
        )


# Runs


def test_a_directory_that_has_a_run_is_refused_before_the_data_is_read(
    char_lm_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    before = {path.name: path.read_bytes() for path in char_lm_run.iterdir()}
    (tmp_path / "empty.txt").touch()
    check(
        zoo_here("train", "char-lm/lstm", "--data", tmp_path / "empty.txt", "--out", char_lm_run),
        USAGE,
        f"there is a run already in {char_lm_run}",
        "--resume",
    )
    assert {path.name: path.read_bytes() for path in char_lm_run.iterdir()} == before


def test_resuming_without_a_directory(zoo_here: Run) -> None:
    check(zoo_here("train", "sentiment/lstm", "--resume"), USAGE, "--resume", "--out")


def test_resuming_where_there_is_no_run(refused: Refused, tmp_path: Path) -> None:
    refused(USAGE, "sentiment/lstm", "--resume", said=(f"no run in {tmp_path / 'run'}",))


def test_a_run_directory_that_cannot_be_made(
    tmp_path: Path, text_file: Path, zoo_here: Run
) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = zoo_here(
        "train", "char-lm/lstm", "--data", text_file, "--out", tmp_path / "file" / "run",
        "--threads", 1,
    )  # fmt: skip
    check(done, DISK, "cannot make the run directory")


# Data


@pytest.mark.parametrize("task", ["sentiment", "char-lm"])
def test_missing_data(task: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "no-such.csv"
    refused(DATA, f"{task}/lstm", "--data", path, said=(f"no data '{path}'",))


def test_a_mistyped_name_of_a_data_set(refused: Refused) -> None:
    refused(
        DATA, "sentiment/lstm", "--data", "imbd", said=("no data 'imbd' (did you mean 'imdb'?)",)
    )


# A file for each task, and what is wrong with it; FILE stands for its path.
WRONG_DATA = {
    "empty table": ("sentiment", "x.csv", b"", "FILE"),
    "header only": ("sentiment", "x.csv", b"text,label\n", "no rows in FILE"),
    "one class": (
        "sentiment", "x.csv", b"text,label\n" + b"good,pos\n" * 30,
        "fewer than two classes in column 'label' in FILE: all labels are 'pos'",
    ),
    "too few of a class": (
        "sentiment", "x.csv", b"text,label\ngood,pos\nbad,neg\n", "2 texts are too few in FILE",
    ),
    "label left out, after a text of two lines": (
        "sentiment", "x.csv",
        b'text,label\n"good\nfilm",pos\n' + b"good,pos\nbad,neg\n" * 6 + b"bad\n",
        "1 of 14 rows have the wrong number of columns in FILE",
    ),
    "office file": ("sentiment", "x.docx", b"PK\x03\x04" + bytes(30), "FILE"),
    "no archive": ("sentiment", "x.tar.gz", b"text,label\n", "FILE"),
    "line that is no JSON": ("sentiment", "x.jsonl", b"{\n", "FILE"),
    "empty text": ("char-lm", "x.txt", b"", "no text in FILE: 0 characters"),
    "text too short to split": ("char-lm", "x.txt", b"abc", "FILE"),
    "text not UTF-8": (
        "char-lm", "x.txt", b"ab\n" * 1000 + b"\xff",
        "text is not UTF-8 in FILE: byte 0xff at offset 3000",
    ),
    # Past the megabyte that is read at a time, whose edge falls into a character.
    "text not UTF-8, far in": (
        "char-lm", "x.txt", b"a" + "\u00e9".encode() * 600_000 + b"\xff",
        "text is not UTF-8 in FILE: byte 0xff at offset 1200001",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_DATA)
def test_unfit_data(wrong: str, refused: Refused, tmp_path: Path) -> None:
    task, name, content, said = WRONG_DATA[wrong]
    file = tmp_path / name
    file.write_bytes(content)
    refused(DATA, f"{task}/lstm", "--data", file, said=(said.replace("FILE", str(file)),))


def test_a_folder_without_reviews_and_a_folder_instead_of_a_text(
    refused: Refused, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(DATA, "sentiment/lstm", "--data", folder, said=(f"no texts in {folder}",))
    refused(DATA, "char-lm/lstm", "--data", folder, said=(f"data is a folder in {folder}",))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with reviews.tar and the like: IMDb's shape, 60 reviews in each of its folders."""
    folder = tmp_path_factory.mktemp("archives")
    with tarfile.open(folder / "reviews.tar", "w") as tar:
        for number in range(60):
            for part in ("train/pos", "train/neg", "test/pos", "test/neg"):
                content = f"review {number} {part} {number * 7919 % 1009}".encode() * 9
                entry = tarfile.TarInfo(f"aclImdb/{part}/{number}_7.txt")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    plain = (folder / "reviews.tar").read_bytes()
    (folder / "reviews.tar.gz").write_bytes(gzip.compress(plain))
    (folder / "reviews.tar.xz").write_bytes(lzma.compress(plain))
    return folder


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz"])
def test_an_archive_that_is_cut_short_anywhere_is_refused(
    ending: str, archives: Path, tmp_path: Path, refused: Refused
) -> None:
    whole = (archives / f"reviews{ending}").read_bytes()
    cut = tmp_path / f"cut{ending}"
    for share in range(5, 100, 5):
        cut.write_bytes(whole[: len(whole) * share // 100])
        refused(DATA, "sentiment/lstm", "--data", cut, said=(f"in {cut}",))


def test_an_archive_with_a_changed_byte_is_refused(
    archives: Path, tmp_path: Path, refused: Refused
) -> None:
    whole = (archives / "reviews.tar.gz").read_bytes()
    changed = tmp_path / "changed.tar.gz"
    for share in (30, 60, 90):
        content = bytearray(whole)
        content[len(whole) * share // 100] ^= 0x10
        changed.write_bytes(content)
        refused(DATA, "sentiment/lstm", "--data", changed, said=(f"in {changed}",))


def test_a_review_of_an_archive_that_is_not_utf8_is_named(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "reviews.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("aclImdb/train/pos/3_9.txt")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"caf\xe9!"))
    refused(
        DATA, "sentiment/lstm", "--data", path,
        said=(f"in {path}, aclImdb/train/pos/3_9.txt: byte 0xe9 at offset 3",),
    )  # fmt: skip


# Weights


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, sentiment_run: Path) -> dict[str, Path]:
    whole = (sentiment_run / "weights.safetensors").read_bytes()
    folder = tmp_path_factory.mktemp("damaged")
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    contents = {
        "text": b"these are not weights",
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "last byte missing": whole[:-1],
        "a bit flipped": bytes(flipped),
    }
    for name, content in contents.items():
        (folder / f"{name}.safetensors").write_bytes(content)
    return {name: folder / f"{name}.safetensors" for name in contents}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text", "not a complete safetensors file in FILE"),
        ("empty", "not a complete safetensors file in FILE"),
        ("half", "not a complete safetensors file in FILE"),
        ("last byte missing", "not a complete safetensors file in FILE"),
        ("a bit flipped", "digest does not match in FILE"),
    ],
)
def test_damaged_weights(name: str, said: str, damaged: dict[str, Path], zoo_here: Run) -> None:
    file = damaged[name]
    commands = [("predict", file, "text"), ("evaluate", file), ("generate", file)]
    if name != "a bit flipped":  # The header does not show it.
        commands.append(("inspect", file))
    for command in commands:
        check(zoo_here(*command), WEIGHTS, said.replace("FILE", str(file)))


@pytest.mark.parametrize("command", ["predict", "evaluate", "generate", "inspect"])
def test_weights_that_do_not_exist(command: str, tmp_path: Path, zoo_here: Run) -> None:
    check(zoo_here(command, tmp_path / "no-such"), WEIGHTS, f"no weights '{tmp_path / 'no-such'}'")
    check(zoo_here(command, "sample-lstm"), WEIGHTS, "no published weights")
    check(zoo_here(command, "sample-lsmt"), WEIGHTS, "did you mean 'sample-lstm'")


def test_exporting_from_where_there_is_no_run(tmp_path: Path, zoo_here: Run) -> None:
    out = tmp_path / "x.safetensors"
    check(zoo_here("export", tmp_path, "-o", out), USAGE, f"no run in {tmp_path}")
    assert not out.exists()


def test_exporting_to_a_folder_that_does_not_exist(
    sentiment_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    out = tmp_path / "no-such" / "x.safetensors"
    check(zoo_here("export", sentiment_run, "-o", out), DISK, f"cannot write in {out}")


def test_an_unknown_split(sentiment_run: Path, zoo_here: Run) -> None:
    check(
        zoo_here("evaluate", sentiment_run, "--split", "tset"),
        USAGE,
        "no split 'tset' (did you mean 'test'?)",
        "train, validation, test, all",
    )


# Predicting, embedding and generating


def test_what_a_task_cannot_do(
    char_lm_run: Path, sentiment_run: Path, text_file: Path, zoo_here: Run
) -> None:
    check(
        zoo_here("predict", char_lm_run, "text"), USAGE,
        "'char-lm/lstm' cannot predict", "task is 'char-lm'", "use `zoo generate`",
    )  # fmt: skip
    check(
        zoo_here("generate", sentiment_run), USAGE,
        "'sample-lstm' cannot generate text", "task is 'sentiment'", "use `zoo predict`",
    )  # fmt: skip
    check(
        zoo_here("evaluate", char_lm_run, "--metric", "top5", "--threads", 1), USAGE,
        "metric 'top5'", "char-lm",
    )  # fmt: skip


def test_vectors_that_cannot_be_written(sentiment_run: Path, tmp_path: Path, zoo_here: Run) -> None:
    out = tmp_path / "no-such" / "vectors.npy"
    check(zoo_here("embed", sentiment_run, "film", "-o", out), DISK, f"cannot write in {out}")
    check(zoo_here("embed", sentiment_run, "film"), USAGE, "--output")


def test_a_prompt_with_characters_that_the_vocabulary_lacks(
    char_lm_run: Path, zoo_here: Run
) -> None:
    check(
        zoo_here("generate", char_lm_run, "--prompt", "The 海 §"),
        DATA,
        "the vocabulary lacks '§', '海' in the prompt",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--temperature", "-1"), "temperature is negative"),
        (("--temperature", "1", "--scale", "1"), "--temperature and --scale are both given"),
        (("--scale", "0"), "scale is not positive"),
        (("--scale", "nan"), "scale is not positive"),
        (("--top-p", "0"), "top-p"),
        (("--top-p", "1.5"), "top-p"),
        (("--top-k", "-1"), "top-k is negative"),
        (("--samples", "0"), "--samples"),
    ],
)
def test_sampling_out_of_bounds(
    arguments: tuple[str, ...], said: str, char_lm_run: Path, zoo_here: Run
) -> None:
    check(zoo_here("generate", char_lm_run, *arguments), USAGE, said)


def test_a_line_on_stdin_that_is_not_utf8_is_reported_after_those_before_it(
    sentiment_run: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "predict", sentiment_run],
        input=b"a good film\ncaf\xe9\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == DATA
    assert b"stdin, line 2: byte 0xe9 at offset 3" in done.stderr
    (prediction,) = done.stdout.splitlines()
    assert prediction.endswith(b"\ta good film")


def test_an_evaluation_that_cannot_be_stored_is_shown(
    sentiment_run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    shutil.copytree(sentiment_run, tmp_path / "run")
    (tmp_path / "run" / "evaluations.json").unlink(missing_ok=True)
    (tmp_path / "run" / "evaluations.json").symlink_to(tmp_path / "nowhere" / "it")
    done = zoo_here("evaluate", tmp_path / "run", "--split", "validation", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert f"cannot write in {tmp_path / 'nowhere' / 'it'}" in warning


def test_a_device_is_not_replaced_by_a_file(sentiment_run: Path, zoo_here: Run) -> None:
    done = zoo_here("export", sentiment_run, "-o", "/dev/null", "--force")
    check(done, DISK, "/dev/null", "not a regular file")
    assert Path("/dev/null").is_char_device()


def test_a_link_stays_a_link(sentiment_run: Path, tmp_path: Path, zoo_here: Run) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert zoo_here("export", sentiment_run, "-o", tmp_path / "link", "--force").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_size > 3


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("list > /dev/full", DISK), ("list >&-", 0), ("predict imdb-bilstm <&-", USAGE),
        ("predict imdb-bilstm film > /dev/full", DISK),
    ],
)  # fmt: skip
def test_streams_that_are_full_or_closed(command: str, code: int) -> None:
    done = subprocess.run(
        f"{sys.executable} -m zoo {command}",
        shell=True,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_characters_that_the_terminal_cannot_show_are_escaped(zoo_command: Run) -> None:
    done = zoo_command("predict", "imdb-bilstm", "日", env={"PYTHONIOENCODING": "latin-1"})
    assert done.stdout.endswith("\\u65e5\n"), done.stderr


def test_a_network_that_memory_cannot_hold(refused: Refused) -> None:
    refused(MEMORY, "sentiment/gru", "--set", "hidden_size=1000000", said=("not enough memory",))


# Commands of plugins

# What a plugin declares, and what its commands say.
COMMAND_PLUGIN = """
import click, zoo

@click.command()
def count():
    click.echo("counted")

@zoo.hookimpl
def zoo_commands():
    commands = {"count": "count", "nothing": "gone", "number": "number", "list": "count"}
    return [
        zoo.CommandInfo(name=name, summary="Counts.", target=f"MODULE:{target}")
        for name, target in commands.items()
    ]

number = 3
"""


def test_commands_of_plugins(install_plugin: Install, zoo_here: Run) -> None:
    install_plugin("zoo-count", COMMAND_PLUGIN.replace("MODULE", "zoo_count"))
    assert zoo_here("count").stdout == "counted\n"
    check(zoo_here("cuont"), USAGE, "no command 'cuont' (did you mean 'count'?)")
    check(zoo_here("nothing"), PLUGIN, "target does not load in 'zoo_count:gone'")
    check(zoo_here("number"), PLUGIN, "the target of command 'number' is no click.Command")
    assert "tasks" in zoo_here("list").stdout  # Commands of zoo cannot be replaced.
    helped = [line.split()[:1] for line in zoo_here("--help").stdout.splitlines()]
    assert helped.count(["count"]) == helped.count(["list"]) == 1


def test_a_command_that_two_plugins_declare(install_plugin: Install, zoo_here: Run) -> None:
    install_plugin("zoo-count", COMMAND_PLUGIN.replace("MODULE", "zoo_count"))
    install_plugin("zoo-more", COMMAND_PLUGIN.replace("MODULE", "zoo_more"))
    check(
        zoo_here("count"), PLUGIN, "command 'count' is ambiguous",
        "say zoo-count:count or zoo-more:count",
    )  # fmt: skip
    assert zoo_here("zoo-more:count").stdout == "counted\n"


# The process as a whole


def test_a_failure_in_a_process_of_its_own(zoo_command: Run, tmp_path: Path) -> None:
    check(zoo_command("show", "sample-lsmt"), USAGE, "did you mean 'sample-lstm'")


def test_debug_shows_the_traceback(zoo_command: Run) -> None:
    done = zoo_command("--debug", "show", "sample-lsmt")
    assert done.returncode != 0
    assert "Traceback (most recent call last)" in done.stderr
    assert "UsageError: " in done.stderr
    assert "Traceback" not in zoo_command("show", "sample-lsmt").stderr


def test_a_fault_of_a_plugin_names_it(install_plugin: Install, zoo_here: Run) -> None:
    source = COMMAND_PLUGIN.replace("MODULE", "zoo_count").replace(
        'click.echo("counted")', "raise RecursionError"
    )
    install_plugin("zoo-count", source)
    check(zoo_here("count"), PLUGIN, "plugin 'zoo-count' failed: RecursionError; run `zoo --debug")
    assert "Traceback (most recent call last)" in zoo_here("--debug", "count").stderr


@pytest.mark.parametrize("seed", ["-1", str(2**32), str(2**64), "9" * 5000])
def test_a_seed_that_no_generator_takes(seed: str, refused: Refused) -> None:
    refused(USAGE, "sentiment/lstm", "--seed", seed, said=("--seed",))


def test_an_argument_that_is_not_utf8(zoo_command: Run) -> None:
    check(zoo_command("train", "--data", "caf\udce9.csv"), USAGE, "not UTF-8", "caf\\udce9.csv")
