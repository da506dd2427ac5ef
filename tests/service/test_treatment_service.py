"""The treatment department over HTTP, with the starter models."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from house_parts import keeps_promises, serving
from schemathesis.generation import GenerationMode

from polyclinic.core.settings import Settings
from polyclinic.registry.starters import STARTERS, install_starters
from polyclinic.registry.store import open_registry
from polyclinic.service.treatment import create_treatment

pytestmark = pytest.mark.skipif(
    not list(STARTERS.glob("orders-*")), reason="the starter models are not in this checkout"
)
RECOMMEND, CHECK = "/v1/treatment/recommend", "/v1/treatment/check"
DIABETES = json.loads((STARTERS / "diabetes.json").read_bytes())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Settings(home=Path(tmp_path_factory.mktemp("home")))
    registry = open_registry(home)
    install_starters(registry)
    with serving(create_treatment(registry, home)) as department:
        yield department


def post(url: str, path: str, content: Any, **query: Any) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=content, params=query, timeout=20)


def test_a_patient_is_advised_and_a_dangerous_drug_is_vetoed(url: str) -> None:
    answer = post(url, RECOMMEND, DIABETES, explain=True)
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    told = result["recommendation"]
    assert "not a medical device" in answer.json()["notice"]
    names = [each["coding"]["display"] for each in told["treatments"]]
    assert "metformin" not in names
    (vetoed,) = (e for e in told["vetoed"] if e["coding"]["display"] == "metformin")
    assert "eGFR" in vetoed["safety"][0]["because"][0]
    assert vetoed["current"] is True
    assert told["treatments"][0]["reasons"]
    assert told["treatments"][0]["alike"]["patients"] >= 5
    assert told["knowledge"]
    assert "simulated" in told["basis"]


def test_scores_and_covariates_reach_their_models(url: str) -> None:
    scores = json.loads((STARTERS / "scores.json").read_bytes())
    (result,) = post(url, RECOMMEND, scores, model="scores").json()["results"]
    first = result["recommendation"]["treatments"][0]
    assert 1 <= first["expected"]["low"] <= first["expected"]["value"] <= first["expected"]["high"]
    hiv = json.loads((STARTERS / "hiv.json").read_bytes())
    (result,) = post(url, RECOMMEND, hiv, model="actg175").json()["results"]
    assert len(result["recommendation"]["treatments"]) == 4
    assert "cannot be told apart" in result["recommendation"]["abstained"]


def test_a_patient_who_cannot_be_answered_fails_alone(url: str) -> None:
    many = {"patients": [DIABETES, {"patient": {"age": -1}}, 17]}
    answer = post(url, RECOMMEND, many)
    assert answer.status_code == 200
    good, bad, nonsense = answer.json()["results"]
    assert good["recommendation"]
    assert bad["problem"]["where"] == "/patients/1/patient/age"
    assert nonsense["problem"]["status"] == 422


def test_a_lone_patients_problem_is_the_answer(url: str) -> None:
    answer = post(url, RECOMMEND, {"patient": {"age": 60}}, model="actg175")
    assert answer.status_code == 422
    assert "covariate" in answer.json()["detail"]
    assert post(url, RECOMMEND, DIABETES, model="aki").status_code == 404


def test_a_list_is_checked_without_any_model(url: str) -> None:
    listed = {"medications": [{"name": "warfarin"}, {"name": "Aspirin 81 mg"}, {"name": "Xyz"}]}
    told = post(url, CHECK, listed).json()
    assert any(each["kind"] == "interaction" for each in told["findings"])
    assert told["unknown"] == ["Xyz"]
    assert all(each["source"].startswith("http") for each in told["findings"])


def test_the_odd_is_answered_clearly(url: str) -> None:
    odd = {
        "patient": {
            "allergies": [{"name": "No known allergies"}, {"name": "Penicillin"}],
            "values": [{"loinc": "2160-0", "value": -3, "unit": "mg/dL"}],
            "medications": [{"name": f"nothing {n}"} for n in range(500)],
        },
        "at": "2026-01-01T00:00:00Z",
    }
    answer = post(url, RECOMMEND, odd)
    assert answer.status_code == 200
    told = answer.json()["results"][0]["recommendation"]
    assert told["abstained"]
    assert any("creatinine of -3" in each for each in told["warnings"])
    assert any("No known allergy" in each for each in told["warnings"])


@pytest.mark.parametrize("path", [RECOMMEND, CHECK])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_operation_keeps_its_promises(url: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[path]["POST"]
    keeps_promises(operation, mode, examples=60)
