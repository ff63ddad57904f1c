"""Submodels: a second model of a task, chosen and configured by ``--set``, stored and rebuilt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_task import TOY_PAIR
from weights_reader import forge, parse

import zoo
from zoo import api, installed
from zoo.building import build_network, build_task
from zoo.errors import PluginError, UsageError, WeightsError
from zoo.options import to_json
from zoo.registry import Registry
from zoo.settings import resolve
from zoo.spec import RunSpec
from zoo.weights import file as weights_file


@pytest.fixture
def toys() -> Iterator[Registry]:
    """The registry with the task of two models."""
    installed.forget()
    zoo.register(TOY_PAIR)
    yield installed.registry()
    installed.forget()


@pytest.fixture
def run(toys: Registry, train_here: Callable[..., zoo.Run], tmp_path: Path) -> zoo.Run:
    return train_here(
        "toy-pair/gru", tmp_path / "run", "decoder=lstm", "decoder.hidden_size=3",
        "model.hidden_size=5", "epochs=2",
    )  # fmt: skip


def decoder(spec: RunSpec) -> tuple[str, Any]:
    component = spec.network.submodels["decoder"]
    return component.info.name, to_json(component.options)["hidden_size"]


def test_a_submodel_is_chosen_and_configured_by_settings(toys: Registry) -> None:
    assert decoder(resolve("toy-pair/lstm", toys)) == ("rnn", 64)
    chosen = {"decoder": "gru", "decoder.hidden_size": "8", "model.hidden_size": "5"}
    spec = resolve("toy-pair/lstm", toys, chosen)
    assert decoder(spec) == ("gru", 8)
    assert to_json(spec.network.model.options)["hidden_size"] == 5
    assert decoder(resolve("toy-pair/lstm", toys, {"task.decoder": "gru"})) == ("gru", 64)


def test_both_models_are_built_with_their_options(toys: Registry) -> None:
    chosen = {"decoder": "gru", "decoder.hidden_size": "8", "model.hidden_size": "5"}
    spec = resolve("toy-pair/bilstm", toys, chosen)
    network: Any = build_network(build_task(spec.network.task), spec.network)
    assert (network.encoder.input_size, network.encoder.output_size) == (1, 10)
    assert (network.rnn.input_size, network.rnn.output_size) == (10, 8)


def test_a_key_of_model_and_submodel_is_ambiguous(toys: Registry) -> None:
    with pytest.raises(UsageError, match=r"say model\.hidden_size or decoder\.hidden_size"):
        resolve("toy-pair/lstm", toys, {"hidden_size": "8"})


def test_a_submodel_is_held_to_needs_causal(toys: Registry) -> None:
    message = "model 'bigru' cannot be used as decoder for task 'toy-pair'"
    with pytest.raises(UsageError, match=message):
        resolve("toy-pair/lstm", toys, {"decoder": "bigru"})
    # The encoder may read in both directions, also where it is the model of the same name.
    assert resolve("toy-pair/bigru", toys, {"decoder": "gru"}).network.model.info.name == "bigru"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoder.hiden_size": "8"}, r"decoder\.hiden_size: unknown setting \(did you mean"),
        ({"decoder.merge": "sum"}, r"decoder\.merge: unknown setting"),
        ({"decoder.hidden_size": "0"}, r"decoder\.hidden_size: 0 is less than 1"),
        ({"decoder": "grru"}, r"decoder: no model 'grru' \(did you mean 'gru'"),
        ({"encoder": "gru"}, r"encoder: unknown setting"),
        ({"decoder.dropout": "0.5"}, r"decoder: dropout acts between layers"),
    ],
)
def test_a_bad_setting_of_a_submodel_is_reported(
    settings: dict[str, str], message: str, toys: Registry
) -> None:
    with pytest.raises(UsageError, match=message):
        resolve("toy-pair/lstm", toys, settings)


def test_a_submodel_is_part_of_the_json_form(toys: Registry) -> None:
    spec = resolve("toy-pair/lstm", toys, {"decoder": "gru", "decoder.hidden_size": "8"})
    document = json.loads(json.dumps(spec.to_json()))
    assert document["submodels"]["decoder"]["name"] == "gru"
    assert document["submodels"]["decoder"]["options"]["hidden_size"] == 8
    assert document["submodels"]["decoder"]["distribution"] == "seqzoo"
    assert RunSpec.from_json(document, toys) == spec
    with pytest.raises(WeightsError, match="damaged"):
        RunSpec.from_json({**document, "submodels": {}}, toys)


def test_run_directory_and_weights_file_describe_the_submodel(run: zoo.Run) -> None:
    header, tensors = parse(run.path / "weights.safetensors")
    config = json.loads((run.path / "config.json").read_text())
    for document in (config, header["run"]):
        assert document["submodels"]["decoder"]["name"] == "lstm"
        assert document["submodels"]["decoder"]["options"]["hidden_size"] == 3
    assert tensors["rnn.weight_ih_l0"][1] == [12, 5]


def test_both_models_are_rebuilt_on_load(run: zoo.Run) -> None:
    model = zoo.load(run.path)
    assert model.spec.submodels["decoder"].info.name == "lstm"
    plain = torch.nn.GRU(1, 5, batch_first=True), torch.nn.LSTM(5, 3, batch_first=True)
    state = model.module.state_dict()
    for name, module in zip(("encoder", "rnn"), plain, strict=True):
        prefix = f"{name}."
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
    inputs = torch.randn(3, 4, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = plain[1](plain[0](inputs)[0])[0][:, -1]
        expected = outputs @ state["fc.weight"][0] + state["fc.bias"]
        found = model.module(inputs, torch.tensor([4, 4, 4]))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert model.verify() < 1e-6


def test_a_run_with_a_submodel_resumes(
    toys: Registry, train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    settings = ("decoder=lstm", "decoder.hidden_size=3", "epochs=2")
    whole = train_here("toy-pair/gru", tmp_path / "whole", *settings)
    train_here("toy-pair/gru", tmp_path / "parts", *settings, stop_after=3)
    parts = train_here("toy-pair/gru", tmp_path / "parts", resume=True)
    for name, tensor in whole.model.module.state_dict().items():
        assert torch.equal(parts.model.module.state_dict()[name], tensor)


def test_resuming_with_other_settings_of_a_submodel_is_refused(run: zoo.Run) -> None:
    same = {"decoder": "lstm", "decoder.hidden_size": "3"}
    api.check_same_run(run.path, "toy-pair/gru", settings=same)
    for other in ({"decoder": "rnn"}, {"decoder": "lstm", "decoder.hidden_size": "4"}):
        with pytest.raises(UsageError, match=r"(task\.decoder|decoder\.hidden_size) differ"):
            api.check_same_run(run.path, "toy-pair/gru", settings=other)


def test_a_submodel_that_is_not_installed_is_named(run: zoo.Run, tmp_path: Path) -> None:
    header, tensors = parse(run.path / "weights.safetensors")
    strange = {"name": "mgu", "options": {}, "distribution": "zoo-mgu", "version": "1.2"}
    changed = {**header, "run": {**header["run"], "submodels": {"decoder": strange}}}
    file = forge(tmp_path / "w", changed, tensors)
    with pytest.raises(PluginError, match=r"decoder 'mgu'.*zoo-mgu 1\.2.*pip install zoo-mgu"):
        zoo.load(file)
    assert weights_file.inspect(file).header["run"]["submodels"]["decoder"] == strange


@pytest.mark.parametrize(
    "submodels",
    [
        {}, {"decoder": None}, {"decoder": "lstm"}, {"decoder": {}},
        {"decoder": {"name": "lstm", "options": [], "distribution": "", "version": ""}},
        {"decoder": {"name": ["lstm"], "options": {}, "distribution": "", "version": ""}},
        {"decoder": {"name": "lstm", "options": {"x": 1}, "distribution": "", "version": ""}},
        {"decoder": {"name": "bilstm", "options": {}, "distribution": "seqzoo", "version": ""}},
    ],
)  # fmt: skip
def test_a_malformed_submodel_in_a_header_is_refused(
    submodels: Any, run: zoo.Run, tmp_path: Path
) -> None:
    header, tensors = parse(run.path / "weights.safetensors")
    changed = {**header, "run": {**header["run"], "submodels": submodels}}
    with pytest.raises(WeightsError) as failed:
        zoo.load(forge(tmp_path / "w", changed, tensors))
    assert "\n" not in str(failed.value)
