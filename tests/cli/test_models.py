"""`polyclinic models`, as a person or a program uses it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polyclinic.cli.models import app
from polyclinic.core import settings as settings_module
from polyclinic.core.errors import IntegrityError, NotFound, PolyclinicError
from polyclinic.registry.signing import public_pem
from polyclinic.registry.store import ModelVersion, open_registry
from sample_model import sample_files, sample_manifest

NAME = "ward-model"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield use_home(tmp_path / "home", monkeypatch)
    settings_module.settings.cache_clear()


def use_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLYCLINIC_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    settings_module.settings.cache_clear()
    return home


@pytest.fixture
def version(home: Path) -> ModelVersion:
    files = sample_files()
    return open_registry().add(sample_manifest(files, NAME), files)


def run(*arguments: str) -> str:
    """What the command prints; its typed error is raised, as `cli.main.run` expects."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception:
        raise result.exception
    return result.stdout


def listed() -> dict[str, Any]:
    """The versions of the sample's name, by version."""
    return {m["version"]: m for m in json.loads(run("list", "--json")) if m["name"] == NAME}


def test_list_tells_versions_and_aliases(version: ModelVersion) -> None:
    assert str(version) in run("list")
    model = listed()[version.version]
    assert model["digest"] == version.digest
    assert [alias["alias"] for alias in model["aliases"]] == ["candidate"]


def test_promote_keeps_who_and_why(version: ModelVersion) -> None:
    run("promote", str(version), "--reason", "Measured on our wards")
    aliases = {alias["alias"]: alias for alias in listed()[version.version]["aliases"]}
    assert aliases["champion"]["reason"] == "Measured on our wards"
    assert aliases["champion"]["by"]
    assert "Measured on our wards" in run("list")
    assert "Measured on our wards" in run("show", str(version))
    run("promote", str(version), "--to", "candidate")
    assert open_registry().resolve(f"{NAME}@candidate") == version
    approvals = json.loads(run("show", str(version), "--json"))["approvals"]
    assert [a["alias"] for a in approvals] == ["candidate", "champion", "candidate"]


def test_show_prints_the_card_and_writes_it_as_a_page(
    version: ModelVersion, tmp_path: Path
) -> None:
    printed = run("show", str(version))
    assert "Pneumonia on paediatric chest X-rays" in printed
    assert version.version in printed
    card = json.loads(run("show", str(version), "--json"))
    assert card["model"]["digest"] == version.digest
    assert len(card["source_attributes"]) == 31
    page = tmp_path / "pages" / "card.html"
    run("show", str(version), "--html", str(page))
    assert page.read_text().startswith("<!doctype html>")


def test_a_model_travels_to_a_site_that_trusts_its_maker(
    version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = open_registry().keys.site.public_key()
    bundle = tmp_path / "model.polyclinic"
    run("export", str(version), "--output", str(bundle))

    other = use_home(tmp_path / "other", monkeypatch)
    with pytest.raises(IntegrityError, match="unknown signer"):
        run("import", str(bundle))
    (other / "keys" / "trusted").mkdir(parents=True)
    (other / "keys" / "trusted" / "maker.pem").write_bytes(public_pem(maker))
    assert json.loads(run("import", str(bundle), "--json"))["digest"] == version.digest
    assert version.version in listed()


def test_export_names_the_file_after_the_version(
    version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("export", str(version))
    assert (tmp_path / f"{NAME}-{version.version}.polyclinic").is_file()


@pytest.mark.usefixtures("home")
def test_what_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run("show", "no-such-model")
    with pytest.raises(PolyclinicError):
        run("import", str(tmp_path / "nothing.polyclinic"))
