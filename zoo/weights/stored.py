"""Tensors as a weights file stores them: bytes with a dtype and a shape. No torch here."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# From names of safetensors to those of torch.
_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16",
    "F32": "float32", "F64": "float64", "C64": "complex64", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}  # fmt: skip


class StoredTensor(NamedTuple):
    """A tensor of a file.

    Args:
        dtype: As torch names it, such as ``bfloat16``.
        shape: Its shape.
        data: Its bytes: values in order, the last index varies fastest, lowest byte first.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, tensor: dict[str, Any]) -> StoredTensor:
        """Return a tensor of what ``safetensors.deserialize`` returns."""
        kind = tensor["dtype"]
        return cls(_NAMES.get(kind, kind), tuple(tensor["shape"]), bytes(tensor["data"]))

    def array(self) -> npt.NDArray[Any]:
        """Return the values; those of 16 bits as float32.

        Raises:
            TypeError: NumPy has no such dtype.
        """
        if self.dtype == "bfloat16":
            # The upper half of a float32.
            upper = np.frombuffer(self.data, "<u2").astype(np.uint32) << np.uint32(16)
            return upper.view(np.float32).reshape(self.shape)
        values = np.frombuffer(self.data, np.dtype(self.dtype)).reshape(self.shape)
        # A copy: compiled code takes arrays that can be written to.
        return values.astype(np.float32 if self.dtype == "float16" else values.dtype)
