"""`polyclinic up`: the whole house on this machine."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, cast

import typer

from polyclinic import NOTICE
from polyclinic.cli.output import AsJson, print_json, print_table, say
from polyclinic.core.errors import Unavailable

if TYPE_CHECKING:
    from rich.progress import Progress

    from polyclinic.engine.processes import Supervisor
    from polyclinic.service.house import CheckRow

INTERRUPTED = 130


def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask each service one real question, show the answers, stop."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything: database and keys, starter models, each department, and the gateway."""
    from polyclinic.core.settings import settings
    from polyclinic.engine.processes import Supervisor, free_port
    from polyclinic.service.server import listen

    host = host or settings().host
    port = port or (free_port() if check else settings().port)
    listen(host, port).close()  # a port in use is said now, not when all else has been started
    supervisor = Supervisor(write=_drop if check else _pass_on, crashed=_tell_crash)
    try:
        if not check:
            asyncio.run(_open(supervisor, host, port))
            return
        rows = asyncio.run(_check(supervisor, host, port))
    except asyncio.CancelledError:
        raise typer.Exit(INTERRUPTED) from None
    _show(rows, as_json)


async def _open(supervisor: "Supervisor", host: str, port: int) -> None:
    try:
        url = await _start(supervisor, host, port)
        _welcome(url)
        await _interruption()
    finally:
        await supervisor.stop()
    say("Closed.")


async def _check(supervisor: "Supervisor", host: str, port: int) -> list["CheckRow"]:
    from polyclinic.service.house import check_house

    try:
        return await check_house(await _start(supervisor, host, port))
    finally:
        await supervisor.stop()


async def _start(supervisor: "Supervisor", host: str, port: int) -> str:
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry
    from polyclinic.service.departments import DEPARTMENTS
    from polyclinic.service.house import GATEWAY, start_house

    _cancel_on_signals()
    with _progress() as progress:
        with _step(progress, "database and keys"):
            registry = await asyncio.to_thread(open_registry)
        with _step(progress, "starter models"):
            await asyncio.to_thread(install_starters, registry)
        services = {name: progress.add_task(name, total=1) for name in [*DEPARTMENTS, GATEWAY]}
        return await start_house(
            supervisor, host, port, lambda name: progress.advance(services[name])
        )


def _cancel_on_signals() -> None:
    """Let Ctrl-C or `kill` end the running task, whose `finally` then stops the services."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _interruption() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("Closing: what was accepted is finished first.")


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def _step(progress: "Progress", title: str) -> Iterator[None]:
    task = progress.add_task(title, total=1)
    yield
    progress.advance(task)


def _welcome(url: str) -> None:
    from rich.console import Console
    from rich.panel import Panel

    from polyclinic.service.departments import DEPARTMENTS

    console = Console(stderr=True, highlight=False)
    console.print(
        Panel.fit(
            f"[bold]{url}[/]       services and models\n[bold]{url}/docs[/]  reference\n\n{NOTICE}",
            title="Polyclinic is open",
        )
    )
    console.print("Try it:")
    for check in (check for department in DEPARTMENTS.values() for check in department.checks):
        sample = shlex.quote(str(check.sample))
        console.print(f"  {check.curl(url, sample)}", markup=False, soft_wrap=True)
    console.print("Stop it: Ctrl-C")


def _show(rows: list["CheckRow"], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        columns = ("department", "input", "finding", "probability", "model", "ms")
        print_table("Check", columns, [_cells(row) for row in rows])
    failed = [f"{row.department}: {row.error}" for row in rows if row.error]
    if failed:
        raise Unavailable("; ".join(failed), remedy="See the log: `polyclinic up`.")


def _cells(row: "CheckRow") -> tuple[str, ...]:
    if row.finding is None or row.ms is None:
        return row.department, row.input, "(none)", "", "", ""
    probability = "" if row.probability is None else f"{row.probability:.3f}"
    answer = (row.finding, probability, row.model or "", f"{row.ms:.1f}")
    return row.department, row.input, *answer


def _pass_on(lines: bytes) -> None:
    sys.stderr.write(lines.decode(errors="replace"))
    sys.stderr.flush()


def _drop(_: bytes) -> None:
    """A check shows its answers only; what a failed service said is in the error."""


def _tell_crash(name: str, code: int, delay_s: float) -> None:
    say(f"The service {name} ended (exit code {code}); it starts again in {delay_s:.1f} s.")
