"""`polyclinic data`: open data sets, and the quality gate."""

from pathlib import Path
from typing import Annotated

import typer

from polyclinic.cli.output import AsJson, print_json, print_table

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
    path: Annotated[Path, typer.Argument(help="An .npz or .csv file, or a folder.")],
    as_json: AsJson = False,
) -> None:
    """Pass a data set through the quality gate; the exit code is 7 where it is refused."""
    from polyclinic.diagnosis.imaging.source import read_source
    from polyclinic.learning.prepare.quality import check_quality

    source = read_source(path)
    report = check_quality(source.dataset)
    report = report.model_copy(update={"issues": (*source.issues, *report.issues)})
    if as_json:
        print_json(report)
    else:
        print_table(
            f"{len(report.issues)} issues from {len(report.checks)} checks",
            ("severity", "check", "where", "what", "rows"),
            (
                (
                    issue.severity,
                    issue.check,
                    issue.where,
                    issue.detail,
                    ", ".join(map(str, issue.rows)),
                )
                for issue in report.issues
            ),
        )
    report.refuse()
