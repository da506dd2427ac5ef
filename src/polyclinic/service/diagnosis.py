"""The diagnosis department: pictures and records in, findings out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel

from polyclinic import NOTICE
from polyclinic.clinical.chart import Chart
from polyclinic.core.errors import NotFound, PolyclinicError, Unavailable
from polyclinic.core.model import Answer, Model
from polyclinic.core.prediction import Prediction
from polyclinic.core.problem import Problem
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.record import Record
from polyclinic.registry.store import ModelVersion, Registry
from polyclinic.service.application import Readiness, Service, create_app, while_connected
from polyclinic.service.models import REFERENCE, Item, ModelHost
from polyclinic.service.patient import PatientDiagnosis, knowing, read_patient, together
from polyclinic.service.patient import request_body as patient_body
from polyclinic.service.problems import documented
from polyclinic.service.records import placed, read_records
from polyclinic.service.records import request_body as records_body
from polyclinic.service.telemetry import Metrics
from polyclinic.service.uploads import read_uploads, request_body

IMAGE = "diagnosis.image"
RECORD = "diagnosis.record"

Reference = Annotated[
    str, Query(pattern=REFERENCE, description="NAME, NAME@alias or NAME@version.")
]
Explain = Annotated[
    bool, Query(description="Whether to show, at some cost, what each answer rests on.")
]


class Predicted(BaseModel):
    """What the model says about the item at `index` of the request."""

    index: int
    prediction: Prediction


class Failed(BaseModel):
    """Why the item at `index` of the request, and it alone, has no prediction."""

    index: int
    problem: Problem


class Diagnosis(BaseModel):
    """One result an item, in the request's order."""

    notice: str
    results: list[Predicted | Failed]


def load_records(registry: Registry, version: ModelVersion) -> Model[Record | Chart, Prediction]:
    """A model of records. What it needs is imported only by a service that has one."""
    from polyclinic.diagnosis.records.classifier import RecordClassifier

    return RecordClassifier.load(registry, version)


def create_diagnosis(
    registry: Registry,
    settings: Settings,
    load_image_model: Callable[[Registry, ModelVersion], Model[bytes, Prediction]],
    load_record_model: Callable[
        [Registry, ModelVersion], Model[Record | Chart, Prediction]
    ] = load_records,
) -> Service:
    """The diagnosis department's web application."""
    metrics = Metrics()
    images: ModelHost[bytes, Prediction] = ModelHost(
        registry, {IMAGE}, load_image_model, metrics=metrics, settings=settings
    )
    records: ModelHost[Record | Chart, Prediction] = ModelHost(
        registry, {RECORD}, load_record_model, metrics=metrics, settings=settings
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await images.close()
        await records.close()

    async def ready() -> Readiness:
        with _told_unready(settings.image_model, "image_model"):
            await images.get(settings.image_model)
        with _told_unready(settings.record_model, "record_model"), suppress(NotFound):
            # A house that diagnoses no records has no model for them.
            await records.get(settings.record_model)
        warnings = [
            f"{reference}: an older version serves. {reason}"
            for reference, reason in (*images.fallbacks.items(), *records.fallbacks.items())
        ]
        return Readiness(warnings=warnings)

    app = create_app(
        "diagnosis",
        ready=ready,
        metrics=metrics,
        max_body_bytes=settings.max_upload_bytes,
        lifespan=lifespan,
    )

    @app.post(
        "/v1/diagnosis/image",
        tags=["diagnosis"],
        summary="Findings in pictures",
        responses=documented(404, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": request_body(settings.max_items)},
    )
    async def image(
        request: Request,
        model: Reference = settings.image_model,
        explain: Explain = False,
    ) -> Diagnosis:
        """Say what each picture shows, how sure that is, and whether the model knows its like.

        An item that cannot be answered has its `problem` in `results`, and the status is 200 all
        the same; but when only one item was sent, its problem is the answer and gives the status.
        """
        uploads = await read_uploads(request, max_items=settings.max_items)
        answers = _answered(images, model, uploads, explain)
        return _diagnosis(await while_connected(request, answers))

    @app.post(
        "/v1/diagnosis/record",
        tags=["diagnosis"],
        summary="Findings in patient records",
        responses=documented(404, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": records_body(settings.max_items)},
    )
    async def record(
        request: Request,
        model: Reference = settings.record_model,
        explain: Explain = False,
    ) -> Diagnosis:
        """Say what each record shows, how sure that is, and whether the model knows its like.

        A record has `values`, such as the columns of a table's row, and where the model reads them
        an hourly `series`, whose last hour is the decision time; or it is a FHIR R4 Bundle, of
        which the model takes what it knows by LOINC and other codes, as it was known at the
        decision. As with pictures, a record that cannot be answered fails alone.
        """
        sent = await read_records(request, max_items=settings.max_items)
        answered = await while_connected(request, _answered(records, model, sent, explain))
        return _diagnosis([placed(answer, index) for index, answer in enumerate(answered)])

    @app.post(
        "/v1/diagnosis/patient",
        tags=["diagnosis"],
        summary="Findings in one patient's pictures and records together",
        responses=documented(404, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": patient_body(settings.max_items)},
    )
    async def patient(
        request: Request,
        image_model: Reference = settings.image_model,
        record_model: Reference = settings.record_model,
        explain: Explain = False,
    ) -> PatientDiagnosis:
        """Say what one patient's pictures and records show, each by its model, and together.

        What pictures show is an event of a Bundle's timeline, for models of records that read such.
        Of a finding that several answers know the calibrated log-odds are added, as if they were
        independent given the truth; a picture's answer that a record's rests on counts once.
        What cannot be answered has its `problem` among the `answers`.
        """
        uploads, sent = await read_patient(request, max_items=settings.max_items)

        async def answered() -> tuple[list[Answer], list[Answer]]:
            seen = await _answered(images, image_model, uploads, explain)
            told = await asyncio.to_thread(knowing, sent, seen)
            return seen, await _answered(records, record_model, told, explain)

        answers = await while_connected(request, answered())
        return await asyncio.to_thread(together, NOTICE, sent, *answers, registry)

    return app


async def _answered(
    host: ModelHost[Item, Prediction],
    model: str,
    items: Sequence[Item | PolyclinicError],
    explain: bool,
) -> list[Answer]:
    """One answer an item, in order; what could not be read is its own."""
    readable = [item for item in items if not isinstance(item, PolyclinicError)]
    predicted = iter(await host.predict(model, readable, explain=explain))
    return [item if isinstance(item, PolyclinicError) else next(predicted) for item in items]


@contextmanager
def _told_unready(model: str, setting: str) -> Iterator[None]:
    """A model that cannot serve makes the department unready, and says so."""
    try:
        yield
    except PolyclinicError as error:
        raise Unavailable(
            f"The model {model} cannot serve: {error.detail}",
            where=f"setting {setting}",
            remedy=error.remedy,
        ) from None


def _diagnosis(answers: Sequence[Answer]) -> Diagnosis:
    """The response. Raises the problem of a lone item."""
    if len(answers) == 1 and isinstance(answers[0], PolyclinicError):
        raise answers[0]
    return Diagnosis(
        notice=NOTICE, results=[_result(index, answer) for index, answer in enumerate(answers)]
    )


def _result(index: int, answer: Answer) -> Predicted | Failed:
    if isinstance(answer, PolyclinicError):
        return Failed(index=index, problem=answer.problem())
    return Predicted(index=index, prediction=answer)
