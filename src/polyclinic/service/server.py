"""How a service is run: one process, one event loop, one listening socket."""

import socket

import uvicorn
from starlette.types import ASGIApp

from polyclinic.core.errors import Unavailable

#: Longer than the gateway keeps an idle connection, so that it never asks over a closed one.
KEEP_ALIVE_S = 75
#: How long a stopping service may take for what it accepted.
GRACE_S = 20


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


def run(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until SIGINT or SIGTERM, then finish what was accepted."""
    bound = listen(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[bound])
