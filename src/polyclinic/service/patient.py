"""One patient's pictures and records together: each answered by its model, their findings fused."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from polyclinic.clinical.chart import Chart
from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.model import Answer
from polyclinic.core.prediction import Prediction
from polyclinic.core.problem import Problem
from polyclinic.diagnosis.fusion import FusedFinding, Said, fuse
from polyclinic.diagnosis.records.spec import RecordSpec
from polyclinic.registry.store import Registry
from polyclinic.service.bodies import JSON, parse_json, read_body
from polyclinic.service.records import Sent, placed, read_item
from polyclinic.service.records import request_body as records_body
from polyclinic.service.uploads import Upload, decoded

#: What a request may have, and where each answer says that it comes from.
IMAGES, RECORDS = "images", "records"


class Source(BaseModel):
    """Where in the request an answer's input stands."""

    field: str
    index: int


class PatientAnswer(BaseModel):
    """What the model says of one picture or record, or why it says nothing."""

    source: Source
    prediction: Prediction | None = None
    problem: Problem | None = None


class PatientDiagnosis(BaseModel):
    """Findings by all answers together, and the answers, pictures first, in the request's order."""

    notice: str
    findings: list[FusedFinding]
    warnings: list[str]
    answers: list[PatientAnswer]


async def read_patient(request: Request, *, max_items: int) -> tuple[list[Upload], list[Sent]]:
    """The `images` (base64) and `records` of a request's JSON.

    Raises `UnsupportedInput` for another content type and `InvalidInput` for what cannot be read
    as a whole.
    """
    return await asyncio.to_thread(_parsed, await read_body(request, JSON), max_items)


def request_body(max_items: int) -> dict[str, Any]:
    """The OpenAPI request body of an operation that calls `read_patient`."""
    schema = records_body(max_items)["content"][JSON]["schema"]["anyOf"][0]
    picture = {"type": "string", "contentEncoding": "base64"}
    images = {"type": "array", "items": picture, "minItems": 1, "maxItems": max_items}
    schema["properties"] = {IMAGES: images, **schema["properties"]}
    schema["required"] = [IMAGES, RECORDS]
    return {"required": True, "content": {JSON: {"schema": schema}}}


def knowing(records: Sequence[Sent], images: Sequence[Answer]) -> list[Sent]:
    """Records in which what the pictures show is known; of Bundles alone, which are timelines."""
    seen = [answer for answer in images if isinstance(answer, Prediction)]
    return [each.knowing(seen) if isinstance(each, Chart) else each for each in records]


def together(
    notice: str,
    sent: Sequence[Sent],
    images: Sequence[Answer],
    records: Sequence[Answer],
    registry: Registry,
) -> PatientDiagnosis:
    """The response. Raises the first problem where nothing has an answer.

    sent: the records; a Bundle among them knew what the pictures show (`knowing`).
    """
    places = [(IMAGES, i) for i in range(len(images))] + [(RECORDS, i) for i in range(len(records))]
    answers = [*images, *(placed(answer, index) for index, answer in enumerate(records))]
    problems = [answer for answer in answers if isinstance(answer, PolyclinicError)]
    if len(problems) == len(answers):
        raise problems[0]
    said = [
        *(_said(answer, registry) for answer in images),
        *(
            _said(answer, registry, images if isinstance(record, Chart) else ())
            for answer, record in zip(records, sent, strict=True)
        ),
    ]
    findings, warnings = fuse(said)
    return PatientDiagnosis(
        notice=notice,
        findings=list(findings),
        warnings=list(warnings),
        answers=[
            PatientAnswer(
                source=Source(field=field, index=index),
                prediction=answer if isinstance(answer, Prediction) else None,
                problem=answer.problem() if isinstance(answer, PolyclinicError) else None,
            )
            for (field, index), answer in zip(places, answers, strict=True)
        ],
    )


def _said(answer: Answer, registry: Registry, given: Sequence[Answer] = ()) -> Said | None:
    """An answer with the prevalences that its probabilities are for.

    given: the first answers of all, where its input knew them.
    """
    if isinstance(answer, PolyclinicError):
        return None
    model = answer.provenance.model
    manifest = registry.resolve(f"{model.name}@{model.version}").manifest
    rests_on = _read(given, manifest.spec) if given else frozenset()
    if answer.reweighting is not None:
        return Said(answer, answer.reweighting.prevalence, rests_on)
    validation = manifest.validation
    counts = validation.label_counts.items()
    shares = {code: count / validation.examples for code, count in counts}
    return Said(answer, shares, rests_on)


def _read(given: Sequence[Answer], spec: Mapping[str, Any]) -> frozenset[int]:
    """Indices of the answers with a finding that a model of records reads."""
    encoding = RecordSpec.model_validate(spec).encoding
    read = {variable.finding for variable in (*encoding.fixed, *encoding.hourly)}
    return frozenset(
        index
        for index, answer in enumerate(given)
        if isinstance(answer, Prediction)
        and any(f"{each.coding.system}|{each.coding.code}" in read for each in answer.findings)
    )


def _parsed(body: io.BytesIO, max_items: int) -> tuple[list[Upload], list[Sent]]:
    content = parse_json(body)
    if not isinstance(content, dict) or content.keys() != {IMAGES, RECORDS}:
        raise InvalidInput(f"The body must be an object with `{IMAGES}` and `{RECORDS}`.", where="")
    for field in (IMAGES, RECORDS):
        items = content[field]
        if not isinstance(items, list) or not 1 <= len(items) <= max_items:
            raise InvalidInput(f"There must be 1 to {max_items} {field}.", where=f"/{field}")
    images = [_picture(item, index) for index, item in enumerate(content[IMAGES])]
    return images, [read_item(item) for item in content[RECORDS]]


def _picture(item: Any, index: int) -> Upload:
    if not isinstance(item, str):
        return InvalidInput("A picture must be text in base64.", where=f"/{IMAGES}/{index}")
    return decoded(item, index)
