"""Tasks that each have a process of their own, as programs have.

In one process, tasks share a heap. One that would have the system map its memory anew at every
forward, as torch's eager mode does, finds there what others have left, and is quicker than alone.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

from peers import Task, cells, interleaved

Maker = Callable[[], Task]
Result = TypeVar("Result")


class Remote:
    """A task in another process."""

    def __init__(self, maker: Maker):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(maker, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.ask(_nothing)

    def __call__(self) -> None:
        """Have it run."""
        self.ask(_run)

    def ask(self, question: Callable[[Task], Result]) -> Result:
        """What a function of a module says of the task, in its process."""
        try:
            self._connection.send(question)
            answer: Result = self._connection.recv()
        except (EOFError, BrokenPipeError):
            raise SystemExit("a process that was to be measured has died") from None
        return answer

    def end(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()


@dataclass(frozen=True)
class Measured:
    """Seconds of tasks, round by round, and how many pages are mapped anew when one runs."""

    times: dict[str, list[float]]
    faults: dict[str, float]

    def cells(self, name: str, peer: str) -> list[str]:
        """A task's time, how many times as quick as a peer it is, its page faults."""
        return [*cells(self.times, name, peer), f"{self.faults[name]:,.0f}"]


def measured_apart(
    makers: Mapping[str, Maker], processes: int, rounds: int, runs: int = 3
) -> Measured:
    """Tasks in several processes each, one after another, in which they take turns."""
    times: dict[str, list[float]] = {name: [] for name in makers}
    faults: dict[str, list[int]] = {name: [] for name in makers}
    for _ in range(processes):
        with apart(makers) as tasks:
            for name, seconds in interleaved(tasks, rounds, runs).items():
                times[name] += seconds
            for name, task in tasks.items():
                faults[name] += [task.ask(_faults) for _ in range(3)]
    return Measured(times, {name: statistics.median(found) for name, found in faults.items()})


@contextmanager
def apart(makers: Mapping[str, Maker]) -> Iterator[dict[str, Remote]]:
    """Tasks in processes of their own, each made there; makers are picklable."""
    tasks: dict[str, Remote] = {}
    try:
        for name, maker in makers.items():
            tasks[name] = Remote(maker)
        yield tasks
    finally:
        for task in tasks.values():
            task.end()


def _serve(maker: Maker, connection: Connection) -> None:
    task = maker()
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        connection.send(question(task))


def _run(task: Task) -> None:
    task()


def _faults(task: Task) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    task()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _nothing(task: Task) -> None:
    """Wait until the task has been made."""
