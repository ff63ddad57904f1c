"""Load exported LSTM weights with torch and safetensors alone: load_without_zoo.py FILE."""

import json
import sys

import torch
from safetensors import safe_open

with safe_open(sys.argv[1], "pt") as file:
    header = json.loads(file.metadata()["zoo"])
    tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118

task, size = header["task"]["options"], header["model"]["options"]
network = torch.nn.ModuleDict()
for name in {name.split(".")[0] for name in tensors} - {"rnn"}:
    shape = tensors[f"{name}.weight"].shape
    network[name] = torch.nn.Linear(*shape[::-1]) if "fc" in name else torch.nn.Embedding(*shape)
width, two = network["embedding"].embedding_dim, "merge" in size
network["rnn"] = torch.nn.LSTM(width, size["hidden_size"], size["num_layers"], True, True, 0.0, two)
network.load_state_dict(tensors, strict=True)

batch, answers = header["probe"]["batch"], header["probe"]["logits"]
for padded, length, expected in zip(batch["inputs"], batch["lengths"], answers, strict=True):
    row = torch.tensor(padded[:length])
    steps, (hidden, _) = network["rnn"](network["embedding"](row))
    if "fc" in network:
        logits = network["fc"](steps)
    else:
        pools = {"last": hidden[-1 - two :].flatten(), "mean": steps.mean(0), "max": steps.amax(0)}
        pooled = torch.cat([pools[how] for how in task["pooling"].split("+")])
        logits = network["fc2"](network["fc1"](pooled).relu())
    if "ngrams" in network:  # A linear path over words and word pairs, hashed into a table.
        keys = torch.cat((row, row[:-1] * 65_537 + row[1:] + 1)) * (0x9E3779B97F4A7C15 - 2**64)
        buckets = (keys >> 64 - task["ngram_bits"] & 2 ** task["ngram_bits"] - 1).unique()
        logits = logits + network["ngrams"](buckets).sum(0) * (10 / len(buckets) ** 0.5)
    print(f"difference {(logits - torch.tensor(expected)).abs().max().item():.1e}")  # noqa: T201
