"""The diagnosis department against plain FastAPI, LitServe and BentoML: one network, one picture.

Each server has one worker with one inference thread; all their processes are pinned to one core and
the client to another. They are asked in turn, several rounds over. Polyclinic validates what it is
sent and answers findings, conformal set, familiarity and digests; the others answer the softmax of
the same network's logits. LitServe and BentoML have an environment of their own, which is made in
FOLDER (or in `$POLYCLINIC_HOME`) when it is not there.

    python benchmarks/serving.py [FOLDER]
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import aiohttp
import psutil

from polyclinic.core.settings import Settings, default_home
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE
from polyclinic.engine.processes import free_port
from polyclinic.registry.starters import STARTERS, install_starters
from polyclinic.registry.store import open_registry

PICTURE = (STARTERS / "chest-xray.png").read_bytes()
CONCURRENCIES = (1, 8, 32)
ROUNDS = 7
ROUND_S = 1.0
WARM_S = 1.0
START_S = 60.0
BATCH, POISONED_AT, POISONED_S = 8, 3, 3.0

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parent / "constraints.txt"
#: BentoML 1.4.40 asks for a release of certifi that is newer than the one pinned here.
RIVALS = ("litserve==0.2.19", "bentoml==1.4.39", "onnxruntime", "pillow")
#: Which of uvicorn's two HTTP parsers and event loops a server has: those that are installed.
UVICORN_USES = """
from importlib.util import find_spec
print("httptools" if find_spec("httptools") else "h11", end=", ")
print("uvloop" if find_spec("uvloop") else "asyncio")
"""


class Program(NamedTuple):
    """How a server is started, and where and in which form field it takes a picture."""

    name: str
    command: tuple[str, ...]
    path: str
    field: str


class Server(NamedTuple):
    """A server that answers at `url`."""

    name: str
    uses: str
    url: str
    field: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds of the process and all that came of it."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(each.user + each.system for each in times)

    def mib(self) -> float:
        """Resident memory of the same; what processes share counts in each."""
        return sum(process.memory_info().rss for process in self._tree()) / 2**20

    def stop(self) -> None:
        """End all of them; some outlive their parent."""
        tree = self._tree()
        self.process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=10)
        for process in alive:
            process.kill()

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class Round(NamedTuple):
    """What one server gave in one round at one concurrency."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float
    mib: float
    errors: int


def main(folder: Path) -> None:
    """Print the table, then how the poisoned items and their neighbours fared."""
    python = environment(folder)
    server_core, client_core, *_ = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as home, ExitStack() as running:
        os.sched_setaffinity(0, {server_core})  # those started from here on keep it
        servers = [
            running.enter_context(serving(program, Path(home)))
            for program in programs(python, Path(home))
        ]
        os.sched_setaffinity(0, {client_core})
        asyncio.run(measure(servers))


def environment(folder: Path) -> str:
    """The Python of the rivals' environment; what they share with us is in our versions."""
    place = folder / "serving-rivals"
    python = str(place / "bin" / "python")
    if not (place / "bin" / "bentoml").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        # BentoML wants releases of OpenTelemetry that belong together, and they are not ours.
        shared = [line for line in CONSTRAINTS.open() if not line.startswith("opentelemetry")]
        constraints = place / "constraints.txt"
        constraints.write_text("".join(shared))
        install = [python, "-m", "pip", "install", "--quiet", "-c", str(constraints)]
        subprocess.run([*install, *RIVALS], check=True)
    return python


def programs(rivals_python: str, home: Path) -> list[Program]:
    """The servers; Polyclinic is the last."""
    registry = open_registry(Settings(home=home))
    install_starters(registry)
    network = home / NETWORK_FILE
    network.write_bytes(registry.load(registry.resolve(Settings().image_model))[NETWORK_FILE])
    ours, theirs = sys.executable, rivals_python
    bento = ("-m", "bentoml", "serve", "bento:Diagnosis", "--port", "{port}")
    return [
        Program("FastAPI", (ours, "plain_fastapi.py", "{port}", str(network)), "predict", "file"),
        Program("LitServe", (theirs, "lit.py", "{port}", str(network)), "predict", "request"),
        Program("BentoML", (theirs, *bento), "predict", "file"),
        Program(
            "Polyclinic",
            (ours, "-m", "polyclinic", "serve", "diagnosis", "--port", "{port}"),
            "v1/diagnosis/image",
            "file",
        ),
    ]


@contextmanager
def serving(program: Program, home: Path) -> Iterator[Server]:
    """`program`, from when it answers a picture until it is stopped."""
    port = free_port()
    command = [part.format(port=port) for part in program.command]
    uses = subprocess.run(
        [command[0], "-c", UVICORN_USES], check=True, capture_output=True, text=True
    )
    environment = {
        **os.environ,
        "POLYCLINIC_HOME": str(home),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "NETWORK": str(home / NETWORK_FILE),
    }
    with (home / f"{program.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=HERE / "rivals", env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/{program.path}"
    server = Server(
        program.name, uses.stdout.strip(), url, program.field, psutil.Process(process.pid)
    )
    try:
        patience = time.monotonic() + START_S
        while not answers(server):
            if process.poll() is not None or time.monotonic() > patience:
                raise RuntimeError((home / f"{program.name}.log").read_text())
            time.sleep(0.1)
        yield server
    finally:
        server.stop()


def answers(server: Server) -> bool:
    """Whether the server answers a picture."""
    body, headers = form(server.field, [PICTURE])
    question = urllib.request.Request(server.url, body, headers)
    try:
        with urllib.request.urlopen(question, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def form(field: str, pictures: list[bytes]) -> tuple[bytes, dict[str, str]]:
    """Pictures as a multipart form (RFC 7578), and its header."""
    boundary = "a-line-that-no-picture-holds"
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="picture.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode()
    body = (
        b"".join(head + picture + b"\r\n" for picture in pictures) + f"--{boundary}--\r\n".encode()
    )
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


async def measure(servers: list[Server]) -> None:
    """All rounds of all servers, printed."""
    connector = aiohttp.TCPConnector(limit=max(CONCURRENCIES))
    async with aiohttp.ClientSession(connector=connector) as session:
        for server in servers:
            await ask(session, server, [PICTURE], max(CONCURRENCIES), WARM_S)
        rounds: dict[tuple[int, str], list[Round]] = {}
        for _ in range(ROUNDS):
            for concurrency in CONCURRENCIES:
                for server in servers:
                    found = await one_round(session, server, concurrency)
                    rounds.setdefault((concurrency, server.name), []).append(found)
        print_table(servers, rounds)
        await print_poisoned(session, servers[-1])


async def one_round(session: aiohttp.ClientSession, server: Server, concurrency: int) -> Round:
    """Ask a server for `ROUND_S` seconds."""
    before = server.cpu_s()
    seconds, answers = await ask(session, server, [PICTURE], concurrency, ROUND_S)
    cpu_ms = 1000 * (server.cpu_s() - before) / len(seconds)
    errors = sum(status != 200 for status, _ in answers)
    p99 = quantiles(seconds, n=100)[-1]
    return Round(cpu_ms, 1000 * median(seconds), 1000 * p99, server.mib(), errors)


async def ask(
    session: aiohttp.ClientSession,
    server: Server,
    pictures: list[bytes],
    concurrency: int,
    duration_s: float,
) -> tuple[list[float], list[tuple[int, bytes]]]:
    """What each request took, and its status and body; each caller waits before it asks again."""
    body, headers = form(server.field, pictures)
    seconds: list[float] = []
    answers: list[tuple[int, bytes]] = []
    end = time.perf_counter() + duration_s

    async def caller() -> None:
        while (start := time.perf_counter()) < end:
            async with session.post(server.url, data=body, headers=headers) as answer:
                answers.append((answer.status, await answer.read()))
            seconds.append(time.perf_counter() - start)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return seconds, answers


def print_table(servers: list[Server], rounds: dict[tuple[int, str], list[Round]]) -> None:
    """Medians over the rounds; the factor is the median of each round's own."""
    print(
        "| concurrency | server | HTTP, event loop | CPU-ms a request | × FastAPI "
        "| p50 ms | p99 ms | MiB | errors |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for concurrency in CONCURRENCIES:
        plain = rounds[concurrency, servers[0].name]
        for server in servers:
            own = rounds[concurrency, server.name]
            factor = median(a.cpu_ms / b.cpu_ms for a, b in zip(own, plain, strict=True))
            cpu_ms, p50_ms, p99_ms, mib = (
                median(column) for column in list(zip(*own, strict=True))[:4]
            )
            errors = sum(each.errors for each in own)
            print(
                f"| {concurrency} | {server.name} | {server.uses} | {cpu_ms:.2f} | {factor:.2f} "
                f"| {p50_ms:.2f} | {p99_ms:.2f} | {mib:.0f} | {errors} |"
            )


async def print_poisoned(session: aiohttp.ClientSession, server: Server) -> None:
    """Batches of which one item is a truncated PNG: how many items of each kind were answered."""
    pictures = [PICTURE] * BATCH
    pictures[POISONED_AT] = PICTURE[: len(PICTURE) // 2]
    _, answers = await ask(session, server, pictures, 8, POISONED_S)
    outcomes: Counter[str] = Counter()
    for status, body in answers:
        results: list[dict[str, Any]] = json.loads(body)["results"] if status == 200 else []
        for result in results:
            item = "poisoned" if result["index"] == POISONED_AT else "sound"
            outcomes[f"{item} items {'answered' if 'prediction' in result else 'refused'}"] += 1
    refused = sum(status != 200 for status, _ in answers)
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(outcomes.items()))
    print(
        f"\n{len(answers):,} requests of {BATCH} items, one of them cut short: {told}; "
        f"{refused} requests refused."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default_home())
