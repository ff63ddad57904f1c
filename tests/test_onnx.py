"""ONNX files of every shipped model and task, computed by ONNX Runtime, beside torch."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from torch import Tensor, nn

import zoo
import zoo.api
from zoo import installed
from zoo.errors import UsageError, WeightsError

onnx = pytest.importorskip("onnx", reason="needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from zoo_lm.char_network import CharPredictor  # noqa: E402
from zoo_lm.options import CharLMOptions, WordLMOptions  # noqa: E402
from zoo_lm.word_network import WordPredictor  # noqa: E402
from zoo_onnx import checking, layers  # noqa: E402
from zoo_onnx.language_models import LanguageModelTranslation  # noqa: E402
from zoo_onnx.texts import TextTranslation  # noqa: E402
from zoo_text.classification import TextClassification  # noqa: E402
from zoo_text.network import TextNetwork  # noqa: E402
from zoo_text.options import ClassificationOptions  # noqa: E402

READER = Path(__file__).parent.parent / "docs" / "onnx_reader.py"
MODELS = ["rnn", "lstm", "gru", "rnn-oh", "rnn-oo"]
MERGES = ["concat", "sum", "mul", "mean"]
CASES = [(name, "") for name in MODELS] + [
    (f"bi{name}", merge) for name in ("rnn", "lstm", "gru") for merge in MERGES
]
WORDS = 30


@pytest.fixture(scope="module")
def reader() -> Any:
    """The reader of the documentation: it imports neither zoo nor torch."""
    spec = importlib.util.spec_from_file_location("onnx_reader", READER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def session(translation: Any) -> Any:
    content = translation.graph.proto("0").SerializeToString()
    onnx.checker.check_model(content, full_check=True)
    return checking.open_session(content)


def builder(name: str, **options: Any) -> Any:
    """Return what builds a model with weights that are not close to zero, and a learned start."""

    if name.startswith("rnn-o"):
        options["output_size"] = 5

    def build(input_size: int) -> nn.Module:
        model: nn.Module = zoo.create_model(name, input_size, **options)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
        return model

    return build


def text_network(
    name: str, labels: int = 2, model: dict[str, Any] | None = None, **options: Any
) -> tuple[TextClassification, TextNetwork]:
    """Return a task of words w0, w1 ... and a network of it with random weights."""
    torch.manual_seed(1)
    settings = {
        "tokens": "words", "ngram_weight": 0.0, "calibration": "none", "embed_size": 5,
        "max_tokens": 0, **options,
    }  # fmt: skip
    task = TextClassification(ClassificationOptions(**settings))
    names = [f"label {n}" for n in range(labels)]
    words = ["<pad>", "<unk>", *(f"w{n}" for n in range(WORDS - 2))]
    task.load_state_dict({"vocabulary": words, "labels": names, "shares": [1 / labels] * labels})
    network = task.network(builder(name, hidden_size=6, **(model or {}))).eval()
    assert isinstance(network, TextNetwork)
    if network.ngrams is not None:
        nn.init.normal_(network.ngrams.weight)
    return task, network


def rows(*lengths: int, steps: int = 0) -> tuple[Tensor, Tensor]:
    """Return token ids whose padding is other token ids, and lengths."""
    generator = torch.Generator().manual_seed(sum(lengths))
    shape = len(lengths), steps or max(lengths)
    return torch.randint(WORDS, shape, generator=generator), torch.tensor(lengths)


BATCHES = [rows(1), rows(7, 1, 12, 3, 12), rows(4, 2, steps=9)]


@pytest.mark.parametrize(("name", "merge"), CASES)
def test_a_network_of_texts_gives_what_torch_gives(name: str, merge: str) -> None:
    for pooling in ("last", "mean", "max", "last+mean+max"):
        for num_layers in (1, 2):
            options = {"num_layers": num_layers} | ({"merge": merge} if merge else {})
            if "-o" not in name and num_layers == 2:
                options["initial_state"] = "learned"
            task, network = text_network(name, model=options, pooling=pooling)
            found = session(TextTranslation(task, network))
            for token_ids, lengths in BATCHES:
                given = {"token_ids": token_ids.numpy(), "lengths": lengths.numpy()}
                with torch.no_grad():
                    expected = network(token_ids, lengths)[0]
                (logits,) = found.run(["logits"], given)
                np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_language_model_continues_from_its_state(name: str) -> None:
    for num_layers, kind in ((1, "onehot"), (2, "embedding")):
        torch.manual_seed(1)
        options: dict[str, Any] = {"hidden_size": 6, "num_layers": num_layers}
        if "-o" not in name:
            options["initial_state"] = "learned"
        network = CharPredictor(
            builder(name, **options), CharLMOptions(input=kind, embed_size=4), WORDS
        ).eval()
        translation = LanguageModelTranslation(network)
        found = session(translation)
        token_ids, lengths = rows(9, 4, 6)
        state = {
            key: np.broadcast_to(
                np.array(each["initial"], np.float32),
                [3 if size == "batch" else size for size in each["shape"]],
            )
            for key, each in translation.state.items()
        }
        torch_state = None
        for _ in range(2):
            with torch.no_grad():
                expected, torch_state = network(token_ids, lengths, torch_state)
            given = {"token_ids": token_ids.numpy(), "lengths": lengths.numpy(), **state}
            names = [each["output"] for each in translation.state.values()]
            logits, *ends = found.run(["logits", *names], given)
            for row, length in enumerate(lengths):
                np.testing.assert_allclose(
                    logits[row, :length], expected[row, :length].numpy(), atol=1e-5
                )
            for end, part in zip(ends, torch_state, strict=True):
                np.testing.assert_allclose(end, part.numpy(), atol=1e-5)
            state = dict(zip(state, ends, strict=True))


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_a_language_model_of_words_gives_what_torch_gives(softmax: str) -> None:
    torch.manual_seed(1)
    options = WordLMOptions(embed_size=8, softmax=softmax)
    network = WordPredictor(builder("lstm", hidden_size=6), options, WORDS).eval()
    translation = LanguageModelTranslation(network)
    shapes = [sorted(constant.dims) for constant in translation.graph.constants]
    assert shapes.count([8, WORDS]) == 1  # Tied vectors are in the file once.
    found = session(translation)
    token_ids, lengths = rows(9, 4, 6)
    state = {name: np.zeros((1, 3, 6), np.float32) for name in ("h", "c")}
    given = {"token_ids": token_ids.numpy(), "lengths": lengths.numpy(), **state}
    (logits,) = found.run(["logits"], given)
    with torch.no_grad():
        expected = network(token_ids, lengths)[0].numpy()
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(logits[row, :length], expected[row, :length], atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"ngram_bits": 6, "fc_size": 7},
        {"input": "onehot", "ngram_bits": 12},
        {"calibration": "temperature", "threshold": "f1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", [2, 3])
def test_parts_of_a_network_of_texts_give_what_torch_gives(
    options: dict[str, Any], labels: int
) -> None:
    task, network = text_network("bigru", labels, **options)
    if task.calibrated:
        network.temperature.fill_(1.7)
        network.threshold.fill_(0.3)
    found = session(TextTranslation(task, network))
    for token_ids, lengths in BATCHES:
        with torch.no_grad():
            expected = network.combine(network(token_ids, lengths)[0], None)
        given = {"token_ids": token_ids.numpy(), "lengths": lengths.numpy()}
        logits, label, known = found.run(["logits", "label", "known"], given)
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
        assert [task.labels[n] for n in label] == task.answers(network, expected)
        shares = [(ids[:n] != 1).mean() for ids, n in zip(*given.values(), strict=True)]
        np.testing.assert_allclose(known, shares, atol=1e-6)


def texts_of(language: str) -> tuple[list[str], list[str]]:
    """Return 48 texts with labels."""
    verbs, things = ("like", "love", "hate", "regret"), [f"{language}{n}" for n in range(12)]
    texts = [f"I {verb} this {thing} :-D 10/10, isn't it?" for verb in verbs for thing in things]
    return texts, ["good"] * 24 + ["bad"] * 24


# What no training has seen, and tokens of every kind.
NEW = ["", "I HATE it <br /> so much! ;-) \u5f88\u597d", "love " * 300, "don\u2019t regret 2024"]
TASKS: dict[str, tuple[dict[str, Any], Callable[[list[str]], list[Any]]]] = {
    "words": ({"tokens": "words", "truncation": "tail", "max_tokens": 9}, lambda labels: labels),
    "subwords": ({}, lambda labels: labels),
    "subwords alone": ({"ngram_weight": 0.0}, lambda labels: labels),
    "characters": ({"tokens": "characters"}, lambda labels: labels),
    "three labels": ({"max_tokens": 4}, lambda labels: [*labels[:40], *["so so"] * 8]),
    "several labels": ({}, lambda labels: [[label, "thing"] for label in labels[:47]] + [[]]),
    "numbers": ({}, lambda labels: [3.5 if label == "good" else 1e6 for label in labels]),
}


@pytest.fixture(scope="module", params=TASKS)
def text_run(request: pytest.FixtureRequest, tmp_path_factory: Any) -> zoo.Run:
    settings, relabel = TASKS[request.param]
    texts, labels = texts_of("film")
    return zoo.fit(
        texts, relabel(labels), settings={"steps": 3, "hidden_size": 8, **settings},
        out=tmp_path_factory.mktemp("onnx") / "run", progress=False,
    )  # fmt: skip


def test_a_reader_without_zoo_gives_the_predictions_of_zoo(
    text_run: zoo.Run, reader: Any, tmp_path: Path
) -> None:
    note = zoo.api.export(text_run.path, tmp_path / "x.onnx")
    assert "on 48 texts of the data and 952 made-up texts" in note
    texts = [*NEW, *texts_of("book")[0]]
    network = reader.Network(str(tmp_path / "x.onnx"))
    found = network.answer(texts)
    for row, prediction in enumerate(text_run.model.predict(texts)):
        known: Any = prediction
        assert found["known"][row] == pytest.approx(known.known, abs=1e-4)
        if "values" in found:
            assert found["values"][row] == pytest.approx(known.values, rel=1e-6)
            continue
        assert found["probabilities"][row] == pytest.approx(list(known.scores.values()), abs=1e-5)
        names = network.learned["labels"]
        if "labels" in found:
            chosen = {names[n] for n in np.flatnonzero(found["labels"][row])}
            assert chosen == set(known.labels)
        else:
            assert names[found["label"][row]] == known.label


def test_the_file_says_what_it_is(text_run: zoo.Run, tmp_path: Path) -> None:
    zoo.api.export(text_run.path, tmp_path / "x.onnx")
    proto = onnx.load(tmp_path / "x.onnx")
    assert {each.domain: each.version for each in proto.opset_import} == {"": 18, "ai.onnx.ml": 4}
    header = json.loads({each.key: each.value for each in proto.metadata_props}["zoo"])
    model = text_run.model
    assert header["weights_sha256"] == model.weights_sha256
    assert header["task_state"] == model.task.state_dict()
    assert header["run"]["task"]["options"]["tokens"] == model.task.options.tokens  # type: ignore[attr-defined]
    assert {"zoo", "environment", "metrics", "onnx"} <= header.keys()
    assert header["metrics"]["validation"] == model.info["metrics"]["validation"]


def test_a_reader_without_zoo_generates_what_zoo_generates(
    char_lm_run: Path, reader: Any, tmp_path: Path
) -> None:
    assert "windows of the data" in zoo.api.export(char_lm_run, tmp_path / "x.onnx")
    network = reader.Network(str(tmp_path / "x.onnx"))
    expected = zoo.load(char_lm_run).generate("The 1st", 40, temperature=0)
    assert network.generate("The 1st", 40) == expected


# What cannot be exported, and what is not as it should be


def test_a_graph_that_computes_something_else_leaves_no_file(
    char_lm_run: Path, zoo_here: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(layers._OPERATORS, "LSTM", ("LSTM", (0, 1, 2, 3)))
    done = zoo_here("export", char_lm_run, "-o", tmp_path / "x.onnx")
    assert done.returncode == WeightsError.exit_code
    assert (
        "error: the ONNX file does not compute what the network does: logits differs" in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_on_demand_alone(char_lm_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.ONNX"
    target.write_text("here before")
    with pytest.raises(UsageError, match="file exists"):
        zoo.api.export(char_lm_run, target)
    assert target.read_text() == "here before"
    zoo.api.export(char_lm_run, target, overwrite=True)
    onnx.checker.check_model(target.read_bytes())


def test_a_missing_extra_is_told(
    char_lm_run: Path, zoo_here: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [n for n in sys.modules if n.startswith("zoo_onnx.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = zoo_here("export", char_lm_run, "-o", tmp_path / "x.onnx")
    assert done.returncode == UsageError.exit_code
    assert "pip install 'seqzoo[onnx]'" in done.stderr
    assert done.stderr.count("\n") == 1


# Models and networks of other packages


class RunningMean(nn.Module):
    """The mean of a layer over all steps so far."""

    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, 6
        self.linear = nn.Linear(input_size, 6)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        mask = (torch.arange(inputs.shape[1]) < lengths[:, None])[..., None]
        values = torch.tanh(self.linear(inputs)) * mask
        zero = inputs.new_zeros(1, len(inputs), 1)
        total, count = state or (zero.expand(-1, -1, self.output_size), zero)
        sums, counts = total[0][:, None] + values.cumsum(1), count[0][:, None] + mask.cumsum(1)
        return sums / counts * mask, (sums[None, :, -1], counts[None, :, -1])


class Looping(RunningMean):
    """A loop over steps in Python."""

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs = []
        for step, x in enumerate(inputs.unbind(1)):
            output, state = super().forward(x[:, None], (lengths - step).clamp_min(0), state)
            outputs.append(output)
        assert state
        return torch.cat(outputs, dim=1), state


@pytest.fixture
def own_models() -> Iterator[None]:
    for name, target in {"running-mean": RunningMean, "looping": Looping}.items():
        zoo.register(zoo.ModelInfo(name=name, summary="", target=target, causal=True))
    yield
    installed.forget()


@pytest.mark.usefixtures("own_models")
def test_a_model_of_another_package_is_traced_by_torch(text_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript")
    for task, data in (("sentiment", ""), ("char-lm", text_file)):
        run = zoo.train(
            f"{task}/running-mean", str(data), out=tmp_path / task, settings={"steps": 2},
            progress=False,
        )  # fmt: skip
        note = zoo.api.export(run.path, tmp_path / f"{task}.onnx")
        assert "ONNX Runtime" in note


@pytest.mark.usefixtures("own_models")
def test_a_model_that_torch_cannot_trace_is_refused_in_a_line(
    tmp_path: Path, zoo_here: Run
) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript")
    zoo.train("sentiment/looping", out=tmp_path / "run", settings={"steps": 2}, progress=False)
    done = zoo_here("export", tmp_path / "run", "-o", tmp_path / "x.onnx")
    assert done.returncode == UsageError.exit_code
    assert "error: the model Looping cannot be exported to ONNX: torch cannot trace" in done.stderr
    assert not (tmp_path / "x.onnx").exists()
