"""Answer texts, or continue one, with an ONNX file of zoo: ONNX Runtime and NumPy alone.

``python onnx_reader.py FILE TEXT...``
"""

import json
import re
import sys
from hashlib import blake2b

import numpy as np
import onnxruntime

FACTOR = np.uint64(0x9E3779B97F4A7C15)
EMOTICON = r"[:;=]-?[()dpDP](?!\w)"


def hash_text(text):
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


# Tokens


def split_words(text):
    """Return the words of a vocabulary: lower case, emoticons, no tags and no punctuation."""
    found = re.findall(rf"{EMOTICON}|\w+", re.sub("<[^>]*>", " ", text).lower())
    return [word.replace("-", "") if word[0] in ":;=" else word for word in found]


def split_subwords(text):
    return re.findall(rf"{EMOTICON}|\w+(?:['\u2019]\w+)*|[^\w\s]", text)


def split_characters(text):
    """Return each character with its neighbours."""
    marked = f"\x02{' '.join(text.split())}\x03"
    return [marked[i - 1 : i + 2] for i in range(1, len(marked) - 1)]


def truncate(tokens, most, how):
    """Return the tokens that are read."""
    if not most or len(tokens) <= most:
        return tokens
    head = {"head": most, "tail": 0, "head+tail": most // 2}[how]
    return tokens[:head] + tokens[len(tokens) - (most - head) :]


# Units of tokens, with subwords and characters


def subword_units(token):
    """Return the word in lower case, as it is written, and its n-grams of 3 to 5 characters."""
    masked = re.sub(r"\d", "0", token)
    marked = f"<{masked.lower()}>"
    units = [f"word {masked.lower()}", f"case {masked}"]
    for size in (3, 4, 5):
        units += [marked[i : i + size] for i in range(len(marked) - size + 1)]
    return units


def character_units(token):
    return [token[1], f"{token[:2]} ", f" {token[1:]}", token]


# N-grams of texts


def ngram_counts(units, longest):
    """Return the hashes of the n-grams of a text, and how often each occurs."""
    values = np.array(units, np.int64).astype(np.uint64)
    rolling, hashes = np.zeros(len(values), np.uint64), []
    for size in range(1, min(longest, len(values)) + 1):
        rolling = rolling[: len(values) - size + 1]
        rolling = (rolling ^ (values[size - 1 :] + np.uint64(size))) * FACTOR
        rolling ^= rolling >> np.uint64(29)
        hashes.append(rolling.view(np.int64))
    return np.unique(np.concatenate([np.empty(0, np.int64), *hashes]), return_counts=True)


def ngram_inputs(texts, words, characters):
    """Return the n-grams of texts: of up to so many words, and of up to so many characters."""
    rows = []
    if words:
        split = (re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts)
        rows += [ngram_counts([hash_text(word) for word in row], words) for row in split]
    if characters:
        marked = (f"\x02{' '.join(text.lower().split())}\x03" for text in texts)
        rows += [ngram_counts([ord(c) for c in row], characters) for row in marked]
    return {
        "ngram_keys": np.concatenate([keys for keys, _ in rows]),
        "ngram_counts": np.concatenate([counts for _, counts in rows]),
        "ngram_segments": np.repeat(np.arange(len(rows)), [len(keys) for keys, _ in rows]),
    }


class Network:
    """A network in an ONNX file, with what the file says of it."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.header = json.loads(self.session.get_modelmeta().custom_metadata_map["zoo"])
        self.options = self.header["run"]["task"]["options"]
        self.learned = self.header["task_state"]
        vocabulary = self.learned.get("vocabulary", [])
        self.token_ids = {token: token_id for token_id, token in enumerate(vocabulary)}

    def run(self, **inputs):
        """Return the outputs by name."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs), strict=True))

    # Tasks of texts

    def answer(self, texts):
        """Return the outputs for texts, by name; a row each."""
        inputs = self.word_inputs(texts)
        if "ngram_keys" in {each.name for each in self.session.get_inputs()}:
            inputs |= ngram_inputs(texts, *self.learned["ngram_sizes"])
        return self.run(**inputs)

    def word_inputs(self, texts):
        """Return token ids and lengths; with subwords and characters, also units of tokens."""
        how = self.options["max_tokens"], self.options["truncation"]
        kind = self.options["tokens"]
        if kind == "words":
            rows = [truncate(split_words(text), *how) for text in texts]
            unknown = 1
            return padded(
                [[self.token_ids.get(w, unknown) for w in row] or [unknown] for row in rows]
            )
        split = split_subwords if kind == "subwords" else split_characters
        units_of = subword_units if kind == "subwords" else character_units
        # A text without tokens is one token without units.
        rows = [truncate(split(text), *how) or [""] for text in texts]
        number = {token: i for i, token in enumerate(dict.fromkeys(t for row in rows for t in row))}
        units = [[hash_text(unit) for unit in units_of(token)] if token else [] for token in number]
        return {
            **padded([[number[token] for token in row] for row in rows]),
            "units": np.array([unit for row in units for unit in row], np.int64),
            "starts": np.cumsum([0, *map(len, units)]),
        }

    # Language models

    def start(self, batch=1):
        """Return the state before the first token."""
        return {
            name: np.broadcast_to(
                np.array(each["initial"], np.float32),
                [batch if size == "batch" else size for size in each["shape"]],
            )
            for name, each in self.header["onnx"]["state"].items()
        }

    def read(self, token_ids, state):
        """Read tokens; return the logits of what follows the last one, and the state."""
        found = self.run(**padded([token_ids]), **state)
        described = self.header["onnx"]["state"]
        return found["logits"][0, -1], {n: found[each["output"]] for n, each in described.items()}

    def generate(self, text, length):
        """Return a text and the likeliest characters, or known words, that follow it."""
        is_words = self.header["run"]["task"]["name"] == "word-lm"
        vocabulary = self.learned["vocabulary"]
        tokens = split_words(text) if is_words else list(text)
        # Words that the vocabulary lacks are <unk>; an empty prompt starts from the end of a text.
        start = "<eos>" if is_words else "\n"
        token_ids = [
            self.token_ids.get(token, 1) if is_words else self.token_ids[token] for token in tokens
        ]
        logits, state = self.read(token_ids or [self.token_ids.get(start, 0)], self.start())
        for _ in range(length):
            if is_words:
                logits[:2] = -np.inf  # <pad> and <unk>
            best = int(logits.argmax())
            tokens.append(vocabulary[best])
            logits, state = self.read([best], state)
        return (" " if is_words else "").join(tokens)


def padded(rows):
    """Return rows of token ids as an array with zeros on the right, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    token_ids = np.zeros((len(rows), lengths.max()), np.int64)
    for row, values in zip(token_ids, rows, strict=True):
        row[: len(values)] = values
    return {"token_ids": token_ids, "lengths": lengths}


def main(path, *texts):
    network = Network(path)
    if network.header["onnx"]["state"]:
        for text in texts:
            print(network.generate(text, 60))  # noqa: T201
        return
    found = network.answer(texts)
    labels = network.learned.get("labels", [])
    for row, text in enumerate(texts):
        if "values" in found:
            answer = f"{found['values'][row, 0]:.4g}"
        elif "labels" in found:
            answer = "|".join(np.array(labels)[found["labels"][row]])
        else:
            label = found["label"][row]
            answer = f"{labels[label]} {found['probabilities'][row, label]:.4f}"
        print(answer, text, sep="\t")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
