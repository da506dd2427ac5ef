"""`polyclinic serve`: one service, in this process."""

import os
from typing import Annotated

import typer

from polyclinic.core.errors import InvalidInput, NotFound

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serve(
    name: Annotated[str, typer.Argument(help="A department's name, or `gateway`.")],
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    department: Annotated[
        list[str] | None,
        typer.Option(help="For the gateway: NAME=URL of a department; once for each."),
    ] = None,
) -> None:
    """Run one service until it is interrupted; `polyclinic up` runs the whole house."""
    from polyclinic.core.settings import settings
    from polyclinic.engine.processes import die_with_parent

    die_with_parent()
    chosen = settings()
    # Before numpy and ONNX Runtime are imported: they read these once.
    os.environ.update(dict.fromkeys(_THREADS, str(chosen.inference_threads)))

    from polyclinic.registry.store import open_registry
    from polyclinic.service.departments import DEPARTMENTS
    from polyclinic.service.gateway.app import create_gateway
    from polyclinic.service.house import GATEWAY
    from polyclinic.service.server import run
    from polyclinic.service.telemetry import configure_logging

    if name != GATEWAY and name not in DEPARTMENTS:
        raise NotFound(
            f"There is no service {name}.",
            where="NAME",
            remedy=f"Choose one of: {', '.join([GATEWAY, *DEPARTMENTS])}.",
        )
    configure_logging(name)
    registry = open_registry(chosen)
    if name == GATEWAY:
        app = create_gateway(registry, chosen, _addresses(department or []))
    else:
        app = DEPARTMENTS[name].create(registry, chosen)
    run(app, host or chosen.host, port or chosen.port)


def _addresses(given: list[str]) -> dict[str, str]:
    """NAME=URL options as a mapping. Raises `InvalidInput`."""
    addresses = {}
    for option in given:
        name, equals, url = option.partition("=")
        if not (name and equals and url.startswith(("http://", "https://"))):
            raise InvalidInput(
                f"{option} is not NAME=URL.",
                where="--department",
                remedy="Write, for example, --department diagnosis=http://127.0.0.1:8081",
            )
        addresses[name] = url
    return addresses
