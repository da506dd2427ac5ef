"""The whole house on this machine: a process for each department, and the gateway before them."""

import asyncio
import json
import sys
from collections.abc import Callable
from time import perf_counter

import aiohttp
from pydantic import BaseModel

from polyclinic.core.problem import Problem
from polyclinic.engine.processes import Program, Supervisor, free_port
from polyclinic.service.departments import DEPARTMENTS, Check

GATEWAY = "gateway"
_LOOPBACK = "127.0.0.1"


class CheckRow(BaseModel):
    """What one department answered to its sample, or why it did not."""

    department: str
    input: str
    finding: str | None = None
    probability: float | None = None
    model: str | None = None
    ms: float | None = None
    error: str | None = None


async def start_house(
    supervisor: Supervisor, host: str, port: int, started: Callable[[str], object]
) -> str:
    """Start the departments, and the gateway on `host` and `port`, together; the gateway's URL.

    `started` is told the name of each service that is ready. Raises `Unavailable` when one does
    not start; the others are left to `Supervisor.stop`.
    """
    ports = {name: free_port() for name in DEPARTMENTS}
    urls = {name: local_url(_LOOPBACK, port) for name, port in ports.items()}
    url = local_url(host, port)
    places = [f"--department={name}={place}" for name, place in urls.items()]

    async def start(name: str, ready_url: str, *options: str) -> None:
        serve = (sys.executable, "-m", "polyclinic", "serve", name, *options)
        await supervisor.start(Program(name, serve, ready_url))
        started(name)

    try:
        async with asyncio.TaskGroup() as group:
            for name, place in urls.items():
                group.create_task(start(name, f"{place}/readyz", *_at(_LOOPBACK, ports[name])))
            # The last to start is the first to stop. It is ready when the departments are, too.
            group.create_task(start(GATEWAY, f"{url}/healthz", *_at(host, port), *places))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return url


async def check_house(url: str) -> list[CheckRow]:
    """Send each department its samples through the gateway at `url`, and read its answers."""
    async with aiohttp.ClientSession(base_url=url) as session:
        return [
            await _check(session, department.name, check)
            for department in DEPARTMENTS.values()
            for check in department.checks
        ]


def local_url(host: str, port: int) -> str:
    """The URL at which this machine reaches what listens on `host`."""
    host = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _at(host: str, port: int) -> tuple[str, str]:
    return f"--host={host}", f"--port={port}"


async def _check(session: aiohttp.ClientSession, department: str, check: Check) -> CheckRow:
    row = CheckRow(department=department, input=check.sample.name)
    try:
        payload = check.payload(check.sample.read_bytes())
        started = perf_counter()
        async with session.post(check.path, json=payload) as response:
            body = await response.read()
        ms = round((perf_counter() - started) * 1000, 1)
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        return row.model_copy(update={"error": str(error)})
    if response.status != 200:
        return row.model_copy(update={"error": Problem.model_validate_json(body).detail})
    answer = check.read(json.loads(body))
    return row.model_copy(update={**answer._asdict(), "ms": ms})
