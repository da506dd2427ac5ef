"""The kidney model that comes with the package, asked about made-up stays."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.chart import parse_chart
from polyclinic.core.prediction import Prediction
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.record import parse_record
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}


def stay(creatinine: list[float], urine: list[float]) -> dict[str, Any]:
    """A made-up stay of a man of 60, creatinine in mg/dL and urine in mL each hour."""
    return {
        "values": {"age": 60, "sex": "Male", "weight": 80, "height": 175},
        "series": {
            "hours": list(range(len(urine))),
            "values": {"crea": creatinine, "urine": urine, "hr": [90.0] * len(urine)},
        },
    }


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> RecordClassifier:
    registry = open_registry(Settings(home=tmp_path_factory.mktemp("aki")))
    install_starters(registry)
    return RecordClassifier.load(registry, registry.resolve("aki"))


def test_failing_kidneys_are_likelier_than_steady_ones(starter: RecordClassifier) -> None:
    steady = stay([0.9] * 24, [80.0] * 24)
    failing = stay([0.9 + 0.05 * hour for hour in range(24)], [80.0 - 3 * h for h in range(24)])
    answers = starter.predict([parse_record(steady), parse_record(failing)], explain=True)
    well, ill = (answer for answer in answers if isinstance(answer, Prediction))
    assert ill.findings[0].coding.code == "N17.9"
    assert ill.findings[0].probability > 2 * well.findings[0].probability
    assert ill.findings[0].present
    assert not well.findings[0].present
    assert ill.explanation is not None


def test_a_stay_as_a_bundle_is_answered_as_the_same_series(starter: RecordClassifier) -> None:
    admitted = datetime(2025, 3, 1, 8, tzinfo=UTC)
    patient = {"resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1965-03-01"}
    period = {"start": admitted.isoformat()}
    encounter = {"resourceType": "Encounter", "id": "e", "status": "in-progress", "period": period}
    encounter |= {"class": CLASS, "subject": {"reference": "Patient/p"}}
    content = stay([0.9 + 0.05 * hour for hour in range(24)], [80.0 - 3 * h for h in range(24)])
    series = content["series"]["values"]
    fixed = {"weight": [80.0], "height": [175.0]}
    observed = [
        {
            "resourceType": "Observation",
            "id": f"{name}-{hour}",
            "status": "final",
            "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": "http://loinc.org", "code": BY_NAME[name].loinc}]},
            "effectiveDateTime": (admitted + timedelta(hours=hour)).isoformat(),
            "valueQuantity": {
                "value": value,
                "system": "http://unitsofmeasure.org",
                "code": BY_NAME[name].unit,
            },
        }
        for name, values in (series | fixed).items()
        for hour, value in enumerate(values)
    ]
    resources = [patient, encounter, *observed]
    entries = [{"resource": each} for each in resources]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    content["values"]["age"] = 60 + 1 / 1461  # sixty years and the day that leap years add
    answers = starter.predict([parse_chart(bundle), parse_record(content)])
    one, other = (answer for answer in answers if isinstance(answer, Prediction))
    assert one.findings[0].probability == pytest.approx(other.findings[0].probability, abs=1e-6)
    assert one.warnings == other.warnings == ()


def test_the_starter_is_measured_elsewhere_by_one_command(
    shared_data: Path, tmp_path: Path
) -> None:
    data = shared_data / "icu" / "aki" / "eicu_demo"
    done = subprocess.run(
        [sys.executable, "-m", "polyclinic", "evaluate", "aki", "--data", str(data), "--json"],
        env={**os.environ, "POLYCLINIC_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    evaluation = json.loads(done.stdout)["evaluation"]
    assert evaluation["part"] == "test"
    assert evaluation["metrics"]["auc"]["value"] > 0.8
    assert evaluation["metrics"]["auc_before_onset"]["value"] > 0.7
