"""Fixtures of the service tests: a registry with one champion, and the diagnosis department."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from house_parts import House, LightModel, add_version, low_limits, serving

from polyclinic.core.settings import Settings
from polyclinic.registry.store import ModelVersion, Registry, open_registry
from polyclinic.service.diagnosis import create_diagnosis
from polyclinic.service.gateway.app import create_gateway


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture(autouse=True)
def quiet() -> None:
    """No log lines of this process among the tests' output; a server's own are read where due."""
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )


@pytest.fixture
def house_settings(tmp_path: Path) -> Settings:
    """Settings of a house of its own, with low limits."""
    return low_limits(tmp_path)


@pytest.fixture
def registry(house_settings: Settings) -> Registry:
    """A registry with one champion."""
    registry = open_registry(house_settings)
    add_version(registry)
    return registry


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway before the diagnosis department."""
    settings = low_limits(tmp_path_factory.mktemp("home"))
    registry = open_registry(settings)
    add_version(registry)
    loaded: list[LightModel] = []

    def load(registry: Registry, version: ModelVersion) -> LightModel:
        loaded.append(LightModel.load(registry, version))
        return loaded[-1]

    with serving(create_diagnosis(registry, settings, load)) as diagnosis:
        gateway = create_gateway(registry, settings, {"diagnosis": diagnosis})
        with serving(gateway) as url:
            yield House(url, registry, loaded)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """An HTTP client."""
    with httpx.Client(timeout=10) as client:
        yield client
