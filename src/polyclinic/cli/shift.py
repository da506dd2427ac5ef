"""`polyclinic shift`: whether a site differs from where a model was made, and what follows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from polyclinic.cli.output import AsJson, person, print_json, print_table, say
from polyclinic.core.errors import InvalidInput

if TYPE_CHECKING:
    from polyclinic.diagnosis.shift import SiteShift
    from polyclinic.learning.trust.counted_prevalence import CountedPrevalence
    from polyclinic.learning.trust.label_shift import PrevalenceEstimate
    from polyclinic.registry.store import Registry
    from polyclinic.registry.version import ModelVersion

#: The kind of a model of records, whose data are one source in the layout of its own.
RECORD = "diagnosis.record"

Method = Literal["em", "bbse"]


def shift(
    model: Annotated[str, typer.Argument(help="NAME, NAME@candidate or NAME@VERSION.")],
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="Of the site: pictures, or folders of them; or one source of records."),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(help="How prevalence is estimated without labels; em unless told."),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Count it by the labels of the site's records.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Have the model answer for this prevalence from now on.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Have it answer as it was trained again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find a site's prevalence, without labels or by them, and say whether anything else changed.

    Records are read as the model's own were; without --labels their labels are not looked at.
    With --apply, predictions are re-weighted to it, and say so; a running service follows within
    seconds. It is refused (exit code 8) where that would mislead: without labels where more than
    prevalence changed, with them where patients who were not counted fare no better.
    """
    from rich.console import Console

    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry

    if clear == bool(data) or (clear and (apply or labels)):
        raise InvalidInput("Give data of the site, or --clear alone.", where="polyclinic shift")
    if labels and method is not None:
        raise InvalidInput("Give --method or --labels, not both.", where="polyclinic shift")
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(model)
    if clear:
        registry.reweight(version, None, person())
        say(f"{version} answers as it was trained.")
        return
    with Console(stderr=True).status("Reading the site's data"):
        found = _found(registry, version, data or [], method or "em", labels)
    if as_json:
        trusted = getattr(found.estimate, "trusted", None)
        helps = getattr(found.estimate, "helps", None)
        print_json(vars(found) | {"alarm": found.alarm, "trusted": trusted, "helps": helps})
    else:
        _print(found, str(version))
    if apply:
        registry.reweight(version, found.reweighting(), person())
        say(f"{version} answers for this site's prevalence from now on; --clear ends that.")


def _found(
    registry: "Registry", version: "ModelVersion", paths: list[Path], method: Method, labels: bool
) -> "SiteShift":
    if version.kind == RECORD:
        from polyclinic.diagnosis.records.shift import records_shift

        if len(paths) > 1:
            raise InvalidInput("Give one source of records.", where="polyclinic shift")
        return records_shift(registry, version, paths[0], method, labels=labels)
    from polyclinic.diagnosis.imaging.shift import pictures_shift

    if labels:
        raise InvalidInput(
            "Labels are counted of records alone.",
            where="--labels",
            remedy="Leave it out: prevalence is estimated from the pictures.",
        )
    return pictures_shift(registry, version, paths, method)


def _print(found: "SiteShift", version: str) -> None:
    from polyclinic.learning.trust.counted_prevalence import CountedPrevalence

    estimate = found.estimate
    if estimate is not None:
        _print_prevalence(found, estimate, version)
    p = found.alarm_p_value
    say(
        f"ALARM: the site's {found.what} differ from those of the calibration (p = {p:.3f})."
        if found.alarm
        else f"No alarm: the site's {found.what} look like those of the calibration (p = {p:.3f})."
    )
    if isinstance(estimate, CountedPrevalence):
        _say_gain(estimate)
    elif estimate is not None and found.alarm:
        told = (
            "Prevalence alone explains the difference"
            if estimate.trusted
            else "More than prevalence changed, and the estimate must not be used"
        )
        say(f"{told} (p = {estimate.residual_p_value:.3f} at the estimated prevalence).")
    by_shape = found.minimum_error
    known = found.unfamiliar < found.inputs / 2
    if by_shape is not None and found.alarm and known:
        say(
            f"By the shape of its scores alone {by_shape.share:.1%} of the {found.what} show "
            f"{by_shape.finding}: those of a probability of {by_shape.threshold:.3f} and above. "
            f"Only labelled {found.what} can confirm that."
        )
    if found.unfamiliar:
        say(f"{found.unfamiliar} {found.what} are unlike any that the model knows.")
    for note in found.notes[:20]:
        say(note)
    if len(found.notes) > 20:
        say(f"and {len(found.notes) - 20} more")


def _print_prevalence(
    found: "SiteShift", estimate: "PrevalenceEstimate | CountedPrevalence", version: str
) -> None:
    how = "counted" if estimate.method == "counted" else f"by {estimate.method}"
    print_table(
        f"{version} at a site of {estimate.examples:,} {found.what}: prevalence {how}",
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


def _say_gain(counted: "CountedPrevalence") -> None:
    changes = ", ".join(
        f"{name} {counted.before[key].value:.3f} → {counted.after[key].value:.3f}"
        for key, name in (("log_loss", "log loss"), ("ece", "ECE"))
    )
    gain = counted.gain
    say(
        f"Re-weighted to the prevalence of other patients, of {counted.patients:,}: {changes}. "
        f"Log loss falls by {gain.value:.3f} (95% CI {gain.low:.3f} to {gain.high:.3f})."
    )
    if not counted.helps:
        say("Re-weighting would not help here.")
    elif gain.low <= 0:
        say("Whether it helps is not certain.")
