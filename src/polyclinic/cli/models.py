"""`polyclinic models`: what the registry holds, and who answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from polyclinic.cli.output import AsJson, person, print_json, print_table, say
from polyclinic.core.errors import Unavailable

if TYPE_CHECKING:
    from polyclinic.registry.store import Registry

app = typer.Typer(help="List, read, promote and exchange models.", no_args_is_help=True)

Reference = Annotated[
    str, typer.Argument(help="NAME, NAME@champion, NAME@candidate or NAME@VERSION.")
]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model version, the aliases it holds, and whether it is re-weighted to this site."""
    registry = _registry()
    versions, approvals = registry.versions(), registry.aliases()
    held = {
        version: [approval for approval in approvals if approval.model_digest == version.digest]
        for version in versions
    }
    if as_json:
        print_json(
            [
                {
                    **version.identity.model_dump(),
                    "kind": version.kind,
                    "created": version.created,
                    "aliases": aliases,
                    "reweighting": registry.reweighting(version),
                }
                for version, aliases in held.items()
            ]
        )
        return
    print_table(
        "Models",
        ("model", "kind", "created", "alias", "given by"),
        (
            (
                f"{version} (re-weighted)" if registry.reweighting(version) else version,
                version.kind,
                f"{version.created:%Y-%m-%d}",
                "\n".join(approval.alias for approval in aliases),
                "\n".join(f"{approval.by}: {approval.reason}" for approval in aliases),
            )
            for version, aliases in held.items()
        ),
    )


@app.command()
def show(
    reference: Reference,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the card as one HTML page to this file.")
    ] = None,
) -> None:
    """A model's card: what it is for, how good it is, what is not known, and who approved it."""
    from polyclinic.core.storage.blobs import write_atomic
    from polyclinic.registry.card import model_card

    registry = _registry()
    version = registry.resolve(reference)
    data = registry.verify(version).data
    card = model_card(version, registry.evaluations(version), registry.test_openings(data.digest))
    if html is not None:
        try:
            write_atomic(html, card.html().encode())
        except OSError as error:
            raise Unavailable(
                f"The page cannot be written: {error.strerror}", where=str(html)
            ) from None
        say(f"Wrote {html}")
    approvals = [
        approval
        for approval in registry.approvals(version.name)
        if approval.model_digest == version.digest
    ]
    if as_json:
        print_json({**card.model_dump(), "approvals": approvals})
    elif html is None:
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(card.markdown()))
        print_table(
            "Approvals",
            ("alias", "time", "by", "reason"),
            ((a.alias, f"{a.time:%Y-%m-%d %H:%M} UTC", a.by, a.reason) for a in approvals),
        )


@app.command()
def promote(
    reference: Reference,
    to: Annotated[
        Literal["champion", "candidate"], typer.Option(help="The alias to give.")
    ] = "champion",
    reason: Annotated[str, typer.Option(help="Why; it is kept with your name.")] = "Not given",
) -> None:
    """Make a version the one that answers by its name, or the next to be looked at."""
    version = _registry().promote(reference, to, by=person(), reason=reason)
    say(f"{version} is now the {to} of {version.name}")


@app.command("export")
def export_model(
    reference: Reference,
    output: Annotated[
        Path | None, typer.Option(help="The file; NAME-VERSION.polyclinic here by default.")
    ] = None,
) -> None:
    """Write a version with its history into one signed file, to carry to another site."""
    from polyclinic.registry.bundle import bundle_name, export_bundle

    registry = _registry()
    version = registry.resolve(reference)
    path = output or Path(bundle_name(version))
    export_bundle(registry, version, path)
    say(f"Wrote {path}")


@app.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="A file that `models export` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Read a model from a file, if every part of it is what a trusted maker signed."""
    from polyclinic.registry.bundle import import_bundle

    version = import_bundle(_registry(), path)
    if as_json:
        print_json(version.identity)
    else:
        say(f"Imported {version}; `polyclinic models promote {version}` lets it answer")


def _registry() -> "Registry":
    """The registry, with the models that come with the package."""
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry

    registry = open_registry()
    install_starters(registry)
    return registry
