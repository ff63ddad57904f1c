"""What a model may bring: a penalty, parameter groups, tied weights, complex parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sum_task import Recorder, batches_of, equal, registered
from torch import Tensor, nn

import zoo
from zoo.interfaces import Batch, State
from zoo.nn import gather_last, length_mask

Train = Callable[..., zoo.Run]


class Cumulative(nn.Module):
    """h_t = h_(t-1) + tanh(W x_t): the shared part of the models below."""

    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__()
        del options
        self.input_size, self.output_size = input_size, 3
        self.weight = nn.Parameter(torch.linspace(-1, 1, 3 * input_size).view(3, input_size))

    def steps(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.weight).tanh()

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        start = inputs.new_zeros(len(inputs), 1, 3) if state is None else state[0].transpose(0, 1)
        outputs = start + self.steps(inputs).cumsum(1)
        outputs = outputs * length_mask(lengths, inputs.shape[1])[..., None]
        return outputs, (gather_last(outputs, lengths)[None],)


class Penalized(Cumulative):
    def penalty(self) -> Tensor:
        return 0.3 * self.weight.square().sum()


class Grouped(Cumulative):
    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__(input_size, options)
        self.bias = nn.Parameter(torch.full((3,), 0.5))

    def steps(self, inputs: Tensor) -> Tensor:
        return super().steps(inputs) + self.bias

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"params": [self.weight], "lr_scale": 0.25},
            {"params": [self.bias], "weight_decay": 0.4},
        ]


class Tied(Cumulative):
    """Uses one parameter under two names."""

    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__(input_size, options)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight

    def steps(self, inputs: Tensor) -> Tensor:
        return self.second(self.first(super().steps(inputs)))  # type: ignore[no-any-return]


class Complex(Cumulative):
    """Rotates in the complex plane."""

    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__(input_size, options)
        self.rotation = nn.Parameter(torch.tensor([1 + 0.5j, 0.3 - 1j, -0.2 + 0.1j]))

    def steps(self, inputs: Tensor) -> Tensor:
        return (super().steps(inputs) * self.rotation**2).real


class ComplexDouble(Complex):
    """The same in double precision, which the file format of checkpoints lacks."""

    def __init__(self, input_size: int, options: zoo.Options) -> None:
        super().__init__(input_size, options)
        self.rotation = nn.Parameter(self.rotation.detach().to(torch.complex128))

    def steps(self, inputs: Tensor) -> Tensor:
        return super().steps(inputs).to(inputs.dtype)


MODELS = [
    zoo.ModelInfo(name=cls.__name__.lower(), summary="A model", target=cls, causal=True)
    for cls in (Cumulative, Penalized, Grouped, Tied, Complex, ComplexDouble)
]


@pytest.fixture(autouse=True)
def sum_task() -> Iterator[None]:
    with registered(*MODELS):
        yield


def build(model: type[Cumulative], start: Mapping[str, Tensor]) -> nn.ModuleDict:
    """Return the network of the task around a model, with its first parameters."""
    network = nn.ModuleDict({"rnn": model(2, zoo.Options()), "fc": nn.Linear(3, 1)})
    network.load_state_dict(dict(start))
    return network


def loss_of(network: nn.ModuleDict, batch: Batch) -> Tensor:
    outputs, _ = network["rnn"](batch.inputs, batch.lengths)
    return nn.functional.mse_loss(network["fc"](outputs[:, -1])[:, 0], batch.targets)


def assert_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_penalty_is_added_to_the_loss_and_to_the_gradient(
    accumulate: int, train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "sum/penalized", tmp_path / "run", "steps=1", "batch_size=40", "log_every=1",
        "optimizer=sgd", "learning_rate=0.1", f"accumulate={accumulate}", callbacks=[recorder],
    )  # fmt: skip
    before, after = recorder.parameters
    network = build(Penalized, before)
    batches = batches_of(recorder.data, 40)[:accumulate]
    penalty = 0.3 * before["rnn.weight"].square().sum()
    losses = [loss_of(network, batch) for batch in batches]
    rnn = network["rnn"]
    assert isinstance(rnn, Penalized)
    (torch.stack(losses).mean() + 0.3 * rnn.weight.square().sum()).backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    assert_close(after, network.state_dict())
    (log,) = recorder.logs
    # The loss of the last batch is what is minimized; the task's own metric is without the penalty.
    assert log["batch_loss"] == pytest.approx((losses[-1] + penalty).item(), rel=1e-5)
    assert log["loss"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD,
}  # fmt: skip


@pytest.mark.parametrize("schedule", ["constant", "linear"])
@pytest.mark.parametrize("name", TORCH)
def test_parameter_groups_have_their_own_learning_rate_and_weight_decay(
    name: str, schedule: str, train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    train_here(
        "sum/grouped", tmp_path / "run", "steps=4", "batch_size=40", f"optimizer={name}",
        f"schedule={schedule}", "learning_rate=0.02", "weight_decay=0.1", callbacks=[recorder],
    )  # fmt: skip
    network = build(Grouped, recorder.parameters[0])
    rnn, fc = network["rnn"], network["fc"]
    optimizer = TORCH[name](
        [
            {"params": list(fc.parameters())},
            {"params": [rnn.weight], "lr": 0.02 * 0.25},
            {"params": [rnn.bias], "weight_decay": 0.4},
        ],
        lr=0.02,
        weight_decay=0.1,
    )
    first_rates = [group["lr"] for group in optimizer.param_groups]
    for step, batch in enumerate(batches_of(recorder.data, 40)):
        for group, rate in zip(optimizer.param_groups, first_rates, strict=True):
            group["lr"] = rate * (1 - step / 4) if schedule == "linear" else rate
        optimizer.zero_grad()
        loss_of(network, batch).backward()
        optimizer.step()
    assert_close(recorder.parameters[-1], network.state_dict())


def saved_and_loaded(run: zoo.Run) -> nn.Module:
    """Return the module of a run after an export, with the run's weights."""
    target = run.path / "exported.safetensors"
    run.model.save(target)
    loaded = zoo.load(target)
    loaded.verify()
    assert equal(loaded.module.state_dict(), load_file(run.path / "weights.safetensors"))
    return loaded.module


@pytest.mark.parametrize("average", ["0.0", "0.5"])
def test_tied_weights_train_save_load_and_average(
    average: str, train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    settings = (
        "steps=4", "batch_size=40", "optimizer=sgd", "learning_rate=0.05", f"average={average}",
        "selection=last",
    )  # fmt: skip
    run = train_here("sum/tied", tmp_path / "whole", *settings, callbacks=[recorder])
    network = build(Tied, recorder.parameters[0])
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    mean: dict[str, Tensor] = {}
    for step, batch in enumerate(batches_of(recorder.data, 40)):
        optimizer.zero_grad()
        loss_of(network, batch).backward()
        optimizer.step()
        decay = float(average) if step else 0.0
        mean = {
            name: decay * mean.get(name, 0) + (1 - decay) * value.detach()
            for name, value in network.state_dict().items()
        }
    assert_close(recorder.parameters[-1], network.state_dict())
    module = saved_and_loaded(run)
    assert_close(module.state_dict(), mean)
    rnn = module.rnn
    assert isinstance(rnn, Tied)
    assert rnn.first.weight is rnn.second.weight
    train_here("sum/tied", tmp_path / "run", *settings, stop_after=2)
    train_here("", tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("average", ["0.0", "0.5"])
@pytest.mark.parametrize("name", TORCH)
def test_complex_parameters_train_clip_resume_and_load(
    name: str, average: str, train_here: Train, tmp_path: Path
) -> None:
    recorder = Recorder()
    settings = (
        "steps=4", "batch_size=40", f"optimizer={name}", "learning_rate=0.05", "clip_value=0.7",
        "clip_norm=0.5", f"average={average}", "selection=last",
    )  # fmt: skip
    run = train_here("sum/complex", tmp_path / "whole", *settings, callbacks=[recorder])
    network = build(Complex, recorder.parameters[0])
    optimizer = TORCH[name](network.parameters(), lr=0.05, weight_decay=0.0)
    for batch in batches_of(recorder.data, 40):
        optimizer.zero_grad()
        loss_of(network, batch).backward()
        for parameter in network.parameters():
            assert parameter.grad is not None
            gradient = parameter.grad
            (torch.view_as_real(gradient) if gradient.is_complex() else gradient).clamp_(-0.7, 0.7)
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
    assert_close(recorder.parameters[-1], network.state_dict())
    assert not equal(recorder.parameters[-1], recorder.parameters[0])
    module = saved_and_loaded(run)
    assert module.state_dict()["rnn.rotation"].dtype == torch.complex64
    train_here("sum/complex", tmp_path / "run", *settings, stop_after=2)
    train_here("", tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        run.path / "weights.safetensors"
    ).read_bytes()


def test_parameters_of_complex128_resume_with_the_same_bits(
    train_here: Train, tmp_path: Path
) -> None:
    settings = ("steps=4", "batch_size=40", "selection=last")
    whole = train_here("sum/complexdouble", tmp_path / "whole", *settings)
    train_here("sum/complexdouble", tmp_path / "run", *settings, stop_after=2)
    resumed = train_here("", tmp_path / "run", resume=True)
    states = [run.model.module.state_dict() for run in (whole, resumed)]
    assert equal(*states)
    assert states[0]["rnn.rotation"].dtype == torch.complex128


def test_complex_parameters_keep_their_precision_in_a_16_bit_file(
    train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sum/complex", tmp_path / "run", "steps=1")
    run.model.save(tmp_path / "half.safetensors", dtype="float16")
    stored = load_file(tmp_path / "half.safetensors")
    assert stored["rnn.rotation"].dtype == torch.complex64
    assert stored["rnn.weight"].dtype == torch.float16
    assert zoo.load(tmp_path / "half.safetensors").verify() < 1e-2
