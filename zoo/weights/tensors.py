"""Tensors of a network, as a weights file stores them, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.weights import quantization
from zoo.weights.components import not_finite
from zoo.weights.file import weights_digest
from zoo.weights.quantization import QUANTIZED, SUFFIX

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def stored(network: nn.Module, dtype: str = "float32") -> dict[str, Tensor]:
    """Return copies of the tensors of a network, on the CPU, as a file holds them.

    Tensors of float32, float16 and bfloat16 are converted to ``dtype``. All others keep their
    dtype; those of complex128, which the file format lacks, are pairs (..., 2) of float64. With
    int8, matrices of parameters become integers with scales, and other tensors float32.
    """
    if dtype == QUANTIZED:
        return _quantized(network)
    return {
        # Cloned, because the file format does not allow tensors that share memory.
        name: _stored(tensor.detach().cpu(), DTYPES[dtype]).clone(
            memory_format=torch.contiguous_format
        )
        for name, tensor in network.state_dict().items()
    }


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.is_complex() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype == torch.complex128:
        return torch.view_as_real(tensor)
    return tensor.to(dtype) if tensor.dtype in DTYPES.values() else tensor


def _quantized(network: nn.Module) -> dict[str, Tensor]:
    tensors = stored(network)
    for name, _ in network.named_parameters(remove_duplicate=False):
        matrix = tensors[name]
        if (
            matrix.dtype == torch.float32
            and quantization.is_quantizable(tuple(matrix.shape))
            and name + SUFFIX not in tensors
        ):
            values, scale = quantization.quantize(matrix.numpy())
            tensors[name], tensors[name + SUFFIX] = torch.tensor(values), torch.tensor(scale)
    return tensors


def dequantized(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file with 8-bit weights as those of the network, in float32.

    Raises:
        ValueError: Integers or scales are malformed; the message says which.
    """
    found = dict(tensors)
    for name in quantization.quantized_names({n: dtype_name(t) for n, t in tensors.items()}):
        stored = found.pop(name + SUFFIX)
        values, scale = found[name].numpy(), stored.float().numpy()
        if problem := quantization.problem(name, values, scale, dtype_name(stored)):
            raise ValueError(problem)
        found[name] = torch.from_numpy(quantization.dequantize(values, scale))
    return found


def restored(tensor: Tensor, wanted: torch.dtype) -> Tensor:
    """Return a tensor of a file as complex128 where the network's is; others as they are.

    Pairs are copied: numbers of complex128 have to start at a multiple of 16 bytes, and in a file
    they start at a multiple of 8. torch crashes otherwise.
    """
    pairs = tensor.dtype == torch.float64 and tensor.shape[-1:] == (2,)
    return torch.view_as_complex(tensor.clone()) if wanted == torch.complex128 and pairs else tensor


def identify(network: nn.Module, dtype: str) -> str:
    """Return the digest of the weights of a network: that of a file which holds them.

    Args:
        network: The network.
        dtype: dtype of the file, where that holds all weights exactly. The digest is that of
            float32 otherwise.
    """
    exact = stored(network)
    if dtype == "float32":
        return weights_digest(exact)
    rounded = stored(network, dtype)
    read = dequantized(rounded) if dtype == QUANTIZED else rounded
    same = all(torch.equal(read[name].to(exact[name].dtype), exact[name]) for name in exact)
    return weights_digest(rounded if same else exact)


def check_finite(network: nn.Module, tensors: Mapping[str, Tensor], where: str = "") -> None:
    """Refuse weights that are not finite numbers. Buffers may be infinite, as masks are.

    Raises:
        WeightsError: There is a NaN, an infinity in a parameter, or a boolean that is neither 0
            nor 1.
    """
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    for name, tensor in tensors.items():
        if not tensor.numel():
            continue
        if tensor.dtype == torch.bool and int(tensor.view(torch.uint8).max()) > 1:
            raise WeightsError(f"the weights are not booleans: {name}", where=where)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        values = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        if values.element_size() == 1:  # Of which torch has no minimum.
            values = values.float()
        # Both are NaN where there is one. Faster than isfinite(), which makes a tensor.
        low, high = torch.aminmax(values.detach())
        if low.isnan() or (name in parameters and not (low.isfinite() and high.isfinite())):
            raise not_finite(name, where)


def dtype_name(of: Tensor | torch.dtype) -> str:
    """Return the name of a dtype, such as ``float32``."""
    return str(of.dtype if isinstance(of, Tensor) else of).removeprefix("torch.")
