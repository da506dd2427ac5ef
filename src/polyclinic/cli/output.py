"""How every command speaks: tables for people, JSON for programs, one shape for errors."""

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from polyclinic.core.errors import PolyclinicError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_json(value: Any) -> None:
    """Print `value` (models, dates and paths included) as JSON on standard output."""
    from pydantic_core import to_json

    sys.stdout.write(to_json(value, indent=2).decode() + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on standard output, as wide as it likes where that is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # As text: units stand in brackets, which are no markup.
    table = Table(*columns, title=Text(title), title_justify="left")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def say(message: str) -> None:
    """Tell the person something, on standard error, so that output stays clean."""
    from rich.console import Console

    Console(stderr=True, highlight=False, markup=False).print(message, soft_wrap=True)


def person() -> str:
    """Who gives the command, for what is logged; a user without a name is known by number."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def print_error(error: PolyclinicError) -> None:
    """Print what was wrong, where, and what to do, on standard error."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]{escape(error.title)}[/]: {escape(error.detail)}")
    if error.where:
        console.print(f"  where: {escape(error.where)}")
    if error.remedy:
        console.print(f"  to do: {escape(error.remedy)}")
