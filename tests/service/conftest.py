"""Fixtures of the service tests: a registry with one champion, and the diagnosis department."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from house_parts import add_version, low_limits

from polyclinic.core.settings import Settings
from polyclinic.registry.store import Registry, open_registry


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


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """An HTTP client."""
    with httpx.Client(timeout=10) as client:
        yield client
