"""Tensors made of their descriptions and of the bytes of a file, which are not copied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from archc.text import quote_name
from archc.weights.errors import SAVE_HINT, WeightsError
from archc.weights.leftovers import in_words, is_tensor
from archc.weights.values import ITEM_BYTES, Array, StandIn, Storage, TensorView

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_TENSORS, MAX_KEY, MAX_KEY_PARTS = 50_000, 500, 50

ReadStorage: TypeAlias = Callable[[Storage], "torch.UntypedStorage"]
"""The bytes of a storage. Raises whatever reading them does, also where there are too few."""


def check_keys(file: str, keys: Collection[str]) -> None:
    """Refuse keys that nobody gives a tensor: comparing them would take long."""
    if len(keys) > MAX_TENSORS:
        raise WeightsError(file, f"holds more than {MAX_TENSORS:,} tensors in a state dict")
    for key in keys:
        if len(key) > MAX_KEY or key.count(".") > MAX_KEY_PARTS:
            what = f"has a key of {len(key):,} characters and {key.count('.') + 1:,} parts"
            raise WeightsError(file, f"{what}, more than any network needs")


def tensors_of(file: str, state: Mapping[str, Any], read: ReadStorage | None) -> dict[str, Tensor]:
    """The tensors of a state dict, some of torch's or descriptions of ones in ``file``.

    Raises `WeightsError` for values that are no tensors of plain numbers, and for views that reach
    outside their storage or are larger than it.
    """
    check_keys(file, state)
    return {key: _tensor(file, key, value, read) for key, value in state.items()}


def _tensor(file: str, key: str, value: object, read: ReadStorage | None) -> Tensor:
    from torch import Tensor

    if isinstance(value, Tensor):
        return _dense(file, key, value)
    if isinstance(value, StandIn) and is_tensor(value):
        raise WeightsError(file, *_no_plain_tensor(key, value))
    if not isinstance(value, TensorView | Array):
        raise WeightsError(file, f"`{quote_name(key)}` is {in_words(value)}, not a tensor")
    fault = value.fault()
    if fault is not None:
        raise WeightsError(file, f"`{quote_name(key)}` {fault}", SAVE_HINT)
    if isinstance(value, Array):
        return tensor_of_array(value)
    assert read is not None, "a description comes from a file"
    return _view(value, read)


def _no_plain_tensor(key: str, value: StandIn) -> tuple[str, str | None]:
    """What is wrong with a tensor that only torch itself could make, and a hint."""
    name = getattr(value.maker, "name", "")
    if name.startswith("_rebuild_from_type"):
        what = f"`{quote_name(key)}` is a tensor with attributes, or of a class of its own"
        return what, "save plain tensors: {key: tensor.detach().clone() for ...}"
    arguments = value.arguments if isinstance(value.arguments, tuple) else ()
    inner = [one for one in arguments[:1] if isinstance(one, StandIn)]
    if name.startswith("_rebuild_tensor") and inner and inner[0].path.startswith("torch.storage."):
        return f"`{quote_name(key)}` was saved by pickle.dump, not by torch.save", SAVE_HINT
    return f"`{quote_name(key)}` is not a dense tensor of plain numbers", None


def _dense(file: str, key: str, tensor: Tensor) -> Tensor:
    import torch

    other = tensor.is_nested or tensor.is_quantized or tensor.is_meta
    if other or tensor.layout != torch.strided:
        raise WeightsError(file, f"`{quote_name(key)}` is not a dense tensor of plain numbers")
    return tensor.detach()


def _view(view: TensorView, read: ReadStorage) -> Tensor:
    import torch

    dtype: torch.dtype = getattr(torch, view.dtype)
    if 0 in view.size:
        return torch.empty(view.size, dtype=dtype)
    empty = torch.empty((0,), dtype=dtype)
    start = view.offset + view.storage.start
    # A dimension of size 1 may have any stride.
    strides = [
        stride if size > 1 else 1 for size, stride in zip(view.size, view.strides, strict=True)
    ]
    return empty.set_(read(view.storage), start, view.size, strides)


def storage_of(
    data: memoryview | bytearray, dtype: str, order: str = sys.byteorder
) -> torch.UntypedStorage:
    """A storage of bytes, which are copied only where numbers could not be read from their place,
    or are in the other ``order`` than the machine's, ``little`` or ``big``.

    ``data`` may be written to.
    """
    import torch

    if not len(data):
        return torch.empty(0, dtype=torch.uint8).untyped_storage()
    numbers = torch.frombuffer(data, dtype=torch.uint8)
    width = ITEM_BYTES[dtype] // (2 if dtype.startswith("complex") else 1)
    if order != sys.byteorder and width > 1:
        numbers = numbers[: len(data) // width * width].reshape(-1, width).flip(1).reshape(-1)
    elif numbers.data_ptr() % 16:
        numbers = numbers.clone()
    return numbers.untyped_storage()


def tensor_of_array(array: Array) -> Tensor:
    """A NumPy array that has no fault as a tensor."""
    import torch

    assert isinstance(array.shape, tuple)
    assert array.dtype is not None
    data = array.bytes()
    assert data is not None
    dtype: torch.dtype = getattr(torch, array.dtype)
    if not len(data):
        return torch.empty(array.shape, dtype=dtype)
    order = "big" if array.is_big_endian else "little"
    storage = storage_of(bytearray(data) if isinstance(data, bytes) else data, array.dtype, order)
    shape = array.shape[::-1] if array.is_fortran else array.shape
    tensor = torch.empty((0,), dtype=dtype).set_(storage).reshape(shape)
    return tensor.permute(*reversed(range(tensor.ndim))) if array.is_fortran else tensor
