"""Load exported LSTM weights with torch and safetensors alone: load_without_zoo.py FILE."""

import json
import sys

import torch
from safetensors import safe_open

with safe_open(sys.argv[1], "pt") as file:
    header = json.loads(file.metadata()["zoo"])
    tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118

run, probe = header.get("run", header), header["probe"]  # In format 1 there was no `run`.
task, model = run["task"]["options"], run["model"]["options"]
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

batch = probe["batch"]
stored = probe.get("outputs") or probe["logits"]  # `logits` in format 1.
for padded, length, expected in zip(batch["inputs"], batch["lengths"], stored, strict=True):
    token_ids = torch.tensor(padded[:length])
    outputs, (hidden, _) = network["rnn"](network["embedding"](token_ids))
    if "fc" in network:
        logits = network["fc"](outputs)
    else:
        last = hidden[-1 - bidirectional :].flatten()
        pools = {"last": last, "mean": outputs.mean(0), "max": outputs.amax(0)}
        pooled = torch.cat([pools[name] for name in task["pooling"].split("+")])
        logits = network["fc2"](network["fc1"](pooled).relu())
    if "ngrams" in network:  # A linear model of words and word pairs, hashed into a table.
        pairs = token_ids[:-1] * 65_537 + token_ids[1:] + 1
        hashes = torch.cat((token_ids, pairs)) * (0x9E3779B97F4A7C15 - 2**64)
        buckets = (hashes >> 64 - task["ngram_bits"] & 2 ** task["ngram_bits"] - 1).unique()
        logits = logits + network["ngrams"](buckets).sum(0) * (10 / len(buckets) ** 0.5)
    print(f"difference {(logits - torch.tensor(expected)).abs().max().item():.1e}")  # noqa: T201
