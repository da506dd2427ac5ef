"""Which model answers: promotion, failed loads, eviction."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from house_parts import NAME, LightModel, add_version

from polyclinic.core.errors import IntegrityError, NotFound, Unavailable
from polyclinic.core.model import Answer
from polyclinic.core.prediction import Prediction, Reweighting
from polyclinic.core.settings import Settings
from polyclinic.registry.store import ModelVersion, Registry
from polyclinic.service import models
from polyclinic.service.models import ModelHost
from polyclinic.service.telemetry import Metrics

pytestmark = pytest.mark.anyio

KIND = "diagnosis.image"


class Loader:
    """Loads light models, counts how often, and raises `failure` when a test sets it."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.failure: Exception | None = None

    def __call__(self, registry: Registry, version: ModelVersion) -> LightModel:
        if self.failure:
            raise self.failure
        self.loaded.append(version.version)
        return LightModel.load(registry, version)


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
async def host(
    registry: Registry, loader: Loader, house_settings: Settings
) -> AsyncIterator[ModelHost[bytes, Prediction]]:
    host = ModelHost(registry, {KIND}, loader, metrics=Metrics(), settings=house_settings)
    yield host
    await host.close()


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host ask the registry every time, so that no test waits for a second."""
    monkeypatch.setattr(models, "FRESH_S", 0.0)


async def version_that_answers(host: ModelHost[bytes, Prediction], reference: str = NAME) -> str:
    answer: Answer = (await host.predict(reference, [b"\xff"]))[0]
    assert isinstance(answer, Prediction)
    return answer.provenance.model.version


async def test_a_version_is_loaded_once_however_many_ask(
    host: ModelHost[bytes, Prediction], loader: Loader, registry: Registry
) -> None:
    version = registry.resolve(NAME).version
    references = [NAME, f"{NAME}@champion", f"{NAME}@{version}"] * 2
    answered = await asyncio.gather(*(version_that_answers(host, r) for r in references))
    assert set(answered) == {version}
    assert loader.loaded == [version]


async def test_promotion_takes_effect_without_a_restart(
    host: ModelHost[bytes, Prediction], registry: Registry
) -> None:
    before = await version_that_answers(host)
    promoted = add_version(registry, bias=1.0).version
    async with asyncio.timeout(models.FRESH_S + 2):
        while await version_that_answers(host) == before:
            await asyncio.sleep(0.02)
    assert await version_that_answers(host) == promoted


@pytest.mark.usefixtures("always_fresh")
@pytest.mark.parametrize("failure", [IntegrityError("damaged"), ValueError("not typed")])
async def test_the_version_before_serves_on_when_the_new_one_cannot_be_loaded(
    host: ModelHost[bytes, Prediction], registry: Registry, loader: Loader, failure: Exception
) -> None:
    before = await version_that_answers(host)
    promoted = add_version(registry, bias=1.0).version
    loader.failure = failure
    assert await version_that_answers(host) == before
    assert list(host.fallbacks) == [NAME]
    loader.failure = None
    assert await version_that_answers(host) == promoted
    assert not host.fallbacks


async def test_a_first_version_that_cannot_be_loaded_is_unavailable(
    host: ModelHost[bytes, Prediction], loader: Loader
) -> None:
    loader.failure = ValueError("inner detail")
    with pytest.raises(Unavailable) as caught:
        await version_that_answers(host)
    assert "inner detail" not in str(caught.value)


async def test_unknown_models_and_those_of_another_kind_are_not_found(
    registry: Registry, loader: Loader, house_settings: Settings, host: ModelHost[bytes, Prediction]
) -> None:
    with pytest.raises(NotFound):
        await host.get("nobody")
    other = ModelHost(registry, {"drugs"}, loader, metrics=Metrics(), settings=house_settings)
    with pytest.raises(NotFound, match=KIND):
        await other.get(NAME)
    assert not loader.loaded


@pytest.mark.usefixtures("always_fresh")
async def test_only_the_versions_asked_for_last_are_kept(
    host: ModelHost[bytes, Prediction], registry: Registry, loader: Loader
) -> None:
    versions = [add_version(registry, bias=float(n)).version for n in range(1, models.KEPT + 2)]
    for version in versions:
        assert await version_that_answers(host, f"{NAME}@{version}") == version
    assert await version_that_answers(host, f"{NAME}@{versions[-1]}") == versions[-1]
    assert loader.loaded == versions
    await version_that_answers(host, f"{NAME}@{versions[0]}")
    assert loader.loaded == [*versions, versions[0]]


async def test_re_weighting_to_the_site_takes_effect_without_a_restart(
    host: ModelHost[bytes, Prediction], loader: Loader, registry: Registry, always_fresh: None
) -> None:
    await version_that_answers(host)
    to = Reweighting(
        source_prevalence={}, prevalence={}, method="em", examples=2, time=datetime.now(UTC)
    )
    registry.reweight(registry.resolve(NAME), to, "operator")
    await version_that_answers(host)
    await version_that_answers(host)
    assert len(loader.loaded) == 2
    registry.reweight(registry.resolve(NAME), None, "operator")
    await version_that_answers(host)
    assert len(loader.loaded) == 2, "the version as it was trained was still loaded"
