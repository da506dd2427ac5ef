"""Requests passed through to the departments, streamed both ways."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from yarl import URL

from polyclinic.core.errors import Unavailable
from polyclinic.core.problem import Problem
from polyclinic.service.application import Readiness, while_connected
from polyclinic.service.telemetry import REQUEST_ID

#: Meant for one connection only (RFC 9110, section 7.6.1), or set anew for the next one.
_OURS = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade", "host", "expect", "date", "server",
    REQUEST_ID.lower(),
}  # fmt: skip
_ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CONNECT_S = 2
_SILENCE_S = 120
_QUESTION_S = 2
#: Idle connections are dropped here before the departments (see `server`) drop them.
_KEEP_ALIVE_S = 30


class Departments:
    """The departments' addresses, and the connections kept open to them."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = {name: address.rstrip("/") for name, address in addresses.items()}

    async def open(self) -> None:
        """Get ready to connect."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S
            ),
            auto_decompress=False,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def ask(self, name: str, path: str) -> tuple[int, bytes]:
        """Status and body of a department's own page, such as `/readyz`. Raises `Unavailable`."""
        timeout = aiohttp.ClientTimeout(total=_QUESTION_S)
        try:
            async with self._session.get(
                f"{self.addresses[name]}/{path}", timeout=timeout
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError):
            raise _silent(name) from None

    async def readiness(self, name: str) -> Readiness:
        """What a department says of itself. Raises `Unavailable` when it is not ready."""
        status, body = await self.ask(name, "readyz")
        if status != 200:
            raise Unavailable(Problem.model_validate_json(body).detail, where=name)
        return Readiness.model_validate_json(body)

    async def request(self, name: str, request: Request) -> aiohttp.ClientResponse:
        """A department's answer to `request`, its body still to be read. Raises `Unavailable`."""
        scope = request.scope
        # As it came: a path that is resolved here could lead to the department's own pages.
        target = scope["raw_path"] + b"?" * bool(scope["query_string"]) + scope["query_string"]
        url = URL(f"{self.addresses[name]}{target.decode('latin-1')}", encoded=True)
        headers = passed_on(request.headers.items())
        headers.append((REQUEST_ID, request.state.request_id))
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        body_read = asyncio.Event()
        answer = self._session.request(
            request.method,
            url,
            headers=headers,
            data=_body(request, body_read) if has_body else None,
            allow_redirects=False,
        )
        if not has_body:
            body_read.set()
        try:
            return await while_connected(request, _awaited(answer), body_read)
        except aiohttp.ClientError as error:
            if isinstance(error.__cause__, HTTPException | ClientDisconnect):
                raise error.__cause__ from None  # it was the caller's body that failed
            raise _silent(name) from None
        except TimeoutError:
            raise _silent(name) from None


class Forward:
    """An ASGI application that is one department, wherever it runs."""

    def __init__(self, departments: Departments, name: str) -> None:
        self.departments = departments
        self.name = name
        self.path = f"/v1/{name}/{{path:path}}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and its answer back."""
        scope["route"] = self  # what the log calls the route
        async with await self.departments.request(self.name, Request(scope, receive)) as answer:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": [
                        (name.lower().encode("latin-1"), value.encode("latin-1"))
                        for name, value in passed_on(answer.headers.items())
                    ],
                }
            )
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that are meant for who is at the other end (RFC 9110, section 7.6.1)."""
    headers = list(headers)
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for token in value.split(",")
    }
    return [(name, value) for name, value in headers if name.lower() not in _OURS | named]


async def _body(request: Request, read: asyncio.Event) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk
    read.set()


async def _awaited(answer: "aiohttp.client._RequestContextManager") -> aiohttp.ClientResponse:
    return await answer


def _silent(name: str) -> Unavailable:
    return Unavailable(
        f"The service {name} does not answer now.",
        where=name,
        remedy="Try again after the seconds that Retry-After gives; the other services serve on.",
    )
