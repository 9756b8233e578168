"""A figure whose boxes are shaded by their share of what the network costs, with a scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from archc.analysis.footprint import memory
from archc.backends.figure.attribution import attributions
from archc.backends.figure.font import text_width
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text, foot
from archc.backends.numbers import exactly, in_bytes, percent
from archc.dataclassing import dataclass
from archc.graph import Network

LINE, SIZE = 20.0, 10.0
"""Of the scale: the height of its lines, its size of type."""
SWATCH_HEIGHT, SWATCH_PADDING, SWATCH_GAP = 14.0, 5.0, 6.0
STEPS = 5
"""How many colours the scale shows."""
MARK_PADDING = 2.4
"""Around the words beside a curve."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that ops cost: what it is called, how it is written, and how much each op has."""

    name: str
    written: Callable[[int], str]
    of: Callable[[Network], Mapping[str, int]]


def _params(network: Network) -> Mapping[str, int]:
    return {node.id: node.params for node in network.nodes.values()}


def _multiply_adds(network: Network) -> Mapping[str, int]:
    side_of = network.side_of
    return {
        node.id: 0 if node.id in side_of else node.multiply_adds for node in network.nodes.values()
    }


def _memory(network: Network) -> Mapping[str, int]:
    return {row.name: row.kept for row in memory(network).rows}


MEASURES = {
    "params": Measure("parameters", lambda number: f"{exactly(number)} parameters", _params),
    "multiply_adds": Measure(
        "multiply-adds", lambda number: f"{exactly(number)} multiply-adds", _multiply_adds
    ),
    "memory": Measure(
        "activations saved for training",
        lambda number: f"{in_bytes(number)} of activations saved for training",
        _memory,
    ),
}
"""What boxes may be shaded by. Memory is what a training step keeps for its gradients, the part of
memory that adds up over ops; it is for one image in float32."""


def with_heat(scene: Scene, networks: Sequence[Network], fold: bool, by: str) -> Scene:
    """The scene of networks' columns, shaded by one of `MEASURES`.

    A box has the share of all ops that belong to it, with ``fold`` those that it repeats among
    them; where ops on a curve have a share, as those of a projection, it is shown by a patch under
    the curve's mark. The darkest colour is for the largest share in the figure, rounded up.
    """
    found = attributions(scene, networks, fold)
    measure = MEASURES[by]
    places = _places(scene)
    shares: dict[str, float] = {}
    words: dict[str, str] = {}
    for network, attribution in zip(networks, found, strict=True):
        values = measure.of(network)
        sums: Counter[str] = Counter()
        for thing in attribution.ops:
            ops = attribution.all_ops(thing)
            sums[places.get(thing, thing)] += sum([values.get(op, 0) for op in ops])
        total = sum(values.values())
        for thing, value in sums.items():
            if value:
                shares[thing] = value / total
                words[thing] = (
                    f"{measure.written(value)}, {percent(shares[thing])} of the network's"
                )
    top = _round_up(max(shares.values(), default=0.0))
    boxes = [_shaded(box, shares, words, top) for box in scene.boxes]
    patches = [
        _patch(curve, curve.mark, shares[curve.id] / top, words[curve.id])
        for curve in scene.curves
        if curve.mark and curve.id in shares
    ]
    shown = replace(scene, boxes=(*boxes, *patches))
    return _with_scale(shown, measure, top, fold)


def _places(scene: Scene) -> dict[str, str]:
    """Where the share of a curve without a mark is shown: at the box above its end."""
    above = {arrow.head: arrow.tail for arrow in scene.curves if arrow.role == "arrow"}
    return {
        curve.id: above.get(curve.head, curve.tail)
        for curve in scene.curves
        if "shortcut" in curve.role and not curve.mark
    }


def _shaded(box: Rect, shares: Mapping[str, float], words: Mapping[str, str], top: float) -> Rect:
    share = shares.get(box.id, 0.0)
    more = [words[box.id]] if box.id in words else []
    tooltip = "\n".join([*[box.tooltip] * bool(box.tooltip), *more])
    heat = share / top if top else 0.0
    return replace(box, shade=None, is_odd=False, heat=heat, tooltip=tooltip)


def _patch(curve: Curve, mark: Text, heat: float, words: str) -> Rect:
    """A small box under the words beside a curve."""
    return Rect(
        id=f"{curve.id}-heat",
        role="heat",
        centre=mark.centre,
        width=mark.width + 2 * MARK_PADDING,
        height=mark.size + 2 * MARK_PADDING,
        tooltip="\n".join([curve.tooltip, words]),
        within=curve.within,
        heat=heat,
        ops=curve.ops,
    )


def _round_up(share: float) -> float:
    """The end of a scale whose steps are round numbers and that has this share.

    >>> [round(_round_up(share), 9) for share in (0.117, 0.031, 0.9)]
    [0.12, 0.032, 1.0]
    """
    if share <= 0:
        return 0.0
    step = share / (STEPS - 1)
    power = 10.0 ** math.floor(math.log10(step))
    steps = [factor * power for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)]
    return min((STEPS - 1) * next(nice for nice in steps if nice >= step * (1 - 1e-9)), 1.0)


def _with_scale(scene: Scene, measure: Measure, top: float, fold: bool) -> Scene:
    """The scene with a scale below: a few colours with their numbers, then what they are of."""
    repeats = ", repeated blocks together" if fold else ""
    words = f"share of the {measure.name}{repeats}" if top else f"no {measure.name}"
    left, lowest = foot(scene)
    y = lowest + LINE
    swatches = _swatches(list(_labels(top)) if top else [], left, y)
    x = swatches[-1].right + SWATCH_GAP if swatches else left
    if swatches and x + text_width(words, SIZE) > scene.width - left:
        x, y = left, y + LINE  # on a narrow page the words go below the colours
    title = Text("scale-title", "legend", words, Point(x, y), SIZE, left=True)
    width = max(
        [scene.width, x + title.width + left, *[swatch.right + left for swatch in swatches]]
    )
    stripes = [
        replace(stripe, width=width, centre=Point(width / 2, stripe.centre.y))
        for stripe in scene.stripes
    ]
    return replace(
        scene,
        width=width,
        height=y + LINE / 2 + left / 2,
        description=f"{scene.description} The shade of a box: {words}.",
        stripes=tuple(stripes),
        boxes=(*scene.boxes, *swatches),
        texts=(*scene.texts, title),
    )


def _swatches(labels: Sequence[str], left: float, y: float) -> list[Rect]:
    """The colours of the scale, lightest first, with their numbers in them."""
    width = max([text_width(label, SIZE) for label in labels], default=0.0) + 2 * SWATCH_PADDING
    return [
        Rect(
            id=f"scale-{number + 1}",
            role="scale",
            centre=Point(left + width / 2 + number * (width + SWATCH_GAP), y),
            width=width,
            height=SWATCH_HEIGHT,
            label=label,
            size=SIZE,
            heat=number / (STEPS - 1),
        )
        for number, label in enumerate(labels)
    ]


def _labels(top: float) -> Iterator[str]:
    """The numbers of the scale, with as many decimals as its steps need."""
    steps = [100 * top * number / (STEPS - 1) for number in range(STEPS)]
    decimals = 0
    while decimals < 9 and any(abs(round(step, decimals) - step) > 1e-9 for step in steps):
        decimals += 1
    for step in steps:
        yield f"{step:.{decimals}f} %" if step else "0 %"
