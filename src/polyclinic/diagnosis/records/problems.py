"""Which conditions patients have: what `conditions` learns, and what a problem list says."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.clinical.timeline import Timeline
from polyclinic.core.prediction import Coding

#: In the address of code systems in which a code begins with that of what it belongs to.
_HIERARCHY = "icd-10"
#: Verification of a condition that may be none (FHIR R4 value set condition-ver-status).
_SUSPECTED = ("unconfirmed", "provisional", "differential")


def problems(
    timeline: Timeline, decisions: pl.DataFrame, codes: Sequence[Coding]
) -> NDArray[np.bool_]:
    """Which of k conditions each of m patients has at the decision time: (m, k).

    decisions: columns patient and time, as in `Timeline.known_at`. A code of ICD-10 stands for
    itself and for those below it, as E11 for E11.9; any other for itself. A condition counts from
    when it may have begun until it is over, whenever that became known: give what was known for a
    problem list.
    """
    conditions = (
        timeline.events.filter(
            pl.col("kind") == "condition", ~pl.col("text").is_in(_SUSPECTED).fill_null(value=False)
        )
        .join(decisions.with_row_index("row"), on="patient")
        .filter(
            (pl.col("start") <= pl.col("time")).fill_null(value=True),
            (pl.col("end") > pl.col("time")).fill_null(value=True),
        )
        .select("row", code=pl.concat_list(pl.format("{}|{}", "system", "code"), "also"))
        .explode("code")
    )
    found = np.zeros((len(decisions), len(codes)), np.bool_)
    for column, coding in enumerate(codes):
        name = f"{coding.system}|{coding.code}"
        is_it = pl.col("code") == name
        if _HIERARCHY in coding.system:
            is_it = pl.col("code").str.starts_with(name)
        found[conditions.filter(is_it)["row"].to_numpy(), column] = True
    return found


def listed(timeline: Timeline, decisions: pl.DataFrame, codes: Sequence[Coding]) -> list[list[str]]:
    """Of each patient, what of `codes` stands on the problem list already, in words.

    timeline: what was known at the decision times.
    """
    return [
        [f"{code.display} ({code.code})" for code, has in zip(codes, row, strict=True) if has]
        for row in problems(timeline, decisions, codes).tolist()
    ]
