"""Processes that prepare side by side what they measure on one device in turns."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass
class Turn:
    """When a process may use the device; without a pipe, whenever it likes."""

    pipe: Connection | None = None
    holds: bool = field(default=False, init=False)

    def take(self) -> None:
        """Wait for it."""
        if self.pipe is not None and not self.holds:
            with _while_someone_listens():
                self.pipe.send(("waits", None))
                self.pipe.recv()
        self.holds = True

    def leave(self) -> None:
        """Let others."""
        if self.pipe is not None and self.holds:
            with _while_someone_listens():
                self.pipe.send(("leaves", None))
        self.holds = False


@contextmanager
def _while_someone_listens() -> Iterator[None]:
    """Without the process that waits for its result, a process ends."""
    try:
        yield
    except (OSError, EOFError):
        raise SystemExit from None


def side_by_side(
    work: Callable[[Job, Turn], Result], jobs: Iterable[Job], processes: int, ends: float
) -> Iterator[tuple[Job, Result | None]]:
    """Jobs in processes of their own, with what each comes to as it is done, until a time.

    It is None where a process came to its end without a result. Raises ValueError for less than one
    process.
    """
    if processes < 1:
        raise ValueError("there must be a process")
    office = _Office(work, deque(jobs), processes)
    try:
        while office.is_busy and time.monotonic() < ends:
            yield from office.proceed()
    finally:
        office.close()


class _Office(Generic[Job, Result]):
    def __init__(
        self, work: Callable[[Job, Turn], Result], jobs: deque[Job], processes: int
    ) -> None:
        self.work, self.jobs, self.processes = work, jobs, processes
        self.context = multiprocessing.get_context("spawn")  # no child may inherit CUDA's state
        self.workers: dict[Connection, tuple[Job, BaseProcess]] = {}
        self.queue: deque[Connection] = deque()
        self.turn: Connection | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is work left."""
        return bool(self.jobs or self.workers)

    def proceed(self) -> Iterator[tuple[Job, Result | None]]:
        """Start what can be started, and hear what there is to hear."""
        while self.jobs and len(self.workers) < self.processes:
            self._start(self.jobs.popleft())
        if self.turn is None and self.queue:
            self.turn = self.queue.popleft()
            with suppress(OSError):  # of a process that has ended meanwhile; its end is heard of
                self.turn.send("yours")
        for pipe in wait(self.workers, timeout=1.0):
            assert isinstance(pipe, Connection)
            job, _ = self.workers[pipe]
            try:
                kind, content = pipe.recv()
            except (EOFError, OSError):
                kind, content = "result", None
            if kind == "waits":
                self.queue.append(pipe)
            elif kind == "leaves":
                self.turn = None
            else:
                yield job, content
                self._end(pipe)

    def _start(self, job: Job) -> None:
        pipe, its = self.context.Pipe()
        process = self.context.Process(target=_work, args=(self.work, job, its), daemon=True)
        process.start()
        its.close()
        self.workers[pipe] = job, process

    def _end(self, pipe: Connection) -> None:
        """With its process goes what it has of the device's memory; only then comes the next. It is
        not left to end by itself, which takes a process with a GPU seconds."""
        _, process = self.workers.pop(pipe)
        process.kill()
        process.join()
        pipe.close()
        if pipe in self.queue:
            self.queue.remove(pipe)
        if self.turn is pipe:
            self.turn = None

    def close(self) -> None:
        """End all that is under way."""
        for _, process in self.workers.values():
            process.kill()
        for _, process in self.workers.values():
            process.join()


def _work(work: Callable[[Any, Turn], Any], job: Any, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the process that waits
    result = work(job, Turn(pipe))
    with _while_someone_listens():
        pipe.send(("result", result))
