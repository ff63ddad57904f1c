"""Load exported LSTM weights with torch and safetensors alone: load_without_zoo.py FILE."""

import json
import sys

import torch
from safetensors import safe_open


def find(keys, wanted):
    """Return where each hash is among sorted ones; ``len(keys)`` where it is not."""
    at = torch.searchsorted(keys, wanted)
    return torch.where(torch.cat((keys, keys[:1]))[at] == wanted, at, len(keys))


with safe_open(sys.argv[1], "pt") as file:
    header = json.loads(file.metadata()["zoo"])
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
tensors = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}

run, probe = header.get("run", header), header["probe"]  # In format 1 there was no `run`.
task, model = run["task"]["options"], run["model"]["options"]
# What is fitted and not trained: hashes of parts of words, a linear model, a temperature.
unit_keys = tensors.pop("embedding.keys", None)
linear = {k: tensors.pop(f"linear.{k}", None) for k in ("keys", "idf", "weight", "bias")}
temperature = tensors.pop("temperature", torch.ones(()))
for name in ("threshold", "linear_threshold"):  # For labels and for the baseline.
    tensors.pop(name, None)

network = torch.nn.ModuleDict()
for name in {name.split(".")[0] for name in tensors} - {"rnn"}:
    shape = tensors[f"{name}.weight"].shape
    network[name] = torch.nn.Linear(*shape[::-1]) if "fc" in name else torch.nn.Embedding(*shape)
bidirectional = "merge" in model
network["rnn"] = torch.nn.LSTM(
    network["embedding"].embedding_dim, model["hidden_size"], model["num_layers"],
    batch_first=True, bidirectional=bidirectional,
)  # fmt: skip
network.load_state_dict(tensors, strict=True)

batch = {name: torch.tensor(values) for name, values in probe["batch"].items()}
vectors = network["embedding"].weight
if unit_keys is not None:  # The vector of a token is the sum of those of its parts.
    vectors = torch.nn.functional.embedding_bag(
        find(unit_keys, batch["units"]), vectors, batch["starts"], mode="sum",
        include_last_offset=True,
    )  # fmt: skip
added = None
if linear["keys"] is not None:  # Counts of n-grams; those of words and characters have length 1.
    rows, number = find(linear["keys"], batch["ngram_keys"]), len(batch["lengths"])
    idf, weight = (torch.cat((t, 0 * t[:1])) for t in (linear["idf"], linear["weight"]))
    values = (1 + batch["ngram_counts"].log()) * idf[rows]
    squares = torch.zeros(2 * number).index_add(0, batch["ngram_segments"], values**2)
    values = values / squares.clamp(min=1e-30).sqrt()[batch["ngram_segments"]]
    added = linear["bias"].repeat(number, 1)
    added = added.index_add(0, batch["ngram_segments"] % number, weight[rows] * values[:, None])

stored = probe.get("outputs") or probe["logits"]  # `logits` in format 1.
for row, expected in enumerate(stored):
    token_ids = batch["inputs"][row, : batch["lengths"][row]]
    outputs, (hidden, _) = network["rnn"](vectors[token_ids])
    if "fc" in network:
        logits = network["fc"](outputs)
    else:
        last = hidden[-1 - bidirectional :].flatten()
        pools = {"last": last, "mean": outputs.mean(0), "max": outputs.amax(0)}
        pooled = torch.cat([pools[name] for name in task["pooling"].split("+")])
        logits = network["fc2"](network["fc1"](pooled).relu() if "fc1" in network else pooled)
    if "ngrams" in network:  # A linear model of words and word pairs, hashed into a table.
        pairs = token_ids[:-1] * 65_537 + token_ids[1:] + 1
        hashes = torch.cat((token_ids, pairs)) * (0x9E3779B97F4A7C15 - 2**64)
        buckets = (hashes >> 64 - task["ngram_bits"] & 2 ** task["ngram_bits"] - 1).unique()
        logits = logits + network["ngrams"](buckets).sum(0) * (10 / len(buckets) ** 0.5)
    if added is not None:
        logits = (1 - task["ngram_weight"]) * logits + task["ngram_weight"] * added[row]
    logits = logits / temperature
    print(f"difference {(logits - torch.tensor(expected)).abs().max().item():.1e}")  # noqa: T201
