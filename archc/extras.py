"""Packages that archc does without until something needs them."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "safetensors"),
    "onnx": ("torch", "safetensors", "onnx", "numpy"),
    "plot": ("matplotlib",),
    "train": ("torch", "safetensors", "matplotlib", "lightning-fabric", "pillow"),
    "watch": ("starlette", "uvicorn", "watchfiles"),
}
"""What each extra of the distribution installs, as pyproject.toml has it.

Hints name these packages rather than an extra of archc, because an extra needs the distribution's
name, and whoever runs archc from a clone has not installed it from an index.
"""


def require(module: str, what: str, extra: str, *, package: str | None = None) -> None:
    """Raise ModuleNotFoundError, saying what to install, where a module is missing.

    ``what`` needs it; ``package`` is what people call it, where that is not the module's name.
    """
    if find_spec(module) is None:
        command = f"pip install {' '.join(EXTRAS[extra])}"
        raise ModuleNotFoundError(f"{what} needs {package or module}: {command}", name=module)
