"""The supervisor, with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from polyclinic.core.errors import Unavailable
from polyclinic.engine.processes import Program, Supervisor, free_port

pytestmark = pytest.mark.anyio

#: A little web server that answers 200, says so, notes its end, and dies with its supervisor.
SERVER = """
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from polyclinic.engine.processes import die_with_parent

die_with_parent()
name, port, log = sys.argv[1:]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

def end(*_):
    with open(log, "a") as file:
        file.write(name + "\\n")
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
server = HTTPServer(("127.0.0.1", int(port)), Handler)
print(name, "listens", flush=True)
server.serve_forever()
"""


class Site:
    """A supervisor and what it told."""

    def __init__(self, folder: Path) -> None:
        self.ended = folder / "ended"
        self.output = b""
        self.crashes: list[tuple[str, int, float]] = []
        self.crashed = asyncio.Event()
        self.supervisor = Supervisor(self._write, self._crash)

    def _write(self, lines: bytes) -> None:
        self.output += lines

    def _crash(self, name: str, code: int, delay_s: float) -> None:
        self.crashes.append((name, code, delay_s))
        self.crashed.set()

    def program(self, name: str) -> Program:
        port = free_port()
        command = (sys.executable, "-c", SERVER, name, str(port), str(self.ended))
        return Program(name, command, f"http://127.0.0.1:{port}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.supervisor.stop()


def children_named(name: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if name in child.cmdline()]


async def test_programs_stop_in_the_reverse_order_of_their_start(site: Site) -> None:
    for name in ("first", "second", "third"):
        await site.supervisor.start(site.program(name))
    await site.supervisor.stop()
    assert site.ended.read_text().split() == ["third", "second", "first"]
    assert site.output == b"first listens\nsecond listens\nthird listens\n"
    assert not site.crashes


async def test_a_crashed_program_is_started_again_ever_later(site: Site) -> None:
    await site.supervisor.start(site.program("fragile"))
    for _ in range(2):
        (process,) = children_named("fragile")
        site.crashed.clear()
        process.kill()
        async with asyncio.timeout(10):
            await site.crashed.wait()
            while not children_named("fragile"):
                await asyncio.sleep(0.02)
    (name, code, first_delay), (_, _, second_delay) = site.crashes
    assert (name, code) == ("fragile", -signal.SIGKILL)
    assert second_delay == 2 * first_delay


async def test_stopping_does_not_wait_for_the_next_start(site: Site) -> None:
    await site.supervisor.start(site.program("fragile"))
    children_named("fragile")[0].kill()
    async with asyncio.timeout(10):
        await site.crashed.wait()
        await site.supervisor.stop()
    assert not children_named("fragile")


async def test_a_program_that_ends_early_is_told_with_its_last_words(site: Site) -> None:
    words = "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"
    program = Program("broken", (sys.executable, "-c", words), f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable) as caught:
        await site.supervisor.start(program)
    assert "exit code 3" in caught.value.detail
    assert "the disk is full" in caught.value.detail


async def test_one_that_does_not_get_ready_is_stopped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyclinic.engine.processes._READY_S", 0.5)
    program = site.program("deaf")
    deaf = Program("deaf", program.command, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="did not answer"):
        await site.supervisor.start(deaf)
    await site.supervisor.stop()
    assert not children_named("deaf")


async def test_one_that_says_why_it_is_not_ready_is_quoted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyclinic.engine.processes._UNREADY_S", 0.2)
    problem = Unavailable("There is no model.", remedy="Train one.").problem()
    unready = SERVER.replace("send_response(200)", "send_response(503)").replace(
        "end_headers()", f"end_headers(); self.wfile.write({problem.model_dump_json().encode()!r})"
    )
    program = site.program("unready")
    command = tuple(unready if part == SERVER else part for part in program.command)
    with pytest.raises(Unavailable, match=r"There is no model\.") as caught:
        await site.supervisor.start(Program("unready", command, program.ready_url))
    assert caught.value.remedy == "Train one."


async def test_one_that_does_not_obey_is_killed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyclinic.engine.processes._STOP_S", 0.3)
    program = site.program("stubborn")
    stubborn = SERVER.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")
    command = tuple(stubborn if part == SERVER else part for part in program.command)
    await site.supervisor.start(Program("stubborn", command, program.ready_url))
    await site.supervisor.stop()
    assert not children_named("stubborn")


PARENT = """
import asyncio, sys
from polyclinic.engine.processes import Program, Supervisor, free_port

async def main():
    port = free_port()
    command = (sys.executable, "-c", sys.argv[1], "orphan", str(port), "/dev/null")
    supervisor = Supervisor(lambda _: None, lambda *_: None)
    await supervisor.start(Program("orphan", command, f"http://127.0.0.1:{port}"))
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_no_orphan_outlives_a_killed_supervisor() -> None:
    command = [sys.executable, "-c", PARENT, SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (orphan,) = psutil.Process(parent.pid).children()
        os.kill(parent.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs([orphan], timeout=5)
    assert (len(gone), alive) == (1, [])
