"""The treatment department: patients in, ranked and checked treatments out."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel

from polyclinic import NOTICE
from polyclinic.core.errors import InvalidInput, PolyclinicError, Unavailable
from polyclinic.core.model import Model
from polyclinic.core.problem import Problem
from polyclinic.core.settings import Settings
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.service.application import Readiness, Service, create_app, while_connected
from polyclinic.service.bodies import FHIR, JSON, parse_json, read_body
from polyclinic.service.models import REFERENCE, ModelHost
from polyclinic.service.problems import documented
from polyclinic.service.telemetry import Metrics
from polyclinic.treatment.answer import Checked, Recommendation
from polyclinic.treatment.case import Asked, Case, Medication, parse_case
from polyclinic.treatment.checking import check_list, parse_list
from polyclinic.treatment.models import KINDS, load_model
from polyclinic.treatment.rules import Rules, open_rules

FIELD = "patients"

Reference = Annotated[
    str, Query(pattern=REFERENCE, description="NAME, NAME@alias or NAME@version.")
]
Explain = Annotated[
    bool, Query(description="Whether to tell the facts that weighed most, and patients alike.")
]


class Advised(BaseModel):
    """What the model recommends for the patient at `index` of the request."""

    index: int
    recommendation: Recommendation


class NotAdvised(BaseModel):
    """Why the patient at `index` of the request, and that one alone, has no recommendation."""

    index: int
    problem: Problem


class Recommendations(BaseModel):
    """One result a patient, in the request's order."""

    notice: str
    results: list[Advised | NotAdvised]


class CheckedList(Checked):
    """What the safety rules say of a medication list."""

    notice: str


def create_treatment(registry: Registry, settings: Settings) -> Service:
    """The treatment department's web application."""
    metrics = Metrics()
    rules = open_rules(settings)
    host = ModelHost(registry, KINDS, _loader(rules), metrics=metrics, settings=settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await host.close()

    async def ready() -> Readiness:
        model = settings.treatment_model
        try:
            await host.get(model)
        except PolyclinicError as error:
            raise Unavailable(
                f"The model {model} cannot serve: {error.detail}",
                where="setting treatment_model",
                remedy=error.remedy,
            ) from None
        return Readiness(
            warnings=[
                *(
                    f"{reference}: an older version serves. {reason}"
                    for reference, reason in host.fallbacks.items()
                ),
                *(
                    f"A safety rule names no known drug: {each}"
                    for each in rules.knowledge.unresolved
                ),
            ]
        )

    app = create_app(
        "treatment",
        ready=ready,
        metrics=metrics,
        max_body_bytes=settings.max_upload_bytes,
        lifespan=lifespan,
    )

    @app.post(
        "/v1/treatment/recommend",
        tags=["treatment"],
        summary="Treatments for patients, ranked and checked",
        responses=documented(404, 413, 415, 422, 500, 503),
        openapi_extra={"requestBody": _recommend_body(settings.max_items)},
    )
    async def recommend(
        request: Request,
        model: Reference = settings.treatment_model,
        explain: Explain = False,
    ) -> Recommendations:
        """Rank treatments by what the model expects of them, with what the safety rules say.

        A treatment that a rule vetoes is not among them, whatever its score. A patient is a FHIR R4
        Bundle, or the facts of one in plain JSON; models of scores and of trials read `scores` and
        `covariates`. A patient who cannot be answered fails alone.
        """
        body = await read_body(request, JSON, FHIR)
        cases = await asyncio.to_thread(_cases, body, settings.max_items)
        answers = await while_connected(request, _answered(host, model, cases, explain))
        return _recommendations(answers)

    @app.post(
        "/v1/treatment/check",
        tags=["treatment"],
        summary="What the safety rules say of a medication list",
        responses=documented(413, 415, 422, 500, 503),
        openapi_extra={"requestBody": _check_body()},
    )
    async def check(request: Request) -> CheckedList:
        """Check each medication against the patient, against the others, and its dose.

        No model is asked. The list is the patient's own (of a Bundle, what is taken), and what
        stands in `medications`.
        """
        body = await read_body(request, JSON, FHIR)

        def checked() -> CheckedList:
            found = check_list(rules, *parse_list(parse_json(body)))
            return CheckedList(notice=NOTICE, **dict(found))

        return await while_connected(request, asyncio.to_thread(checked))

    return app


def _loader(rules: Rules) -> Any:
    def load(registry: Registry, version: ModelVersion) -> Model[Case, Recommendation]:
        return load_model(registry, version, rules)

    return load


async def _answered(
    host: ModelHost[Case, Recommendation],
    model: str,
    cases: Sequence[Case | PolyclinicError],
    explain: bool,
) -> list[Recommendation | PolyclinicError]:
    """One answer a patient, in order; what could not be read is its own."""
    readable = [case for case in cases if not isinstance(case, PolyclinicError)]
    predicted = iter(await host.predict(model, readable, explain=explain))
    return [each if isinstance(each, PolyclinicError) else next(predicted) for each in cases]


def _cases(body: io.BytesIO, max_items: int) -> list[Case | PolyclinicError]:
    content = parse_json(body)
    if isinstance(content, dict) and FIELD not in content:
        return [read_case(content)]
    if not isinstance(content, dict) or content.keys() != {FIELD}:
        raise InvalidInput(
            f"The body must be a patient, or an object with `{FIELD}` alone.", where=f"/{FIELD}"
        )
    items = content[FIELD]
    if not isinstance(items, list) or not 1 <= len(items) <= max_items:
        raise InvalidInput(f"There must be 1 to {max_items} patients.", where=f"/{FIELD}")
    return [read_case(item) for item in items]


def read_case(item: Any) -> Case | PolyclinicError:
    """A patient, or what is wrong with it."""
    try:
        return parse_case(item)
    except PolyclinicError as error:
        return error


def _recommendations(answers: Sequence[Recommendation | PolyclinicError]) -> Recommendations:
    """The response. Raises the problem of a lone patient."""
    if len(answers) == 1 and isinstance(answers[0], PolyclinicError):
        raise answers[0]
    return Recommendations(
        notice=NOTICE, results=[_result(index, each) for index, each in enumerate(answers)]
    )


def _result(index: int, answer: Recommendation | PolyclinicError) -> Advised | NotAdvised:
    if isinstance(answer, PolyclinicError):
        if isinstance(answer, InvalidInput):
            answer.where = f"/{FIELD}/{index}{answer.where or ''}"
        return NotAdvised(index=index, problem=answer.problem())
    return Advised(index=index, recommendation=answer)


_REFERENCES = {"ref_template": "#/components/schemas/{model}"}


def _recommend_body(max_items: int) -> dict[str, Any]:
    one = _inlined(Asked.model_json_schema())
    whatever = {"description": "Anything else fails alone, with a problem in its place."}
    many = {
        "type": "object",
        "properties": {
            FIELD: {
                "type": "array",
                "items": {"anyOf": [one, _BUNDLE, whatever]},
                "minItems": 1,
                "maxItems": max_items,
            }
        },
        "required": [FIELD],
        "additionalProperties": False,
    }
    content = {JSON: {"schema": {"anyOf": [one, _BUNDLE, many]}}, FHIR: {"schema": _BUNDLE}}
    return {"required": True, "content": content}


def _check_body() -> dict[str, Any]:
    one = _inlined(Asked.model_json_schema())
    properties = {name: one["properties"][name] for name in ("bundle", "patient", "at")}
    medication = _inlined(Medication.model_json_schema())
    properties["medications"] = {"type": "array", "items": medication, "maxItems": 1000}
    listed = {"type": "object", "properties": properties, "additionalProperties": False}
    content = {JSON: {"schema": {"anyOf": [listed, _BUNDLE]}}, FHIR: {"schema": _BUNDLE}}
    return {"required": True, "content": content}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema with its definitions where they are used."""
    definitions = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(definitions[value["$ref"].rpartition("/")[2]])
        return {name: inline(each) for name, each in value.items()}

    return dict(inline(schema))


#: FHIR R4, section 2.36; its resources are read one by one, and what is wrong with one is told.
_BUNDLE: dict[str, Any] = {
    "type": "object",
    "title": "Bundle",
    "description": "A FHIR R4 Bundle of one patient, decided now.",
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"enum": ["collection", "searchset", "transaction", "batch", "document"]},
        "entry": {
            "type": "array",
            "items": {"type": "object", "properties": {"resource": {"type": "object"}}},
        },
    },
    "required": ["resourceType", "type"],
}
