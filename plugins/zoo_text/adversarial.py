"""Adversarial training: a second loss, for vectors of words that are changed for the worse.

Source: T. Miyato, A. Dai, I. Goodfellow, *Adversarial training methods for semi-supervised text
classification*, ICLR 2017, arXiv:1605.07725, section 3. For the vectors ``s`` of a text, all of
them together, the change is::

    r = epsilon |s| g / |g|        g = gradient of the loss by s

and the loss is that of ``s`` plus that of ``s + r``, where ``r`` is a constant. The paper scales
vectors to unit variance, and the norm of ``r`` is the same for all texts; here it is a share of the
norm of the text's vectors, so that nothing has to be scaled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.nn import length_mask
from zoo_text.batches import TextBatch
from zoo_text.network import TextNetwork


def adversarial_step(
    network: TextNetwork, batch: TextBatch, losses: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Compute a training step with ``options.adversarial``.

    Args:
        network: In training mode.
        batch: B texts.
        losses: Outputs (B, K) of the network to the loss of each text (B,).

    Returns:
        The outputs (B, K) for the vectors as they are, and the loss: a scalar.
    """
    vectors = network.training_vectors(batch.inputs, batch.units, batch.starts)
    if not vectors.requires_grad:  # The embedding is frozen.
        vectors.requires_grad_()
    clean_outputs = network.forward_vectors(vectors, batch.lengths)
    inputs = [vectors, *_trained_above_vectors(network)]
    ngrams = torch.zeros_like(clean_outputs)  # They do not depend on vectors.
    if network.ngrams is not None:
        ngrams = network.ngrams(batch.inputs, batch.lengths)
        if ngrams.requires_grad:
            inputs.append(ngrams)
    outputs = clean_outputs + ngrams
    clean = losses(outputs).mean()
    # The gradients of the first loss are computed once, here. In the loss that is returned, a
    # product with the same gradient stands for it, so that the engine can scale both.
    gradients = torch.autograd.grad(clean, inputs, allow_unused=True)
    found = [(x, g) for x, g in zip(inputs, gradients, strict=True) if g is not None]
    products = torch.stack([(x * g).sum() for x, g in found]).sum()
    gradient = torch.zeros_like(vectors) if gradients[0] is None else gradients[0]
    change = perturbation(vectors.detach(), gradient, batch.lengths, network.options.adversarial)
    changed = losses(network.forward_vectors(vectors + change, batch.lengths) + ngrams).mean()
    return outputs.detach(), clean.detach() + (products - products.detach()) + changed


def _trained_above_vectors(network: TextNetwork) -> list[nn.Parameter]:
    modules = [network.rnn, network.fc2, *([] if network.fc1 is None else [network.fc1])]
    return [p for module in modules for p in module.parameters() if p.requires_grad]


def perturbation(vectors: Tensor, gradient: Tensor, lengths: Tensor, share: float) -> Tensor:
    """Return the change (B, T, E) of vectors that raises the loss most, to first order.

    Args:
        vectors: (B, T, E).
        gradient: That of the loss by the vectors.
        lengths: (B,); what follows is padding.
        share: Its norm, over all vectors of a text, as a share of theirs.
    """
    mask = length_mask(lengths, vectors.shape[1])[..., None]
    gradient = gradient * mask
    norm = (vectors * mask).flatten(1).norm(dim=1)
    steepness = gradient.flatten(1).norm(dim=1)
    # Where the gradient is zero, there is no direction.
    scale = share * norm / steepness.where(steepness > 0, torch.ones_like(steepness))
    change: Tensor = gradient * scale[:, None, None]
    return change
