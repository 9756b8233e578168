"""Which spec weights belong to, where their keys and shapes do not say.

Some networks have the same tensors and compute something else: a ResNet-50 with its strides on the
1x1 or on the 3x3 convolutions, a plain network and one with parameter-free shortcuts. Files that
archc writes say which spec they are of; for any others, a note names the shipped specs that they
fit too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from archc.analysis import compare
from archc.analysis.comparison import LayerChange
from archc.analysis.computation import computes_same
from archc.errors import WeightsWarning
from archc.graph import Network, deploy_form
from archc.ops import Add, Dropout, Softmax, ZeroPadShortcut
from archc.text import listing, quote, quote_name
from archc.weights.checkpoint import Checkpoint
from archc.weights.errors import WeightsError

if TYPE_CHECKING:
    from archc.spec import Spec

_SPEC, _DIGEST, _TEXT = "archc.spec", "archc.digest", "archc.text"
"""What the metadata of a safetensors file has of its spec: how it was called, its digest, and all
of it, so that it can be compared with another."""

_MAX_TEXT = 2**16


def describe_origin(spec: Spec) -> dict[str, str]:
    """The metadata of weights of a spec, or of its deploy form."""
    from archc.spec.show import show

    return {_SPEC: spec.label, _DIGEST: spec.digest, _TEXT: show(spec, origins=False)}


def check_origin(network: Network, checkpoint: Checkpoint) -> None:
    """Check that weights which fit a network, or a deploy form, are not those of another one.

    Raises `WeightsError` where the file says that it is of a spec that computes something else.
    Where the file does not say, warns with `WeightsWarning` if a shipped spec does. A state dict in
    memory is taken as it is: the program that has it knows where it comes from.
    """
    if checkpoint.is_in_memory:
        return
    about = checkpoint.about
    if network.digest and about.get(_DIGEST) == network.digest:
        return
    own = _own_network(network, about)
    if own is not None and computes_same(network, own):
        return
    if own is not None:
        theirs = quote(about.get(_SPEC, own.name), limit=200)
        ours = quote(network.source or network.name, limit=200)
        raise WeightsError(
            checkpoint.file,
            f"holds weights of {theirs}, not of {ours}: the tensors are the same, but "
            f"{_difference(network, own, theirs)}",
            f"use {theirs} with these weights",
        )
    others = [f"{quote(spec)} ({_difference(network, it)})" for spec, it in _lookalikes(network)]
    if others:
        warn(
            f"{quote_name(checkpoint.file)} also fits {listing(others, 'and')}, "
            f"{'which computes' if len(others) == 1 else 'which compute'} something else: "
            "check which network these weights were trained for"
        )


def warn(message: str) -> None:
    """Warn with `WeightsWarning` at the line that called archc."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "archc":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, WeightsWarning, stacklevel=level)


def _own_network(network: Network, about: Mapping[str, str]) -> Network | None:
    """The network that a file says it is of, in the form that has the tensors of ``network``, for
    images of the same size; None where that cannot be known."""
    from archc.compile import compile_spec
    from archc.source.diagnostics import Findings, Source
    from archc.source.reader import read
    from archc.spec import SpecError
    from archc.spec.overrides import InputSize
    from archc.spec.resolve import resolve

    text = about.get(_TEXT, "")
    if not text or len(text) > _MAX_TEXT:
        return None
    source = Source("the weights' spec")
    source.text = text
    try:
        top = read(source, Findings()).data
        if isinstance(top, dict) and "extends" in top:
            return None  # archc writes none, and no file is opened because weights name it
        own = compile_spec(resolve(source, [InputSize(_size(network))]))
    except SpecError:
        return None
    return _with_tensors_of(network, own)


def _lookalikes(network: Network) -> Iterator[tuple[str, Network]]:
    """Shipped specs with the tensors of a network that compute something else from them."""
    from archc.compile import compile_spec
    from archc.listing import weight_counts, weights_in
    from archc.spec import SpecError, load_spec
    from archc.spec.overrides import InputSize

    own = weights_in(network)
    for name, count in weight_counts().items():
        if count != own:
            continue
        try:
            spec = load_spec(name, [InputSize(_size(network))])
            other = _with_tensors_of(network, compile_spec(spec))
        except SpecError:  # of images of this size or of so many channels it cannot be
            continue
        if other is not None and not computes_same(network, other):
            yield name, other


def _with_tensors_of(network: Network, other: Network) -> Network | None:
    """A network or its deploy form, whichever has the keys and shapes of another one."""
    for form in (other, deploy_form(other)):
        if form.state == network.state:
            return form
    return None


def _size(network: Network) -> str:
    return ",".join(map(str, network.input_shape))


def _difference(network: Network, other: Network, name: str = "it") -> str:
    """What another network, called ``name``, does differently, the first of it: ``stride 1 instead
    of 2 in `layer2.0.conv1`, and 5 more``."""
    nothing = (Dropout.kind, Softmax.kind)
    changes = [c for c in compare(network, other).changes if c.op not in nothing]
    shortcuts = {c.change for c in changes if c.op in (Add.kind, ZeroPadShortcut.kind)}
    if len(shortcuts) == 1 and "changed" not in shortcuts:
        return f"{name} has {'' if shortcuts == {'added'} else 'no '}shortcuts"
    told = [words for words in map(_in_words, changes) if words]
    for change in changes:
        if not told and change.what:
            told.append(f"{change.what[0]} in `{change.a}`")
    if not told:
        return f"{name} computes them in a different order"
    more = len(told) - 1
    return told[0] + (f", and {more} more such difference{'s' * (more > 1)}" if more else "")


def _in_words(change: LayerChange) -> str:
    if change.change == "added":
        return f"`{change.b}` is added"
    if change.change == "removed":
        return f"`{change.a}` is missing"
    first = change.what[0]
    if "→" not in first or first.startswith(("reads", "output")):
        return ""
    name, _, values = first.partition(" ")
    before, _, after = values.partition(" → ")
    return f"`{change.b}` has {name} {after} instead of {before}" if after else ""
