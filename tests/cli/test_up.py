"""`polyclinic up`, as a person runs it: real processes, the starter model, the sample picture."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from polyclinic.engine.processes import free_port
from polyclinic.registry.starters import STARTERS

pytestmark = pytest.mark.skipif(
    not list(STARTERS.glob("*.polyclinic")), reason="the starter models are not in this checkout"
)

COMMAND = (sys.executable, "-m", "polyclinic")
SAMPLE = STARTERS / "chest-xray.png"


class House:
    """A running `polyclinic up`: its process, its URL, and what it wrote until it was open."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--port", str(self.port)],
            env=environment(home),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if line.startswith("Stop it"):
                break

    def service(self, name: str) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        (found,) = (child for child in children if name in child.cmdline())
        return found


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "POLYCLINIC_HOME": str(home)}


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def house(home: Path) -> Iterator[House]:
    house = House(home)
    yield house
    house.process.terminate()
    house.process.communicate(timeout=20)
    assert house.process.returncode == 0


def test_check_answers_a_real_question_from_an_empty_home(tmp_path: Path) -> None:
    command = [*COMMAND, "up", "--check", "--json"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, check=True)
    of_picture, of_record, *treatments = json.loads(done.stdout)
    for row, sample, finding, model in (
        (of_picture, SAMPLE.name, "pneumonia", "chest-xray-pneumonia@"),
        (of_record, "kidneys.json", "kidney", "aki@"),
    ):
        assert (row["department"], row["input"], row["error"]) == ("diagnosis", sample, None)
        assert finding in row["finding"].lower()
        assert 0 <= row["probability"] <= 1
        assert row["model"].startswith(model)
        assert row["ms"] > 0
    for row, model in zip(treatments, ("orders@", "scores@", "actg175@"), strict=True):
        assert (row["department"], row["error"]) == ("treatment", None)
        assert row["finding"]
        assert row["model"].startswith(model)


def test_the_printed_commands_work_as_printed(house: House) -> None:
    commands = re.findall(r"^  (curl .*)$", house.said, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        done = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, check=True)
        (answer,) = json.loads(done.stdout)["results"]
        told = answer.get("prediction") or answer["recommendation"]
        assert told.get("findings") or told["treatments"]
    assert house.url in house.said


def test_the_interface_of_all_departments_is_one_document(house: House) -> None:
    document = httpx.get(f"{house.url}/openapi.json")
    assert document.status_code == 200, document.text
    paths = document.json()["paths"]
    assert {"/v1/diagnosis/image", "/v1/treatment/recommend", "/v1/treatment/check"} <= paths.keys()
    assert httpx.get(f"{house.url}/docs").status_code == 200


def test_a_department_is_small_and_knows_nothing_of_training(house: House) -> None:
    httpx.post(f"{house.url}/v1/diagnosis/image", files={"file": SAMPLE.read_bytes()})
    department = house.service("diagnosis")
    libraries = {Path(mapped.path).parts[-3:] for mapped in department.memory_maps()}
    named = {part for parts in libraries for part in parts}
    assert not named & {"torch", "scipy", "sklearn"}
    assert department.memory_info().rss <= 200 * 2**20


def test_the_treatment_department_knows_nothing_of_training_either(house: House) -> None:
    for sample, model in (("diabetes", "orders"), ("scores", "scores"), ("hiv", "actg175")):
        content = (STARTERS / f"{sample}.json").read_bytes()
        headers = {"Content-Type": "application/json"}
        url = f"{house.url}/v1/treatment/recommend?model={model}&explain=true"
        assert httpx.post(url, content=content, headers=headers).status_code == 200
    department = house.service("treatment")
    mapped = {part for each in department.memory_maps() for part in Path(each.path).parts[-3:]}
    assert not mapped & {"torch", "scipy", "sklearn", "numba", "llvmlite", "implicit"}


def test_a_killed_department_is_started_again_while_the_rest_serves(house: House) -> None:
    def ask() -> httpx.Response:
        files = {"file": SAMPLE.read_bytes()}
        return httpx.post(f"{house.url}/v1/diagnosis/image", files=files, timeout=10)

    house.service("diagnosis").kill()
    wait_for(lambda: ask().status_code == 503)
    assert httpx.get(f"{house.url}/v1/models").status_code == 200
    wait_for(lambda: ask().status_code == 200)
    assert httpx.get(f"{house.url}/readyz").status_code == 200


def test_a_port_in_use_is_said_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "up", "--port", port]
        done = subprocess.run(
            command, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
    assert done.returncode == 6
    assert port in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_ends(home: Path, number: signal.Signals) -> None:
    house = House(home)
    children = psutil.Process(house.process.pid).children(recursive=True)
    assert len(children) == 3
    house.process.send_signal(number)
    code = house.process.wait(20)
    assert code == (-number if number == signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
