"""The gateway before real departments."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from house_parts import NAME, House, add_version, low_limits, serving

from polyclinic import NOTICE
from polyclinic.engine.processes import free_port
from polyclinic.registry.store import open_registry
from polyclinic.service.gateway.app import create_gateway

LIGHT = bytes([200]) * 50
DEPARTMENT = Path(__file__).parent / "light_department.py"


def test_an_answer_passes_through_with_its_request_id(house: House, client: httpx.Client) -> None:
    answer = client.post(
        f"{house.url}/v1/diagnosis/image",
        params={"explain": True, "model": f"{NAME}@champion"},
        files=[("file", LIGHT), ("file", b"")],
        headers={"X-Request-Id": "visit-7", "Connection": "X-Hop", "X-Hop": "1"},
    )
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "visit-7"
    assert len(answer.headers.get_list("date")) == len(answer.headers.get_list("x-request-id")) == 1
    first, second = answer.json()["results"]
    assert first["prediction"]["explanation"]
    assert second["problem"]["status"] == 422


def test_an_answer_is_not_held_back(house: House, client: httpx.Client) -> None:
    """Nagle's algorithm and a delayed acknowledgement would hold back each answer by 40 ms."""

    def seconds() -> float:
        answer = client.post(f"{house.url}/v1/diagnosis/image", files={"file": LIGHT})
        return answer.elapsed.total_seconds()

    for _ in range(30):  # a young connection is acknowledged at once all the same
        seconds()
    assert min(seconds() for _ in range(20)) < 0.035


def test_a_problem_passes_through_as_it_is(house: House, client: httpx.Client) -> None:
    answer = client.post(f"{house.url}/v1/diagnosis/image", content=b"x")
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    wrong = client.get(f"{house.url}/v1/diagnosis/image")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["../../metrics", "%2e%2e/%2e%2e/metrics", "..%2f..%2fmetrics"])
def test_no_path_leads_to_a_departments_own_pages(house: House, path: str) -> None:
    address = httpx.URL(house.url)
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(f"GET /v1/diagnosis/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(2**16).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused_at_the_door(
    house: House, client: httpx.Client, declared: bool
) -> None:
    content = b"x" * 150_000
    answer = client.post(
        f"{house.url}/v1/diagnosis/image",
        content=content if declared else iter([content[:75_000], content[75_000:]]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413


def test_work_that_nobody_waits_for_is_dropped(house: House, client: httpx.Client) -> None:
    client.post(f"{house.url}/v1/diagnosis/image", files={"file": LIGHT})
    model = house.loaded[-1]
    done = len(model.batches)

    def ask(content: bytes, timeout: float) -> int:
        url = f"{house.url}/v1/diagnosis/image"
        return httpx.post(url, files={"file": content}, timeout=timeout).status_code

    with ThreadPoolExecutor() as pool:
        with model.busy:
            patient = pool.submit(ask, b"patient", 10)
            while len(model.batches) == done:
                time.sleep(0.01)
            with pytest.raises(httpx.ReadTimeout):
                ask(b"left", 0.3)
            metrics = f"{house.url}/metrics"
            while 'route="/v1/diagnosis/image",service="diagnosis",status="499"' not in (
                client.get(metrics).text
            ):
                time.sleep(0.02)
        assert patient.result() == 200
    assert ask(b"next", 10) == 200
    assert [b"left"] not in model.batches


def test_models_are_listed_with_their_aliases(house: House, client: httpx.Client) -> None:
    (model,) = client.get(f"{house.url}/v1/models").json()["models"]
    version = house.registry.resolve(NAME)
    assert (model["name"], model["version"], model["digest"]) == (
        NAME,
        version.version,
        version.digest,
    )
    assert model["aliases"] == ["candidate", "champion"]


@pytest.mark.parametrize(
    ("accept", "media_type", "beginning"),
    [
        ("*/*", "application/json", "{"),
        ("application/json;q=0.5, text/markdown", "text/markdown", "# "),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html", "<!doctype html>"),
    ],
)
def test_a_card_comes_in_the_form_that_is_asked_for(
    house: House, client: httpx.Client, accept: str, media_type: str, beginning: str
) -> None:
    version = house.registry.resolve(NAME).version
    for name in (version, "champion"):
        card = client.get(f"{house.url}/v1/models/{NAME}/{name}/card", headers={"Accept": accept})
        assert card.headers["content-type"].partition(";")[0] == media_type
        assert card.text.lower().startswith(beginning)
        assert version in card.text
    assert client.get(f"{house.url}/v1/models/nobody/champion/card").status_code == 404


def test_the_pages_load_nothing_from_elsewhere(house: House, client: httpx.Client) -> None:
    home = client.get(house.url)
    reference = client.get(f"{house.url}/docs")
    for page in (home, reference):
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"(src|href)=.?(https?:)?//|<script|@import|url\(", page.text)
    assert home.text.count("Research software, not a medical device") == 1
    assert f"/v1/models/{NAME}/" in home.text
    assert f"curl -F file=@chest-xray.png {house.url}/v1/diagnosis/image" in home.text
    assert "/v1/diagnosis/image" in reference.text
    assert "Prediction" in reference.text


def test_one_document_describes_the_whole_house(house: House, client: httpx.Client) -> None:
    document = client.get(f"{house.url}/openapi.json").json()
    assert {"/v1/diagnosis/image", "/v1/models", "/readyz"} <= document["paths"].keys()
    text = json.dumps(document)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= document["components"]["schemas"].keys()
    assert "HTTPValidationError" not in text


def test_one_scrape_tells_of_every_service(house: House, client: httpx.Client) -> None:
    client.get(f"{house.url}/v1/diagnosis/nothing")
    text = client.get(f"{house.url}/metrics").text
    counted = 'polyclinic_requests_total{route="%s",service="%s",status="404"}'
    assert counted % ("/v1/diagnosis/{path:path}", "gateway") in text
    assert text.count("# TYPE polyclinic_requests_total counter") == 1


def start_department(port: int, home: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(DEPARTMENT), str(port), str(home)]
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)


def until_ready(url: str, client: httpx.Client) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if client.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"{url} did not get ready")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_department_that_dies_is_told_and_comes_back_while_the_rest_serves(
    tmp_path: Path, client: httpx.Client
) -> None:
    settings = low_limits(tmp_path)
    registry = open_registry(settings)
    add_version(registry)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with serving(create_gateway(registry, settings, {"diagnosis": address})) as url:
        ask = lambda: client.post(f"{url}/v1/diagnosis/image", files={"file": LIGHT})  # noqa: E731
        with start_department(port, tmp_path) as department:
            until_ready(url, client)
            assert ask().status_code == 200
            department.kill()
        answer = ask()
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["where"] == "diagnosis"
        assert "diagnosis" in client.get(f"{url}/readyz").json()["detail"]
        for path in ("/v1/models", "/healthz", "/", "/metrics"):
            assert client.get(url + path).status_code == 200
        with start_department(port, tmp_path) as department:
            until_ready(url, client)
            assert ask().status_code == 200
            department.terminate()


def test_logs_hold_no_names_queries_or_bodies(tmp_path: Path, client: httpx.Client) -> None:
    settings = low_limits(tmp_path)
    add_version(open_registry(settings))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with start_department(port, tmp_path) as department:
        until_ready(url, client)
        for content in (b"secret-body" * 9, b"secret-body poison"):
            client.post(
                f"{url}/v1/diagnosis/image",
                params={"model": NAME, "note": "secret-query"},
                files={"file": ("secret-name.png", content)},
                headers={"X-Request-Id": "visit-7", "User-Agent": "secret-agent"},
            )
        client.get(f"{url}/v1/secret-path")
        department.terminate()
        assert department.stderr is not None
        log = department.stderr.read().decode()
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {(line["route"], line["status"]) for line in requests} >= {
        ("/v1/diagnosis/image", 200),
        ("/v1/diagnosis/image", 500),
        ("(none)", 404),
    }
    assert all(line["request_id"] and line["ms"] >= 0 for line in requests)
    (failure,) = (line for line in lines if "exception" in line)
    assert failure["exception"] == "builtins.ZeroDivisionError"
    assert any("house_parts.py" in frame for frame in failure["frames"])
    assert "secret" not in log
    assert "poison" not in log


def test_a_graceful_stop_finishes_what_was_accepted(tmp_path: Path, client: httpx.Client) -> None:
    settings = low_limits(tmp_path)
    add_version(open_registry(settings))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with start_department(port, tmp_path) as department:
        until_ready(url, client)
        body = b'{"images": ["AQ=="]}'
        head = (
            "POST /v1/diagnosis/image HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode() + body[:5])
            assert client.get(f"{url}/healthz").status_code == 200  # so the one before arrived
            department.terminate()
            while accepts(port):
                time.sleep(0.02)
            connection.sendall(body[5:])
            connection.settimeout(10)
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert NOTICE[:20].encode() in answer
        assert department.wait(10) in (0, -signal.SIGTERM)
