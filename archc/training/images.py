"""The images of a recipe's kind."""

from __future__ import annotations

from torch import Tensor

from archc.errors import DataError
from archc.source.caller import said
from archc.training.cifar10 import Cifar10
from archc.training.data import Data, ImageSource
from archc.training.folder import ImageFolder


def open_data(source: ImageSource, mean: Tensor | None = None) -> Data:
    """The data of a recipe's kind; ``mean`` is the training images' if it is known already.

    Raises `DataError` for what is missing or not whole.
    """
    if not source.directory.is_dir():
        what = "is not a folder" if source.directory.exists() else "there is no such folder"
        raise DataError(f"{said('--data ', 'data=')}{str(source.directory)!r}: {what}")
    if source.recipe.header.data == "cifar10":
        return Cifar10(source, mean)
    return ImageFolder(source, mean)
