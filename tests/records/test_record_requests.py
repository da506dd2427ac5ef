"""Records as they are sent: read in the model's units, and answered by the department."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patient_records import STAYS_RECIPE, write_stays
from trained_records import TrainedRecords

from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.evidence import Evidence
from polyclinic.diagnosis.records.record import gather, parse_record, read_record
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.source import read_records
from polyclinic.service.diagnosis import create_diagnosis

PATH = "/v1/diagnosis/record"
ROW = {"values": {"age": 71, "sex": "Female", "size": 44.0, "site": "left", "crea": 1.1}}
SERIES = {
    "values": {"age": 60, "sex": "Male"},
    "series": {
        "hours": [0, 1, 2, 4],
        "values": {"crea": [1.0, None, 1.4, 1.9], "hr": [80, 82, 90, 95]},
    },
}


def model_of(trained: TrainedRecords) -> RecordClassifier:
    return RecordClassifier.load(trained.registry, trained.version)


def test_a_stay_is_answered_as_it_is_evaluated(stays_model: TrainedRecords) -> None:
    """What is read from a request and what was read from the cohort are the same features."""
    model = model_of(stays_model)
    records = read_records(stays_model.data, stays_model.recipe.data).plausible()
    rows = np.flatnonzero(records.patient == "4")[:15]
    expected = records.examples(rows, model.spec.encoding).x[-1]
    dyn = pl.read_parquet(stays_model.data / "dyn.parquet").filter(pl.col("stay_id") == 4)[:15]
    static = pl.read_parquet(stays_model.data / "sta.parquet").filter(pl.col("stay_id") == 4)
    sent = {
        "values": static.drop("stay_id").to_dicts()[0],
        "series": {
            "hours": list(range(15)),
            "values": {name: dyn[name].to_list() for name in ("crea", "hr")},
        },
    }
    read = read_record(parse_record(json.loads(json.dumps(sent))), model.spec.encoding)
    assert read.warnings == ()
    np.testing.assert_array_equal(model.spec.encoding.encode(gather([read]))[0], expected)


def test_units_are_converted_to_those_of_the_model(stays_model: TrainedRecords) -> None:
    encoding = model_of(stays_model).spec.encoding
    other = json.loads(json.dumps(SERIES)) | {"units": {"crea": "umol/L", "weight": "[lb_av]"}}
    other["series"]["values"]["crea"] = [88.4, None, 123.76, 167.96]
    mine, theirs = (read_record(parse_record(each), encoding) for each in (SERIES, other))
    assert mine.hourly is not None
    assert theirs.hourly is not None
    np.testing.assert_allclose(theirs.hourly, mine.hourly, rtol=1e-3)


def test_what_cannot_be_counts_as_missing_with_a_warning(stays_model: TrainedRecords) -> None:
    encoding = model_of(stays_model).spec.encoding
    odd = json.loads(json.dumps(SERIES))
    odd["series"]["values"]["hr"][1] = 4000
    odd["values"] |= {"age": 300, "shoe size": 43}
    read = read_record(parse_record(odd), encoding)
    said = " ".join(read.warnings)
    assert "shoe size" in said
    assert "1 values of hr lie outside" in said
    assert "1 values of age lie outside" in said
    assert np.isnan(read.fixed[0])


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (7, None),
        ({}, None),
        ({"values": {"nothing known": 1}}, None),
        ({"values": {"age": "old"}}, "/values/age"),
        ({"values": {"sex": "unknown word"}}, "/values/sex"),
        ({"values": {"age": 1}, "units": {"age": "kg"}}, "/units/age"),
        ({"values": {"age": 1}, "extra": 1}, "/extra"),
        ({"series": {"hours": [1, 1], "values": {"hr": [1, 2]}}}, "/series/hours"),
        ({"series": {"hours": [0, 1], "values": {"hr": [1]}}}, "/series/values/hr"),
        ({"series": {"hours": [-1], "values": {"hr": [1]}}}, "/series/hours/0"),
        ({"series": {"hours": [99999], "values": {"hr": [1]}}}, "/series/hours/0"),
        ({"series": {"hours": [], "values": {"hr": []}}}, "/series/hours"),
    ],
)
def test_a_bad_record_is_told_where_it_is_wrong(
    table_model: TrainedRecords, content: object, where: str | None
) -> None:
    encoding = model_of(table_model).spec.encoding
    with pytest.raises(InvalidInput) as raised:
        read_record(parse_record(content), encoding)
    assert raised.value.where == where


def test_a_model_of_hours_needs_them(stays_model: TrainedRecords) -> None:
    encoding = model_of(stays_model).spec.encoding
    with pytest.raises(InvalidInput, match="hourly"):
        read_record(parse_record({"values": {"age": 60}}), encoding)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["values", "series", "hours", "units", "crea", "age"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=JSON)
def test_whatever_is_sent_is_answered_or_refused_by_a_typed_error(
    stays_model: TrainedRecords, content: object
) -> None:
    try:
        record = parse_record(content)
    except InvalidInput:
        return
    (answer,) = model_of(stays_model).predict([record])
    assert answer is not None


def test_evidence_ranks_what_the_answer_rests_on(table_model: TrainedRecords) -> None:
    model = model_of(table_model)
    (answer,) = model.predict([parse_record(ROW)], explain=True)
    assert not isinstance(answer, InvalidInput)
    explanation = answer.explanation
    assert explanation.method == "tree-shap"
    assert explanation.media_type == "application/json"
    found = Evidence.model_validate_json(base64.b64decode(explanation.content))
    first = found.pieces[0]
    assert {piece.variable for piece in found.pieces[:2]} == {"size", "age"}
    assert first.direction == "for"
    assert (first.value, first.unit) == ((44.0, "mm") if first.variable == "size" else (71.0, "a"))
    weights = [abs(piece.contribution) for piece in found.pieces]
    assert weights == sorted(weights, reverse=True)


def test_one_hour_of_each_patient_stands_for_what_is_usual(stays_model: TrainedRecords) -> None:
    model = model_of(stays_model)
    records = read_records(stays_model.data, stays_model.recipe.data)
    rows = np.flatnonzero(np.isin(records.patient, ["1", "2", "3"]))
    each = one_each(records.examples(rows, model.spec.encoding))
    assert each.patient is not None
    assert each.patient.tolist() == ["1", "2", "3"]
    hour = [feature.variable for feature in model.spec.encoding.features].index(
        "hours since the stay began"
    )
    assert (each.x[:, hour] >= 10).all()


@pytest.fixture(scope="module")
def department(stays_model: TrainedRecords) -> Iterator[TestClient]:
    """A diagnosis department that answers for stays."""
    home = stays_model.data.parent
    house = Settings(home=home, record_model="kidneys@candidate", max_items=4)
    app = create_diagnosis(stays_model.registry, house, ImageClassifier.load)
    with TestClient(app) as client:
        yield client


def post(department: TestClient, *records: object, **params: object) -> httpx.Response:
    return department.post(PATH, json={"records": list(records)}, params=params)


def test_records_are_answered_in_order_and_a_bad_one_fails_alone(department: TestClient) -> None:
    answer = post(department, SERIES, {"values": {"age": 1}}, 3, SERIES, explain=True)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert ["prediction" in result for result in results] == [True, False, False, True]
    assert results[1]["problem"]["where"] == "/records/1/series"
    assert results[2]["problem"]["where"] == "/records/2"
    first = results[0]["prediction"]
    assert first["findings"][0]["coding"]["code"] == "aki"
    assert first["provenance"]["model"]["name"] == "kidneys"
    assert first["findings"] == results[3]["prediction"]["findings"]
    assert first["explanation"]["media_type"] == "application/json"
    assert post(department, SERIES).json()["results"][0]["prediction"]["explanation"] is None


@pytest.mark.parametrize(
    ("request_parts", "status", "where"),
    [
        ({"json": {"records": []}}, 422, "/records"),
        ({"json": {"records": [SERIES] * 5}}, 422, "/records"),
        ({"json": {"record": SERIES}}, 422, "/records"),
        ({"json": {"records": [{}]}}, 422, "/records/0"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, ""),
        ({"content": b"[" * 9999, "headers": {"Content-Type": "application/json"}}, 422, ""),
        ({"content": b"a,b", "headers": {"Content-Type": "text/csv"}}, 415, "header Content-Type"),
        ({"json": {"records": [SERIES]}, "params": {"model": "nobody"}}, 404, "nobody"),
    ],
)
def test_a_bad_request_is_a_problem_document(
    department: TestClient, request_parts: dict[str, object], status: int, where: str
) -> None:
    answer = department.post(PATH, **request_parts)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().get("where", "") == where


def test_the_document_tells_what_a_record_is(department: TestClient) -> None:
    document = department.get("/openapi.json").json()
    body = document["paths"]["/v1/diagnosis/record"]["post"]["requestBody"]
    one = body["content"]["application/json"]["schema"]["anyOf"][0]["properties"]["records"][
        "items"
    ]["anyOf"]
    assert set(one[0]["properties"]) == {"values", "series", "units"}


def test_the_command_line_goes_by_the_recipes_kind(tmp_path: Path) -> None:
    write_stays(tmp_path / "stays")
    write_stays(tmp_path / "elsewhere", stays=60, seed=5, first_id=900)
    (tmp_path / "kidneys.yaml").write_text(STAYS_RECIPE)

    def polyclinic(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "polyclinic", *arguments, "--json"],
            env={**os.environ, "POLYCLINIC_HOME": str(tmp_path / "home")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    trained = polyclinic("train", "kidneys.yaml", "--data", "stays")
    assert trained["model"]["name"] == "kidneys"
    for data, part in (("stays", "test"), ("elsewhere", "external")):
        told = polyclinic("evaluate", "kidneys@candidate", "--data", data)["evaluation"]
        assert told["part"] == part
        assert {"auc", "auc_before_onset", "auprc_before_onset"} <= set(told["metrics"])


def test_a_record_that_knows_little_says_so(stays_model: TrainedRecords) -> None:
    record = parse_record({"values": {}, "series": {"hours": [3], "values": {"hr": [80.0]}}})
    (answer,) = model_of(stays_model).predict([record])
    assert not isinstance(answer, PolyclinicError)
    assert "Of the 52 variables that the model reads 1 are known." in answer.warnings
