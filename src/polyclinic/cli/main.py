"""The `polyclinic` command. Heavy imports stay inside the commands, so that help is instant.

Exit codes: 0 done; 1 unexpected; 2 wrong usage; and one a kind of error, in `core.errors`: 3 input,
4 not found, 5 integrity, 6 unavailable, 7 quality gate, 8 conflict.
"""

import sys
from typing import Annotated

import typer

from polyclinic import NOTICE, __version__
from polyclinic.cli import data, diagnose, models, treatment
from polyclinic.cli.output import print_error
from polyclinic.cli.serve import serve
from polyclinic.cli.shift import shift
from polyclinic.cli.train import evaluate, train
from polyclinic.cli.up import up
from polyclinic.core.errors import PolyclinicError

app = typer.Typer(
    name="polyclinic",
    help=f"Medical AI as services. {NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Medical AI as services."""


app.command()(up)
app.command()(serve)
app.command()(train)
app.command()(evaluate)
app.command()(shift)
app.add_typer(diagnose.app, name="diagnose")
app.add_typer(treatment.app, name="treatment")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")


def run() -> None:
    """Run the command; a typed error is printed and becomes its exit code."""
    try:
        app()
    except PolyclinicError as error:
        print_error(error)
        sys.exit(error.exit_code)
