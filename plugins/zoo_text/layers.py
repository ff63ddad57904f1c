"""The layers of a text network from the top down, and how many of them are trained.

Source of gradual unfreezing: J. Howard and S. Ruder, *Universal language model fine-tuning for text
classification*, ACL 2018, arXiv:1801.06146, section 3.3.
"""

from __future__ import annotations

import re

from torch import nn

from zoo_text.network import TextNetwork

# As in torch.nn.LSTM: weight_ih_l0, bias_hh_l1_reverse.
_LAYER = re.compile(r"_l(\d+)(?:_|$)")


def layers(network: TextNetwork) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer: those above the model, its layers, the embedding.

    The model is one layer where names of its parameters have no number of a layer.
    """
    above: list[nn.Parameter] = []
    embedding: list[nn.Parameter] = []
    model: dict[int, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if name in network.constant:
            continue
        if name.startswith("rnn."):
            found = _LAYER.search(name)
            model.setdefault(int(found[1]) if found else 0, []).append(parameter)
        else:
            (embedding if name.startswith("embedding.") else above).append(parameter)
    return [above, *(model[number] for number in sorted(model, reverse=True)), embedding]


def freeze(network: TextNetwork, epoch: int) -> None:
    """Have the upper layers alone trained, as many as ``options.unfreeze_every`` says.

    Args:
        network: The network.
        epoch: Number of the epoch, from 0.
    """
    trained = 1 + epoch // network.options.unfreeze_every
    for number, parameters in enumerate(layers(network)):
        for parameter in parameters:
            parameter.requires_grad_(number < trained)
