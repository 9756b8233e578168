"""What the page shows of a spec: its figure, or its mistakes and the figure up to the first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from archc.api.foreign import is_model, read_changed_model
from archc.backends.figure import FORMATS, MOST_LAYERS, DrawOptions, FigureError, draw
from archc.backends.figure.pages import figure_element
from archc.backends.figure.scene import element_id
from archc.backends.numbers import shape
from archc.compile import compile_spec
from archc.dataclassing import dataclass
from archc.frontends.program import ForeignError
from archc.graph import Network, fold_repeats
from archc.pages.figures import SAVED
from archc.source.foreign import file_of
from archc.spec import Spec, SpecError, load_spec
from archc.spec.overrides import Change
from archc.spec.resolve import spec_files
from archc.watching.beginning import FAULT, beginning
from archc.words import summary

FAULT_ID = element_id("c1", FAULT)
"""The id that the box of a fault has in the figure."""


@dataclass(frozen=True, slots=True)
class State:
    """A version of the page: a figure, and the faults of the spec as it is now.

    Of a broken spec the figure ends at a box, whose id is ``fault_id``, and ``mark`` says what is
    wrong there. Where it cannot be drawn as far as that, the figure is the last good one and
    ``stale``. It is ``folded`` or not; ``folds`` says that this makes a difference. ``saves`` are
    the formats that it can be saved as, with their names, and ``name`` that of the file.
    """

    version: int = 0
    title: str = ""
    totals: str = ""
    figure: str = ""
    faults: tuple[str, ...] = ()
    mark: str = ""
    stale: bool = False
    folded: bool = False
    folds: bool = False
    name: str = ""
    fault_id: str = FAULT_ID
    saves: tuple[tuple[str, str], ...] = tuple(
        [(format, SAVED[format][0]) for format in SAVED if format in FORMATS]
    )

    def as_json(self) -> str:
        """The state as the page's script takes it."""
        return json.dumps(asdict(self))


class Preview:
    """A spec that is compiled and drawn anew on demand, and those who want to know of it.

    With a ``base``, another spec, the figure marks what differs from that.
    """

    def __init__(
        self,
        spec: str,
        changes: Sequence[Change] = (),
        fold: bool | None = None,
        base: str | None = None,
    ):
        self.spec, self.changes, self.fold = spec, changes, fold
        self.base = base
        self._base_network: Network | None = None
        self.state = self.good = State(title=spec)
        self.network: Network | None = None
        self._good_network: Network | None = None
        self.closed = False
        self._changed = asyncio.Condition()

    def files(self) -> list[Path]:
        """The files that what is shown depends on: the specs and what they extend."""
        return [*_files(self.spec), *([] if self.base is None else _files(self.base))]

    async def refresh(self) -> None:
        """Compile and draw; notify the listeners if anything has changed."""
        new = await asyncio.to_thread(self._drawn)
        async with self._changed:
            if new != self.state:
                self.state = new
                self._changed.notify_all()

    async def close(self) -> None:
        """End what listens."""
        async with self._changed:
            self.closed = True
            self._changed.notify_all()

    async def states(self) -> AsyncIterator[State]:
        """The state as it is, then each that comes after, until the preview is closed."""
        seen: int | None = None
        while not self.closed:
            state = self.state
            if state.version != seen:
                seen = state.version
                yield state
                continue
            async with self._changed:
                while not self.closed and self.state.version == seen:
                    await self._changed.wait()

    def file(self, format: str, folded: bool) -> bytes:
        """The figure that is shown as a file of a format, folded or not.

        Raises `FigureError` where there is none, and where the format cannot carry it.
        """
        if self.network is None:
            raise FigureError("there is no figure yet")
        return draw(self._shown(self.network), format, self._options(folded))

    def _shown(self, network: Network) -> list[Network]:
        """The networks of the figure."""
        return [network] if self._base_network is None else [self._base_network, network]

    def _options(self, folded: bool) -> DrawOptions:
        return DrawOptions(fold=folded, diff=self._base_network is not None)

    def _drawn(self) -> State:
        """The next state, or the one there is where nothing has changed."""
        old, spec = self.state, None
        try:
            self._base_network = None
            if self.base is not None:
                base = _network(self.base, self.changes)
            if is_model(self.spec):
                network = _network(self.spec, self.changes)
            else:
                spec = load_spec(self.spec, self.changes)
                network = compile_spec(spec)
            self._base_network = base if self.base is not None else None
            new = self._state(network)
        except SpecError as error:
            faults = tuple([diagnostic.render() for diagnostic in error.diagnostics])
            new = self._broken(spec, faults)
        except (FigureError, ForeignError, OSError) as error:
            new = self._stale((f"error: {error}",))
        else:
            self.good, self._good_network = new, network
        new = replace(new, version=old.version)
        return old if new == old else replace(new, version=old.version + 1)

    def _state(self, network: Network) -> State:
        """What is shown of a network without faults."""
        shown = self._shown(network)
        most = max(one.layers for one in shown)
        fold = most > MOST_LAYERS if self.fold is None else self.fold
        figure = figure_element(draw(shown, "svg", self._options(fold)))
        self.network = network
        return State(
            title=network.title,
            totals=f"{summary(network)}, for one {shape(network.input_shape)} image",
            figure=figure,
            folded=fold,
            folds=any(fold_repeats(one).runs for one in shown),
            name=network.name,
        )

    def _broken(self, spec: Spec | None, faults: tuple[str, ...]) -> State:
        """What is shown of a spec with mistakes, the ``spec`` itself where it can be loaded."""
        found = beginning(self.spec, self.changes, spec)
        if found is None:
            return self._stale(faults)
        try:
            shown = self._state(found.network)
        except FigureError:
            return self._stale(faults)
        return replace(
            shown,
            title=found.title,
            totals=f"up to the fault: {summary(found.network)}",
            faults=faults,
            mark=found.message,
        )

    def _stale(self, faults: tuple[str, ...]) -> State:
        """The last good figure, or none, with what is wrong now."""
        self.network = self._good_network
        return replace(self.good, faults=faults, stale=bool(self.good.figure))


def _network(name: str, changes: Sequence[Change]) -> Network:
    """The network of a spec or a model, as it is now."""
    if is_model(name):
        return read_changed_model(name, changes).network
    return compile_spec(load_spec(name, changes))


def _files(name: str) -> list[Path]:
    """The files that a network depends on."""
    return [Path(file_of(name))] if is_model(name) else [Path(one) for one in spec_files(name)]
