"""Compiled layers and torch's layers give the same results, and either can be chosen."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
import zoo_recurrent
from zoo.errors import UsageError
from zoo.nn import OneHot, forward_embedded
from zoo_recurrent import backends, environment, torch_layers

CAUSAL = ["rnn", "lstm", "gru"]
BIDIRECTIONAL = ["birnn", "bilstm", "bigru"]
OUTPUT_RECURRENCES = ["rnn-oh", "rnn-oo"]
LENGTHS = torch.tensor([7, 1, 12, 12, 3, 9])
INPUT, HIDDEN = 5, 8
SAME = 2e-6


def create(name: str, input_size: int = INPUT, **options: Any) -> Any:
    torch.manual_seed(11)
    return zoo.create_model(name, input_size, hidden_size=HIDDEN, **options)


def make_token_ids(vocabulary: int = INPUT, copies: int = 1) -> Tensor:
    torch.manual_seed(7)
    return torch.randint(vocabulary, (len(LENGTHS), 12)).repeat(copies, 1)


def results_and_gradients(
    result: tuple[Tensor, tuple[Tensor, ...]], wrt: list[Tensor]
) -> list[Tensor]:
    outputs, state = result
    torch.manual_seed(6)
    loss = torch.stack([(part * torch.randn_like(part)).mean() for part in (outputs, *state)])
    return [outputs, *state, *torch.autograd.grad(loss.sum(), wrt)]


@pytest.mark.parametrize("written_out", [True, False])
@pytest.mark.parametrize("kind", ["vectors", "one-hot", "embedding"])
@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_backends_agree(
    name: str, kind: str, written_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    if not written_out:
        monkeypatch.setattr(torch_layers, "MAX_ONE_HOT", 0)
    model = create(name, num_layers=2, initial_state="learned")
    embedding = torch.randn(30, INPUT, requires_grad=True)
    inputs = torch.randn(len(LENGTHS), 12, INPUT, requires_grad=True)
    lengths = LENGTHS.clone()
    lengths[3] = 0
    found = []
    for backend in ("numba", "torch"):
        monkeypatch.setenv("ZOO_BACKEND", backend)
        wrt = list(model.parameters())
        if kind == "vectors":
            result = model(inputs, lengths)
            wrt.append(inputs)
        elif kind == "one-hot":
            result = model.forward_embedded(None, make_token_ids(), lengths)
        else:
            result = model.forward_embedded(embedding, make_token_ids(30), lengths)
            wrt.append(embedding)
        found.append(results_and_gradients(result, wrt))
    torch.testing.assert_close(found[0], found[1], atol=SAME, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_a_row_without_steps_keeps_its_state(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_BACKEND", backend)
    model = create("bilstm")
    state = tuple(torch.randn(2, 3, HIDDEN) for _ in range(2))
    inputs = torch.full((3, 4, INPUT), float("nan"))
    inputs[0, :2] = 1
    outputs, end = model(inputs, torch.tensor([2, 0, 0]), state)
    assert not outputs[1:].any()
    for part, initial in zip(end, state, strict=True):
        assert torch.equal(part[:, 1:], initial[:, 1:])
        assert not torch.equal(part[:, 0], initial[:, 0])
    outputs.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_a_few_steps_give_the_same_as_many(name: str) -> None:
    """Without gradient torch's layers compute a few steps, and compiled layers many."""
    model = create(name, num_layers=2, initial_state="learned")
    inputs, token_ids = torch.randn(len(LENGTHS), 12, INPUT), make_token_ids()
    with torch.no_grad():
        for few, many in (
            (model(inputs, LENGTHS), model(inputs.repeat(100, 1, 1), LENGTHS.repeat(100))),
            (
                model.forward_embedded(None, token_ids, LENGTHS),
                model.forward_embedded(None, token_ids.repeat(100, 1), LENGTHS.repeat(100)),
            ),
        ):
            torch.testing.assert_close(few[0], many[0][: len(LENGTHS)], atol=SAME, rtol=0)
            for part, end in zip(few[1], many[1], strict=True):
                torch.testing.assert_close(part, end[:, : len(LENGTHS)], atol=SAME, rtol=0)


@pytest.mark.parametrize("copies", [1, 100])
@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL)
def test_rows_of_an_embedding_are_looked_up(name: str, copies: int) -> None:
    options: dict[str, Any] = {"merge": "mul"} if name in BIDIRECTIONAL else {}
    model = create(name, num_layers=2, initial_state="learned", **options)
    weight = torch.randn(30, INPUT)
    token_ids, lengths = make_token_ids(30, copies), LENGTHS.repeat(copies)
    with torch.no_grad():
        expected = model(weight[token_ids], lengths)
        found = model.forward_embedded(weight, token_ids, lengths)
        _, end = model.forward_embedded(weight, token_ids, lengths, return_outputs=False)
        continued = model.forward_embedded(weight, token_ids, lengths, end)
        further = model(weight[token_ids], lengths, end)
    torch.testing.assert_close(found, expected, atol=SAME, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(end, found[1], strict=True))
    torch.testing.assert_close(continued, further, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", CAUSAL + BIDIRECTIONAL + OUTPUT_RECURRENCES)
def test_no_weight_stands_for_one_hot_vectors(name: str) -> None:
    model, token_ids = create(name, num_layers=2), make_token_ids()
    parameters = list(model.parameters())
    vectors = nn.functional.one_hot(token_ids, INPUT).float()
    found, expected = (
        results_and_gradients(result, parameters)
        for result in (model.forward_embedded(None, token_ids, LENGTHS), model(vectors, LENGTHS))
    )
    torch.testing.assert_close(found, expected, atol=SAME, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_one_hot_vectors_of_a_vocabulary_are_not_written_out(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_BACKEND", backend)
    monkeypatch.delattr(nn.functional, "one_hot")
    model = create("lstm", 100_000)
    with torch.no_grad():
        outputs, _ = model.forward_embedded(
            None, torch.randint(100_000, (1, 300)), torch.tensor([300])
        )
    assert outputs.shape == (1, 300, HIDDEN)


@pytest.mark.parametrize("embedded", [True, False])
@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_steps_equal_the_forward_pass(name: str, embedded: bool) -> None:
    model, token_ids = create(name, num_layers=2), make_token_ids()
    weight = torch.randn(INPUT, INPUT) if embedded else None
    with torch.no_grad():
        expected, end = model.forward_embedded(weight, token_ids, torch.full_like(LENGTHS, 12))
        step, state = model.decode_step(weight), None
        outputs = []
        for ids in token_ids.unbind(1):
            output, state = step(ids, state)
            outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, dim=1), expected, atol=SAME, rtol=0)
    torch.testing.assert_close(state, end, atol=SAME, rtol=0)


@pytest.mark.parametrize("name", CAUSAL)
def test_compiled_layers_refuse_second_derivatives(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("ZOO_BACKEND", "numba")
    inputs = torch.randn(len(LENGTHS), 12, INPUT, requires_grad=True)
    outputs, _ = create(name)(inputs, LENGTHS)
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(outputs.sum(), inputs, create_graph=True)


def test_a_few_steps_are_compiled_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    model, called = create("lstm"), []
    monkeypatch.setattr(backends, "_run_kernels", lambda *arguments: called.append(arguments))
    for backend, number in (("auto", 0), ("compiled", 1)):
        monkeypatch.setenv("ZOO_BACKEND", backend)
        with torch.no_grad(), contextlib.suppress(TypeError):
            model(torch.randn(6, 12, INPUT), LENGTHS)
        assert len(called) == number


def test_hooks_of_the_model_are_called_in_forward_embedded() -> None:
    model, called = create("lstm"), []
    model.register_forward_hook(lambda module, inputs, outputs: called.append(module))
    forward_embedded(model, OneHot(INPUT), make_token_ids(), LENGTHS)
    assert called == [model]


def test_an_unknown_backend_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_BACKEND", "nunba")
    with pytest.raises(UsageError, match=r"did you mean 'numba'.*auto, compiled, numba, torch"):
        create("lstm")(torch.randn(6, 12, INPUT), LENGTHS)


def test_a_missing_numba_is_an_error_only_where_it_is_demanded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs = create("lstm"), torch.randn(6, 12, INPUT)
    expected = model(inputs, LENGTHS)
    monkeypatch.setitem(sys.modules, "numba", None)
    environment.numba_works.cache_clear()
    try:
        torch.testing.assert_close(model(inputs, LENGTHS), expected, atol=SAME, rtol=0)
        assert zoo_recurrent.zoo_environment() == {
            "recurrent backend": "torch (numba is not installed)"
        }
        monkeypatch.setenv("ZOO_BACKEND", "numba")
        with pytest.raises(UsageError, match="set ZOO_BACKEND=torch"):
            model(inputs, LENGTHS)
        with pytest.raises(UsageError, match="not installed"):
            zoo_recurrent.zoo_environment()
    finally:
        environment.numba_works.cache_clear()


def test_the_environment_names_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    facts = zoo_recurrent.zoo_environment()
    assert facts == {"recurrent backend": f"numba {numba.__version__} (compiled layers)"}
    monkeypatch.setenv("ZOO_BACKEND", "torch")
    assert zoo_recurrent.zoo_environment() == {"recurrent backend": "torch (set by ZOO_BACKEND)"}


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
import zoo_recurrent
zoo_recurrent.zoo_models()
zoo_recurrent.zoo_environment()
assert "torch" not in sys.modules
import torch, zoo
for name in ("rnn", "bilstm", "gru"):
    model = zoo.create_model(name, 3, hidden_size=4, num_layers=2)
    outputs, state = model(torch.randn(4, 6, 3), torch.tensor([6, 0, 1, 2]))
    ids, lengths = torch.randint(3, (400, 20)), torch.full((400,), 20)
    embedded, _ = model.forward_embedded(None, ids, lengths)
    (outputs.sum() + embedded.sum()).backward()
    with torch.no_grad():
        model.forward_embedded(torch.randn(3, 3), ids, lengths, return_outputs=False)
print("done")
"""


def test_everything_works_where_numba_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA], capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr
