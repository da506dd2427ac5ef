"""`polyclinic data`: open data sets, and the quality gate."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from polyclinic.diagnosis.imaging.sources.listing import Source
    from polyclinic.learning.prepare.issues import QualityIssue
    from polyclinic.learning.prepare.quality import QualityReport

#: So many rows of an issue are printed; JSON has all that it names.
SHOWN = 10

app = typer.Typer(name="data", help="Open data sets, and the quality gate.", no_args_is_help=True)


@app.command("list")
def list_data(as_json: AsJson = False) -> None:
    """List the catalogue of open data."""
    from polyclinic.core.settings import settings
    from polyclinic.learning.prepare.catalogue import catalogue

    home = settings().home
    entries = [
        (entry, all((entry.folder(home) / file.name).is_file() for file in entry.files))
        for entry in catalogue().values()
    ]
    if as_json:
        print_json([entry.model_dump() | {"fetched": fetched} for entry, fetched in entries])
        return
    print_table(
        "Open data",
        ("name", "kind", "what", "licence", "fetched"),
        (
            (entry.name, entry.kind, entry.title, entry.licence, "yes" if fetched else "")
            for entry, fetched in entries
        ),
    )


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A name from `polyclinic data list`.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a data set, check its digest, and say where its files are."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from polyclinic.core.settings import settings
    from polyclinic.learning.prepare.catalogue import find
    from polyclinic.learning.prepare.fetch import fetch

    entry = find(name)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=None)
        paths = fetch(
            entry,
            settings().home,
            lambda what, done, total: bars.update(
                task, description=what, completed=done, total=total
            ),
        )
    if as_json:
        print_json(entry.model_dump() | {"paths": paths})
    else:
        print_table(
            f"{entry.title}\nlicence: {entry.licence}\ncite: {entry.source}",
            ("file", "bytes"),
            ((path, path.stat().st_size) for path in paths),
        )


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(help="Pictures (.npz, .csv, a folder), a table, or a folder of stays.")
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(help="Of records: the recipe, which holds the column dictionary."),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Look for wrong labels of pictures too: takes longer.")
    ] = False,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="None, one or several labels a picture.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pass a data set through the quality gate; the exit code is 7 where it is refused.

    Records need their recipe, but for a folder with dyn, sta and outc. Rows count from 0.
    """
    from polyclinic.diagnosis.records.gate import is_stays

    if recipe is not None or is_stays(path):
        report, source = _check_records(path, recipe), None
    else:
        report, source = _check_pictures(path, labels=labels, multi_label=multi_label)
    if as_json:
        print_json(report)
    else:
        print_table(
            f"{len(report.issues)} issues from {len(report.checks)} checks",
            ("severity", "check", "where", "what", "rows or files"),
            (
                (
                    issue.severity,
                    issue.check,
                    issue.where,
                    issue.detail,
                    _which(issue, source),
                )
                for issue in report.issues
            ),
        )
    report.refuse()


def _check_records(path: Path, recipe: Path | None) -> "QualityReport":
    from rich.console import Console

    from polyclinic.diagnosis.records.gate import judge, recipe_of_stays
    from polyclinic.diagnosis.records.recipe import RecordRecipe
    from polyclinic.learning.recipe import parse_recipe, read_yaml

    if recipe is None:
        parsed = recipe_of_stays(path)
    else:
        parsed = parse_recipe(read_yaml(recipe), RecordRecipe, str(recipe))
    with Console(stderr=True).status("Checking"):
        return judge(path, parsed)


def _check_pictures(
    path: Path, *, labels: bool, multi_label: bool
) -> "tuple[QualityReport, Source]":
    from polyclinic.diagnosis.imaging.source import read_source
    from polyclinic.learning.prepare.label_errors import suspect_labels
    from polyclinic.learning.prepare.quality import CHECKS, check_quality

    with _reading() as progress:
        source = read_source(path, multi_label=multi_label, progress=progress)
    checks = (*CHECKS, suspect_labels) if labels else CHECKS
    report = check_quality(source.dataset, checks)
    return report.model_copy(update={"issues": (*source.issues, *report.issues)}), source


@contextmanager
def _reading() -> "Iterator[Callable[[int, int], None]]":
    """A progress bar over picture files."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading pictures", total=None)
        yield lambda done, files: bars.update(task, completed=done, total=files)


def _which(issue: "QualityIssue", source: "Source | None") -> str:
    """The first of the issue's files, or where the source has none, of its rows."""
    shown = issue.rows[:SHOWN]
    files = source.files.get(issue.part) if source else None
    names = [str(row if files is None else files[row]) for row in shown]
    more = [f"and {len(issue.rows) - SHOWN} more"] if len(issue.rows) > SHOWN else []
    of_part = f"{issue.part}: " if issue.part != issue.where and names else ""
    return of_part + ", ".join(names + more)
