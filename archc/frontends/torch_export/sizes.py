"""The sizes of what a module is run on: one image, and whatever else its forward takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from archc.dataclassing import dataclass
from archc.frontends.program import ForeignError
from archc.source.caller import said
from archc.text import listing, quote, visible

if TYPE_CHECKING:
    import torch

Size: TypeAlias = tuple[int, ...]
InputSizes: TypeAlias = "Sequence[int] | Sequence[Sequence[int]] | Mapping[str, Sequence[int]]"
"""An image's size; or a list of sizes, in the order in which a forward takes them; or sizes by
the names of its arguments. All are without the batch."""

_SEVERAL = "`input=[(3, 224, 224), (10,)]` in Python has a size for each"


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of arguments, by position and by name; ``shared`` are the names of all that one
    size was given for."""

    positional: tuple[Size, ...]
    named: Mapping[str, Size]
    shared: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[Size, ...]:
        """All sizes."""
        return (*self.positional, *self.named.values())

    def __str__(self) -> str:
        texts = ["x".join(map(str, size)) for size in self.every]
        if len(texts) == 1:
            return f"one {texts[0]} image"
        return f"one image, as {listing(texts, 'and')}"


def sizes_for(module: torch.nn.Module, input: InputSizes) -> Sizes:
    """The sizes for a module's forward. One size is that of each argument which it needs.

    Raises `ForeignError` for what is no size, for sizes among which is no image's, and for other
    arguments than the forward has.
    """
    what = type(module).__name__
    signature = _signature(module)
    if isinstance(input, Mapping):
        named = {str(name): _size(one, input) for name, one in input.items()}
        sizes = Sizes((), named)
    elif not isinstance(input, str) and isinstance(input, Sequence) and any(map(_is_list, input)):
        sizes = Sizes(tuple([_size(one, input) for one in input]), {})
    else:
        size = _size(input, input)
        if len(size) != 3:
            raise _not_a_size(input, input)
        needed = _needed(signature)
        shared = tuple(needed) if len(needed) > 1 else ()
        return Sizes((size,) * max(1, len(needed)), {}, shared)
    if not any(len(size) == 3 for size in sizes.every):
        raise ForeignError(
            f"none of the sizes in `input` is that of an image, (C, H, W): {input!r:.60}",
            "archc reads networks that take images",
        )
    if signature is None:
        return sizes
    try:
        bound = signature.bind(*sizes.positional, **sizes.named)
    except TypeError as error:
        names = listing([quote(name) for name in signature.parameters], "and")
        raise ForeignError(
            f"the sizes in `input` do not fit the forward of {what}: {visible(str(error))}",
            f"its forward takes {names}" if signature.parameters else "its forward takes nothing",
        ) from None
    return Sizes(bound.args, bound.kwargs)


def _signature(module: torch.nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(module.forward)
    except (TypeError, ValueError):
        return None


def _needed(signature: inspect.Signature | None) -> list[str]:
    """The arguments that are given by position and have no default."""
    parameters = [] if signature is None else list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in parameters if one.kind in positional and one.default is one.empty]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _size(size: Any, input: Any) -> Size:
    """A size of one to three sides."""
    found = tuple(size) if _is_list(size) else ()
    if not 1 <= len(found) <= 3 or not all(type(side) is int and side > 0 for side in found):
        raise _not_a_size(size, input)
    return found


def _not_a_size(size: Any, input: Any) -> ForeignError:
    """The error for what is no size."""
    hint = without_batch(size) or "for example (3, 224, 224)"
    if size is input:
        return ForeignError(f"`input` must be (channels, height, width), not {input!r:.60}", hint)
    return ForeignError(
        f"a size in `input` must have one to three sides, not {size!r:.60}",
        hint,
    )


def without_batch(size: Any) -> str | None:
    """A hint for an image's size with a batch in front."""
    if not _is_list(size) or len(size) != 4 or not all(type(side) is int for side in size):
        return None
    own = tuple(size[1:])
    option = ",".join(map(str, own))
    return f"leave out the batch: {said(f'`--input {option}`', f'`input={own}`')}"


def hint_for(sizes: Sizes) -> str:
    """What may help where a module cannot be run on values of these sizes."""
    other = said("--input C,H,W", "input=(C, H, W)")
    if len(sizes.every) == 1:
        return f"it was given {sizes}; `{other}` gives it another size"
    if sizes.shared:
        names = listing([quote(name) for name in sizes.shared], "and")
        size = "x".join(map(str, sizes.every[0]))
        return f"{names} were {size} each; {_SEVERAL}"
    return f"it was given {sizes}"
