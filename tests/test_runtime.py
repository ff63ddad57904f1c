"""Answers by NumPy: the same as those of torch, and without importing it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import REAL_DATA
from weights_reader import forge, parse

import zoo
from zoo.building import build_network, build_task
from zoo.errors import NeedsTorchError, UsageError, WeightsError
from zoo.generation import Sampling
from zoo.generation import draw as draw_torch
from zoo.generation import probabilities as torch_probabilities
from zoo.installed import registry
from zoo.runtime import InferenceModel
from zoo.runtime.generation import Exponential, draw, probabilities
from zoo.settings import resolve
from zoo.weights import writer

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}
TEXTS = [
    "A film to remember: good, and warm!", "bad", "", "good good bad 12 of 10 :-)", "很好 unseen",
    "The soup was cold and the bread was stale, but the curry was lovely. " * 4,
]  # fmt: skip
MODELS = [
    *(f"{name}" for name in ("rnn", "lstm", "gru")),
    *(f"bi{name} {merge}" for name in ("rnn", "lstm", "gru") for merge in ("concat", "sum", "mul")),
    "bilstm mean",
]


def make_file(folder: Path, name: str, rows: list[tuple[str, Any]], **settings: Any) -> Path:
    """Write the file of a network that learned a vocabulary, and has random weights."""
    data, dtype = folder / "data.csv", settings.pop("dtype", "float32")
    if name.startswith("char-lm"):
        data.write_text("\n".join(text for text, _ in rows), encoding="utf-8")
    else:
        with data.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    spec = resolve(name, registry(), settings, data=str(data))
    task = build_task(spec.network.task)
    prepared = task.prepare(data, 0)
    torch.manual_seed(0)
    network = build_network(task, spec.network).eval()
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    for key, value in {"temperature": 0.7, "threshold": 0.4}.items():
        if hasattr(network, key):
            getattr(network, key).fill_(value)
    header = {**writer.describe(spec, task, prepared), "metrics": {}}
    path = folder / f"{len(list(folder.iterdir()))}.safetensors"
    writer.save(path, network, task, header, dtype)
    return path


def rows_of(label: Callable[[int], Any]) -> list[tuple[str, Any]]:
    words = ("good", "warm", "lovely", "bad", "cold", "stale", "soup", "bread", "curry", "film")
    texts = [" ".join(words[(n * k) % 10] for k in (1, 3, 7, 9)) + f" {n}" for n in range(60)]
    return [(text, label(n)) for n, text in enumerate(texts)]


TWO, THREE = rows_of(lambda n: "ab"[n % 2]), rows_of(lambda n: "abc"[n % 3])
SEVERAL = rows_of(lambda n: json.dumps(["a"] if n % 3 else ["a", "b"]))
NUMBERS = rows_of(lambda n: n / 7 + 3)
SMALL: dict[str, Any] = {"hidden_size": 5, "embed_size": 4, "ngram_weight": 0}


def check(path: Path, texts: list[str] = TEXTS) -> None:
    """Compare what both say of texts."""
    by_torch, by_numpy = zoo.load(path), zoo.load(path, runtime="numpy")
    assert by_numpy.verify() < (1e-5 if by_numpy.info["dtype"] == "float32" else 1e-2)
    if by_torch.predicts:
        one: Any
        other: Any
        for one, other in zip(by_torch.predict(texts), by_numpy.predict(texts), strict=True):
            assert type(one) is type(other)
            assert one.known == other.known
            if hasattr(one, "scores"):
                assert one.columns()[0] == other.columns()[0]
                assert list(one.scores) == list(other.scores)
                scores = [list(found.scores.values()) for found in (one, other)]
                np.testing.assert_allclose(scores[0], scores[1], **CLOSE)
            else:
                np.testing.assert_allclose(one.values, other.values, **CLOSE)
    np.testing.assert_allclose(by_torch.embed(texts), by_numpy.embed(texts), **CLOSE)
    steps = zip(
        by_torch.embed(texts, per_step=True), by_numpy.embed(texts, per_step=True), strict=True
    )
    for one, other in steps:
        np.testing.assert_allclose(one, other, **CLOSE)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_models(model: str, layers: int, tmp_path: Path) -> None:
    name, _, merge = model.partition(" ")
    settings = {**SMALL, "num_layers": layers, **({"merge": merge} if merge else {})}
    settings["initial_state"] = "learned" if layers == 1 else "zeros"
    check(make_file(tmp_path, f"text-classification/{name}", TWO, **settings))


@pytest.mark.parametrize("model", ["lstm", "bigru"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "last+mean+max"])
def test_poolings(pooling: str, model: str, tmp_path: Path) -> None:
    check(
        make_file(tmp_path, f"text-classification/{model}", THREE, **{**SMALL, "pooling": pooling})
    )


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        ("text-classification", TWO), ("text-classification", THREE), ("text-multilabel", SEVERAL),
        ("text-regression", NUMBERS), ("sentiment", TWO),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "settings",
    [
        {"tokens": "subwords", "ngram_weight": 0.6, "fc_size": 3},
        {"tokens": "characters", "max_tokens": 20, "truncation": "head+tail"},
        {"tokens": "words", "ngram_bits": 6, "max_tokens": 5, "truncation": "tail"},
        {"tokens": "words", "input": "onehot", "dtype": "float16"},
        {"tokens": "words", "ngram_weight": 0.6, "dtype": "bfloat16"},
    ],
)
def test_tasks(
    task: str, rows: list[tuple[str, Any]], settings: dict[str, Any], tmp_path: Path
) -> None:
    check(make_file(tmp_path, f"{task}/bilstm", rows, **{**SMALL, **settings}))


@pytest.mark.parametrize("threshold", ["half", "f1"])
def test_a_threshold_decides(threshold: str, tmp_path: Path) -> None:
    settings = {**SMALL, "threshold": threshold, "calibration": "temperature"}
    check(make_file(tmp_path, "text-classification/gru", TWO, **settings))


@pytest.mark.parametrize("character_input", ["embedding", "onehot"])
@pytest.mark.parametrize(("model", "layers"), [("lstm", 1), ("gru", 2), ("rnn", 3)])
def test_generation(character_input: str, model: str, layers: int, tmp_path: Path) -> None:
    rows = [(text + "\n" + "unseen" * 3, "") for text, _ in TWO]
    settings = {"hidden_size": 7, "embed_size": 4, "num_layers": layers, "input": character_input}
    path = make_file(tmp_path, f"char-lm/{model}", rows, **settings)
    check(path, ["good", "", "bad bread"])
    check_generation(path, "go")


@pytest.mark.parametrize("softmax", ["full", "sampled", "adaptive"])
@pytest.mark.parametrize(("model", "layers"), [("lstm", 1), ("gru", 2), ("rnn", 3)])
def test_generation_of_words(model: str, layers: int, softmax: str, tmp_path: Path) -> None:
    settings = {"hidden_size": 7, "embed_size": 4, "num_layers": layers, "softmax": softmax,
                "min_count": 1, "dtype": "float16" if layers == 2 else "float32"}  # fmt: skip
    path = make_file(tmp_path, f"word-lm/{model}", TWO, **settings)
    check(path)
    check_generation(path, "Good, WARM soup: unseen")


def test_generation_of_words_in_several_clusters(tmp_path: Path) -> None:
    rows = [(" ".join(f"w{n + k}" for k in range(30)), "") for n in range(0, 2400, 30)]
    settings = {"hidden_size": 3, "embed_size": 5, "softmax": "adaptive", "min_count": 1}
    for max_vocab in (0, 4):  # From 2,000 words on, and of a few.
        path = make_file(tmp_path, "word-lm/lstm", rows, **settings, max_vocab=max_vocab)
        check(path, ["w1 w2 w900", "", "w4"])
        check_generation(path, "w5")


def check_generation(path: Path, prompt: str) -> None:
    """Compare what both draw after a prompt."""
    by_torch, by_numpy = zoo.load(path), zoo.load(path, runtime="numpy")
    drawing: list[dict[str, Any]] = [
        {"seed": 1}, {"seed": 2**32 - 1, "top_k": 3}, {"temperature": 0.0},
    ]  # fmt: skip
    for how in drawing:
        assert by_torch.generate(prompt, 40, **how) == by_numpy.generate(prompt, 40, **how)
    one, other = (
        list(model.stream("", 9, Sampling(2.0, 0, 0.8, 3), 5)) for model in (by_torch, by_numpy)
    )
    assert one == other


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
def test_draws_are_those_of_torch(seed: int) -> None:
    chances = torch.rand(3, 50)
    source, generator = Exponential(seed), torch.Generator().manual_seed(seed)
    for _ in range(20):
        drawn = draw_torch(chances, generator)
        assert draw(chances.numpy(), source).tolist() == drawn.tolist()


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(0.3), Sampling(1e40), Sampling(2, 3), Sampling(1, 0, 0.7),
                 Sampling(1, 99), Sampling(1.5, 4, 0.5)],
)  # fmt: skip
def test_probabilities_are_those_of_torch(sampling: Sampling) -> None:
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(
        probabilities(logits.numpy(), sampling), torch_probabilities(logits, sampling), atol=1e-6
    )


# What seqzoo has and seqzoo-runtime has not.
LACKING = (
    "torch", "charset_normalizer", "jinja2", "markupsafe", "numba", "requests", "rich", "scipy",
    "sklearn", "torchtext", "tqdm",
)  # fmt: skip
WITHOUT_TORCH = """
import sys
import tarfile
sys.modules.update(dict.fromkeys({lacking!r}))
from zoo.cli.main import main
sys.argv = ["zoo", *{arguments!r}]
main()
"""


def without_torch(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH.format(lacking=LACKING, arguments=arguments)],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_commands_answer_where_torch_is_not_installed(tmp_path: Path) -> None:
    found = without_torch(
        "predict", "imdb-bilstm", text="A film to remember.\nTwo hours that I want back.\n"
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert [line.split("\t")[0] for line in found.stdout.splitlines()] == ["pos", "neg"]
    found = without_torch("generate", "island-lstm", "--temperature", "0", "--length", "5")
    assert (found.returncode, len(found.stdout)) == (0, 6)
    target = tmp_path / "vectors.npy"
    found = without_torch("embed", "imdb-bilstm", "A film to remember.", "-o", str(target))
    assert np.load(target).shape == (1, 384), found.stderr
    found = without_torch("inspect", "imdb-bilstm")
    assert found.stdout.startswith("name"), found.stderr
    found = without_torch("verify", "imdb-bilstm")
    assert "probe agrees" in found.stdout, found.stderr


def test_words_are_generated_where_torch_is_not_installed(tmp_path: Path) -> None:
    path = make_file(tmp_path, "word-lm/lstm", TWO, hidden_size=5, embed_size=4, min_count=1)
    found = without_torch("generate", str(path), "--prompt", "good", "--length", "9", "--seed", "1")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"{zoo.load(path).generate('good', 9, seed=1)}\n"


@pytest.mark.parametrize(
    "arguments", [("train", "sample-lstm"), ("evaluate", "imdb-bilstm"), ("export", "x", "-o", "y")]
)
def test_what_needs_torch_says_so_in_a_line(arguments: tuple[str, ...]) -> None:
    found = without_torch(*arguments)
    assert found.returncode == 2
    line = found.stderr.splitlines()[-1]
    assert re.fullmatch(r"error: \w+ is not installed; pip install seqzoo", line), found.stderr


def test_torch_is_not_imported_for_answers() -> None:
    code = "import sys, zoo; list(zoo.load('imdb-bilstm', runtime='numpy').predict(['x'])); "
    found = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == "False\n"


def test_what_numpy_cannot_compute_is_computed_by_torch(tmp_path: Path) -> None:
    path = make_file(tmp_path, "text-classification/rnn-oh", TWO, ngram_weight=0, embed_size=4)
    with pytest.raises(NeedsTorchError, match=r"model 'rnn-oh' needs torch in .*pip install"):
        zoo.load(path, runtime="numpy")
    assert isinstance(zoo.load(path, runtime="auto"), zoo.TrainedModel)


def test_a_backend_that_is_asked_for_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_BACKEND", "torch")
    with pytest.raises(NeedsTorchError, match="ZOO_BACKEND"):
        zoo.load("imdb-bilstm", runtime="numpy")
    assert isinstance(zoo.load("imdb-bilstm", runtime="auto"), zoo.TrainedModel)


def test_an_evaluation_says_that_it_needs_torch() -> None:
    model = zoo.load("imdb-bilstm", runtime="numpy")
    with pytest.raises(UsageError, match=r"an evaluation is computed by torch.*load it with zoo"):
        model.evaluate("reviews.csv", split="all")


def test_another_device_is_of_torch() -> None:
    with pytest.raises(NeedsTorchError, match="cuda"):
        zoo.load("imdb-bilstm", "cuda", runtime="numpy")


def test_an_unknown_runtime_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'numpy'"):
        zoo.load("imdb-bilstm", runtime="nunpy")  # type: ignore[call-overload]


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "nan", "probe", "bytes"])
def test_damaged_files_are_refused_in_the_same_words(change: str, tmp_path: Path) -> None:
    header, tensors = parse(make_file(tmp_path, "text-classification/lstm", TWO, **SMALL))
    name = "rnn.weight_hh_l0"
    dtype, shape, data = tensors[name]
    changed: dict[str, Any] = {
        "missing": {key: value for key, value in tensors.items() if key != name},
        "extra": {**tensors, "other": (dtype, shape, data)},
        "shape": {**tensors, name: (dtype, shape[::-1], data)},
        "nan": {**tensors, name: (dtype, shape, np.full(shape, np.nan, np.float32).tobytes())},
        "probe": {**tensors, name: (dtype, shape, np.full(shape, 0.5, np.float32).tobytes())},
        "bytes": tensors,
    }[change]
    path = forge(tmp_path / "w", header, changed)
    if change == "bytes":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    said = []
    for runtime in ("torch", "numpy"):
        with pytest.raises(WeightsError) as raised:
            zoo.load(path, runtime=runtime)
        said.append(str(raised.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "name", ["imdb-bilstm", "imdb-bilstm-book", "island-lstm", "island-lstm-book"]
)
def test_published_files(name: str) -> None:
    texts = ["The island was good.", "A film", "bad"]
    by_torch, by_numpy = zoo.load(name), zoo.load(name, runtime="numpy")
    assert isinstance(by_numpy, InferenceModel)
    assert by_numpy.verify() < 1e-2
    np.testing.assert_allclose(by_torch.embed(texts), by_numpy.embed(texts), **CLOSE)
    assert repr(by_numpy).startswith(f"<InferenceModel name: {name}")
    if by_torch.predicts:
        one, other = list(by_torch.predict(texts)), list(by_numpy.predict(texts))
        assert [str(found) for found in one] == [str(found) for found in other]


def test_compiled_layers_and_numpy_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    texts = ["A film to remember " * n for n in (1, 7, 90)] + ["bad"] * 20
    found = {}
    for name in ("imdb-bilstm", "island-lstm"):
        for backend in ("auto", "numba"):
            monkeypatch.setenv("ZOO_BACKEND", backend)
            found[backend] = zoo.load(name, runtime="numpy").embed(texts[-3:])
        np.testing.assert_allclose(found["auto"], found["numba"], **CLOSE)


@pytest.mark.real_data
def test_labels_of_real_reviews_are_those_of_torch() -> None:
    texts = []
    with tarfile.open(REAL_DATA / "aclImdb_labelled.tar.gz", "r|gz") as archive:
        for member in archive:
            if member.isfile() and "/test/" in member.name and member.name.endswith(".txt"):
                file = archive.extractfile(member)
                assert file is not None
                texts.append(file.read().decode())
                if len(texts) == 1000:
                    break
    by_torch, by_numpy = (
        list(zoo.load("imdb-bilstm", runtime=runtime).predict(texts))
        for runtime in ("torch", "numpy")
    )
    assert [str(found) for found in by_torch] == [str(found) for found in by_numpy]
