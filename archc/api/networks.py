"""Networks of what callers give: of one that is a network already, nothing of specs is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archc.graph import Network

if TYPE_CHECKING:
    from archc.api.reading import SpecLike
    from archc.frontends.torch_export.sizes import InputSizes


def network_of(spec: SpecLike, input: InputSizes | None = None) -> Network:
    """As `archc.api.reading.network_of`."""
    if isinstance(spec, Network) and input is None:
        return spec
    from archc.api import reading

    return reading.network_of(spec, input)
