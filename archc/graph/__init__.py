"""What is computed: ops, the network of them, and its invariants. Knows no YAML and no torch."""

from typing import TYPE_CHECKING

from archc.graph.lint import LintError, lint
from archc.graph.network import (
    Fragment,
    FragmentBuilder,
    Network,
    NetworkBuilder,
    Node,
    Side,
    Step,
    Written,
    key_of,
    split_key,
)
from archc.graph.regions import Origin, Region, Standing, enclosing, renamed, walk
from archc.lazy import exports
from archc.ops import OPS, Op, Shape, ShapeError

if TYPE_CHECKING:
    from archc.graph.convolutional import (
        Convolutional,
        NotConvolutionalError,
        fully_convolutional,
        smallest_side,
    )
    from archc.graph.deploy import Foldings, deploy_form, foldings
    from archc.graph.heads import classifiers
    from archc.graph.repeats import Folded, fold_repeats

__all__ = [
    "OPS",
    "Convolutional",
    "Folded",
    "Foldings",
    "Fragment",
    "FragmentBuilder",
    "LintError",
    "Network",
    "NetworkBuilder",
    "Node",
    "NotConvolutionalError",
    "Op",
    "Origin",
    "Region",
    "Shape",
    "ShapeError",
    "Side",
    "Standing",
    "Step",
    "Written",
    "classifiers",
    "deploy_form",
    "enclosing",
    "fold_repeats",
    "foldings",
    "fully_convolutional",
    "key_of",
    "lint",
    "renamed",
    "smallest_side",
    "split_key",
    "walk",
]

__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(
            ("Convolutional", "NotConvolutionalError", "fully_convolutional", "smallest_side"),
            ".convolutional",
        ),
        **dict.fromkeys(("Foldings", "deploy_form", "foldings"), ".deploy"),
        "classifiers": ".heads",
        **dict.fromkeys(("Folded", "fold_repeats"), ".repeats"),
    },
)
