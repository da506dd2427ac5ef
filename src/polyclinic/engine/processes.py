"""Processes on this machine: started, watched, started again when they crash, stopped in order."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import cast

import aiohttp

from polyclinic.core.errors import Unavailable
from polyclinic.core.problem import Problem

_PARENT = "POLYCLINIC_PARENT"
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_READY_S = 30.0
#: How long one that answers, but is not ready, may still take.
_UNREADY_S = 5.0
#: Longer than a service takes for what it accepted.
_STOP_S = 25.0
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
#: Who lived this long did not crash because of how it was started.
_STEADY_S = 60.0
_TAIL_BYTES = 4096
_TAIL_LINES = 10


@dataclass(frozen=True)
class Program:
    """What to run under which name, and the URL that answers 200 when it is ready.

    Until then it may answer with a problem document that says why it is not.
    """

    name: str
    command: Sequence[str]
    ready_url: str


class Supervisor:
    """Runs programs. Those started last are stopped first; call `stop` whatever happened.

    `write` receives what the programs print, in whole lines. `crashed` is told the name, the exit
    code (negative: the signal) and the seconds until the next start.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        crashed: Callable[[str, int, float], object],
    ) -> None:
        self._write = write
        self._crashed = crashed
        self._children: list[_Child] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, program: Program) -> None:
        """Start `program` and wait until it is ready. From then on it is kept running.

        Raises `Unavailable`, with the program's last lines, when it ends early or takes too long.
        """
        child = _Child(program, self._write)
        self._children.append(child)
        await child.spawn()
        await child.until_ready()
        self._keepers.append(asyncio.create_task(self._keep(child)))

    async def stop(self) -> None:
        """End every program, the last started first; one that does not obey is killed."""
        for child in self._children:
            child.stopping.set()
        for child in reversed(self._children):
            await child.end()
        await asyncio.gather(*self._keepers)

    async def _keep(self, child: "_Child") -> None:
        delay = _FIRST_DELAY_S
        while True:
            code = await child.ended()
            if child.stopping.is_set():
                return
            if monotonic() - child.started > _STEADY_S:
                delay = _FIRST_DELAY_S
            self._crashed(child.program.name, code, delay)
            try:
                await asyncio.wait_for(child.stopping.wait(), delay)
            except TimeoutError:
                await child.spawn()
            else:
                return
            delay = min(2 * delay, _LONGEST_DELAY_S)


class _Child:
    """One program's process, or its next one."""

    def __init__(self, program: Program, write: Callable[[bytes], object]) -> None:
        self.program = program
        self.stopping = asyncio.Event()
        self.started = 0.0
        self._write = write
        self._tail = b""
        self._process: Process | None = None

    async def spawn(self) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then
        # stops its children in order.
        self._process = await asyncio.create_subprocess_exec(
            *self.program.command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            env={**os.environ, _PARENT: str(os.getpid())},
        )
        self.started = monotonic()
        self._tail = b""
        self._exit = asyncio.create_task(self._pump(self._process))
        if self.stopping.is_set():  # while the process was being made
            await self.end()

    async def ended(self) -> int:
        """The exit code, once the process has ended and all its output was read."""
        return await asyncio.shield(self._exit)

    async def end(self) -> None:
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), _STOP_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.ended()

    async def until_ready(self) -> None:
        deadline = monotonic() + _READY_S
        problem = None
        timeout = aiohttp.ClientTimeout(total=_READY_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not self._exit.done() and monotonic() < deadline:
                try:
                    async with session.get(self.program.ready_url) as response:
                        if response.status == 200:
                            return
                        problem = Problem.model_validate_json(await response.read())
                        deadline = min(deadline, monotonic() + _UNREADY_S)
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(_POLL_S)
        raise self._failure(problem)

    def _failure(self, problem: Problem | None) -> Unavailable:
        """Why the program is not ready: its end, its own word, or its silence."""
        name = self.program.name
        if problem is not None and not self._exit.done():
            detail = f"The service {name} runs but is not ready: {problem.detail}"
            return Unavailable(detail, where=name, remedy=problem.remedy)
        if self._exit.done():
            told = f"The service {name} ended with exit code {self._exit.result()}."
        else:
            told = f"The service {name} did not answer within {_READY_S:.0f} seconds."
        lines = self._tail.decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return Unavailable(
            "\n".join([told, *lines]),
            where=name,
            remedy=f"Run it alone to see more: {' '.join(self.program.command)}",
        )

    async def _pump(self, process: Process) -> int:
        """Pass on what the process prints, whole lines at a time, and then its exit code."""
        output = cast("asyncio.StreamReader", process.stdout)
        rest = b""
        while chunk := await output.read(2**16):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
            self._write(lines + newline)
        self._write(rest)
        return await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


def die_with_parent() -> None:
    """Have the kernel kill this process when its supervisor ends, even by `kill -9` (Linux).

    Does nothing in a process that no supervisor started. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    parent = os.environ.pop(_PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before the kernel knew
        sys.exit(1)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
