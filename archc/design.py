"""What a front end makes of a text: a network, and where it came from."""

from __future__ import annotations

from functools import cached_property

from archc.compile import compile_spec
from archc.dataclassing import dataclass
from archc.graph import Network
from archc.source.diagnostics import Diagnostic, Note, SpecError
from archc.spec import Spec


@dataclass(frozen=True, repr=False)
class Design:
    """A spec that was read and found valid."""

    spec: Spec

    def __repr__(self) -> str:
        return f"Design({self.spec.header.name!r})"

    @cached_property
    def network(self) -> Network:
        """The network that it describes. Raises `SpecError` where its shapes do not fit."""
        return compile_spec(self.spec)

    @cached_property
    def text(self) -> str:
        """The resolved spec as YAML, with the origin of each value as a comment."""
        from archc.spec.show import show

        return show(self.spec)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What to know of options: which stages they leave alone."""
        return self.spec.notes

    @cached_property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is valid, but probably not meant."""
        from archc.spec.warnings import warnings_of

        try:
            network = self.network
        except SpecError:
            return warnings_of(self.spec, None)
        return warnings_of(self.spec, network)
