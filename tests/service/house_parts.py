"""What the service tests share: a model that reads light, live servers, and what they said."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance
from schemathesis.generation import GenerationMode
from starlette.types import ASGIApp

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.model import Answer
from polyclinic.core.prediction import (
    ConformalSet,
    Explanation,
    Familiarity,
    Finding,
    ModelIdentity,
    Prediction,
    Provenance,
)
from polyclinic.core.settings import Settings
from polyclinic.registry.store import ModelVersion, Registry
from polyclinic.service.server import http_server, listen
from sample_model import LABELS, sample_files, sample_manifest

NAME = "chest-xray-pneumonia"
POISON = b"poison"


class LightModel:
    """The mean of an item's bytes as its probability. Bytes that hold POISON break the batch."""

    def __init__(self, identity: ModelIdentity) -> None:
        self.identity = identity
        self.batches: list[list[bytes]] = []
        #: Held by a test, it keeps the model busy.
        self.busy = threading.Lock()

    @classmethod
    def load(cls, registry: Registry, version: ModelVersion) -> "LightModel":
        """Read the version's files, as a real loader does."""
        registry.load(version)
        return cls(version.identity)

    def predict(self, items: Sequence[bytes], *, explain: bool = False) -> list[Answer]:
        """One answer an item."""
        self.batches.append(list(items))
        with self.busy:
            if any(POISON in item for item in items):
                raise ZeroDivisionError("the model met poison")
            return [self._answer(item, explain) for item in items]

    def _answer(self, item: bytes, explain: bool) -> Answer:
        if not item:
            return InvalidInput("The picture is empty.", where="picture")
        light = sum(item) / len(item) / 255
        explanation = Explanation(
            method="bytes", finding=LABELS[1], media_type="text/plain", content="bGlnaHQ="
        )
        return Prediction(
            findings=(
                Finding(
                    coding=LABELS[1],
                    probability=light,
                    present=light >= 0.5,
                    operating_point="balanced",
                    threshold=0.5,
                ),
            ),
            conformal_set=ConformalSet(method="marginal", coverage=0.9, labels=LABELS),
            familiarity=Familiarity(p_value=light, alpha=0.05),
            abstained="It is too dark." if light < 0.05 else None,
            explanation=explanation if explain else None,
            provenance=Provenance(
                model=self.identity, input_digest=sha256(item), time=datetime.now(UTC)
            ),
        )


def low_limits(home: Path) -> Settings:
    """Settings of a house of its own, with limits that a test can reach."""
    return Settings(home=home, max_upload_bytes=100_000, max_items=8, max_batch=4, max_queue=8)


def add_version(registry: Registry, bias: float = 0.0, name: str = NAME) -> ModelVersion:
    """A new champion of `name`, its digest set by `bias`."""
    files = sample_files(bias)
    version = registry.add(sample_manifest(files, name), files)
    return registry.promote(str(version), by="test", reason="test")


class House:
    """A gateway at `url`, and the model behind it."""

    def __init__(self, url: str, registry: Registry, loaded: list[LightModel]) -> None:
        self.url = url
        self.registry = registry
        self.loaded = loaded


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """`app` on a real socket; its URL."""
    bound = listen("127.0.0.1", 0)
    server = http_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def keeps_promises(operation: Any, mode: GenerationMode, examples: int) -> None:
    """Send an operation whatever its schema allows, or does not, and hold it to the document."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def keeps(case: schemathesis.Case) -> None:
        # A file that is no picture, or a Bundle of nobody, fits the schema and is refused all the
        # same.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    keeps()
