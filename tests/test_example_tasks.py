"""The task packages in examples/: installed as strangers' are, used by command, checked by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from safetensors.torch import load_file
from torch import Tensor, nn

import zoo
from zoo import catalog as catalogs
from zoo.building import make_network, make_task
from zoo.config import resolve
from zoo.engine.rundir import RunDirectory
from zoo.engine.session import run_training
from zoo.errors import DataError, UsageError
from zoo.interfaces import Data, Task
from zoo.registry import Registry
from zoo.weights.file import read

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("tagging", "dates", "waves")
CPU = torch.device("cpu")

# Enough for each task to do better than its baseline, and no more.
TRAININGS: dict[str, tuple[object, ...]] = {
    "tagging": ("tagging/bilstm", "--epochs", 2),
    "dates": (
        "dates/lstm", "--steps", 300,
        "--set", "batch_size=64", "--set", "learning_rate=4e-3",
    ),
    "waves": ("waves/lstm", "--epochs", 2, "--set", "learning_rate=4e-3"),
}  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Install the packages into a folder that this process and the yielded environment look in."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--no-build-isolation", "--target", folder),
            *(EXAMPLES / f"zoo-{name}" for name in NAMES),
        ],
        check=True,
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="module")
def exported(
    environment: dict[str, str], zoo_command: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A weights file of each task."""
    folder = tmp_path_factory.mktemp("runs")
    files = {name: folder / f"{name}.safetensors" for name in NAMES}
    for name, arguments in TRAININGS.items():
        run = folder / name
        for command in (
            ("train", *arguments, "--out", run, "--threads", 1),
            ("export", run, "-o", files[name]),
        ):
            done = zoo_command(*command, env=environment)
            assert done.returncode == 0, done.stderr
    return files


class Silence:
    """An observer that looks away."""

    def on_step(self, *_: object) -> None: ...
    def on_evaluation(self, *_: object) -> None: ...


def train(
    name: str, run: Path, settings: Mapping[str, object], *, resume: bool = False, stop: int = 0
) -> RunDirectory:
    """Train in this process, and stop after so many steps if told so."""
    registry, catalog = Registry.installed(), catalogs.read()
    overrides = [(key, str(value)) for key, value in settings.items()]
    configuration = resolve(name, registry, catalog, overrides)
    steps = count(1)
    directory = RunDirectory(run)
    run_training(
        configuration,
        registry,
        catalog,
        directory,
        CPU,
        Silence(),
        resume=resume,
        interrupted=lambda: next(steps) == stop,
    )
    return directory


def prepared(name: str, path: Path | None = None) -> tuple[Task, Data, nn.Module]:
    """Return the task of TASK/MODEL, its data and an untrained network."""
    configuration = resolve(name, Registry.installed(), catalogs.read())
    task = make_task(configuration.task, configuration.task_options)
    data = task.prepare(path, seed=1)
    torch.manual_seed(1)
    return task, data, make_network(task, configuration.model, configuration.model_options).eval()


def held_out(examples: list[Any]) -> list[Any]:
    """Return the test part of all examples under the default seed."""
    order = np.random.default_rng(1).permutation(len(examples))
    return [examples[row] for row in order[len(examples) * 9 // 10 :]]


def evaluation(exported: Path, zoo_command: Run, environment: dict[str, str]) -> dict[str, Any]:
    done = zoo_command("evaluate", exported, "--json", "--threads", 1, env=environment)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["training_data"]
    return document


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


# Commands


@pytest.mark.parametrize("name", NAMES)
def test_another_process_verifies_the_export(
    name: str, exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    done = zoo_command("verify", exported[name], env=environment)
    assert done.returncode == 0, done.stderr
    assert "probe agrees" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_ends_where_an_unbroken_one_does(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = {"steps": 12, "evaluate_every": 5, "hidden_size": 8}
    unbroken = train(f"{name}/lstm", tmp_path / "unbroken", settings)
    broken = train(f"{name}/lstm", tmp_path / "broken", settings, stop=7)
    stopped = load_file(broken.checkpoint)
    train(f"{name}/lstm", tmp_path / "broken", settings, resume=True)

    expected, found = load_file(unbroken.checkpoint), load_file(broken.checkpoint)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert not torch.equal(expected["network.fc.weight"], stopped["network.fc.weight"])


@pytest.mark.parametrize(
    "name", ["tagging/bilstm", "tagging/rnn", "dates/lstm", "dates/gru", "dates/rnn",
             "waves/gru", "waves/bilstm"]
)  # fmt: skip
def test_a_row_does_not_depend_on_the_rows_beside_it(
    name: str, environment: dict[str, str]
) -> None:
    task, data, network = prepared(name)
    everything: Any = data.splits["all"]
    shortest, longest = everything.lengths.argmin(), everything.lengths.argmax()
    rows = np.array([shortest, longest, 5])
    with torch.inference_mode():
        together = task.logits(network, everything.batch(rows))
        for place, row in enumerate(rows):
            batch = everything.batch(np.array([row]))
            alone = task.logits(network, batch)
            steps = 10 if name.startswith("dates") else int(batch.lengths)
            torch.testing.assert_close(together[place, :steps], alone[0, :steps])


# Tagging: both sides of a word matter


def test_tagging_accuracy_is_that_of_plain_counting(
    exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    from zoo_tagging.data import load

    sentences = held_out(load(None)[0])
    texts = [" ".join(word for word, _ in sentence) for sentence in sentences]
    truth = [tag for sentence in sentences for _, tag in sentence]
    answers = zoo.load(exported["tagging"]).predict(texts)
    found = " ".join(answer.label for answer in answers).split()
    hits = sum(a == b for a, b in zip(found, truth, strict=True))

    metrics = evaluation(exported["tagging"], zoo_command, environment)
    assert metrics["examples"] == len(truth)
    assert metrics["accuracy"] == pytest.approx(hits / len(truth))
    assert metrics["baseline"] == pytest.approx(max(Counter(truth).values()) / len(truth))
    assert metrics["accuracy_low"] > 0.9 > metrics["baseline"]


def test_tagging_needs_the_words_before_and_the_words_after(
    environment: dict[str, str], tmp_path: Path
) -> None:
    from zoo_tagging.data import load

    accuracy = {
        model: read(train(f"tagging/{model}", tmp_path / model, {"epochs": 3}).weights).header[
            "metrics"
        ]["validation"]["accuracy"]
        for model in ("lstm", "bilstm")
    }
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in load(None)[0]:
        for word, tag in sentence:
            counts[word][tag] += 1
    words = sum(sum(tags.values()) for tags in counts.values())
    by_word_alone = sum(max(tags.values()) for tags in counts.values()) / words
    assert by_word_alone + 0.05 < accuracy["lstm"]
    assert accuracy["lstm"] + 0.04 < accuracy["bilstm"]
    assert accuracy["bilstm"] > 0.97


def test_tagging_answers_unknown_words_and_no_words(
    exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    done = zoo_command(
        "predict", exported["tagging"], "--json", env=environment,
        stdin="the small dogs see THEM\n\nthe small zyx see them\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["label"] for answer in answers] == ["D A N V P", "", "D A N V P"]
    assert all(0 < answer["probability"] <= 1 for answer in answers)


def test_tagging_reads_files(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_text("we/P see/V 1/2/N\n\n" * 10, encoding="utf-8")
    task: Any
    task, data, _ = prepared("tagging/lstm", path)
    assert data.splits["all"].examples == 10
    assert task.words == ["<pad>", "<unk>", "1/2", "see", "we"]
    path.write_text("we/P see/V\n" * 10 + "we/P see them/P\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"'see' has no tag in line 11 of {path}"):
        task.prepare(path, seed=1)
    path.write_text("we/X see/V\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="tag 'X' is not among those learned"):
        task.prepare(path, seed=1, learn=False)


# Dates: an encoder and a decoder


class PlainDates:
    """The network of dates/lstm in torch's own modules, a row and a step at a time."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.encoder = nn.LSTM(32, 64, batch_first=True)
        self.encoder.load_state_dict(under(tensors, "encoder."))
        self.decoder = nn.LSTM(32, 64, batch_first=True)
        self.decoder.load_state_dict(under(tensors, "decoder."))

    @torch.inference_mode()
    def write(
        self, source: list[int], targets: list[int] | None = None
    ) -> tuple[list[int], list[float]]:
        """Return the likeliest character at each step and the log-probability of that which the
        decoder goes on from: the target's where there are targets, else that of the likeliest.
        """
        tensors = self.tensors
        _, state = self.encoder(tensors["source_embedding.weight"][source][None])
        previous, likeliest, chances = 11, [], []
        for step in range(10):
            vector = tensors["target_embedding.weight"][previous]
            output, state = self.decoder(vector[None, None], state)
            logits = tensors["fc.weight"] @ output[0, 0] + tensors["fc.bias"]
            likeliest.append(int(logits.argmax()))
            previous = targets[step] if targets else likeliest[-1]
            chances.append(float(logits.log_softmax(0)[previous]))
        return likeliest, chances


def test_dates_loss_and_writing_are_those_of_plain_modules(
    exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    from zoo_dates.data import load

    loaded = zoo.load(exported["dates"])
    task: Any = loaded.task
    plain = PlainDates(read(exported["dates"]).tensors)
    pairs = load(None)[0][:25]
    sources = [task.encode(text) for text, _ in pairs]
    targets = [["0123456789-".index(character) for character in iso] for _, iso in pairs]

    batch: Any = task.prepare(None, seed=1, learn=False).splits["all"].batch(np.arange(25))
    with torch.inference_mode():
        metrics = task.metrics(task.step(loaded.network, batch, None).sums)
    forced = [plain.write(*pair)[1] for pair in zip(sources, targets, strict=True)]
    assert metrics["loss"] == pytest.approx(-np.mean(forced), abs=1e-5)
    free = [plain.write(source) for source in sources]
    right = np.array([found for found, _ in free]) == np.array(targets)
    assert metrics["accuracy"] == pytest.approx(right.all(1).mean())
    assert metrics["character_accuracy"] == pytest.approx(right.mean())

    done = zoo_command(
        "predict", exported["dates"], "--json", env=environment,
        stdin="".join(f"{text}\n" for text, _ in pairs),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line, (characters, chances) in zip(done.stdout.splitlines(), free, strict=True):
        answer = json.loads(line)
        assert answer["label"] == "".join("0123456789-"[number] for number in characters)
        assert answer["probability"] == pytest.approx(np.exp(sum(chances)), abs=1e-5)


def test_dates_beat_the_commonest_character_in_each_place(
    exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    from zoo_dates.data import load

    metrics = evaluation(exported["dates"], zoo_command, environment)
    answers = [iso for _, iso in held_out(load(None)[0])]
    places = [max(Counter(place).values()) for place in zip(*answers, strict=True)]
    assert metrics["examples"] == len(answers) == 2000
    assert metrics["character_accuracy"] > np.mean(places) / len(answers) + 0.1


def test_dates_refuse_what_they_cannot_do(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a causal model"):
        prepared("dates/bilstm")
    path = tmp_path / "dates.tsv"
    path.write_text("3 March 1986\t1986-03-03\n" * 10, encoding="utf-8")
    task, data, _ = prepared("dates/lstm", path)
    assert data.splits["all"].examples == 10
    path.write_text("3 March 1986\t1986-03-03\n4 March 1986 1986-03-04\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"no date '' in line 2 of {path}"):
        task.prepare(path, seed=1)
    path.write_text("7 March 1986\t1986-03-07\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="the alphabet lacks '7'"):
        task.prepare(path, seed=1, learn=False)


# Waves: numbers in, numbers out


def test_waves_error_is_that_of_a_plain_loop(
    exported: dict[str, Path], environment: dict[str, str], zoo_command: Run
) -> None:
    weights = read(exported["waves"])
    tensors, assets = weights.tensors, weights.header["assets"]
    rnn = nn.LSTM(3, 64, batch_first=True)
    rnn.load_state_dict(under(tensors, "rnn."))
    task = zoo.load(exported["waves"]).task
    split: Any = task.prepare(None, seed=1, learn=False).splits["test"]
    errors, means, squares = [], [], []
    for vector, length in zip(split.vectors, split.lengths, strict=True):
        frequency, phase, decay = map(float, vector)
        t = np.arange(length)
        wave = np.exp(-decay * t) * np.sin(2 * np.pi * (frequency * t + phase))
        steps = torch.zeros(1, length, 3)
        steps[0, 0] = torch.tensor((vector - np.array(assets["mean"])) / np.array(assets["std"]))
        with torch.inference_mode():
            written = rnn(steps)[0][0] @ tensors["fc.weight"][0] + tensors["fc.bias"]
        errors.append(np.mean((written.numpy() - wave) ** 2))
        means.append(np.mean(wave))
        squares.append(np.mean(wave**2))

    metrics = evaluation(exported["waves"], zoo_command, environment)
    assert metrics["examples"] == len(errors)
    assert metrics["mse"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert metrics["baseline"] == pytest.approx(np.mean(squares) - np.mean(means) ** 2, rel=1e-4)
    half = 1.96 * np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert metrics["mse_low"] == pytest.approx(np.mean(errors) - half, rel=1e-3)
    assert metrics["mse_high"] == pytest.approx(np.mean(errors) + half, rel=1e-3)
    assert metrics["mse_high"] < 0.5 * metrics["baseline"]


def test_waves_are_written_in_another_process(
    exported: dict[str, Path], environment: dict[str, str]
) -> None:
    program = f"""
import torch, zoo
writer = zoo.load({str(exported["waves"])!r}).network
waves, _ = writer(torch.tensor([[0.05, 0.25, 0.02], [0.1, 0.5, 0.0]]), torch.tensor([30, 8]))
print(waves.tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    wave = np.array(json.loads(done.stdout)[0])
    t = np.arange(30)
    assert np.corrcoef(wave, np.exp(-0.02 * t) * np.cos(0.1 * np.pi * t))[0, 1] > 0.8


def test_waves_read_no_files_and_answer_no_texts(
    exported: dict[str, Path], environment: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="waves are made, not read"):
        prepared("waves/lstm", tmp_path)
    with pytest.raises(UsageError, match="task 'waves' predicts nothing"):
        zoo.load(exported["waves"]).predict(["0.05 0.25 0.02"])
