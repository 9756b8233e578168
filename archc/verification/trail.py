"""Which module of a running network is at work."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


class Trail:
    """While entered, keeps the paths of the modules that are running, the innermost last.

    After an exception the trail ends where it came from.
    """

    def __init__(self, module: nn.Module):
        self.paths: list[str] = []
        self._module = module
        self._handles: list[RemovableHandle] = []

    @property
    def end(self) -> str:
        """The path of the innermost module that is running, "" for the whole."""
        return self.paths[-1] if self.paths else ""

    def __enter__(self) -> Trail:
        for path, one in self._module.named_modules(remove_duplicate=False):
            self._handles += [
                one.register_forward_pre_hook(self._enter(path)),
                one.register_forward_hook(self._leave),
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, path: str) -> Any:
        def hook(_module: nn.Module, _inputs: object) -> None:
            self.paths.append(path)

        return hook

    def _leave(self, _module: nn.Module, _inputs: object, _output: object) -> None:
        self.paths.pop()
