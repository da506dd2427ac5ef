"""`polyclinic treatment`, as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polyclinic.registry.starters import STARTERS

COMMAND = (sys.executable, "-m", "polyclinic", "treatment")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not list(STARTERS.glob("orders-*")), reason="no starter models here")
def test_a_patient_is_advised_from_a_file() -> None:
    done = run("recommend", str(STARTERS / "diabetes.json"), "--explain", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["recommendation"]
    assert "metformin" in {each["coding"]["display"] for each in told["vetoed"]}
    table = run("recommend", str(STARTERS / "diabetes.json"))
    assert "vetoed" in table.stdout
    assert "not a medical device" in table.stderr


def test_a_list_is_checked_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(
        json.dumps({"medications": [{"name": "simvastatin"}, {"name": "clarithromycin"}]})
    )
    done = run("check", str(file))
    assert done.returncode == 0, done.stderr
    assert "veto" in done.stdout
    file.write_text("{")
    assert run("check", str(file)).returncode == 3
    assert run("check", str(tmp_path / "none.json")).returncode == 3
