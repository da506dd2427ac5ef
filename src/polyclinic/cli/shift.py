"""`polyclinic shift`: whether a site differs from where a model was made, and what follows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from polyclinic.cli.output import AsJson, person, print_json, print_table, say
from polyclinic.core.errors import InvalidInput

if TYPE_CHECKING:
    from polyclinic.diagnosis.imaging.shift import SiteShift


def shift(
    model: Annotated[str, typer.Argument(help="NAME, NAME@candidate or NAME@VERSION.")],
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Pictures of the site, or folders; no labels.")
    ] = None,
    method: Annotated[
        Literal["em", "bbse"], typer.Option(help="How prevalence is estimated.")
    ] = "em",
    apply: Annotated[
        bool, typer.Option("--apply", help="Have the model answer for this prevalence from now on.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Have it answer as it was trained again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate a site's prevalence from unlabelled pictures, and say whether anything else changed.

    With --apply, predictions are re-weighted to it, and say so; a running service follows within
    seconds. It is refused (exit code 8) where more than prevalence changed.
    """
    from rich.console import Console

    from polyclinic.diagnosis.imaging.shift import site_shift
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry

    if clear == bool(pictures) or (clear and apply):
        raise InvalidInput("Give pictures, or --clear alone.", where="polyclinic shift")
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(model)
    if clear:
        registry.reweight(version, None, person())
        say(f"{version} answers as it was trained.")
        return
    with Console(stderr=True).status("Reading the site's pictures"):
        found = site_shift(registry, version, pictures or [], method)
    if as_json:
        trusted = None if found.estimate is None else found.estimate.trusted
        print_json(vars(found) | {"alarm": found.alarm, "trusted": trusted})
    else:
        _print(found, str(version))
    if apply:
        registry.reweight(version, found.reweighting(), person())
        say(f"{version} answers for this site's prevalence from now on; --clear ends that.")


def _print(found: "SiteShift", version: str) -> None:
    estimate = found.estimate
    if estimate is not None:
        print_table(
            f"{version} at a site of {found.pictures:,} pictures: prevalence by {estimate.method}",
            ("label", "where it was calibrated", "here (95% CI)"),
            (
                (
                    f"{label.display} ({label.code})",
                    f"{source:.1%}",
                    f"{here.value:.1%} ({here.low:.1%} to {here.high:.1%})",
                )
                for label, source, here in zip(
                    found.labels, estimate.source_prevalence, estimate.prevalence, strict=True
                )
            ),
        )
    p = found.alarm_p_value
    say(
        f"ALARM: the site's pictures differ from those of the calibration (p = {p:.3f})."
        if found.alarm
        else f"No alarm: the site's pictures look like those of the calibration (p = {p:.3f})."
    )
    if estimate is not None and found.alarm:
        told = (
            "Prevalence alone explains the difference"
            if estimate.trusted
            else "More than prevalence changed, and the estimate must not be used"
        )
        say(f"{told} (p = {estimate.residual_p_value:.3f} at the estimated prevalence).")
    by_shape = found.minimum_error
    known = found.unfamiliar < found.pictures / 2
    if by_shape is not None and found.alarm and known:
        say(
            f"By the shape of its scores alone {by_shape.share:.1%} of the pictures show "
            f"{by_shape.finding}: those of a probability of {by_shape.threshold:.3f} and above. "
            "Only labelled pictures can confirm that."
        )
    if found.unfamiliar:
        say(f"{found.unfamiliar} pictures are unlike any that the model knows.")
    for file, reason in list(found.refused.items())[:20]:
        say(f"left out: {file}: {reason}")
    if len(found.refused) > 20:
        say(f"and {len(found.refused) - 20} more")
