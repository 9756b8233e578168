"""What is wrong with a checkpoint, said of its file."""

from __future__ import annotations

from collections.abc import Iterator

from archc.errors import ArchcError
from archc.text import quote_name


class WeightsError(ArchcError):
    """A checkpoint cannot be used: ``message`` says of its ``file`` why, ``hint`` what to do."""

    def __init__(self, file: str, message: str, hint: str | None = None):
        super().__init__(f"{quote_name(file)}: error: {message}", hint)
        self.file, self.message = file, message

    def _lines(self) -> Iterator[str]:
        """The first line says of which file it is."""
        first, *more = self.message.split("\n")
        yield f"archc: error: {self.file}: {first}"
        yield from more


DAMAGED = "is a truncated or damaged PyTorch checkpoint"
TOO_LARGE = "needs more memory than is available: it is too large or damaged"
SAVE_HINT = "save only the state dict: torch.save(model.state_dict(), FILE), or use safetensors"
