"""Metrics in weights files are of the weights beside them; what does not verify is not exported."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from weights_reader import DTYPES, Tensors, before_digests, forge, parse

import zoo
from zoo import api
from zoo.errors import UsageError, WeightsError, ZooWarning
from zoo.weights import checking, probe
from zoo.weights.comparison import Comparison
from zoo.weights.file import weights_digest

SETTINGS = ("steps=4", "hidden_size=5", "embed_size=6", "evaluate_every=2")


@pytest.fixture(scope="module")
def run(
    train_here: Callable[..., zoo.Run], text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("metrics") / "run"
    train_here("char-lm/lstm", out, *SETTINGS, data=text_file)
    api.evaluate(out, text_file, progress=False)
    return out


@pytest.fixture
def path(run: Path, tmp_path: Path) -> Path:
    zoo.api.export(run, tmp_path / "exported")
    return tmp_path / "exported"


def digest_of(tensors: Tensors) -> str:
    loaded = {}
    for name, (dtype, shape, content) in tensors.items():
        kind = getattr(torch, DTYPES[dtype])
        loaded[name] = torch.frombuffer(bytearray(content), dtype=kind).view(shape)
    return weights_digest(loaded)


def with_weights(header: dict[str, Any], tensors: Tensors, to: Path) -> Path:
    """Write a file with all digests computed anew, but with the metrics and probe of before."""
    return forge(to, {**header, "metrics": {}, "weights_sha256": digest_of(tensors)}, tensors)


def other(tensors: Tensors) -> Tensors:
    dtype, shape, content = tensors["fc.bias"]
    values = torch.frombuffer(bytearray(content), dtype=torch.float32) + 1
    return {**tensors, "fc.bias": (dtype, shape, values.numpy().tobytes())}


def test_every_entry_says_what_it_was_measured_on(path: Path, text_file: Path) -> None:
    header, tensors = parse(path)
    assert header["weights_sha256"] == digest_of(tensors)
    assert set(header["metrics"]) == {"validation", "test"}
    for entry in header["metrics"].values():
        assert entry["weights_sha256"] == header["weights_sha256"]
        assert entry["data_sha256"] == header["data"]["sha256"]
        assert "measured_dtype" not in entry
    again = zoo.load(path).evaluate(text_file)
    assert again["loss"] == pytest.approx(header["metrics"]["test"]["loss"])
    assert again["weights_sha256"] == header["weights_sha256"]


@pytest.mark.filterwarnings("ignore::zoo.errors.ZooWarning")
def test_a_score_of_other_weights_is_not_exported(
    train_here: Callable[..., zoo.Run], text_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train_here("char-lm/lstm", out, *SETTINGS, data=text_file, stop_after=2)
    api.evaluate(out, text_file, progress=False)
    stale = (out / "evaluations.json").read_text()
    train_here("", out, resume=True)
    (out / "evaluations.json").write_text(stale)  # As if both had happened at once.
    api.export(out, tmp_path / "w")
    header = parse(tmp_path / "w")[0]
    assert set(header["metrics"]) == {"validation"}
    assert header["metrics"]["validation"]["step"] == 4


def test_changed_weights_keep_no_metrics(path: Path, text_file: Path, tmp_path: Path) -> None:
    model = zoo.load(path)
    measured = model.evaluate(text_file)
    with torch.no_grad():
        next(model.module.parameters()).mul_(0.5)
    assert not any("loss" in fact for fact in model.facts())
    with pytest.warns(ZooWarning, match="test are left out: they are of other weights"):
        model.save(tmp_path / "a", metrics={"test": measured})
    assert parse(tmp_path / "a")[0]["metrics"] == {}
    model.save(tmp_path / "b", metrics={"test": model.evaluate(text_file)})
    assert list(parse(tmp_path / "b")[0]["metrics"]) == ["test"]
    assert zoo.load(tmp_path / "b").verify() < 1e-6


def test_metrics_of_before_rounding_are_marked(
    path: Path, text_file: Path, tmp_path: Path, zoo_here: Run
) -> None:
    zoo.load(path).save(tmp_path / "half", dtype="float16")
    half = zoo.load(tmp_path / "half")
    half.save(tmp_path / "again", metrics={"test": half.evaluate(text_file)})
    header = parse(tmp_path / "again")[0]
    assert header["dtype"] == "float16"  # As the file was.
    assert header["metrics"]["validation"]["measured_dtype"] == "float32"
    assert "measured_dtype" not in header["metrics"]["test"]
    assert header["metrics"]["test"]["weights_sha256"] == header["weights_sha256"]
    shown = zoo_here("inspect", tmp_path / "again").stdout
    assert "measured on validation (before the weights were stored as float16)" in shown
    assert "measured on test\n" in shown


def test_metrics_of_earlier_versions_are_marked(path: Path, tmp_path: Path, zoo_here: Run) -> None:
    header, tensors = parse(path)
    old = forge(tmp_path / "old", before_digests(header), tensors)
    api.export(old, tmp_path / "new")
    entry = parse(tmp_path / "new")[0]["metrics"]["test"]
    assert entry["weights_sha256"] == ""
    assert "did not say of which weights" in zoo_here("inspect", tmp_path / "new").stdout


def test_a_file_that_does_not_verify_is_not_exported(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    bad = with_weights(header, other(tensors), tmp_path / "bad")
    with pytest.raises(WeightsError, match="probe does not agree"):
        zoo.load(bad)
    with pytest.raises(WeightsError, match="probe does not agree"):
        api.export(bad, tmp_path / "w")
    with pytest.raises(WeightsError, match="probe does not agree"):
        zoo.load(bad, probe=False).save(tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_the_metrics_of_a_file_are_of_its_weights(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    header["metrics"]["test"]["weights_sha256"] = "0" * 64
    with pytest.raises(WeightsError, match="metrics of test are of other weights"):
        zoo.load(forge(tmp_path / "w", header, tensors))


def test_the_probe_is_computed_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    computed: list[int] = []
    compare = probe.compare

    def counted(*args: Any) -> Comparison:
        computed.append(1)
        return compare(*args)

    monkeypatch.setattr(probe, "compare", counted)
    zoo.load(path, probe=False)
    assert computed == []
    for _ in range(3):
        zoo.load(path)
    assert computed == [1]
    monkeypatch.setattr(checking, "__version__", "99")
    with pytest.warns(ZooWarning, match=r"was trained with zoo \S+ \(now 99\)"):
        zoo.load(path)
    assert computed == [1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zoo.load(path)


def test_outputs_that_differ_under_other_versions_are_said_at_each_load(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    header["environment"]["torch"] = "1.0.0"
    header["probe"]["outputs"][0][0][0] += 0.01
    file = forge(tmp_path / "w", header, tensors)
    for _ in range(2):
        with pytest.warns(ZooWarning, match=r"torch 1\.0\.0 \(now .*outputs differ by 0\.01"):
            zoo.load(file)
    header["environment"]["torch"] = torch.__version__
    with pytest.raises(WeightsError, match="probe does not agree"):
        zoo.load(forge(tmp_path / "w", header, tensors))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, path: Path, tmp_path: Path) -> None:
    model = zoo.load(path)
    with torch.no_grad():
        next(model.module.parameters()).view(-1)[0] = value
    with pytest.raises(WeightsError, match=r"not finite numbers: embedding\.weight"):
        model.save(tmp_path / "w")
    header, tensors = parse(path)
    dtype, shape, _ = tensors["fc.bias"]
    values = torch.full(shape, value).numpy().tobytes()
    changed = {**tensors, "fc.bias": (dtype, shape, values)}
    with pytest.raises(WeightsError, match=r"not finite numbers: fc\.bias"):
        zoo.load(with_weights(header, changed, tmp_path / "w"), probe=False)


def test_a_converted_network_is_not_saved(path: Path, tmp_path: Path) -> None:
    model = zoo.load(path)
    model.module.double()
    with pytest.raises(UsageError, match=r"is float64.*it was float32.*module\.float"):
        model.save(tmp_path / "w")


def test_a_file_opens_no_path_and_starts_no_download(
    path: Path, text_file: Path, tmp_path: Path, zoo_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, tensors = parse(path)
    for name, why in ((str(text_file), "not known by name"), ("island", "--data island")):
        named = {**header, "data": {**header["data"], "name": name}}
        done = zoo_here("evaluate", forge(tmp_path / "w", named, tensors), "--threads", 1)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr
    assert zoo_here("evaluate", path, "--data", text_file, "--threads", 1).returncode == 0


def test_a_run_starts_no_download(run: Path, tmp_path: Path, zoo_here: Run) -> None:
    out = tmp_path / "received"
    out.mkdir()
    (out / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    config = json.loads((run / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "data": "island"}))
    done = zoo_here("evaluate", out, "--threads", 1)
    assert done.returncode == 2
    assert "a file does not start a download by itself" in done.stderr


def test_the_name_of_a_recipe_over_other_data_is_not_shown_as_the_recipe(
    path: Path, text_file: Path, tmp_path: Path, zoo_here: Run
) -> None:
    header, tensors = parse(path)
    header["run"]["name"] = "island-lstm"
    shown = "island-lstm, on other data than the recipe's"
    other_data = forge(tmp_path / "w", header, tensors)
    assert shown in zoo_here("inspect", other_data).stdout
    model = zoo.load(other_data)
    assert model.facts()["name"] == model.evaluate(text_file)["name"] == shown
    sha256 = api.registry().get(zoo.records.Recipe, "island-lstm").metrics["data_sha256"]
    header["data"]["sha256"] = sha256
    assert zoo.load(forge(tmp_path / "v", header, tensors)).display_name == "island-lstm"
