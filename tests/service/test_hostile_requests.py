"""Requests made to end a service, or to cost it more than they are worth, over real HTTP."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile import hostile_files
from measured_service import PEAK, SAMPLE, MeasuredService, measured_service
from polyclinic.registry.starters import STARTERS

pytestmark = [
    pytest.mark.skipif(
        not list(STARTERS.glob("*.polyclinic")), reason="the starters are not in this checkout"
    ),
    pytest.mark.skipif(
        not Path(PEAK.format(pid="self")).exists(), reason="peak memory is read from Linux's /proc"
    ),
]

MANY = 10_000
#: The aim is one second; a busy machine must not fail a test, a request that hangs must.
SECONDS, MIB = 10, 64


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeasuredService]:
    with measured_service(tmp_path_factory.mktemp("home")) as service:
        yield service


def test_every_hostile_file_is_a_problem_and_the_service_goes_on(service: MeasuredService) -> None:
    for name, file in hostile_files():
        cost = service.send(file)
        assert cost.problem, name
        assert 400 <= cost.problem["status"] == cost.answer.status_code < 500, name
        assert cost.seconds < SECONDS, name
        assert cost.mib < MIB, name
    # What the allocator keeps of all of them together stays bounded, too.
    assert cost.held < 2 * MIB
    assert service.serves()


@pytest.mark.parametrize(
    ("form", "json"),
    [
        ([("file", ("picture.png", SAMPLE))] * MANY, None),
        ([("file", ("empty.png", b""))] * MANY, None),
        (None, {"images": [base64.b64encode(SAMPLE).decode()] * MANY}),
        (None, {"images": [""] * 4_000_000}),
    ],
    ids=["files", "empty files", "base64", "millions of nothing"],
)
def test_ten_thousand_items_are_one_problem(
    service: MeasuredService, form: object, json: object
) -> None:
    cost = service.post(files=form, json=json)
    assert cost.problem
    assert cost.problem["status"] in (413, 422)
    assert cost.seconds < SECONDS
    assert cost.mib < MIB
    assert service.serves()


def test_a_large_upload_is_held_once(tmp_path: Path) -> None:
    with measured_service(tmp_path) as fresh:
        cost = fresh.send(b"I am no picture." * (30 * 2**16))
    assert cost.problem
    assert cost.problem["status"] == 415
    assert cost.mib < MIB


@pytest.mark.parametrize("head", [b"a" * 2**20, b"a\r\nb: " * 2**18], ids=["one", "many"])
def test_headers_without_end_are_refused(service: MeasuredService, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            connection.sendall(head * 64)
    assert service.serves()
