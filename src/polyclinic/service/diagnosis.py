"""The diagnosis department: pictures in, findings out."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel

from polyclinic import NOTICE
from polyclinic.core.errors import PolyclinicError, Unavailable
from polyclinic.core.model import Answer, Model
from polyclinic.core.prediction import Prediction
from polyclinic.core.problem import Problem
from polyclinic.core.settings import Settings
from polyclinic.registry.store import ModelVersion, Registry
from polyclinic.service.application import Readiness, Service, create_app, while_connected
from polyclinic.service.models import REFERENCE, ModelHost
from polyclinic.service.problems import documented
from polyclinic.service.telemetry import Metrics
from polyclinic.service.uploads import read_uploads, request_body

IMAGE = "diagnosis.image"


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


def create_diagnosis(
    registry: Registry,
    settings: Settings,
    load_image_model: Callable[[Registry, ModelVersion], Model[bytes]],
) -> Service:
    """The diagnosis department's web application."""
    metrics = Metrics()
    images: ModelHost[bytes] = ModelHost(
        registry, IMAGE, load_image_model, metrics=metrics, settings=settings
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await images.close()

    async def ready() -> Readiness:
        try:
            await images.get(settings.image_model)
        except PolyclinicError as error:
            raise Unavailable(
                f"The model {settings.image_model} cannot serve: {error.detail}",
                where="setting image_model",
                remedy=error.remedy,
            ) from None
        warnings = [
            f"{reference}: an older version serves. {reason}"
            for reference, reason in images.fallbacks.items()
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
        model: Annotated[
            str, Query(pattern=REFERENCE, description="NAME, NAME@alias or NAME@version.")
        ] = settings.image_model,
        explain: Annotated[
            bool, Query(description="Whether to show, at some cost, what each answer rests on.")
        ] = False,
    ) -> Diagnosis:
        """Say what each picture shows, how sure that is, and whether the model knows its like.

        An item that cannot be answered has its `problem` in `results`, and the status is 200 all
        the same; but when only one item was sent, its problem is the answer and gives the status.
        """
        uploads = await read_uploads(request, max_items=settings.max_items)
        readable = [upload for upload in uploads if isinstance(upload, bytes)]
        predicted = iter(
            await while_connected(request, images.predict(model, readable, explain=explain))
        )
        answers = [next(predicted) if isinstance(item, bytes) else item for item in uploads]
        if len(answers) == 1 and isinstance(answers[0], PolyclinicError):
            raise answers[0]
        return Diagnosis(
            notice=NOTICE,
            results=[_result(index, answer) for index, answer in enumerate(answers)],
        )

    return app


def _result(index: int, answer: Answer) -> Predicted | Failed:
    if isinstance(answer, PolyclinicError):
        return Failed(index=index, problem=answer.problem())
    return Predicted(index=index, prediction=answer)
