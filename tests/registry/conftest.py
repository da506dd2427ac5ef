"""A registry on each database."""

from pathlib import Path

import pytest

from polyclinic.core.settings import Settings
from polyclinic.registry.store import Registry, open_registry


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> Registry:
    return open_registry(Settings(home=tmp_path / "home", database_url=database_url))


@pytest.fixture
def other_site(tmp_path: Path) -> Registry:
    """The registry of another site, which trusts the project and itself alone."""
    return open_registry(Settings(home=tmp_path / "other"))
