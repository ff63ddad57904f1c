"""Runtimes: models and tasks by NumPy, which answer without torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

ArrayState: TypeAlias = tuple[Array, ...]
"""Recurrent state as arrays, in the layout of :data:`zoo.interfaces.State`."""

ArrayDecodeStep: TypeAlias = Callable[[Array, ArrayState | None], tuple[Array, ArrayState]]
"""(N,) token ids and a state to (N, ...) outputs and the next state; N samples advance together."""


class QuantizedMatrix(NamedTuple):
    """A matrix as a file with 8-bit weights stores it: a value is integer x scale.

    Args:
        values: (R, C) int8.
        scale: (R, 1) float32, or (1, C) of a matrix of fewer than 16 columns.
    """

    values: Array
    scale: Array


class OutputLayer(NamedTuple):
    """A linear layer from outputs of a model (F,) to logits (V,).

    Args:
        weight: (V, F).
        bias: (V,).
        quantized: The weight as the file stores it in 8 bits; None: it does not.
    """

    weight: Array
    bias: Array
    quantized: QuantizedMatrix | None


class TokenLoop(Protocol):
    """Generates one text, many tokens at a time.

    Attributes:
        num_tokens: V, the size of the vocabulary.
    """

    num_tokens: int

    def draw(
        self,
        token_ids: Sequence[int],
        variates: Array,
        *,
        greedy: bool,
        scale: float,
        top_k: int,
        top_p: float,
    ) -> Array:
        """Read tokens, and draw those that follow.

        Args:
            token_ids: What is read first, at least one: the prompt, or the last token that was
                drawn.
            variates: (T, V) float32, exponential variates, by which each token is drawn; see
                :func:`zoo.generation.draw`.
            greedy: Whether the likeliest token is taken.
            scale: What logits are multiplied by; see :class:`zoo.generation.Sampling`, as for what
                follows.
            top_k: Draw among the k likeliest; 0: all.
            top_p: Draw among the likeliest that have this probability; 1: all.

        Returns:
            The T tokens.
        """
        ...


class Tensors:
    """The tensors of a weights file, which the parts of a runtime network take by name.

    Those that fit are returned as float32, or as the integers that they are. What does not fit is
    collected: a network is made of all tensors of its file, or of none.

    Args:
        arrays: The tensors by name; those of 16 bits as float32.
        dtypes: The dtype of each in the file, as torch names it.
        dtype: The dtype of the file: that of tensors of floating-point numbers.
        prefix: What names are looked up under, such as ``rnn.``.
        quantized: Those that the file stores in 8 bits; they are in ``arrays``, too.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        dtypes: Mapping[str, str],
        dtype: str,
        prefix: str = "",
        quantized: Mapping[str, QuantizedMatrix] | None = None,
    ) -> None:
        self._arrays, self._dtypes, self._dtype = arrays, dtypes, dtype
        self._prefix, self._quantized = prefix, quantized or {}
        self._taken: set[str] = set()
        self._missing: list[str] = []
        self._different: list[str] = []
        self._infinite: list[str] = []

    def within(self, name: str) -> Tensors:
        """Return the tensors of a part of the network.

        Args:
            name: The attribute that the torch network has it under, such as ``rnn``.
        """
        prefix = f"{self._prefix}{name}."
        inner = Tensors(self._arrays, self._dtypes, self._dtype, prefix, self._quantized)
        inner._taken, inner._missing = self._taken, self._missing
        inner._different, inner._infinite = self._different, self._infinite
        return inner

    def take(self, name: str, *shape: int, kind: str = "", buffer: bool = False) -> Array:
        """Return a tensor; zeros of that shape where it does not fit.

        Args:
            name: The name of the parameter or buffer.
            *shape: The shape that it must have.
            kind: The dtype that it must have; empty: that of the file.
            buffer: Whether it may have infinite values, as buffers may.
        """
        full = self._prefix + name
        self._taken.add(full)
        if full not in self._arrays:
            self._missing.append(full)
            return _zeros(shape, kind)
        array, wanted, fits = self._arrays[full], kind or self._dtype, True
        if array.shape != shape:
            self._different.append(f"{full} has shape {array.shape}, not {shape}")
            fits = False
        if self._dtypes[full] != wanted:
            self._different.append(f"{full} is {self._dtypes[full]}, not {wanted}")
            fits = False
        if not fits:
            return _zeros(shape, kind)
        if array.dtype.kind == "f" and array.size:
            low, high = array.min(), array.max()
            if np.isnan(low) or not (buffer or (np.isfinite(low) and np.isfinite(high))):
                self._infinite.append(full)
        return array

    def quantized(self, name: str) -> QuantizedMatrix | None:
        """Return a matrix as the file stores it in 8 bits; None where it does not.

        Args:
            name: The name of the parameter, which is taken by :meth:`take` as well.
        """
        return self._quantized.get(self._prefix + name)

    def problems(self) -> list[str]:
        """Return which tensors do not fit, after all were taken, in words."""
        extra = sorted(self._arrays.keys() - self._taken)
        return [
            *(f"{name} is missing" for name in sorted(self._missing)),
            *(f"{name} is extra" for name in extra),
            *sorted(self._different),
        ]

    def not_finite(self) -> list[str]:
        """Return which tensors are not finite numbers, after all were taken."""
        return sorted(self._infinite)


def _zeros(shape: tuple[int, ...], kind: str) -> Array:
    """Return zeros that take no memory: what a file says of sizes is not checked yet."""
    return np.broadcast_to(np.zeros((), kind or np.float32), shape)


class RuntimeModel(Protocol):
    """A model by NumPy, built as ``runtime(input_size, options, tensors)``.

    It computes what the torch model of the same record computes in evaluation mode, within 1e-5.

    Attributes:
        known_options: Options of the model that it takes into account, or that change nothing in
            evaluation mode. Where another one differs from its default, torch computes.
        output_size: Size of an output vector.
    """

    known_options: Collection[str]
    output_size: int

    def __call__(
        self,
        weight: Array | None,
        token_ids: Array,
        lengths: Array,
        *,
        return_outputs: bool = True,
    ) -> tuple[Array, ArrayState]:
        """Run over a right-padded batch, as :meth:`zoo.interfaces.ForwardsEmbedded`.

        Args:
            weight: (V, input_size), a vector for each token id; None for one-hot vectors.
            token_ids: (B, T).
            lengths: (B,), at least 1.
            return_outputs: Whether outputs are needed; if not, an empty array may be returned.

        Returns:
            Outputs (B, T, output_size), zero at padding, and the state after each row.
        """
        ...

    def readout(self, state: ArrayState) -> Array:
        """Return (B, output_size), what has been read by the end of each row.

        Args:
            state: What a call returned.
        """
        ...

    def decode_step(self, weight: Array | None) -> ArrayDecodeStep:
        """Return a function from token ids (N,) to outputs (N, output_size), for generation.

        Args:
            weight: As for a call.
        """
        ...


@runtime_checkable
class CompilesTokenLoop(Protocol):
    """A :class:`RuntimeModel` that generates one text by compiled code."""

    def token_loop(
        self, weight: Array | None, output: OutputLayer, num_steps: int
    ) -> TokenLoop | None:
        """Return the loop; None: compiled code is not to be had, or not worth while.

        Args:
            weight: As for a call.
            output: The output layer.
            num_steps: How many tokens are read and drawn.
        """
        ...


@runtime_checkable
class DrawsTokens(Protocol):
    """A :class:`RuntimeTask` that generates one text by the compiled code of its model."""

    def draw_loop(self, network: Any, num_steps: int) -> TokenLoop | None:
        """Return the loop; None: the step function of :class:`Generates` is to be used.

        Args:
            network: What :meth:`RuntimeTask.network` returned.
            num_steps: How many tokens are read and drawn.
        """
        ...


BuildRuntimeModel: TypeAlias = Callable[[int, Tensors], RuntimeModel]
"""(input_size, tensors of the model) to the model that the file names."""


class RuntimeTask(Protocol):
    """A task by NumPy, built as ``runtime(options)``.

    It has the methods of the capabilities that it shares with the torch task (:class:`Predicts`,
    :class:`Generates`, :class:`Embeds`, :class:`ProbesTexts`), with what :meth:`network` returns
    in place of the torch module.

    Attributes:
        known_options: As of :class:`RuntimeModel`, those of the task.
    """

    known_options: Collection[str]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what the torch task learned; see :meth:`Task.load_state_dict`.

        Args:
            state: The values, as they come from JSON.
        """
        ...

    def network(self, build_model: BuildRuntimeModel, tensors: Tensors) -> Any:
        """Return the network around the model.

        Args:
            build_model: Makes the model of the file.
            tensors: Every tensor of the file, of which each has to be taken.
        """
        ...

    def probe_outputs(self, network: Any, batch: Mapping[str, Array]) -> Array:
        """Return the outputs of a probe; see :meth:`Task.probe_outputs`.

        Args:
            network: What :meth:`network` returned.
            batch: The fields of the batch of :meth:`Task.probe`, as arrays.
        """
        ...
