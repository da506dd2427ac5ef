"""Starters: there at the first start, quick afterwards, and never over a site's own choice."""

import shutil
from pathlib import Path

import pytest

from polyclinic.core.errors import IntegrityError
from polyclinic.registry.bundle import bundle_name, export_bundle
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import ModelVersion, Registry
from sample_model import sample_files, sample_manifest


def ship(registry: Registry, folder: Path, bias: float, name: str = "starter") -> ModelVersion:
    """Put a bundle into `folder`, as a release would; the version."""
    folder.mkdir(exist_ok=True)
    files = sample_files(bias)
    version = registry.add(sample_manifest(files, name), files)
    export_bundle(registry, version, folder / bundle_name(version))
    return version


@pytest.fixture
def site(registry: Registry, other_site: Registry) -> Registry:
    """An empty registry that trusts the maker, whose registry is `other_site`."""
    return Registry(registry.engine, registry.blobs, other_site.keys)


def test_a_starter_becomes_champion_once(
    site: Registry, other_site: Registry, tmp_path: Path
) -> None:
    version = ship(other_site, tmp_path / "starters", 1)
    assert install_starters(site, tmp_path / "starters") == [version]
    assert site.resolve("starter") == version
    assert site.load(version) == sample_files(1)
    approvals = site.approvals()
    assert install_starters(site, tmp_path / "starters") == []
    assert site.approvals() == approvals


def test_a_newer_starter_does_not_push_out_the_champion(
    site: Registry, other_site: Registry, tmp_path: Path
) -> None:
    old = ship(other_site, tmp_path / "old", 1)
    new = ship(other_site, tmp_path / "new", 2)
    install_starters(site, tmp_path / "old")
    assert install_starters(site, tmp_path / "new") == [new]
    assert site.resolve("starter") == old
    assert {version.digest for version in site.versions()} == {old.digest, new.digest}


def test_an_installation_that_was_cut_short_is_finished(
    site: Registry, other_site: Registry, tmp_path: Path
) -> None:
    version = ship(other_site, tmp_path / "starters", 1)
    files = sample_files(1)
    site.add(version.manifest, files)  # Imported, but the process died before the promotion.
    assert install_starters(site, tmp_path / "starters") == []
    assert site.resolve("starter@champion") == version


def test_a_damaged_starter_is_refused_by_name(
    site: Registry, other_site: Registry, tmp_path: Path
) -> None:
    version = ship(other_site, tmp_path / "starters", 1)
    path = tmp_path / "starters" / bundle_name(version)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(IntegrityError, match=path.name):
        install_starters(site, tmp_path / "starters")
    assert site.versions() == []


def test_no_folder_means_no_starters(site: Registry, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "starters", ignore_errors=True)
    assert install_starters(site, tmp_path / "starters") == []
