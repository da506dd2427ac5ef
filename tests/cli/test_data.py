import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from polyclinic.cli.data import app
from polyclinic.core.errors import NotFound, QualityRefused, Unavailable
from polyclinic.core.settings import settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("POLYCLINIC_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def npz(path: Path, spoil: bool) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, n in (("train", 80), ("val", 50), ("test", 50)):
        arrays[f"{name}_images"] = rng.integers(256, size=(n, 28, 28), dtype=np.uint8)
        arrays[f"{name}_labels"] = np.arange(n)[:, None] % 2
    if spoil:
        arrays["test_images"][0] = arrays["train_images"][0]
    np.savez(path, **arrays)
    return path


def test_list_names_every_entry_with_its_licence() -> None:
    shown = CliRunner().invoke(app, ["list", "--json"])
    entries = {entry["name"]: entry for entry in json.loads(shown.stdout)}
    assert entries["pneumoniamnist"]["licence"] == "CC BY 4.0"
    assert entries["pneumoniamnist"]["fetched"] is False
    table = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"})
    assert "pneumoniamnist" in table.stdout


def test_get_fetches_into_the_home_folder(home: Path) -> None:
    done = CliRunner().invoke(app, ["get", "breast-cancer", "--json"])
    if isinstance(done.exception, Unavailable):
        pytest.skip(f"pip does not reach its package index: {done.exception.detail}")
    (path,) = json.loads(done.stdout)["paths"]
    assert Path(path) == home / "data" / "breast-cancer" / "breast_cancer.csv"
    assert Path(path).read_text().startswith("569,30,malignant,benign")
    again = CliRunner().invoke(app, ["get", "breast-cancer"], env={"COLUMNS": "200"})
    assert "CC BY 4.0" in again.stdout
    shown = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert [entry["name"] for entry in shown if entry["fetched"]] == ["breast-cancer"]


def test_get_of_an_unknown_name_is_not_found() -> None:
    assert isinstance(CliRunner().invoke(app, ["get", "nothing"]).exception, NotFound)


def test_check_reports_and_refuses(tmp_path: Path) -> None:
    sound = CliRunner().invoke(app, ["check", str(npz(tmp_path / "a.npz", False)), "--json"])
    assert sound.exit_code == 0
    assert json.loads(sound.stdout)["issues"] == []
    spoilt = CliRunner().invoke(app, ["check", str(npz(tmp_path / "b.npz", True)), "--json"])
    assert isinstance(spoilt.exception, QualityRefused)
    assert spoilt.exception.exit_code == 7
    (issue,) = json.loads(spoilt.stdout)["issues"]
    assert (issue["check"], issue["rows"]) == ("leaked_to_test", [0])
    table = CliRunner().invoke(app, ["check", str(tmp_path / "b.npz")], env={"COLUMNS": "200"})
    assert "leaked_to_test" in table.stdout
