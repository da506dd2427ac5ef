"""Records are answered on this machine, by the model that comes with the package."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polyclinic.cli.diagnose import app
from polyclinic.core.settings import settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POLYCLINIC_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def stay(path: Path, creatinine: float) -> str:
    hours = list(range(12))
    crea = [0.9 + creatinine * hour for hour in hours]
    record = {
        "values": {"age": 60, "sex": "Male", "weight": 80},
        "series": {"hours": hours, "values": {"crea": crea, "urine": [60.0] * 12}},
    }
    path.write_text(json.dumps(record))
    return str(path)


def test_what_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    well, ill = stay(tmp_path / "well.json", 0.0), stay(tmp_path / "ill.json", 0.1)
    broken, gone = tmp_path / "broken.json", tmp_path / "gone.json"
    broken.write_text("{")
    shown = CliRunner().invoke(app, ["record", well, str(broken), ill, str(gone), "--json"])
    assert shown.exit_code == 3
    one, two, three, four = json.loads(shown.stdout)["results"]
    assert "not JSON" in two["problem"]["detail"]
    assert two["problem"]["where"] == str(broken)
    assert "No such file" in four["problem"]["detail"]
    first, second = (each["prediction"]["findings"][0] for each in (one, three))
    assert first["coding"]["code"] == "N17.9"
    assert second["probability"] > first["probability"]


def test_evidence_is_ranked_with_value_unit_window_and_direction(tmp_path: Path) -> None:
    ill = stay(tmp_path / "ill.json", 0.1)
    shown = CliRunner().invoke(app, ["record", ill, "--evidence"])
    assert shown.exit_code == 0
    rows = [line for line in shown.stdout.splitlines() if " for " in line or " against " in line]
    weights = [abs(float(line.split("│")[-2])) for line in rows[1:]]
    assert weights == sorted(weights, reverse=True)
    assert any("Creatinine" in line and "mg/dL" in line for line in rows)


def test_a_record_as_it_is_posted_to_the_service_is_answered_alike(tmp_path: Path) -> None:
    bare, posted, two = (
        stay(tmp_path / "bare.json", 0.1),
        tmp_path / "posted.json",
        tmp_path / "two",
    )
    record = json.loads(Path(bare).read_text())
    posted.write_text(json.dumps({"records": [record]}))
    two.write_text(json.dumps({"records": [record, record]}))
    shown = CliRunner().invoke(app, ["record", bare, str(posted), str(two), "--json"])
    one, same, refused = json.loads(shown.stdout)["results"]
    assert one["prediction"]["findings"] == same["prediction"]["findings"]
    assert "one record" in refused["problem"]["detail"]
