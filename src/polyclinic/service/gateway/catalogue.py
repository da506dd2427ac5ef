"""The models and their cards, read from the registry."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from polyclinic.registry.card import Card, model_card
from polyclinic.registry.manifest import NAME
from polyclinic.registry.store import Registry
from polyclinic.service.gateway.pages import HTML_POLICY
from polyclinic.service.models import VERSION
from polyclinic.service.problems import documented

JSON, MARKDOWN, HTML = "application/json", "text/markdown", "text/html"


class ListedModel(BaseModel):
    """One model version; `aliases` are the names under which it answers, `card` is its path."""

    name: str
    version: str
    digest: str
    kind: str
    created: datetime
    aliases: list[str]
    card: str


class Models(BaseModel):
    """Every model version of the registry."""

    models: list[ListedModel]


def listed(registry: Registry) -> list[ListedModel]:
    """Every model version, by name, the newest first."""
    approvals = registry.aliases()
    return [
        ListedModel(
            name=version.name,
            version=version.version,
            digest=version.digest,
            kind=version.kind,
            created=version.created,
            aliases=[a.alias for a in approvals if a.model_digest == version.digest],
            card=f"/v1/models/{version.name}/{version.version}/card",
        )
        for version in registry.versions()
    ]


def catalogue(registry: Registry) -> APIRouter:
    """The routes under `/v1/models`."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("", summary="Every model version", responses=documented(500, 503))
    def models() -> Models:
        return Models(models=listed(registry))

    @router.get(
        "/{name}/{version}/card",
        summary="A model's card",
        response_model=Card,
        responses={
            200: {"content": {form: {"schema": {"type": "string"}} for form in (MARKDOWN, HTML)}},
            **documented(404, 409, 422, 500, 503),
        },
    )
    def card(
        name: Annotated[str, Path(pattern=NAME)],
        version: Annotated[str, Path(pattern=VERSION, description="A version, or an alias.")],
        accept: Annotated[str, Header(include_in_schema=False)] = JSON,
    ) -> Response:
        """What to know before one believes it: as JSON, Markdown or a page, by `Accept`."""
        found = registry.resolve(f"{name}@{version}")
        openings = registry.test_openings(found.manifest.data.digest)
        told = model_card(found, registry.evaluations(found), openings)
        headers = {"Vary": "Accept"}
        match preferred(accept, (JSON, MARKDOWN, HTML)):
            case "text/html":
                return HTMLResponse(told.html(), headers=headers | HTML_POLICY)
            case "text/markdown":
                return Response(told.markdown(), headers=headers, media_type=MARKDOWN)
            case _:
                return Response(told.model_dump_json(), headers=headers, media_type=JSON)

    return router


def preferred(accept: str, offered: tuple[str, ...]) -> str:
    """Which of the `offered` media types an Accept header likes best; the first, failing all.

    Source: RFC 9110, section 12.5.1; of equals, the more specific range and then the order of
    `offered` decide.
    """
    ranges = {}
    for entry in accept.split(","):
        media_range, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            ranges[media_range.lower()] = float(quality)
        except ValueError:
            continue

    def liking(media_type: str) -> float:
        family = media_type.partition("/")[0] + "/*"
        for media_range in (media_type, family, "*/*"):
            if media_range in ranges:
                return ranges[media_range]
        return 0.0

    return max(offered, key=liking)
