"""How a service is run: one process, one event loop, one listening socket."""

import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polyclinic.core.errors import Unavailable

#: Longer than the gateway keeps an idle connection, so that it never asks over a closed one.
KEEP_ALIVE_S = 75
#: How long a stopping service may take for what it accepted.
GRACE_S = 20
#: More than this beside the body, in a request's headers or trailers, is refused.
MAX_HEAD_BYTES = 64 * 2**10


class BoundedHead(HttpToolsProtocol):
    """HTTP/1.1 that refuses headers without end, which httptools alone would keep in memory."""

    _beside_body = 0

    def data_received(self, data: bytes) -> None:
        """Read on, unless what was read before held too much that is no body."""
        if self._beside_body > MAX_HEAD_BYTES:
            self.send_400_response("The headers are too large.")
            return
        self._beside_body += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._beside_body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A piece of its body was read."""
        self._beside_body = 0
        super().on_body(body)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises `Unavailable` when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, for asyncio turns Nagle's algorithm off (40 ms an answer) only then.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        raise Unavailable(
            f"Cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}.",
            where=f"{host}:{port}",
            remedy="Choose another port with --port, or stop what uses this one.",
        ) from None
    return bound


def http_server(app: ASGIApp) -> uvicorn.Server:
    """The server of `app`: its log is ours, its patience bounded."""
    config = uvicorn.Config(
        app,
        http=BoundedHead,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


def run(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until SIGINT or SIGTERM, then finish what was accepted."""
    http_server(app).run(sockets=[listen(host, port)])
