"""The tensors of ONNX files: in the file itself, or in one beside it."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from archc.frontends.onnx import model, wire
from archc.frontends.onnx.model import (
    CODES,
    DOUBLE,
    FLOAT,
    FLOATING,
    INT32,
    INT64,
    MAX_KNOWN,
    Model,
    Tensor,
    size,
)
from archc.frontends.onnx.sharing import is_vector
from archc.frontends.onnx.statics import Static
from archc.frontends.tensors import BFLOAT16, MAX_USES, Source, Tensors, beside, width
from archc.text import quote, visible

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.generic]


class OnnxTensors(Tensors):
    """``tensors`` are those that a program reads, by key, ``stored`` those of the file, by name."""

    def __init__(
        self, source: Source, file: str, tensors: Mapping[str, Static], stored: Mapping[str, Tensor]
    ):
        super().__init__(source, file)
        self.tensors, self.stored = tensors, stored
        self.seen: set[Path] = set()

    def read(self, keys: Collection[str]) -> dict[str, Array]:
        """The tensors of these keys. Raises as `Tensors.read`."""
        self.seen = set()  # the files beside the model that its tensors may take the memory of
        return super().read(keys)

    def _read(self, stream: BinaryIO, key: str) -> Array:
        import numpy as np

        static = self.tensors.get(key)
        if static is None:
            self.fail(key, "is not in the file")
        tensor = self.stored.get(static.root)
        if tensor is None:
            if static.values is None or static.kind not in CODES:
                self.fail(key, "is missing: the model was exported without it")
            code = self._code(static.kind, key, computed=True)
            self.claim(key, size(static.dims) * width(code))
            values = np.array(static.values, code)
            return (
                np.broadcast_to(values, static.dims)
                if values.size == 1
                else values.reshape(static.dims)
            )
        if tensor.external is None:  # those of other files when these have been found
            self.claim(key, size(tensor.dims) * width(self._code(tensor.kind, key)))
        array = self._stored(stream, tensor)
        for kind, numbers in static.steps:
            array = array.transpose(numbers) if kind == "transpose" else array.reshape(numbers)
        return np.ascontiguousarray(array)

    def _code(self, kind: int, key: str, *, computed: bool = False) -> str:
        code = CODES.get(kind)
        if code is None:
            self.fail(key, "has a data type that archc does not read")
        if kind == model.BFLOAT16:
            return "f4" if computed else BFLOAT16
        return code

    def stored_array(self, tensor: Tensor) -> Array:
        """A tensor that lies in a file beside the model."""
        with self._opened() as stream:
            return self._stored(stream, tensor)

    def repeated(self, tensor: Tensor) -> float | None:
        """The number that all elements of a tensor in a file beside the model are, if they are."""
        each, count = width(self._code(tensor.kind, tensor.name)), size(tensor.dims)
        data = self._external(tensor, each * count)
        if not data or data != data[:each] * count:
            return None
        if tensor.kind == model.BFLOAT16:
            return float(struct.unpack("<f", b"\0\0" + data[:2])[0])
        return float(struct.unpack(f"<{model.FORMATS[tensor.kind]}", data[:each])[0])

    def _stored(self, stream: BinaryIO, tensor: Tensor) -> Array:
        """A tensor as the file has it."""
        code, count = self._code(tensor.kind, tensor.name), size(tensor.dims)
        if tensor.external is not None:
            data = self._external(tensor, count * width(code))
        elif tensor.span is not None:
            start, end = tensor.span
            stream.seek(start)
            data = stream.read(end - start)
        else:
            return self._listed(stream, tensor, count).reshape(tensor.dims)
        if len(data) != count * width(code):
            self.fail(tensor.name, "has the wrong amount of data for its shape")
        return self.array(data, code, tensor.name).reshape(tensor.dims)

    def _external(self, tensor: Tensor, length: int) -> bytes:
        """Bytes of a file beside the model."""
        if isinstance(self.source, bytes):
            self.fail(
                tensor.name, "is stored in another file, and the model was not read from a file"
            )
        external = tensor.external or {}
        location = external.get("location", "")
        path = beside(Path(self.source), location, self.file)
        if path is None:
            self.fail(tensor.name, f"is stored in {quote(visible(location))}, which does not exist")
        start, said = self._number(tensor, "offset", 0), self._number(tensor, "length", length)
        there = path.stat().st_size
        if said != length or there < start + length:
            self.fail(tensor.name, "has the wrong amount of data for its shape")
        if path not in self.seen:
            self.seen.add(path)
            self.room += MAX_USES * there
        self.claim(tensor.name, length)
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(length)

    def _number(self, tensor: Tensor, name: str, default: int) -> int:
        written = (tensor.external or {}).get(name, "")
        if not written:
            return default
        if not written.isascii() or not written.isdigit() or len(written) > 18:
            self.fail(tensor.name, f"has an {name} that is not a number")
        return int(written)

    def _listed(self, stream: BinaryIO, tensor: Tensor, count: int) -> Array:
        """A tensor that lies number by number."""
        import numpy as np

        parts: list[Array] = []
        for number, form, start, end in tensor.lists:
            if form == wire.VARINT:
                parts.append(np.array([wire.signed(start)]))
                continue
            stream.seek(start)
            data = stream.read(end - start)
            if number in (4, 10):
                parts.append(self.array(data, "f4" if number == 4 else "f8", tensor.name))
            else:
                parts.append(np.array(wire.whole_numbers(data, form, 0, len(data), count)))
        made = np.concatenate(parts) if parts else np.zeros(0)
        if made.size != count:
            self.fail(tensor.name, "has the wrong amount of data for its shape")
        return self._typed(made, tensor)

    def _typed(self, made: Array, tensor: Tensor) -> Array:
        """Numbers as those of the tensor's type: of small floats they are the bits."""

        code = self._code(tensor.kind, tensor.name)
        if tensor.kind in (FLOAT, DOUBLE) or code not in ("f2", BFLOAT16):
            return made.astype(code)
        return self.array(made.astype("<u2").tobytes(), code, tensor.name)


def with_values(model: Model, source: Source, file: str) -> Model:
    """A model with what is needed of small tensors in a file beside it, where that is there: whole
    numbers, which may say something of the graph, and of vectors that several nodes read the number
    that all of their elements are. Raises `ForeignError` for tensors that lie outside the model's
    folder."""
    stored = model.graph.initializers
    locations = {(one.external or {}).get("location", "") for one in stored if one.external}
    if not locations or isinstance(source, bytes):
        return model
    there = {one for one in locations if beside(Path(source), one, file) is not None}
    tensors = OnnxTensors(source, file, {}, {})
    readers = Counter(name for node in model.graph.nodes for name in node.inputs)

    def known(tensor: Tensor) -> Tensor:
        where = (tensor.external or {}).get("location")
        if where not in there or size(tensor.dims) > MAX_KNOWN:
            return tensor
        if tensor.kind in (INT32, INT64):
            array = tensors.stored_array(tensor)
            return replace(tensor, values=tuple(array.ravel().tolist()))
        if tensor.kind in FLOATING and readers[tensor.name] > 1 and is_vector(tensor.dims):
            number = tensors.repeated(tensor)
            return tensor if number is None else replace(tensor, values=(number,))
        return tensor

    graph = replace(model.graph, initializers=[known(one) for one in stored])
    return replace(model, graph=graph)
