"""What each word of a text adds to an answer.

The score is a sum of two parts. What the model adds is divided among the tokens by integrated
gradients over their vectors. What the linear models of n-grams add is divided exactly: the part of
an n-gram equally among its words, or among its characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.interfaces import Explanation, Piece
from zoo_text.batches import TextBatch
from zoo_text.integrated_gradients import integrated_gradients, rows_at_once
from zoo_text.linear_shares import linear_shares
from zoo_text.network import TextNetwork
from zoo_text.scores import Score, check_target, choose_scores
from zoo_text.spans import Pieces

if TYPE_CHECKING:
    from zoo_text.task import TextTask

DoubleArray = npt.NDArray[np.float64]

NODES = (64, 256, 1024)
"""Points on the line of integration. The next number is for texts whose sum is not exact yet."""

TOLERANCE = 0.005
"""The sum is exact enough if it misses by this share of what the model adds, or by this number."""


def explain(
    task: TextTask, network: nn.Module, texts: Sequence[str], target: str
) -> list[Explanation]:
    """Explain the answers to texts; see :class:`zoo.interfaces.Explains`.

    Raises:
        UsageError: There is no such label.
    """
    assert isinstance(network, TextNetwork)
    check_target(task.known_labels(), target)
    found: dict[int, Explanation] = {}
    with _differentiating(network):
        for batch in _batches(task, network, texts):
            made = _explain_batch(task, network, batch, [texts[i] for i in _rows(batch)], target)
            found.update(zip(_rows(batch), made, strict=True))
    return [found[index] for index in range(len(texts))]


def _explain_batch(
    task: TextTask, network: TextNetwork, batch: TextBatch, texts: Sequence[str], target: str
) -> list[Explanation]:
    with torch.no_grad():
        outputs = task.outputs(network, batch).outputs
        known = task.known(network, batch)
        vectors = network.token_vectors(batch)
        mask = torch.arange(vectors.shape[1], device=vectors.device) < batch.lengths[:, None]
        baseline = torch.where(mask[..., None], network.unknown_vector(), vectors)
    scores = choose_scores(task, network, outputs, target)
    columns = torch.tensor([score.column for score in scores], device=vectors.device)

    def model_score(points: Tensor, row: Tensor) -> Tensor:
        found = network.forward_vectors(points, batch.lengths[row])
        return found.gather(1, columns[row, None])[:, 0]

    with torch.no_grad():
        every = torch.arange(len(batch), device=vectors.device)
        # The output of the model for texts of as many unknown tokens.
        bases = model_score(baseline, every).double()
        total = model_score(vectors, every).double() - bases
    values = torch.zeros(vectors.shape[:2], dtype=torch.float64, device=vectors.device)
    left = every
    for nodes in NODES:

        def score_of_left(points: Tensor, row: Tensor, left: Tensor = left) -> Tensor:
            return model_score(points, left[row])

        values[left] = integrated_gradients(score_of_left, vectors[left], baseline[left], nodes)
        missed = (total[left] - values[left].sum(1)).abs()
        left = left[missed > TOLERANCE * total[left].abs().clamp(min=1)]
        if not len(left):
            break
    values.masked_fill_(~mask, 0)
    return [
        _explanation(
            task, network, text, score, token_ids[:length],
            known=batch.units is None or share > 0, output=output, base=base,
            values=row[:length].numpy(),
        )
        for text, score, token_ids, length, share, output, base, row in zip(
            texts, scores, batch.inputs.cpu(), batch.lengths.tolist(), known.tolist(),
            outputs.double().cpu(), bases.tolist(), values.cpu(), strict=True,
        )
    ]  # fmt: skip


def _explanation(
    task: TextTask,
    network: TextNetwork,
    text: str,
    score: Score,
    token_ids: Tensor,
    *,
    known: bool,
    output: Tensor,
    base: float,
    values: DoubleArray,
) -> Explanation:
    """Put the parts of a text's score together.

    Args:
        task: The task.
        network: Its network.
        text: The text.
        score: What is explained.
        token_ids: (N,) of the tokens that are read.
        known: Whether anything of it is known; otherwise the answer is always the same.
        output: (K,) outputs.
        base: The output of the model for N unknown tokens.
        values: (N,) what each token adds to the output of the model.
    """
    has_linear = network.linear is not None and task.sizes is not None
    pieces = Pieces(text, task.options.tokens, with_marks=has_linear)
    read = task.encoder.read_tokens(len(pieces.tokens))
    total = score.scale * float(output[score.column]) + score.shift
    method = "integrated gradients"
    added = np.zeros(len(pieces.spans))
    if known:
        method_parts = []
        if network.ngrams is not None:
            values = (
                values
                + network.ngrams.shares(token_ids.to(network.ngrams.weight.device), score.column)
                .detach()
                .cpu()
                .numpy()
            )
            method_parts.append("hashed n-grams")
        # A text without tokens is read as an unknown one, which is no part of it.
        seen = read >= 0
        np.add.at(added, pieces.tokens[read[seen]], values[seen])
        base += float(values[~seen].sum())
        if has_linear:
            assert network.linear is not None
            assert task.sizes is not None
            weight = task.options.ngram_weight
            shares, rest = linear_shares(network.linear, task.sizes, text, score.column, pieces)
            added = (1 - weight) * added + weight * shares
            base = (1 - weight) * base + weight * rest
            method_parts.append("n-grams")
        scale = score.scale / float(getattr(network, "temperature", 1.0))
        added, base = scale * added, scale * base + score.shift
        if method_parts:
            method += f", shares of {' and '.join(method_parts)}"
    else:
        base = total
    shown = set(range(len(pieces.spans)))
    if not has_linear:
        shown = {int(piece) for piece in pieces.tokens[read[read >= 0]]}
    return Explanation(
        text=text,
        target=score.label,
        score=total,
        base=base,
        unit="logit" if score.label else task.options.label_column or "value",
        pieces=tuple(
            Piece(start, end, float(added[piece]))
            for piece, (start, end) in enumerate(pieces.spans)
            if piece in shown
        ),
        method=method,
    )


def _batches(task: TextTask, network: TextNetwork, texts: Sequence[str]) -> Iterator[TextBatch]:
    """Yield texts of similar length together, on the device of the network."""
    if not texts:
        return
    split = task.split(texts, np.arange(len(texts)))
    size, device = network.embedding.embedding_dim, network.fc2.weight.device
    for plan in split.eval_batches().plan:
        # Rounded up as the batch is.
        number = rows_at_once(split.batch(plan[:1]).inputs.shape[1], size)
        for first in range(0, len(plan), number):
            batch = split.batch(plan[first : first + number]).to(device)
            assert isinstance(batch, TextBatch)
            yield batch


def _rows(batch: TextBatch) -> list[int]:
    """Return the index of each text of a batch."""
    rows: list[int] = batch.targets.tolist()
    return rows


@contextmanager
def _differentiating(network: nn.Module) -> Iterator[None]:
    """Compute gradients, also where the caller computes none, in evaluation mode."""
    network.eval()
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        # Its recurrent layers have gradients in training mode alone.
        torch.backends.cudnn.flags(enabled=False),
    ):
        yield
