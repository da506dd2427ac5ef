"""Which departments the house has. A new one is one entry of `DEPARTMENTS`."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from polyclinic.core.settings import Settings
from polyclinic.registry.starters import STARTERS
from polyclinic.registry.store import Registry
from polyclinic.service.application import Service


class CheckAnswer(NamedTuple):
    """What a department said about its sample."""

    finding: str
    probability: float | None
    model: str


@dataclass(frozen=True)
class Check:
    """One real input, and how to send it and read what comes back.

    `payload` makes the JSON body of a POST to `path` from the sample; `read` reads the answer's
    JSON. `example` is the end of a `curl` command line with places for the gateway's `url` and a
    `sample` file.
    """

    path: str
    sample: Path
    payload: Callable[[bytes], Any]
    read: Callable[[Any], CheckAnswer]
    example: str

    def curl(self, url: str, sample: str) -> str:
        """A command line that asks about a sample."""
        return f"curl {self.example.format(url=url, sample=sample)}"


@dataclass(frozen=True)
class Department:
    """A service of its own: everything under `/v1/NAME/`.

    `create` imports what the department needs only when it is called.
    """

    name: str
    create: Callable[[Registry, Settings], Service]
    checks: tuple[Check, ...]


def _create_diagnosis(registry: Registry, settings: Settings) -> Service:
    from polyclinic.diagnosis.imaging.classifier import ImageClassifier
    from polyclinic.service.diagnosis import create_diagnosis

    return create_diagnosis(registry, settings, ImageClassifier.load)


def _read_diagnosis(answer: Any) -> CheckAnswer:
    prediction = answer["results"][0]["prediction"]
    first = prediction["findings"][0]
    model = prediction["provenance"]["model"]
    return CheckAnswer(
        first["coding"]["display"], first["probability"], f"{model['name']}@{model['version']}"
    )


def _create_treatment(registry: Registry, settings: Settings) -> Service:
    from polyclinic.service.treatment import create_treatment

    return create_treatment(registry, settings)


def _read_treatment(answer: Any) -> CheckAnswer:
    recommendation = answer["results"][0]["recommendation"]
    first = recommendation["treatments"][0]
    said, expected = first["coding"]["display"], first["expected"]
    if expected is not None:
        said += f" {expected['value']:.2f} {expected['unit']}".rstrip()
    model = recommendation["provenance"]["model"]
    return CheckAnswer(said, first["probability"], f"{model['name']}@{model['version']}")


def _treatment(model: str, sample: str) -> Check:
    path = f"/v1/treatment/recommend?model={model}"
    return Check(
        path=path,
        sample=STARTERS / sample,
        payload=json.loads,
        read=_read_treatment,
        example=f"--json @{{sample}} '{{url}}{path}'",
    )


DEPARTMENTS = {
    department.name: department
    for department in (
        Department(
            name="diagnosis",
            create=_create_diagnosis,
            checks=(
                Check(
                    path="/v1/diagnosis/image",
                    sample=STARTERS / "chest-xray.png",
                    payload=lambda picture: {"images": [b64encode(picture).decode()]},
                    read=_read_diagnosis,
                    example="-F file=@{sample} {url}/v1/diagnosis/image",
                ),
                Check(
                    path="/v1/diagnosis/record",
                    sample=STARTERS / "kidneys.json",
                    payload=json.loads,
                    read=_read_diagnosis,
                    example="--json @{sample} {url}/v1/diagnosis/record",
                ),
            ),
        ),
        Department(
            name="treatment",
            create=_create_treatment,
            checks=(
                _treatment("orders", "diabetes.json"),
                _treatment("scores", "scores.json"),
                _treatment("actg175", "hiv.json"),
            ),
        ),
    )
}
