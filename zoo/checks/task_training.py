"""Checks of a task in training and use: steps, metrics, the probe, predictions."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import asdict
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from zoo.checks.model_case import perturb, random_states
from zoo.checks.result import CheckError, CheckSkipped
from zoo.checks.task_case import BATCH_SIZE, SEED, TaskCase, evaluate, some, steps_of
from zoo.interfaces import FindsMistakes, Metrics, Predicts, ProbesTexts, Split, Task
from zoo.prediction import predict

# Metrics whose direction is known by their names.
LOWER, HIGHER = (
    {"loss", "mse", "mae", "rmse", "error", "perplexity", "bits_per_character", "nll"},
    {"accuracy", "f1", "macro_f1", "precision", "recall", "auc", "roc_auc", "r2", "bleu", "mcc"},
)


def check_network(case: TaskCase) -> None:
    """network() builds a torch module with parameters around the model that it is given."""
    task, _ = case.prepared
    network = case.network()
    if not isinstance(network, nn.Module) or not any(True for _ in network.parameters()):
        raise CheckError("network() returned no torch module with parameters")
    again = case.network(task).state_dict()
    for name, tensor in network.state_dict().items():
        if name not in again or not torch.equal(tensor, again[name]):
            raise CheckError(f"{name} differs between two networks of the same seed",
                             "draw from torch's default generator")  # fmt: skip


def check_step(case: TaskCase) -> None:
    """step() returns a finite scalar loss with a gradient, and sums that are tensors."""
    task, _ = case.prepared
    network = case.network().train()
    batches = some(case.split("train").train_batches(SEED, 0, BATCH_SIZE))[:2]
    for step in steps_of(task, network, batches):
        if not isinstance(step.loss, Tensor) or step.loss.numel() != 1:
            raise CheckError("the loss is not a scalar tensor", "return the mean of the losses")
        if not step.loss.isfinite():
            raise CheckError(f"the loss is {float(step.loss)}")
        if not step.loss.requires_grad:
            raise CheckError("the loss has no gradient", "do not detach it")
        for name, value in step.metric_sums.items():
            if not isinstance(value, Tensor):
                raise CheckError(f"metric sum {name!r} is no tensor")
        if step.state is not None and not all(isinstance(p, Tensor) for p in step.state):
            raise CheckError("the state is not a tuple of tensors")
    network.zero_grad()
    step = next(steps_of(task, network, batches))
    step.loss.backward()
    if not any(p.grad is not None and p.grad.abs().sum() for p in network.parameters()):
        raise CheckError("no gradient reaches the network")


def check_metrics(case: TaskCase) -> None:
    """Metrics are finite JSON with the monitored one among them, and its direction is right."""
    task, _ = case.prepared
    found = evaluate(task, case.network(), some(case.split("validation").eval_batches()))
    _expect_plain(found)
    monitor = case.info.monitor
    if monitor not in found:
        raise CheckError(f"there is no metric {monitor!r}, which the record monitors",
                         f"monitor one of {', '.join(found)}")  # fmt: skip
    if not isinstance(found[monitor], int | float) or isinstance(found[monitor], bool):
        raise CheckError(f"the monitored metric is {found[monitor]!r}, not a number")
    if (case.info.higher_is_better and monitor in LOWER) or (
        not case.info.higher_is_better and monitor in HIGHER
    ):
        raise CheckError(f"higher_is_better={case.info.higher_is_better} for {monitor!r}")


def _expect_plain(found: Metrics) -> None:
    for name, value in found.items():
        if not isinstance(name, str):
            raise CheckError(f"the name of a metric is {name!r}")
        if isinstance(value, Tensor):
            raise CheckError(f"metric {name!r} is a tensor", "return float(...)")
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise CheckError(f"metric {name!r} is not JSON ({error})") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise CheckError(f"metric {name!r} is {value}", "leave out what is not defined")


def check_sums_add_up(case: TaskCase) -> None:
    """Metrics are computed of sums: they do not depend on the size of batches."""
    task, _ = case.prepared
    network = case.network()
    perturb(network, scale=0.5)  # So that examples have different losses.
    split = min((case.split(name) for name in ("train", "validation")), key=_num_examples)
    count = _num_examples(split)
    if count < 4:
        raise CheckSkipped("there are fewer than four examples")
    # The last batch is smaller than the others in one of the two.
    sizes = count, max(2, count * 2 // 5)
    passes = [list(split.train_batches(SEED, 0, size)) for size in sizes]
    # Such as windows at random places: their examples are steps, and not rows.
    of_steps = sum(map(len, split.eval_batches())) != count
    if of_steps and len({sum(map(len, batches)) for batches in passes}) > 1:
        raise CheckSkipped("how many rows an epoch has depends on the size of batches")
    found = []
    for batches in passes:
        with torch.inference_mode():
            steps = list(steps_of(task, network, batches))
        if any(step.state is not None for step in steps):
            raise CheckSkipped("the state is carried from batch to batch")
        totals: dict[str, Tensor] = {}
        for step in steps:
            for name, value in step.metric_sums.items():
                totals[name] = totals.get(name, torch.zeros(())) + value.double()
        found.append(task.metrics(totals))
    for name, value in found[0].items():
        other = found[1].get(name)
        if isinstance(value, float) and isinstance(other, float):
            if abs(value - other) > 1e-4 * max(1.0, abs(value)):
                raise CheckError(
                    f"metric {name!r} is {value:.6g} in batches of {sizes[0]} and {other:.6g} in "
                    f"batches of {sizes[1]}",
                    "return sums over the batch, and divide them in metrics()",
                )
        elif isinstance(value, int) and value != other:
            raise CheckError(f"metric {name!r} is {value} and {other} for other batches")


def _num_examples(split: Split) -> int:
    return split.num_examples


def check_evaluation_repeats(case: TaskCase) -> None:
    """An evaluation changes nothing and draws nothing: the next one gives the same."""
    task, _ = case.prepared
    network = case.network()
    batches = some(case.split("validation").eval_batches())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    learned, states = copy.deepcopy(task.state_dict()), random_states()
    first = evaluate(task, network, batches)
    if random_states() != states:
        raise CheckError("an evaluation moved a global generator on")
    for name, tensor in network.state_dict().items():
        if not torch.equal(tensor, before[name]):
            raise CheckError(f"an evaluation changed {name}")
    if task.state_dict() != learned:
        raise CheckError("an evaluation changed what the task learned")
    if evaluate(task, network, batches) != first:
        raise CheckError("a second evaluation gives other metrics")


def check_learns(case: TaskCase) -> None:
    """The loss of a batch falls when the network is trained on it."""
    task, _ = case.prepared
    network = case.network().train()
    batch = max(some(case.split("train").train_batches(SEED, 0, BATCH_SIZE)), key=len)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for _ in range(40):
            optimizer.zero_grad()
            loss = task.step(network, batch, None).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    if not min(losses[-10:]) < losses[0]:
        raise CheckError(f"the loss goes from {losses[0]:.4g} to {losses[-1]:.4g} in 40 steps")


def check_probe(case: TaskCase) -> None:
    """The probe can be answered by any network of the task, and depends on its weights."""
    task, _ = case.prepared
    network = case.network()
    with torch.inference_mode():
        first = task.probe_outputs(network, task.probe())
        other = case.restored()
        again = other.probe_outputs(network, other.probe())
    if not first.isfinite().all():
        raise CheckError("an output of the probe is not finite")
    if first.shape != again.shape or not torch.allclose(first, again, atol=1e-5):
        raise CheckError("the probe of a task that was restored has other outputs",
                         "make the batch of what state_dict() holds")  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.full_like(parameter, 0.3))
        changed = task.probe_outputs(network, task.probe())
    if torch.allclose(first, changed, atol=1e-5):
        raise CheckError("the probe gives the same outputs for other weights")
    if isinstance(task, ProbesTexts):
        answers = task.probe_answers(network, task.probe_texts())
        json.dumps([dict(answer) for answer in answers], allow_nan=False)


def check_weights_restore(case: TaskCase) -> None:
    """A network that loads the tensors of another one, as plain torch does, computes the same."""
    task, _ = case.prepared
    network = case.network().train()
    batch = some(case.split("train").train_batches(SEED, 0, BATCH_SIZE))[0]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    task.step(network, batch, None).loss.backward()
    optimizer.step()
    batches = some(case.split("validation").eval_batches())[:5]
    expected = evaluate(task, network, batches)
    tensors = {n: t.detach().clone().contiguous() for n, t in network.state_dict().items()}
    restored = case.restored()
    fresh = case.network(restored, seed=SEED + 1)
    try:
        fresh.load_state_dict(safetensors.torch.load(safetensors.torch.save(tensors)))
    except RuntimeError as error:
        raise CheckError(
            f"the tensors do not load ({str(error).splitlines()[-1].strip()})",
            "build the same network from what load_state_dict() was given",
        ) from error
    found = evaluate(restored, fresh, batches)
    for name, value in expected.items():
        if isinstance(value, float) and abs(value - found.get(name, math.inf)) > 1e-4:
            raise CheckError(f"{name} is {value:.6g} before and {found.get(name)} after loading",
                             "register what is learned as parameter or buffer")  # fmt: skip


def check_predictions(case: TaskCase) -> None:
    """Predictions are in order, the same alone and together, and by several threads."""
    task, _ = case.prepared
    if not isinstance(task, Predicts):
        raise CheckSkipped("it does not predict")
    network = case.network()
    texts = _texts(case, task, network)
    together = [_plain(each) for each in task.predict(network, texts)]
    if [each["text"] for each in together] != texts:
        raise CheckError("predictions are not those of the inputs, in order")
    alone = [_plain(each) for text in texts[:5] for each in task.predict(network, [text])]
    if not all(_agree(one, other) for one, other in zip(alone, together, strict=False)):
        raise CheckError("an input is answered otherwise by itself than with others")
    threaded = [_plain(each) for each in predict(task, network, texts, threads=2)]
    if len(threaded) != len(together) or not all(map(_agree, threaded, together)):
        raise CheckError("two threads answer otherwise than one")
    if list(task.predict(network, [])):
        raise CheckError("no input has an answer")


def check_mistakes(case: TaskCase) -> None:
    """predict() agrees with the evaluation: what that counts as wrong is answered wrongly."""
    task, _ = case.prepared
    if not isinstance(task, FindsMistakes) or not isinstance(task, Predicts):
        raise CheckSkipped("it finds no mistakes")
    network = case.network()
    split = case.split("validation")
    found = task.mistakes(network, split, split.num_examples)
    texts = [mistake.prediction.text for mistake in found][:200]
    again = list(task.predict(network, texts))
    for mistake, prediction in zip(found, again, strict=False):
        if not _agree(_plain(mistake.prediction), _plain(prediction)):
            raise CheckError("a mistake of the evaluation is predicted otherwise")
    metrics = evaluate(task, network, list(split.eval_batches()))
    accuracy = metrics.get("accuracy")
    if isinstance(accuracy, float):
        wrong = round((1 - accuracy) * split.num_examples)
        if abs(wrong - len(found)) > max(1, split.num_examples // 100):
            raise CheckError(f"accuracy {accuracy:.4f} means {wrong} mistakes, and there are "
                             f"{len(found)}")  # fmt: skip


def _texts(case: TaskCase, task: Task, network: nn.Module) -> list[str]:
    if isinstance(task, ProbesTexts):
        return [*task.probe_texts(), *task.probe_texts()][:20]
    if isinstance(task, FindsMistakes):
        split = case.split("validation")
        found = task.mistakes(network, split, 20)
        if found:
            return [mistake.prediction.text for mistake in found]
    raise CheckSkipped("it names no inputs: it has neither probe_texts() nor mistakes()")


def _plain(prediction: Any) -> dict[str, Any]:
    return asdict(prediction)


def _agree(one: Any, other: Any) -> bool:
    """Return whether two predictions are the same, numbers to within rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-4)
    return bool(one == other)
