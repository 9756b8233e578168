"""A running ``archc watch``, for tests."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

SPEC = (
    "name: tiny\ntitle: Tiny\ninput: [3, 16, 16]\ndefaults: {block: basic, shortcut: A}\n"
    "stages:\n  - {depth: 2, width: 8}\n  - {depth: 2, width: 16, stride: 2}\n"
    "head: [global_avg_pool, linear]\n"
)


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    headers: Message
    body: bytes


class Watcher:
    """The process, the spec that it watches, its address, and the states that it tells."""

    def __init__(self, process: subprocess.Popen[str], path: Path):
        assert process.stdout is not None
        self.process, self.path = process, path
        self.line = process.stdout.readline()
        self.address = self.line.split()[0] if self.line else ""
        self.port = int(self.address.rstrip("/").rpartition(":")[2]) if self.address else 0
        self._events: http.client.HTTPResponse | None = None
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str = "/", **headers: str) -> Answer:
        """Ask for a path; ``Host`` among the headers replaces the right one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest("GET", path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with closing(connection), connection.getresponse() as answer:
            return Answer(answer.status, answer.headers, answer.read())

    def state(self) -> dict[str, Any]:
        """The next state that the page is told."""
        if self._events is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            self._connection.request("GET", "/events")
            self._events = self._connection.getresponse()
        while True:
            line = self._events.readline().decode()
            assert line, "the stream of events has ended"
            if line.startswith("data: "):
                state: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return state

    def whole(self) -> dict[str, Any]:
        """The next state without faults: a file that is written in place is empty for a moment."""
        while (state := self.state())["faults"]:
            pass
        return state

    def close(self) -> None:
        """Leave the stream of events."""
        for one in (self._events, self._connection):
            if one is not None:
                one.close()

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it; the exit code, and what it said on stderr."""
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=20)
        return self.process.returncode, told


@contextmanager
def watching(path: Path, *arguments: str) -> Iterator[Watcher]:
    """Watch a spec on a free port."""
    command = [sys.executable, "-m", "archc", "watch", path.name, "--port", "0", *arguments]
    process = subprocess.Popen(
        command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watcher = Watcher(process, path)
    try:
        yield watcher
    finally:
        # Not killed: it removes its temporary files.
        process.terminate()
        process.communicate(timeout=20)
        watcher.close()
