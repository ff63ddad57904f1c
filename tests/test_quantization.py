"""8-bit weights: the file, what it computes, what `zoo export --quantize` measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from test_runtime import TWO, check, make_file
from weights_reader import Tensors, forge, parse

import zoo
from zoo import formats
from zoo.api import export, quantizing
from zoo.errors import UsageError, WeightsError
from zoo.weights.quantization import dequantize, quantize

SIZES = {"hidden_size": 24, "embed_size": 16}


def char_file(folder: Path, model: str = "lstm", dtype: str = "int8", **settings: Any) -> Path:
    """Write the file of a character model with random weights."""
    rows = [(text + "\n", "") for text, _ in TWO]
    return make_file(folder, f"char-lm/{model}", rows, **{**SIZES, **settings}, dtype=dtype)


def array(tensors: Tensors, name: str) -> Any:
    dtype, shape, content = tensors[name]
    return np.frombuffer(content, {"I8": "i1", "F32": "<f4"}[dtype]).reshape(shape)


def test_another_reader_multiplies_integers_by_scales(tmp_path: Path) -> None:
    exact = parse(char_file(tmp_path, dtype="float32"))[1]
    header, tensors = parse(path := char_file(tmp_path))
    assert (header["format"], header["dtype"]) == (3, "int8")
    module = zoo.load(path).module.state_dict()
    for name, (_, shape, _) in exact.items():
        if len(shape) == 1:
            assert tensors[name] == exact[name]
            continue
        integers, scale = array(tensors, name), array(tensors, f"{name}_scale")
        assert integers.dtype == np.int8
        assert scale.shape == (shape[0], 1)
        values = integers * scale
        assert np.all(np.abs(values - array(exact, name)) <= scale * 0.5001)
        # The product is exact, so every reader has the same bits.
        np.testing.assert_array_equal(module[name].numpy(), values)
        np.testing.assert_array_equal(values, integers * scale.astype(np.float64))
    assert tensors.keys() == exact.keys() | {f"{n}_scale" for n in exact if len(exact[n][1]) > 1}


def test_a_version_that_reads_format_2_names_the_one_that_reads_this(tmp_path: Path) -> None:
    header, _ = parse(char_file(tmp_path))
    with pytest.raises(WeightsError, match=r"has format 3 .* install seqzoo 0\.6\.0 or later"):
        formats.check_format(header, "file")


@pytest.mark.parametrize("shape", [(5, 40), (40, 3), (16, 16)])
@pytest.mark.parametrize("size", [1e-32, 1e-3, 1e30])
def test_quantizing_what_was_quantized_changes_nothing(shape: tuple[int, int], size: float) -> None:
    matrix = (np.random.default_rng(0).standard_normal(shape) * size).astype(np.float32)
    matrix[1] = 0
    integers, scale = quantize(matrix)
    again = quantize(dequantize(integers, scale))
    np.testing.assert_array_equal(again[0], integers)
    np.testing.assert_array_equal(again[1], scale)
    assert np.all(np.abs(dequantize(integers, scale) - matrix) <= scale * 0.5001)


@pytest.mark.parametrize("tokens", ["subwords", "words"])
def test_texts_are_answered_by_torch_and_numpy_alike(tokens: str, tmp_path: Path) -> None:
    settings = {"tokens": tokens, "ngram_weight": 0, "dtype": "int8", "fc_size": 4}
    check(make_file(tmp_path, "text-classification/bilstm", TWO, **SIZES, **settings))


@pytest.mark.parametrize("kind", ["int8", "float16", "float32"])
def test_products_of_the_kernel_are_those_of_numpy(kind: str) -> None:
    pytest.importorskip("numba")
    from zoo_recurrent.kernels.matvec import READS_FLOAT16, add_product, round_vector

    generator = np.random.default_rng(0)
    weight = generator.standard_normal((12, 48)).astype(np.float32)
    values = generator.uniform(-1, 1, 48).astype(np.float32)
    scale, expected = np.ones(11, np.float32), weight
    stored: Any = weight
    if kind == "float16":
        if not READS_FLOAT16:
            pytest.skip("the processor does not read float16")
        expected = weight.astype(np.float16)
        stored = expected.view(np.uint16)
    elif kind == "int8":
        stored, scale = quantize(weight)
        expected, scale = stored * scale, scale[:11, 0].copy()
    rounded, unit = np.zeros(48, np.int16), np.float32(0)
    if kind == "int8":
        unit = np.float32(round_vector(values, rounded))
        assert np.abs(rounded * unit - values).max() <= unit * 0.51
    sums, out = np.empty(12, np.float32), np.arange(11, dtype=np.float32)
    add_product(stored, scale, values, rounded, unit, sums, out)
    close = 1e-3 if kind == "int8" else 1e-5
    correct = np.arange(11) + expected[:11].astype(np.float64) @ values
    np.testing.assert_allclose(out, correct, atol=close)


@pytest.mark.parametrize(
    ("model", "settings", "dtype"),
    [
        ("lstm", {}, "float32"),
        ("lstm", {"num_layers": 2, "initial_state": "learned"}, "float16"),
        ("gru", {"num_layers": 2, "hidden_size": 17}, "float32"),
        ("rnn", {"input": "onehot"}, "float16"),
        ("lstm", {"num_layers": 2, "initial_state": "learned"}, "int8"),
        ("gru", {"num_layers": 2}, "int8"),
    ],
)
def test_compiled_generation_draws_the_same_characters(
    model: str,
    settings: dict[str, Any],
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("numba")
    file = char_file(tmp_path, model, dtype, **settings)
    by_torch, compiled = zoo.load(file), zoo.load(file, runtime="numpy")
    monkeypatch.setenv("ZOO_BACKEND", "numba")
    assert compiled.task.draw_loop(compiled.module, 1) is not None
    drawing: list[dict[str, Any]] = [
        {"seed": 1}, {"seed": 2, "top_k": 3}, {"seed": 3, "top_p": 0.7}, {"temperature": 0.0},
        {"seed": 4, "temperature": 0.5, "top_k": 9, "top_p": 0.9},
    ]  # fmt: skip
    for how in drawing:
        # Longer than one call of compiled code.
        assert compiled.generate("good", 150, **how) == by_torch.generate("good", 150, **how)


def first_scale(value: float) -> Callable[[Tensors], Any]:
    """Return what replaces the first scale of a matrix."""
    bits = np.float32(value).tobytes()
    return lambda t: ("F32", [96, 1], bits + t["rnn.weight_hh_l0_scale"][2][4:])


MALFORMED: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "of another dtype": (
        lambda t: ("F16", [96, 1], t["rnn.weight_hh_l0_scale"][2][: 96 * 2]),
        "rnn.weight_hh_l0_scale is float16, not float32",
    ),
    "one too few": (
        lambda t: ("F32", [95, 1], t["rnn.weight_hh_l0_scale"][2][:-4]),
        r"rnn.weight_hh_l0_scale has shape \(95, 1\), not \(96, 1\)",
    ),
    "a vector": (
        lambda t: ("F32", [96], t["rnn.weight_hh_l0_scale"][2]),
        r"rnn.weight_hh_l0_scale has shape \(96,\), not \(96, 1\)",
    ),
    **{
        name: (
            first_scale(value),
            "rnn.weight_hh_l0_scale has a scale that is not a finite number above 0",
        )
        for name, value in {"infinite": np.inf, "nan": np.nan, "negative": -1, "zero": 0}.items()
    },
    "too large": (
        lambda t: ("F32", [96, 1], np.full(96, 3e38, np.float32).tobytes()),
        "weights are not finite numbers: rnn.weight_hh_l0",
    ),
    "missing": (lambda t: None, "rnn.weight_hh_l0 is int8, not float32"),
}  # fmt: skip


@pytest.mark.parametrize("runtime", ["torch", "numpy"])
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_scales_are_refused(case: str, runtime: Any, tmp_path: Path) -> None:
    header, tensors = parse(char_file(tmp_path))
    change, message = MALFORMED[case]
    changed = {**tensors, "rnn.weight_hh_l0_scale": change(tensors)}
    changed = {name: tensor for name, tensor in changed.items() if tensor is not None}
    file = forge(tmp_path / "w", header, changed)
    with pytest.raises(WeightsError, match=message):
        zoo.load(file, runtime=runtime)


@pytest.mark.parametrize("runtime", ["torch", "numpy"])
def test_other_changes_are_refused(runtime: Any, tmp_path: Path) -> None:
    header, tensors = parse(char_file(tmp_path))
    name = "rnn.weight_hh_l0"
    dtype, shape, content = tensors[name]
    lowest = {**tensors, name: (dtype, shape, b"\x80" + content[1:])}
    with pytest.raises(WeightsError, match="integers are -127 to 127"):
        zoo.load(forge(tmp_path / "w", header, lowest), runtime=runtime)
    another = bytes([(content[0] + 1) % 100]) + content[1:]
    with pytest.raises(WeightsError, match="not those that the header describes"):
        changed = {**tensors, name: (dtype, shape, another)}
        zoo.load(forge(tmp_path / "w", header, changed), runtime=runtime)
    for wrong in ({"format": 2}, {"dtype": "float32"}, {"dtype": "int4"}):
        with pytest.raises(WeightsError, match="unknown dtype"):
            zoo.load(forge(tmp_path / "w", {**header, **wrong}, tensors), runtime=runtime)


@pytest.fixture
def run(train_here: Callable[..., zoo.Run], text_file: Path, tmp_path: Path) -> zoo.Run:
    settings = ("hidden_size=24", "embed_size=16", "bptt_steps=9", "steps=4", "evaluate_every=2")
    return train_here("char-lm/lstm", tmp_path / "run", *settings, data=text_file)


def test_export_measures_both_on_the_data_of_the_run(
    run: zoo.Run, text_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "q.safetensors"
    note = export(run.path, path, quantize="int8")
    quantized = zoo.load(path)
    exact = zoo.load(run.path).evaluate(text_file)
    rounded = quantized.evaluate(text_file)
    assert f"loss {exact['loss']:.4f} -> {rounded['loss']:.4f}" in note
    header, _ = parse(path)
    assert header["quantization"]["loss_before"] == exact["loss"]
    assert header["quantization"]["loss_after"] == rounded["loss"]
    assert header["metrics"]["test"]["loss"] == rounded["loss"]
    assert path.stat().st_size < (run.path / "weights.safetensors").stat().st_size
    # Stored anew, it has the same weights.
    export(path, tmp_path / "again.safetensors")
    assert parse(tmp_path / "again.safetensors")[1] == parse(path)[1]
    export(path, tmp_path / "f.safetensors", dtype="float32")
    header, tensors = parse(tmp_path / "f.safetensors")
    assert (header["format"], "quantization" in header) == (2, False)
    np.testing.assert_array_equal(
        array(tensors, "fc.weight"), quantized.module.state_dict()["fc.weight"].numpy()
    )


def test_weights_that_are_worse_are_not_written(
    run: zoo.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "q.safetensors"
    monkeypatch.setattr(quantizing, "MOST_LOSS", -1.0)
    with pytest.raises(WeightsError, match=r"int8 weights are worse in the test split: .*loss"):
        export(run.path, path, quantize="int8")
    assert not path.exists()
    export(run.path, path, quantize="int8", allow_worse=True)
    assert zoo.load(path).info["dtype"] == "int8"


@pytest.mark.parametrize(
    ("loss", "accuracy", "worse"),
    [(0.002, 0, False), (0.0021, 0, True), (-1, -0.001, False), (0, -0.0011, True)],
)
def test_the_limits(loss: float, accuracy: float, worse: bool) -> None:
    before = {"loss": 0.0, "accuracy": 0.0, "split": "test", "examples": 100_000}
    after = {**before, "loss": loss, "accuracy": accuracy}
    assert quantizing.compare(before, after)[1] is worse
    # One example of a few is within the limit.
    few = {"loss": 0.0, "accuracy": 0.9, "split": "test", "examples": 10}
    assert not quantizing.compare(few, {**few, "accuracy": 0.8})[1]


def test_a_training_starts_from_them(
    run: zoo.Run, text_file: Path, tmp_path: Path, train_here: Callable[..., zoo.Run]
) -> None:
    path = tmp_path / "q.safetensors"
    export(run.path, path, quantize="int8")
    settings = ("hidden_size=24", "embed_size=16", "bptt_steps=9", "steps=1", "learning_rate=1e-30")
    tuned = train_here(
        "char-lm/lstm", tmp_path / "tuned", *settings, data=text_file, init=str(path)
    )
    wanted = zoo.load(path).module.state_dict()
    for name, tensor in tuned.model.module.state_dict().items():
        assert torch.allclose(tensor, wanted[name], atol=1e-6)


def test_the_command(run: zoo.Run, tmp_path: Path, zoo_here: Run) -> None:
    path = tmp_path / "q.safetensors"
    done = zoo_here("export", run.path / "weights.safetensors", "-o", path, "--quantize", "int8")
    assert done.returncode == 0, done.stderr
    assert "outputs of the probe change by at most" in done.stderr
    assert "not measured" in done.stderr
    assert "int8" in zoo_here("inspect", path).stdout
    for arguments in (("--quantize", "int8", "--dtype", "float16"), ("--data", "sample")):
        done = zoo_here("export", run.path, "-o", tmp_path / "x", *arguments)
        assert done.returncode == 2, done.stderr
    with pytest.raises(UsageError, match="cannot quantize to 'int4'"):
        export(run.path, tmp_path / "x", quantize="int4")
