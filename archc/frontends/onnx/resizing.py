"""Maps of another size: ONNX's Resize as torch has it, where torch has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from archc.frontends.onnx.reading import At
from archc.frontends.program import Argument

_Called: TypeAlias = tuple[str, dict[str, Argument]]
"""What torch calls something, and its arguments."""

_HALVES = ("half_pixel", "pytorch_half_pixel")
"""Where pixels lie in torch; a map of a single one is another in the second."""


def resize(at: At) -> object:
    """Maps of another size; opaque where torch makes none that are the same."""
    dims = at.shape(0)
    is_old = at.node.op == "Upsample" or len(at.node.inputs) == 2
    sizes = None if is_old else at.wholes(3)
    factors = at.node.attributes.get("scales", at.numbers(1 if is_old else 2))
    by: dict[str, Argument]
    if sizes is not None and len(sizes) == len(dims):
        shape, by = list(sizes), {"output_size": tuple(sizes[2:])}
    elif isinstance(factors, tuple) and len(factors) == len(dims):
        given = [float(one) for one in factors if isinstance(one, (int, float))]
        if len(given) != len(dims) or not all(map(math.isfinite, given)):
            at.fail("scales by a factor that is not a number")
        shape = [math.floor(side * factor) for side, factor in zip(dims, given, strict=True)]
        by = {"scale_factors": tuple(given[2:])}
    else:
        return False
    if min(shape) < 1:
        at.fail("has an empty output")
    arguments: dict[str, Argument]
    if found := _called(at, dims, shape, is_old):
        name, arguments = found[0], {**found[1], **by}
    else:
        name, arguments = "resize", {"mode": at.word("mode", "nearest")}
    at.put(f"aten.{name}", {"input": at.reads(), **arguments}, shape)
    return None


def _called(at: At, dims: Sequence[int], shape: Sequence[int], is_old: bool) -> _Called | None:
    """What torch calls it; None where it has nothing that puts out the same."""
    is_of_maps = len(dims) == 4 and list(shape[:2]) == list(dims[:2])
    is_plain = not (at.whole("antialias", 0) or at.whole("exclude_outside", 0))
    is_stretched = at.word("keep_aspect_ratio_policy", "stretch") == "stretch"
    if not (is_of_maps and is_plain and is_stretched):
        return None
    places = "asymmetric" if is_old else at.word("coordinate_transformation_mode", "half_pixel")
    if at.word("mode", "nearest") == "nearest":
        rounds = "floor" if is_old else at.word("nearest_mode", "round_prefer_floor")
        return _nearest(dims, shape, places, rounds)
    return _smooth(at, shape, places)


def _nearest(dims: Sequence[int], shape: Sequence[int], places: str, rounds: str) -> _Called | None:
    """The nearest place, of whole factors: each place so many times, by most ways to round."""
    is_whole = all(side % one == 0 for side, one in zip(shape[2:], dims[2:], strict=True))
    is_rounded = places in _HALVES and rounds.startswith("round")
    is_same = is_rounded or (places == "asymmetric" and rounds == "floor")
    return ("upsample_nearest2d", {}) if is_whole and is_same else None


def _smooth(at: At, shape: Sequence[int], places: str) -> _Called | None:
    """Between places, on straight lines or on curves that are torch's."""
    kinds = {"linear": "upsample_bilinear2d", "cubic": "upsample_bicubic2d"}
    mode = at.word("mode", "")
    is_own = mode in kinds and (mode == "linear" or at.real("cubic_coeff_a", -0.75) == -0.75)
    is_single = places == "pytorch_half_pixel" and min(shape[2:]) == 1
    if not is_own or is_single or places not in (*_HALVES, "align_corners"):
        return None
    return kinds[mode], {"align_corners": places == "align_corners"}
