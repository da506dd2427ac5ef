"""Whatever is sent as a record, Bundle or patient is answered by a real model, or refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from house_parts import serving
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance
from schemathesis.generation import GenerationMode

from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry
from polyclinic.service.diagnosis import create_diagnosis


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Settings(home=Path(tmp_path_factory.mktemp("home")))
    registry = open_registry(home)
    install_starters(registry)
    with serving(create_diagnosis(registry, home, ImageClassifier.load)) as department:
        yield department


@pytest.mark.parametrize("path", ["/v1/diagnosis/record", "/v1/diagnosis/patient"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_operation_keeps_its_promises(url: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[path]["POST"]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=80,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def keeps(case: schemathesis.Case) -> None:
        # A Bundle of nobody fits the schema and is refused all the same.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    keeps()
