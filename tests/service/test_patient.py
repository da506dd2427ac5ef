"""A patient's picture and record together, by the models that come with the package."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.run import run
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.starters import STARTERS, install_starters
from polyclinic.registry.store import open_registry
from polyclinic.service.diagnosis import create_diagnosis

PICTURE = b64encode((STARTERS / "chest-xray.png").read_bytes()).decode()
(RECORD,) = json.loads((STARTERS / "kidneys.json").read_text())["records"]


ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LUNGS = {
    "name": "lungs",
    "kind": "diagnosis.record",
    "licence": "Apache-2.0",
    "data": {
        "layout": "table",
        "name": "lungs",
        "labels": [
            {"system": "urn:t", "code": "none", "display": "None", "finding": False, "value": "0"},
            {"system": ICD, "code": "J18.9", "display": "Pneumonia", "value": "1"},
        ],
        "columns": [
            {"name": "shown", "finding": f"{ICD}|J18.9", "low": 0, "high": 1},
            {"name": "hr", "unit": "/min", "loinc": "8867-4", "low": 0, "high": 350},
            {"name": "ill", "role": "label"},
        ],
    },
    "model": {"name": "logistic"},
    "card": {"title": "Lungs"},
}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "p", "birthDate": "1960-01-01"}},
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "subject": {"reference": "Patient/p"},
                "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                "effectiveDateTime": "2025-03-01T08:00:00Z",
                "valueQuantity": {
                    "value": 90,
                    "system": "http://unitsofmeasure.org",
                    "code": "/min",
                },
            }
        },
    ],
}


class Silent:
    """Nobody watches the run."""

    def step(self, name: str) -> None:
        """Nothing."""

    def epoch(self, epoch: object) -> None:
        """Nothing."""

    def trial(self, number: int, loss: float) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(home=Path(tmp_path_factory.mktemp("home")))
    registry = open_registry(settings)
    install_starters(registry)
    table = settings.home / "lungs.csv"
    ill = np.arange(300) % 3 == 0
    shown = np.random.default_rng(0).uniform(size=300) * 0.7 + 0.3 * ill
    rows = zip(shown, 70 + 30 * np.random.default_rng(1).uniform(size=300), ill, strict=True)
    table.write_text(
        "\n".join(["shown,hr,ill", *(f"{a:.5f},{b:.3f},{int(c)}" for a, b, c in rows)])
    )
    run(parse_recipe(LUNGS, RecordRecipe, "lungs"), table, settings.home, registry, Silent())
    with TestClient(create_diagnosis(registry, settings, ImageClassifier.load)) as client:
        yield client


def ask(department: TestClient, images: list[object], records: list[object]) -> object:
    return department.post("/v1/diagnosis/patient", json={"images": images, "records": records})


def test_picture_and_record_are_answered_together(department: TestClient) -> None:
    body = ask(department, [PICTURE], [RECORD]).json()
    codes = {finding["coding"]["code"]: finding for finding in body["findings"]}
    assert codes.keys() == {"J18.9", "N17.9"}
    assert codes["J18.9"]["answers"] == [0]
    assert codes["N17.9"]["answers"] == [1]
    assert [answer["source"]["field"] for answer in body["answers"]] == ["images", "records"]
    assert "medical device" in body["notice"]


def test_two_pictures_of_one_patient_are_one_piece_of_news_more(department: TestClient) -> None:
    alone = ask(department, [PICTURE], [RECORD]).json()
    both = ask(department, [PICTURE, PICTURE], [RECORD]).json()
    first, second = (
        next(f for f in body["findings"] if f["coding"]["code"] == "J18.9")
        for body in (alone, both)
    )
    assert second["answers"] == [0, 1]
    assert second["present"] is None
    assert second["probability"] != first["probability"]


def test_what_cannot_be_read_is_told_and_the_rest_is_answered(department: TestClient) -> None:
    body = ask(department, ["bm8gcGljdHVyZQ==", "?"], [RECORD]).json()
    assert [finding["coding"]["code"] for finding in body["findings"]] == ["N17.9"]
    first, second, third = body["answers"]
    assert first["problem"]["status"] == 415
    assert "base64" in second["problem"]["detail"]
    assert third["prediction"]["findings"]


def test_a_picture_that_the_record_s_model_was_told_of_counts_once(
    department: TestClient,
) -> None:
    params = {"record_model": "lungs@candidate"}
    for record, answers in (
        ({"bundle": BUNDLE}, [1]),
        ({"values": {"hr": 90, "shown": 0.8}}, [0, 1]),
    ):
        body = {"images": [PICTURE], "records": [record]}
        together = department.post("/v1/diagnosis/patient", json=body, params=params).json()
        (finding,) = together["findings"]
        assert finding["answers"] == answers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b'{"images": [], "records": []}', 422),
        (b'{"images": ["?"], "records": [{}]}', 422),
        (b'{"images": [1], "records": [1]}', 422),
        (b'{"images": ["?"]}', 422),
    ],
)
def test_a_bad_request_is_a_problem_document(
    department: TestClient, body: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = department.post("/v1/diagnosis/patient", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
