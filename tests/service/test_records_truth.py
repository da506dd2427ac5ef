"""Whatever is sent as a record, Bundle or patient is answered by a real model, or refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from house_parts import keeps_promises, serving
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
    keeps_promises(operation, mode, examples=80)
