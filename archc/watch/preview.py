"""What the page shows of a spec: its figure, or what is wrong with it above the last good one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from archc.backends.figure import MOST_LAYERS, DrawOptions, FigureError, draw
from archc.backends.figure.pages import figure_element
from archc.backends.numbers import shape
from archc.compile import compile_spec
from archc.dataclassing import dataclass
from archc.spec import SpecError, load_spec
from archc.spec.resolve import spec_files
from archc.words import summary


@dataclass(frozen=True, slots=True)
class State:
    """A version of the page: the last good figure, and the faults of the spec as it is now."""

    version: int = 0
    title: str = ""
    totals: str = ""
    figure: str = ""
    faults: tuple[str, ...] = ()

    def as_json(self) -> str:
        """The state as the page's script takes it."""
        return json.dumps(asdict(self))


class Preview:
    """A spec that is compiled and drawn anew on demand, and those who want to know of it."""

    def __init__(
        self,
        spec: str,
        with_: Sequence[str] = (),
        input_: str | None = None,
        fold: bool | None = None,
    ):
        self.spec, self.with_, self.input_, self.fold = spec, with_, input_, fold
        self.state = State(title=spec)
        self.closed = False
        self._changed = asyncio.Condition()

    def files(self) -> list[Path]:
        """The files that what is shown depends on: the spec and what it extends."""
        return spec_files(self.spec)

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

    def _drawn(self) -> State:
        """The next state, or the one there is where nothing has changed."""
        old = self.state
        try:
            network = compile_spec(load_spec(self.spec, self.with_, self.input_))
            fold = network.layers > MOST_LAYERS if self.fold is None else self.fold
            figure = figure_element(draw([network], "svg", DrawOptions(fold=fold)))
        except SpecError as error:
            faults = tuple([diagnostic.render() for diagnostic in error.diagnostics])
            new = replace(old, faults=faults)
        except (FigureError, OSError) as error:
            new = replace(old, faults=(f"error: {error}",))
        else:
            totals = f"{summary(network)}, for one {shape(network.input_shape)} image"
            new = State(old.version, network.title, totals, figure)
        return old if new == old else replace(new, version=old.version + 1)
