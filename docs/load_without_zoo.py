"""Load exported LSTM weights with torch and safetensors alone: load_without_zoo.py FILE."""

import json
import sys

import torch
from safetensors import safe_open
from torch import nn

with safe_open(sys.argv[1], "pt") as file:
    header = json.loads(file.metadata()["zoo"])
    tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118

sizes, both = header["model"]["options"], "merge" in header["model"]["options"]
words, width = tensors["embedding.weight"].shape
rnn = nn.LSTM(width, sizes["hidden_size"], sizes["num_layers"], True, True, 0.0, both)
network = nn.ModuleDict({"embedding": nn.Embedding(words, width), "rnn": rnn})
for head in sorted({name.split(".")[0] for name in tensors if name.startswith("fc")}):
    network[head] = nn.Linear(*reversed(tensors[f"{head}.weight"].shape))
network.load_state_dict(tensors, strict=True)
network.eval()

probe = header["probe"]
rows = zip(probe["batch"]["inputs"], probe["batch"]["lengths"], probe["logits"], strict=True)
for row, length, expected in rows:
    outputs, (hidden, _) = rnn(network["embedding"](torch.tensor([row[:length]])))
    if "fc" in network:
        logits = network["fc"](outputs[0])
    else:
        last = torch.cat(list(hidden[-2:, 0])) if both else hidden[-1, 0]
        pools = {"last": last, "mean": outputs[0].mean(0), "max": outputs[0].amax(0)}
        pooled = [pools[how] for how in header["task"]["options"]["pooling"].split("+")]
        logits = network["fc2"](network["fc1"](torch.cat(pooled)).relu())
    print(f"difference {(logits - torch.tensor(expected)).abs().max().item():.1e}")  # noqa: T201
