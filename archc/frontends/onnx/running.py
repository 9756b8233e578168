"""ONNX files run by onnxruntime, once archc has read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.dataclassing import dataclass
from archc.extras import require
from archc.frontends.program import ForeignError, Program
from archc.text import in_words, quote_name, visible

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Running:
    """A session of onnxruntime, on the CPU."""

    session: Any
    name: str
    batch: int | None
    channels_last: bool
    is_torch: bool = False

    def __call__(self, images: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What it puts out, in float32, where the images are."""
        import torch

        given = images.permute(0, 2, 3, 1) if self.channels_last else images
        array = given.cpu().contiguous().numpy()
        types = {one.name: one.type for one in self.session.get_inputs()}
        if types[self.name] == "tensor(float16)":
            array = array.astype("float16")
        names = [one.name for one in self.session.get_inputs() if one.name != self.name]
        more = dict(zip(names, [one.cpu().numpy() for one in others], strict=False))
        try:
            found = self.session.run(None, {self.name: array, **more})
        except Exception as error:  # of a dozen types, and from C++
            raise ForeignError(f"onnxruntime fails: {visible(in_words(error))}") from error
        return tuple([torch.from_numpy(one).to(images.device, torch.float32) for one in found])


def running(file: Path, program: Program) -> Running:
    """A file that was read as a program, whose tensors lie in it or in its folder.

    Every tensor is read first, which refuses files that lie elsewhere or are not as the model says.
    Raises `ForeignError` where onnxruntime does not take it, ModuleNotFoundError without that.
    """
    require("onnxruntime", "running an ONNX file", "onnx", package="onnxruntime")
    import onnxruntime

    if program.tensors is not None:
        program.tensors.read({one.key for one in program.weights.values()})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of a dozen types, and from C++
        name = quote_name(str(file))
        raise ForeignError(f"onnxruntime cannot read {name}: {visible(in_words(error))}") from error
    inputs = {one.name: one for one in session.get_inputs()}
    images = next((name for name, shape in program.inputs.items() if len(shape) == 4), "")
    first = inputs.get(images, session.get_inputs()[0])
    sizes = [one.shape[0] for one in (first, *inputs.values()) if one.shape]
    batch = next((size for size in sizes if isinstance(size, int)), None)
    return Running(session, first.name, batch, program.channels_last)
