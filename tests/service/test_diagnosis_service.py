"""The diagnosis department over HTTP."""

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from house_parts import POISON, LightModel, add_version, low_limits, serving

from polyclinic import NOTICE
from polyclinic.core.digest import sha256
from polyclinic.core.prediction import Prediction
from polyclinic.registry.store import ModelVersion, Registry, open_registry
from polyclinic.service.diagnosis import create_diagnosis

LIGHT, DARK = bytes([200]) * 50, bytes([1]) * 50
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def loaded() -> list[LightModel]:
    """The models that `diagnosis` has loaded, in order."""
    return []


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory: pytest.TempPathFactory, loaded: list[LightModel]) -> Iterator[str]:
    """The URL of a running diagnosis department."""

    def load(registry: Registry, version: ModelVersion) -> LightModel:
        loaded.append(LightModel.load(registry, version))
        return loaded[-1]

    settings = low_limits(tmp_path_factory.mktemp("home"))
    registry = open_registry(settings)
    add_version(registry)
    with serving(create_diagnosis(registry, settings, load)) as url:
        yield url


def images(*items: bytes) -> dict[str, list[str]]:
    return {"images": [base64.b64encode(item).decode() for item in items]}


def test_a_form_and_json_get_the_same_answer(diagnosis: str, client: httpx.Client) -> None:
    url = f"{diagnosis}/v1/diagnosis/image"
    by_form = client.post(url, files={"file": ("scan of Jane Doe.png", LIGHT)})
    by_json = client.post(url, json=images(LIGHT))
    assert by_form.status_code == by_json.status_code == 200
    assert by_form.json()["notice"] == NOTICE
    first, second = (
        Prediction.model_validate(answer.json()["results"][0]["prediction"])
        for answer in (by_form, by_json)
    )
    assert first.findings == second.findings
    assert first.findings[0].probability == pytest.approx(200 / 255)
    assert first.provenance.input_digest == sha256(LIGHT)


def test_several_items_are_answered_in_order(diagnosis: str, client: httpx.Client) -> None:
    files = [("file", LIGHT), ("file", DARK), ("file", b"")]
    results = client.post(f"{diagnosis}/v1/diagnosis/image", files=files).json()["results"]
    assert [result["index"] for result in results] == [0, 1, 2]
    digests = [result["prediction"]["provenance"]["input_digest"] for result in results[:2]]
    assert digests == [sha256(LIGHT), sha256(DARK)]
    assert results[1]["prediction"]["abstained"] == "It is too dark."
    assert results[2]["problem"]["status"] == 422


def test_one_poisoned_item_fails_alone(diagnosis: str, client: httpx.Client) -> None:
    items = [LIGHT, POISON, DARK, LIGHT]
    answer = client.post(f"{diagnosis}/v1/diagnosis/image", json=images(*items))
    results = answer.json()["results"]
    assert [("prediction" in r) for r in results] == [True, False, True, True]
    assert results[1]["problem"]["status"] == 500
    assert "poison" not in answer.text


def test_base64_that_is_none_fails_alone(diagnosis: str, client: httpx.Client) -> None:
    body = {"images": ["no base64!", *images(LIGHT)["images"]]}
    results = client.post(f"{diagnosis}/v1/diagnosis/image", json=body).json()["results"]
    assert results[0]["problem"]["where"] == "/images/0"
    assert "prediction" in results[1]


def test_a_lone_item_that_fails_is_a_problem_document(diagnosis: str, client: httpx.Client) -> None:
    answer = client.post(f"{diagnosis}/v1/diagnosis/image", files={"file": b""})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"] == "The picture is empty."


def test_an_explanation_comes_when_asked_for(diagnosis: str, client: httpx.Client) -> None:
    for explain in (True, False):
        answer = client.post(
            f"{diagnosis}/v1/diagnosis/image", params={"explain": explain}, files={"file": LIGHT}
        )
        explanation = answer.json()["results"][0]["prediction"]["explanation"]
        assert (explanation is not None) == explain


@pytest.mark.parametrize(
    ("request_parts", "status", "where"),
    [
        ({"params": {"model": "nobody"}, "files": {"file": LIGHT}}, 404, "nobody"),
        ({"params": {"model": "not a reference"}, "files": {"file": LIGHT}}, 422, None),
        ({"params": {"explain": "perhaps"}, "files": {"file": LIGHT}}, 422, "query explain"),
        ({"files": {"picture": LIGHT}}, 422, "form field picture"),
        ({"data": {"file": "text"}, "files": {"file": LIGHT}}, 422, "form field file"),
        ({"files": [("file", LIGHT)] * 9}, 422, "body"),
        ({"json": images(*[LIGHT] * 9)}, 422, "/images"),
        ({"json": {"images": []}}, 422, "/images"),
        ({"json": {"images": [1]}}, 422, "/images/0"),
        ({"json": {"image": "AA=="}}, 422, "/images"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, ""),
        ({"content": LIGHT, "headers": {"Content-Type": "image/png"}}, 415, "header Content-Type"),
        (
            {"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            422,
            "form field file",
        ),
    ],
)
def test_a_bad_request_is_told_where_it_is_wrong(
    diagnosis: str,
    client: httpx.Client,
    request_parts: dict[str, object],
    status: int,
    where: str | None,
) -> None:
    answer = client.post(f"{diagnosis}/v1/diagnosis/image", **request_parts)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == PROBLEM
    assert where is None or problem["where"] == where


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused(
    diagnosis: str, client: httpx.Client, declared: bool, loaded: list[LightModel]
) -> None:
    before = [len(model.batches) for model in loaded]
    content = b"x" * 150_000
    answer = client.post(
        f"{diagnosis}/v1/diagnosis/image",
        content=content if declared else iter([content[:75_000], content[75_000:]]),
        headers={"Content-Type": "application/json"},
    )
    assert ("content-length" in answer.request.headers) == declared
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:polyclinic:problem:input-too-large"
    assert [len(model.batches) for model in loaded] == before


def test_what_is_not_there_is_a_problem_document(diagnosis: str, client: httpx.Client) -> None:
    missing = client.get(f"{diagnosis}/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, PROBLEM)
    wrong = client.get(f"{diagnosis}/v1/diagnosis/image")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, PROBLEM)
    assert wrong.headers["allow"] == "POST"


def test_health_readiness_and_metrics_are_told(diagnosis: str, client: httpx.Client) -> None:
    client.post(f"{diagnosis}/v1/diagnosis/image", files={"file": LIGHT})
    assert client.get(f"{diagnosis}/healthz").json() == {"status": "alive"}
    assert client.get(f"{diagnosis}/readyz").json()["status"] == "ready"
    metrics = client.get(f"{diagnosis}/metrics").text
    assert 'polyclinic_requests_total{route="/v1/diagnosis/image",status="200"}' in metrics
    assert "polyclinic_queue_depth" in metrics


@pytest.mark.parametrize(
    ("given", "kept"), [("visit-7.b_2", True), ("Jane Doe", False), ("x" * 65, False), ("", False)]
)
def test_a_sane_request_id_is_kept_and_another_replaced(
    diagnosis: str, client: httpx.Client, given: str, kept: bool
) -> None:
    answer = client.get(f"{diagnosis}/healthz", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) == kept
    assert answer.headers["x-request-id"]


def test_without_its_model_it_is_alive_but_not_ready(tmp_path: Path, client: httpx.Client) -> None:
    settings = low_limits(tmp_path)
    app = create_diagnosis(open_registry(settings), settings, LightModel.load)
    with serving(app) as url:
        assert client.get(f"{url}/healthz").status_code == 200
        answer = client.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "chest-xray-pneumonia" in answer.json()["detail"]
