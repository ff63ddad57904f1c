"""Drawing tokens: the distribution, the draws, and the step function against ``forward``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import zoo
from zoo.building import build_network, build_task
from zoo.errors import DataError, UsageError
from zoo.generation import Sampling, generate, probabilities
from zoo.records import ModelInfo, TaskInfo
from zoo.registry import Registry
from zoo.spec import Component, NetworkSpec

LETTERS = "\n abcdefgh"
INFINITE = float("inf")
Made = tuple[Any, nn.Module]


@pytest.fixture
def make(registry: Registry) -> Callable[..., Made]:
    """Return an untrained char-LM; its weights are large, so that its logits differ."""

    def build(model: str = "lstm", input: str = "embedding", **options: Any) -> Made:
        info, model_info = registry.get(TaskInfo, "char-lm"), registry.get(ModelInfo, model)
        component = Component(info, info.options(embed_size=5, input=input))  # type: ignore[call-arg]
        task = build_task(component)
        task.load_state_dict({"vocabulary": list(LETTERS)})
        if model.startswith("rnn-o"):
            options["output_size"] = 7
        values = model_info.options(**{"hidden_size": 7, **options})
        torch.manual_seed(8)
        spec = NetworkSpec(component, Component(model_info, values))
        network = build_network(task, spec)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.4)
        return task, network.eval()

    return build


def generated(
    made: Made, prompt: str, length: int, sampling: Sampling, samples: int = 1
) -> list[str]:
    rows = list(generate(*made, prompt, length, sampling, samples))
    assert len(rows) == length
    return ["".join(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(("scale", "share"), [(1.0, 0.787), (0.5, 0.576), (0.1, 0.379)])
def test_the_scale_multiplies_the_logits(scale: float, share: float) -> None:
    found = probabilities(torch.tensor([[1.0, 1.0, 3.0]]), Sampling(scale))[0]
    assert found[2].item() == pytest.approx(share, abs=5e-4)
    assert found.sum().item() == pytest.approx(1)


def test_an_infinite_scale_takes_the_likeliest_token() -> None:
    logits = torch.randn(20, 9)
    found = probabilities(logits, Sampling(INFINITE))
    assert torch.equal(found.argmax(1), logits.argmax(1))
    assert set(found.unique().tolist()) == {0.0, 1.0}


def test_a_tiny_temperature_takes_the_likeliest_token() -> None:
    logits = torch.tensor([[5.0, 90.0, 80.0]])
    for temperature in (1e-3, 1e-30, 1e-40):
        found = probabilities(logits, Sampling(1 / temperature))
        assert found[0].tolist() == [0, 1, 0]


def restricted(logits: npt.NDArray[np.float64], k: int, p: float) -> npt.NDArray[np.float64]:
    """The distribution by a loop over the tokens, the likeliest first."""
    chances = np.exp(logits - logits.max())
    ranked = list(np.argsort(-chances))[: k or None]
    chances /= sum(chances[ranked])
    kept: list[Any] = []
    for token_id in ranked:
        if sum(chances[kept]) >= p:
            break
        kept.append(token_id)
    result: npt.NDArray[np.float64] = np.zeros_like(chances)
    result[kept] = chances[kept] / sum(chances[kept])
    return result


@pytest.mark.parametrize("k", [0, 1, 3, 9, 50])
@pytest.mark.parametrize("p", [1.0, 0.9, 0.5, 0.01])
def test_top_k_and_top_p_keep_the_likeliest(k: int, p: float) -> None:
    logits = np.random.default_rng(3).normal(size=(30, 9))
    found = probabilities(torch.from_numpy(logits), Sampling(1.0, k, p)).numpy()
    found = found / found.sum(1, keepdims=True)
    expected = np.array([restricted(row, k, p) for row in logits])
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("bad", [{"scale": 0.0}, {"scale": -1.0}, {"scale": float("nan")},
                                 {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}])  # fmt: skip
def test_values_out_of_bounds_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sampling(**bad)


def test_draws_follow_the_distribution(make: Callable[..., Made]) -> None:
    task, network = make()
    with torch.no_grad():
        logits, _ = network(torch.tensor([task.encode("abc")]), torch.tensor([3]))
    expected = (logits[0, -1] * 0.5).softmax(0).tolist()
    drawn = Counter(next(generate(task, network, "abc", 1, Sampling(0.5, seed=1), samples=20_000)))
    for letter, share in zip(LETTERS, expected, strict=True):
        assert drawn[letter] / 20_000 == pytest.approx(share, abs=0.015)


def test_an_infinite_scale_generates_the_greedy_text(make: Callable[..., Made]) -> None:
    task, network = make()
    text = "ab"
    with torch.no_grad():
        for _ in range(30):
            inputs = torch.tensor([task.encode(text)])
            logits, _ = network(inputs, torch.tensor([len(text)]))
            text += LETTERS[int(logits[0, -1].argmax())]
    for seed in (1, 2, None):
        assert generated((task, network), "ab", 30, Sampling(INFINITE, seed=seed)) == [text[2:]]


def test_a_seed_gives_the_same_text_again(make: Callable[..., Made]) -> None:
    made = make()
    first = generated(made, "ab", 60, Sampling(seed=5))
    torch.manual_seed(77)
    assert generated(made, "ab", 60, Sampling(seed=5)) == first
    assert generated(made, "ab", 60, Sampling(seed=6)) != first
    assert generated(made, "ab", 60, Sampling()) != generated(made, "ab", 60, Sampling())


def test_drawing_does_not_use_the_global_generator(make: Callable[..., Made]) -> None:
    made = make()
    before = torch.get_rng_state()
    generated(made, "ab", 5, Sampling())
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_are_drawn_independently(make: Callable[..., Made]) -> None:
    texts = generated(make(), "ab", 40, Sampling(seed=1), samples=5)
    assert len(texts) == 5
    assert len(set(texts)) == 5


@pytest.mark.parametrize("input", ["embedding", "onehot"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "rnn-oh", "rnn-oo"])
def test_decode_step_gives_the_logits_of_the_whole_sequence(
    model: str, layers: int, input: str, make: Callable[..., Made]
) -> None:
    task, network = make(model, input, num_layers=layers)
    token_ids = torch.randint(len(LETTERS), (4, 25))
    step = task.decode_step(network)
    state, logits = None, []
    with torch.no_grad():
        whole, end = network(token_ids, torch.full((4,), 25))
        for at in range(25):
            step_logits, state = step(token_ids[:, at], state)
            logits.append(step_logits)
        torch.testing.assert_close(torch.stack(logits, dim=1), whole, atol=1e-5, rtol=0)
        torch.testing.assert_close(state, end, atol=1e-5, rtol=0)


def test_decode_step_starts_from_a_learned_state(make: Callable[..., Made]) -> None:
    task, network = make("lstm", initial_state="learned")
    with torch.no_grad():
        whole, _ = network(torch.tensor([[3]]), torch.tensor([1]))
        found, _ = task.decode_step(network)(torch.tensor([3]), None)
    torch.testing.assert_close(found, whole[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_many_samples_have_the_logits_that_each_has_alone(
    model: str, make: Callable[..., Made]
) -> None:
    task, network = make(model, num_layers=2)
    step = task.decode_step(network)
    token_ids = torch.randint(len(LETTERS), (6, 12))

    def run(rows: torch.Tensor) -> torch.Tensor:
        state, logits = None, torch.empty(0)
        for at in range(12):
            logits, state = step(rows[:, at], state)
        return logits

    with torch.no_grad():
        together = run(token_ids)
        apart = [run(row[None]) for row in token_ids]
    for row, alone in enumerate(apart):
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


def test_an_empty_prompt_starts_a_line(make: Callable[..., Made]) -> None:
    made = make()
    nothing, line, letter = (
        [generated(made, prompt, 20, Sampling(seed=seed)) for seed in range(9)]
        for prompt in ("", "\n", "a")
    )
    assert nothing == line
    assert nothing != letter


def test_characters_that_the_vocabulary_lacks_are_named(make: Callable[..., Made]) -> None:
    with pytest.raises(DataError, match=r"lacks 'X', 'é' in the prompt"):
        generated(make(), "aéXb", 3, Sampling())


def test_text_is_yielded_token_by_token(make: Callable[..., Made]) -> None:
    endless = generate(*make(), "a", 10**12, Sampling(seed=1), 1)
    assert len(list(islice(endless, 5))) == 5


def test_a_loaded_model_generates(char_lm_run: Path) -> None:
    loaded = zoo.load(char_lm_run)
    text = loaded.generate("The", 50, seed=3)
    assert text.startswith("The")
    assert len(text) == 53
    assert text == loaded.generate("The", 50, seed=3)
    assert set(text) <= set(loaded.info["task_state"]["vocabulary"])
    greedy = loaded.generate("The", 50, temperature=0)
    assert greedy == loaded.generate("The", 50, top_k=1) == loaded.generate("The", 50, top_p=1e-9)
    with pytest.raises(UsageError):
        loaded.generate("The", 5, temperature=-1.0)
