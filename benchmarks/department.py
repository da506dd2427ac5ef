"""A department process: time to ready, resident memory, and whether it imported torch.

python benchmarks/department.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from statistics import median

import psutil

from polyclinic.engine.processes import free_port
from polyclinic.service.departments import DEPARTMENTS

STARTS = 5
REQUESTS = 200


def main() -> None:
    """Print the figures for each department, medians over several starts."""
    print("| department | ready, s | MiB at ready | MiB after 200 requests | torch imported |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "POLYCLINIC_HOME": home}
        polyclinic = [sys.executable, "-m", "polyclinic"]
        subprocess.run(
            [*polyclinic, "up", "--check"], env=environment, check=True, capture_output=True
        )
        for name in DEPARTMENTS:
            runs = [start(name, polyclinic, environment) for _ in range(STARTS)]
            ready, at_ready, after = (median(run[i] for run in runs) for i in range(3))
            torch = any(run[3] for run in runs)
            print(f"| {name} | {ready:.2f} | {at_ready:.0f} | {after:.0f} | {torch} |")


def start(
    name: str, polyclinic: list[str], environment: dict[str, str]
) -> tuple[float, float, float, bool]:
    """Start a department, ask it, stop it."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [*polyclinic, "serve", name, "--port", str(port)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            time.sleep(0.01)
        ready = time.perf_counter() - began
        at_ready = resident(process.pid)
        check = DEPARTMENTS[name].check
        body = json.dumps(check.payload(check.sample.read_bytes())).encode()
        headers = {"Content-Type": "application/json"}
        question = urllib.request.Request(f"http://127.0.0.1:{port}{check.path}", body, headers)
        for _ in range(REQUESTS):
            urllib.request.urlopen(question).close()
        maps = {entry.path for entry in psutil.Process(process.pid).memory_maps()}
        return ready, at_ready, resident(process.pid), any("libtorch" in path for path in maps)
    finally:
        process.terminate()
        process.wait()


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    return psutil.Process(pid).memory_info().rss / 2**20


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    main()
