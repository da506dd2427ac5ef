"""The gateway's web application."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from polyclinic.core.errors import PolyclinicError, Unavailable
from polyclinic.core.settings import Settings
from polyclinic.registry.store import Registry
from polyclinic.service.application import Readiness, Service, create_app
from polyclinic.service.departments import DEPARTMENTS
from polyclinic.service.gateway.catalogue import catalogue, listed
from polyclinic.service.gateway.merging import merge_metrics, merge_openapi
from polyclinic.service.gateway.pages import page, reference
from polyclinic.service.gateway.proxy import Departments, Forward
from polyclinic.service.telemetry import Metrics


def create_gateway(registry: Registry, settings: Settings, addresses: Mapping[str, str]) -> Service:
    """The one door. `addresses` has the base URL of each department, by name."""
    metrics = Metrics()
    departments = Departments(addresses)
    documents: dict[str, dict[str, Any]] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await departments.open()
        yield
        await departments.close()

    async def state(name: str) -> Readiness | PolyclinicError:
        try:
            return await departments.readiness(name)
        except PolyclinicError as error:
            return error

    async def states() -> dict[str, Readiness | PolyclinicError]:
        return dict(zip(addresses, await asyncio.gather(*map(state, addresses)), strict=True))

    async def ready() -> Readiness:
        found = await states()
        if any(isinstance(one, PolyclinicError) for one in found.values()):
            raise Unavailable("; ".join(f"{name}: {_told(one)}" for name, one in found.items()))
        return Readiness(
            services={name: _told(one) for name, one in found.items()},
            warnings=[
                f"{name}: {warning}"
                for name, one in found.items()
                if isinstance(one, Readiness)
                for warning in one.warnings
            ],
        )

    async def scrape() -> bytes:
        async def text(name: str) -> bytes:
            try:
                return (await departments.ask(name, "metrics"))[1]
            except Unavailable:
                return b""

        texts = await asyncio.gather(*map(text, addresses))
        return merge_metrics(
            {"gateway": metrics.text(), **dict(zip(addresses, texts, strict=True))}
        )

    async def document() -> dict[str, Any]:
        """The whole house's OpenAPI document; a department that is down keeps its place in it."""

        async def read(name: str) -> None:
            try:
                _, body = await departments.ask(name, "openapi.json")
            except Unavailable:
                if name not in documents:
                    raise
            else:
                documents[name] = json.loads(body)

        await asyncio.gather(*map(read, addresses))
        return merge_openapi(app.openapi(), [documents[name] for name in addresses])

    app = create_app(
        "gateway",
        ready=ready,
        metrics=metrics,
        max_body_bytes=settings.max_upload_bytes,
        lifespan=lifespan,
        scrape=scrape,
        own_document=False,
    )
    app.include_router(catalogue(registry))
    for name in addresses:
        forward = Forward(departments, name)
        app.router.routes.append(Route(forward.path, forward))

    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> HTMLResponse:
        models = await asyncio.to_thread(listed, registry)
        url = str(request.base_url).rstrip("/")
        return page(
            "home.html",
            services={"gateway": "ready"}
            | {name: _told(one) for name, one in (await states()).items()},
            models=models,
            examples=[
                check.curl(url, check.sample.name)
                for name in addresses
                for check in DEPARTMENTS[name].checks
            ],
        )

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(await document())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return reference(await document())

    return app


def _told(state: Readiness | PolyclinicError) -> str:
    return state.detail if isinstance(state, PolyclinicError) else state.status
