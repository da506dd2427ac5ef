"""A diagnosis department with the starter model, in a process of its own, and what asking costs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from hostile import dicom
from polyclinic.core.settings import Settings
from polyclinic.engine.processes import free_port
from polyclinic.registry.starters import STARTERS, install_starters
from polyclinic.registry.store import open_registry

SAMPLE = (STARTERS / "chest-xray.png").read_bytes()
START_S = 30
#: Linux's file that sets a process's highest resident memory back to what it holds now (proc(5)).
PEAK = "/proc/{pid}/clear_refs"


class Cost(NamedTuple):
    """An answer, and what it cost.

    mib: the most that the service held beyond what it held before the request. held: the most that
    it held beyond what it began with, what earlier requests left behind included.
    """

    answer: httpx.Response
    seconds: float
    mib: float
    held: float

    @property
    def problem(self) -> dict[str, Any] | None:
        """The problem document that the answer is."""
        if self.answer.headers["content-type"] != "application/problem+json":
            return None
        document: dict[str, Any] = self.answer.json()
        return document


class MeasuredService:
    """The running process and a client of it."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.port = httpx.URL(url).port
        self._client = httpx.Client(base_url=url, timeout=60)
        self._began_with = 0.0

    def begin(self) -> None:
        """Wait until it serves, and note what it holds once it has read a DICOM file, too.

        The first of them brings pydicom, some 35 MiB.
        """
        deadline = time.monotonic() + START_S
        while not self._starts():
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.05)
        self.send(dicom())
        self._began_with = self._mib("VmRSS")

    def _starts(self) -> bool:
        try:
            return self.serves()
        except httpx.TransportError:
            assert self.process.poll() is None, "the service ended"
            return False

    def send(self, *files: bytes) -> Cost:
        """Files in a form."""
        return self.post(files=[("file", ("picture", file)) for file in files])

    def post(self, **request: Any) -> Cost:
        """A request to the department, as `httpx.Client.post` takes it."""
        prepared = self._client.build_request("POST", "/v1/diagnosis/image", **request)
        content = prepared.read()
        prepared.stream = httpx.ByteStream(content)
        Path(PEAK.format(pid=self.process.pid)).write_text("5")
        before = self._mib("VmRSS")
        start = time.perf_counter()
        answer = self._client.send(prepared)
        seconds = time.perf_counter() - start
        peak = self._mib("VmHWM")
        return Cost(answer, seconds, peak - before, peak - self._began_with)

    def serves(self) -> bool:
        """Whether an ordinary picture is answered with a prediction."""
        answer = self.send(SAMPLE).answer
        return answer.status_code == 200 and "prediction" in answer.json()["results"][0]

    def _mib(self, kind: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = (line for line in status if line.startswith(kind))
        return int(line.split()[1]) / 1024


@contextmanager
def measured_service(home: Path) -> Iterator[MeasuredService]:
    """The service, ready and warm, with its state in `home`."""
    install_starters(open_registry(Settings(home=home)))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "polyclinic", "serve", "diagnosis", "--port", str(port)],
        env={**os.environ, "POLYCLINIC_HOME": str(home)},
        stderr=subprocess.DEVNULL,
    )
    try:
        service = MeasuredService(process, f"http://127.0.0.1:{port}")
        service.begin()
        yield service
    finally:
        process.terminate()
        process.wait(timeout=30)
