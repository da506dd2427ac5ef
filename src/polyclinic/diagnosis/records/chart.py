"""One patient's FHIR Bundle as a model's input: the timeline, as it was known at the decision."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from polyclinic.clinical.chart import TOLD, Chart, first_remarks, parse_chart
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.record import Read, Record, left_out, parse_record
from polyclinic.diagnosis.records.variables import AGE, SEX, Variable

if TYPE_CHECKING:  # polars takes a second and 100 MB, which a service without Bundles does not pay
    import polars as pl

    from polyclinic.clinical.timeline import Timeline
    from polyclinic.diagnosis.records.grid import Grid


def parse_item(content: Any) -> Record | Chart:
    """A record, a Bundle, or `{"bundle": ..., "at": ...}` with the decision time.

    Raises what `parse_record` and `parse_chart` raise.
    """
    if not isinstance(content, dict) or not content.keys() & {"resourceType", "bundle"}:
        return parse_record(content)
    if "resourceType" in content:
        return parse_chart(content)
    at = content.get("at")
    if content.keys() - {"bundle", "at"} or not (at is None or isinstance(at, str)):
        raise InvalidInput("A Bundle may stand with its decision time `at` alone.", where="/at")
    return parse_chart(content["bundle"], at)


def read_chart(chart: Chart, encoding: Encoding, labels: Sequence[Coding]) -> Read:
    """The chart in the order and units of the model's variables.

    A model that decides at a given hour is asked then, where the chart's decision is later.
    A value that cannot be, or is in a unit of something else, counts as missing, with a warning.
    labels: of which it is told which stand on the patient's problem list. Raises `InvalidInput`
    where nothing of the chart is known to the model, or its hour is too long ago to be found.
    """
    from polyclinic.diagnosis.records.problems import listed

    decisions, known, grid = _seen(chart.timeline, chart.decision, encoding)
    warnings = list(chart.warnings)
    later = _hours_later(grid, encoding)
    if later > 0:
        # Rows of the hours up to it are not enough: what is known of them may have come later.
        decision = chart.decision - timedelta(hours=later)
        decisions, known, grid = _seen(chart.timeline, decision, encoding)
        if _hours_later(grid, encoding) > 0:
            raise InvalidInput(
                f"The model decides at hour {encoding.decision_hour}, which is too long ago.",
                where="/at",
                remedy="Send the decision time `at`, within the stay's first hours.",
            )
        warnings.append(
            f"The model decides at hour {encoding.decision_hour}, {later} hours before the "
            "Bundle's decision: what was known later was not read."
        )
    warnings += _of_another_unit(grid.left_out)
    warnings += [
        f"Already on the problem list: {', '.join(words)}."
        for words in listed(known, decisions, labels)
        if words
    ]
    (fixed,) = _plausible(grid.inputs.fixed, encoding.fixed, warnings)
    hourly = None
    if grid.inputs.hourly is not None:
        rows = _until(grid.inputs.hourly.values, encoding.decision_hour, warnings)
        hourly = _plausible(rows, encoding.hourly, warnings)
    texts = tuple(_text(known, note) for note in encoding.notes)
    measured = hourly is not None and np.isfinite(hourly).any()
    people = [variable.name not in (AGE, SEX) for variable in encoding.fixed]
    if not measured and not any(texts) and not np.isfinite(fixed[people]).any():
        reads = ", ".join(_read_by(encoding)) or "no codes: send the columns as `values`"
        raise InvalidInput(
            "Nothing in the Bundle that was known at the decision is known to the model."
            + first_remarks(warnings),
            where="/bundle",
            remedy=f"It reads {reads}.",
        )
    return Read(fixed, hourly, tuple(warnings), texts)


def _seen(
    timeline: "Timeline", decision: datetime, encoding: Encoding
) -> "tuple[pl.DataFrame, Timeline, Grid]":
    """The decision of the one patient as a frame, what was known then, and its grid."""
    import polars as pl

    from polyclinic.diagnosis.records.grid import to_grid

    decisions = timeline.patients.select("patient", time=pl.lit(decision).dt.cast_time_unit("us"))
    known = timeline.known_at(decisions)
    grid = to_grid(known, decisions, encoding.fixed, encoding.hourly, encoding.step)
    return decisions, known, grid


def _hours_later(grid: "Grid", encoding: Encoding) -> int:
    """How many hours the grid goes on after the one at which the model decides."""
    if grid.inputs.hourly is None or encoding.decision_hour is None:
        return 0
    return len(grid.inputs.hourly.values) - 1 - encoding.decision_hour


def _of_another_unit(values: "pl.DataFrame") -> Iterator[str]:
    for name, unit, source in values.select("variable", "unit", "source").head(TOLD).iter_rows():
        yield f"{name} in {unit or 'no unit'} was left out ({source})."
    if len(values) > TOLD:
        yield f"And {len(values) - TOLD:,} more values in units of something else."


def _plausible(values: Floats, variables: Sequence[Variable], warnings: list[str]) -> Floats:
    """Values (n, v) without those that cannot be."""
    kept = values.copy()
    for column, variable in enumerate(variables):
        wrong = variable.implausible(kept[:, column])
        if wrong.any():
            warnings.append(left_out(variable, int(wrong.sum())))
            kept[wrong, column] = np.nan
    return kept


def _until(values: Floats, decision_hour: int | None, warnings: list[str]) -> Floats:
    """Rows (t, v) of every hour up to the one at which the model decides, if it is a given one."""
    if decision_hour is None or len(values) == decision_hour + 1:
        return values
    warnings.append(
        f"The model decides at hour {decision_hour}; the Bundle ends at {len(values) - 1}: later "
        "hours count as empty."
    )
    rows = np.full((decision_hour + 1, values.shape[1]), np.nan, np.float32)
    rows[: len(values)] = values
    return rows


def _text(known: "Timeline", note: Variable) -> str:
    """The documents that were known, of the note's own kind where it has a code."""
    import polars as pl

    documents = known.events.filter(pl.col("kind") == "document", pl.col("text").is_not_null())
    if note.loinc is not None:
        documents = documents.filter(pl.col("code") == note.loinc)
    return "\n".join(documents["text"].to_list())


def _read_by(encoding: Encoding) -> Iterator[str]:
    for variable in (*encoding.fixed, *encoding.hourly):
        code = variable.medication or (f"LOINC {variable.loinc}" if variable.loinc else "")
        if code:
            yield f"{variable.title} ({code})"
