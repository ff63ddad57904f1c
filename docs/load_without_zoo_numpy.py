"""Compute the probe of an exported file with NumPy and safetensors alone.

``python load_without_zoo_numpy.py FILE``, for rnn, lstm and gru, one-directional and bidirectional,
stacked, with every merge and pooling, of the tasks of texts and of char-lm.
"""

import json
import sys

import numpy as np
from safetensors import safe_open


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(x, h, c, u, b):
    return np.tanh(x + u @ h + b), c


def lstm_step(x, h, c, u, b):
    i, f, g, o = np.split(x + u @ h + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, c, u, b):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(x, 3), np.split(u @ h + b, 3)
    z = sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h, c


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def run_direction(step, tensors, suffix, initial, values):
    """Return the outputs (T, H) of one direction of one layer over inputs (T, I)."""
    w, u = tensors[f"rnn.weight_ih{suffix}"], tensors[f"rnn.weight_hh{suffix}"]
    h, c = initial
    outputs = []
    for x in values @ w.T + tensors[f"rnn.bias_ih{suffix}"]:
        h, c = step(x, h, c, u, tensors[f"rnn.bias_hh{suffix}"])
        outputs.append(h)
    return np.array(outputs)


def merge(forward, backward, how):
    if how == "concat":
        return np.concatenate((forward, backward), -1)
    total = forward * backward if how == "mul" else forward + backward
    return total / 2 if how == "mean" else total


def run_model(name, options, tensors, values):
    """Return outputs (T, F), and what the model has read by the end of the row (F,)."""
    step = STEPS[name.removeprefix("bi")]
    how = options.get("merge")
    layers, directions = options["num_layers"], 2 if how else 1
    size = options["hidden_size"]
    initial = tensors.get("rnn.initial_state", np.zeros((2, layers * directions, size), "f4"))
    initial = np.concatenate((initial, np.zeros((2, layers * directions, size), "f4")))[:2]
    for layer in range(layers):
        start = initial[:, layer * directions]
        forward = run_direction(step, tensors, f"_l{layer}", start, values)
        last = forward[-1]
        if how:
            start = initial[:, layer * directions + 1]
            backward = run_direction(step, tensors, f"_l{layer}_reverse", start, values[::-1])
            top = layer == layers - 1
            last = merge(forward[-1], backward[-1], how)
            forward = merge(forward, backward[::-1], how if top else "concat")
        values = forward
    return values, last


def find(keys, wanted):
    """Return where each hash is among sorted ones; ``len(keys)`` where it is not."""
    at = np.searchsorted(keys, wanted)
    return np.where(np.append(keys, keys[:1])[at] == wanted, at, len(keys))


def token_vectors(tensors, batch):
    """Return a vector for each token id: rows of the embedding, or sums of those of units."""
    vectors = tensors.get("embedding.weight")
    if vectors is None:  # One-hot.
        return np.eye(tensors["rnn.weight_ih_l0"].shape[1], dtype="f4")
    if "embedding.keys" not in tensors:
        return vectors
    rows = find(tensors["embedding.keys"], batch["units"])
    sums = np.concatenate((np.zeros((1, vectors.shape[1])), vectors[rows].cumsum(0)))
    return sums[batch["starts"][1:]] - sums[batch["starts"][:-1]]


def linear_outputs(tensors, batch):
    """Return the outputs (B, K) of the linear model of n-grams, or None without one."""
    if "linear.keys" not in tensors:
        return None
    rows, number = find(tensors["linear.keys"], batch["ngram_keys"]), len(batch["lengths"])
    idf, weight = (
        np.concatenate((t, np.zeros_like(t[:1])))
        for t in (tensors["linear.idf"], tensors["linear.weight"])
    )
    segments = batch["ngram_segments"]
    values = (1 + np.log(batch["ngram_counts"])) * idf[rows]
    squares = np.bincount(segments, values**2, 2 * number)
    values = values / np.sqrt(np.maximum(squares, 1e-30))[segments]
    outputs = np.tile(tensors["linear.bias"].astype("f8"), (number, 1))
    np.add.at(outputs, segments % number, weight[rows] * values[:, None])
    return outputs


def hashed_ngrams(tensors, options, token_ids):
    """Return the outputs (K,) of the hashed linear model of words and word pairs."""
    bits = options["ngram_bits"]
    with np.errstate(over="ignore"):
        ids = token_ids.astype("i8")
        pairs = ids[:-1] * np.int64(65_537) + ids[1:] + 1
        hashes = np.concatenate((ids, pairs)) * np.int64(0x9E3779B97F4A7C15 - 2**64)
    buckets = np.unique(hashes >> np.int64(64 - bits) & np.int64(2**bits - 1))
    return tensors["ngrams.weight"][buckets].sum(0) * (10 / len(buckets) ** 0.5)


def main(path):
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["zoo"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    run, probe = header.get("run", header), header["probe"]
    task, model = run["task"]["options"], run["model"]
    batch = {name: np.array(values) for name, values in probe["batch"].items()}
    vectors, linear = token_vectors(tensors, batch), linear_outputs(tensors, batch)
    for row, expected in enumerate(probe.get("outputs") or probe["logits"]):
        token_ids = batch["inputs"][row, : batch["lengths"][row]]
        outputs, last = run_model(model["name"], model["options"], tensors, vectors[token_ids])
        if "fc.weight" in tensors:
            logits = outputs @ tensors["fc.weight"].T + tensors["fc.bias"]
        else:
            pools = {"last": last, "mean": outputs.mean(0), "max": outputs.max(0)}
            pooled = np.concatenate([pools[name] for name in task["pooling"].split("+")])
            if "fc1.weight" in tensors:
                pooled = np.maximum(tensors["fc1.weight"] @ pooled + tensors["fc1.bias"], 0)
            logits = tensors["fc2.weight"] @ pooled + tensors["fc2.bias"]
        if "ngrams.weight" in tensors:
            logits = logits + hashed_ngrams(tensors, task, token_ids)
        if linear is not None:
            weight = task["ngram_weight"]
            logits = (1 - weight) * logits + weight * linear[row]
        logits = logits / tensors.get("temperature", 1.0)
        difference = np.abs(logits - np.array(expected)[: len(logits)]).max()
        print(f"difference {difference:.1e}")  # noqa: T201


main(sys.argv[1])
