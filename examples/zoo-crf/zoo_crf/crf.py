"""From scores of tags to sequences of tags: a linear-chain CRF, and softmax at every step.

Both have :meth:`log_likelihood` and :meth:`decode`. Rows are padded on the right; what is at
padding is not read.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.nn import gather_last, length_mask
from zoo_crf.spans import Allowed

# Finite, because the gradient of a logsumexp over minus infinity alone is not a number; exp() of it
# is zero beside any score that a network has.
FORBIDDEN = -1e4


class _Scores(NamedTuple):
    """Of K tags: (K,) of the first one, (K, K) of a tag (row) before another, (K,) of the last."""

    start: Tensor
    transitions: Tensor
    end: Tensor


class LinearChainCRF(nn.Module):
    """A linear-chain conditional random field.

    The score of tags y of a row with emissions e is
    ``start[y_1] + sum_t e[t, y_t] + sum_t transitions[y_(t-1), y_t] + end[y_T]``; the probability
    of y is proportional to exp of it.

    Sources: J. Lafferty, A. McCallum, F. Pereira, Conditional random fields, ICML 2001; on top of
    a recurrent network: G. Lample et al., Neural architectures for named entity recognition,
    arXiv:1603.01360 (2016), section 2.2.

    Args:
        num_tags: K.
        allowed: Which tags may follow one another; sequences with others have probability zero.
            None: all may.
    """

    def __init__(self, num_tags: int, allowed: Allowed | None = None) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        for name, parameter in list(self.named_parameters()):
            forbidden = torch.zeros_like(parameter, dtype=torch.bool, requires_grad=False)
            if allowed is not None:
                forbidden = ~torch.tensor(getattr(allowed, name))
            # It follows from the tags, and is in no file.
            self.register_buffer(f"forbidden_{name}", forbidden, persistent=False)

    def _scores(self) -> _Scores:
        return _Scores(
            *(
                parameter.masked_fill(self.get_buffer(f"forbidden_{name}"), FORBIDDEN)
                for name, parameter in self.named_parameters()
            )
        )

    def log_likelihood(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-probability (B,) of the tags of each row, in nats.

        Args:
            emissions: (B, T, K).
            tags: (B, T) tag ids.
            lengths: (B,).
        """
        return self.score(emissions, tags, lengths) - self.log_partition(emissions, lengths)

    def score(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the score (B,) of the tags of each row; arguments as for log_likelihood."""
        scores = self._scores()
        mask = length_mask(lengths, tags.shape[1])
        emitted = emissions.gather(2, tags[..., None])[..., 0]
        moved = scores.transitions[tags[:, :-1], tags[:, 1:]]
        return (
            scores.start[tags[:, 0]]
            + (emitted * mask).sum(1)
            + (moved * mask[:, 1:]).sum(1)
            + scores.end[gather_last(tags, lengths)]
        )

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the logarithm (B,) of the sum of exp(score) over all sequences of tags.

        By the forward algorithm: O(T K^2) for each row.
        """
        scores = self._scores()
        mask = length_mask(lengths, emissions.shape[1])
        first, *others = emissions.to(scores.start.dtype).unbind(1)
        forward = scores.start + first  # (B, K): log-sum over the sequences that end with a tag.
        for step, emission in enumerate(others, 1):
            moved = (forward[:, :, None] + scores.transitions).logsumexp(1) + emission
            forward = torch.where(mask[:, step, None], moved, forward)
        return (forward + scores.end).logsumexp(1)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the most probable tags (B, T) of each row, 0 at padding, by Viterbi decoding.

        Args:
            emissions: (B, T, K).
            lengths: (B,).
        """
        scores = self._scores()
        mask = length_mask(lengths, emissions.shape[1])
        first, *others = emissions.to(scores.start.dtype).unbind(1)
        best = scores.start + first  # (B, K): of the best sequence that ends with a tag.
        stay = torch.arange(best.shape[1], device=best.device)
        pointers = []
        for step, emission in enumerate(others, 1):
            on = mask[:, step, None]
            moved, pointer = (best[:, :, None] + scores.transitions).max(1)
            best = torch.where(on, moved + emission, best)
            pointers.append(torch.where(on, pointer, stay))
        tags = [(best + scores.end).argmax(1)]
        for pointer in reversed(pointers):
            tags.append(pointer.gather(1, tags[-1][:, None])[:, 0])
        return torch.stack(tags[::-1], dim=1) * mask


class IndependentSoftmax(nn.Module):
    """Tags that are independent of each other given the text: a softmax at every step.

    It is a :class:`LinearChainCRF` whose start, transitions and end are zero.
    """

    def log_likelihood(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """As of :class:`LinearChainCRF`."""
        chosen = emissions.log_softmax(2).gather(2, tags[..., None])[..., 0]
        return (chosen * length_mask(lengths, tags.shape[1])).sum(1)

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """As of :class:`LinearChainCRF`."""
        return (emissions.logsumexp(2) * length_mask(lengths, emissions.shape[1])).sum(1)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """As of :class:`LinearChainCRF`."""
        return emissions.argmax(2) * length_mask(lengths, emissions.shape[1])
