"""The page's server: for this machine alone, and for what it has made alone."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.backends.figure import FigureError
from archc.backends.figure.pages import figure_css
from archc.choices import FORMATS
from archc.dataclassing import dataclass
from archc.errors import ArchcError
from archc.extras import require
from archc.pages.figures import SAVED
from archc.watching.preview import Preview
from archc.watching.shortage import Shortage, can_open

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
HTTP_PORT = 80

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends it: Ctrl-C, a kill, a terminal that is closed."""

STEP, DEBOUNCE, LOOK_AGAIN = 10, 60, 500
"""Milliseconds: between two looks at what has changed, until a run of changes is told, and until
folders are looked for again that were not there."""

TRIES = 4
"""How often the first watcher is refused, while files can be opened, before that is an error."""

MOST_LINKS = 40
"""As many links as the system itself follows."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class WatchError(ArchcError):
    """The page cannot be served; the message says why."""


def serve(
    preview: Preview,
    port: int,
    ready: Callable[[str], None],
    warn: Callable[[str], None] = lambda words: None,
) -> None:
    """Serve a preview's page until Ctrl-C or SIGTERM; ``ready`` is told its address, ``warn`` that
    it goes on without what the system is short of.

    Port 0 takes any that is free. Raises `WatchError` for a port that is taken or not allowed, and
    ModuleNotFoundError where what it needs is not installed.
    """
    require_packages()
    with listening(port) as listener:
        port = listener.getsockname()[1]
        address, shortage = f"http://{HOST}:{port}/", Shortage(warn)
        asyncio.run(_serve(preview, listener, lambda: ready(address), shortage))


def require_packages() -> None:
    """Raise ModuleNotFoundError, saying what to install, where a package is missing."""
    for name in ("starlette", "uvicorn", "watchfiles"):
        require(name, "watching", "watch")


def listening(port: int) -> socket.socket:
    """A socket that listens on this machine's own address; raises `WatchError`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise WatchError(f"port {port} is in use; --port 0 takes a free one") from None
        if error.errno == errno.EACCES:
            raise WatchError(f"port {port} needs root privileges; use one above 1023") from None
        raise WatchError(f"port {port} cannot be used: {error.strerror}") from None
    return listener


async def _serve(
    preview: Preview, listener: socket.socket, ready: Callable[[], None], shortage: Shortage
) -> None:
    import anyio
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to what is around it: uvicorn raises them anew once it has stopped."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    loop = asyncio.get_running_loop()
    await preview.refresh()
    await anyio.sleep(0)  # loads what it would load with the first request, while it can
    app = application(preview, listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_level="error",
        ws="none",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server, watcher = Server(config), asyncio.create_task(watch(preview, shortage))

    def stop() -> None:
        # Streams of events would keep the server from stopping.
        server.should_exit = True
        ending.append(asyncio.ensure_future(preview.close()))

    def fails(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # For each connection that it cannot accept, asyncio tries again a second later, even when
        # the server has been closed.
        error = context.get("exception")
        ended = server.should_exit and isinstance(error, ValueError)
        if not ended and not shortage.covers(error):
            loop.default_exception_handler(context)

    loop.set_exception_handler(fails)
    ending: list[asyncio.Future[None]] = []
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    # Without its watcher a page would go on saying that it is up to date.
    watcher.add_done_callback(lambda _: stop())
    try:
        ready()
        await server.serve(sockets=[listener])
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def watch(preview: Preview, shortage: Shortage) -> None:
    """Draw anew whenever a file that the preview depends on is saved, moved or deleted.

    Raises `WatchError` where the system lets no more be watched. A shortage of file descriptors is
    waited out; what looks like one to begin with may be the system's limit on watchers.
    """
    from watchfiles import awatch

    tries = TRIES
    while not preview.closed:
        begins = True
        try:
            places = await asyncio.to_thread(Places.of, preview)
            async for changes in awatch(
                *places.folders,
                watch_filter=places.filter,
                step=STEP,
                debounce=DEBOUNCE,
                rust_timeout=LOOK_AGAIN,
                yield_on_timeout=True,
                recursive=False,
                ignore_permission_denied=True,
            ):
                if changes or begins:  # what was saved before it began to look is no change
                    await preview.refresh()
                begins, tries = False, sys.maxsize
                if preview.closed or await asyncio.to_thread(Places.of, preview) != places:
                    break  # it extends another file now, or a folder has come or gone
        except FileNotFoundError:  # a folder has gone just now
            await asyncio.sleep(LOOK_AGAIN / 1000)
        except (OSError, RuntimeError) as error:
            tries -= can_open()
            if not (tries and shortage.covers(error)):
                why = (isinstance(error, OSError) and error.strerror) or error
                raise WatchError(f"files cannot be watched: {why}") from None
            await asyncio.sleep(LOOK_AGAIN / 1000)


@dataclass(frozen=True)
class Places:
    """Where to look: the files, with every link on the way to them, and the folders they are in.

    Folders have their inodes with them: one that was removed and made again is another.
    """

    files: frozenset[str]
    inodes: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, preview: Preview) -> Places:
        """The places of what a preview depends on, as they are now."""
        files = {str(place) for path in preview.files() for place in _on_the_way(path.absolute())}
        folders = {_existing(Path(file).parent) for file in files}
        return cls(
            frozenset(files),
            frozenset((str(folder), os.stat(folder).st_ino) for folder in folders),
        )

    @property
    def folders(self) -> list[str]:
        """The folders, each once."""
        return sorted({folder for folder, _ in self.inodes})

    def filter(self, _change: object, path: str) -> bool:
        """Whether a change there may change what is shown: of a file, or a folder around one."""
        return path in self.files or any(file.startswith(f"{path}{os.sep}") for file in self.files)


def _on_the_way(path: Path) -> Iterator[Path]:
    """A path, the links among its folders, and what each of them leads to."""
    seen: set[str] = set()
    waiting = [os.path.normpath(path)]
    while waiting and len(seen) < MOST_LINKS:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield Path(one)
        for around in (Path(one), *Path(one).parents):
            if around.is_symlink():
                yield around
                target = os.path.join(around.parent, os.readlink(around))
                rest = os.path.relpath(one, around)
                waiting.append(os.path.normpath(os.path.join(target, rest)))


def _existing(folder: Path) -> Path:
    """A folder, or the nearest one around it that is there."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def application(preview: Preview, port: int) -> Starlette:
    """The page, its style, its script, the stream of events that it follows, and the figure as
    files.

    All that it serves is read before the first request: it needs no files afterwards.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    texts = {
        "/": (_text("watching", "page.html"), "text/html"),
        "/watch.js": (
            _text("pages", "figure.js") + _text("watching", "watch.js"),
            "text/javascript",
        ),
        "/watch.css": (
            figure_css() + _text("pages", "figure.css") + _text("watching", "watch.css"),
            "text/css",
        ),
    }

    async def page(request: Request) -> Response:
        text, kind = texts[request.url.path]
        return Response(text, media_type=kind)

    async def events(_request: Request) -> Response:
        return StreamingResponse(_events(preview), media_type="text/event-stream")

    async def figure(request: Request) -> Response:
        form, format = request.path_params["form"], request.path_params["format"]
        if form not in ("folded", "unfolded") or format not in SAVED or format not in FORMATS:
            return Response("there is no such file", 404)
        try:
            data = await asyncio.to_thread(preview.file, format, form == "folded")
        except FigureError as error:
            return Response(str(error), 409)
        return Response(data, media_type=SAVED[format][1])

    routes = [Route(path, page) for path in texts]
    routes.append(Route("/figure/{form}.{format}", figure))
    return Starlette(
        routes=[*routes, Route("/events", events)],
        middleware=[Middleware(Guard, port=port)],
    )


def _text(package: str, name: str) -> str:
    return resources.files(f"archc.{package}").joinpath(name).read_text(encoding="utf-8")


async def _events(preview: Preview) -> AsyncIterator[str]:
    async for state in preview.states():
        yield f"id: {state.version}\ndata: {state.as_json()}\n\n"


class Guard:
    """Refuses requests that other sites have made, and gives every answer its headers.

    A browser sends the name that it was asked for as Host, which after a change in the DNS may be
    another site's, and the site that asks as Origin.
    """

    def __init__(self, app: ASGIApp, port: int):
        self.app = app
        names = [f"{host}:{port}" for host in (HOST, "localhost")]
        if port == HTTP_PORT:  # which browsers leave out
            names += [HOST, "localhost"]
        self.hosts = frozenset(names)
        self.origins = frozenset(f"http://{name}" for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        origin = headers.get("origin")
        known = headers.get("host", "").lower() in self.hosts and (
            origin is None or origin in self.origins
        )
        app = (
            self.app
            if known
            else PlainTextResponse("this page is only for the machine it runs on", 403)
        )
        await app(scope, receive, with_headers)  # type: ignore[arg-type]
