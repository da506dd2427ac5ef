"""Checks of the quality gate that are of records: of their columns, their times and their leaks."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.evaluate.metrics import auc
from polyclinic.learning.labels import Labels, multi_label, truth
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue

#: More implausible values than this share of a column are no slips: its unit is wrong, or it is
#: another column.
SLIPS = 0.02
#: A single column that ranks the examples this well is the label in other words.
COPY_AUC = 0.995
#: Below so many examples with it known, of each label, a column may tell the label by chance.
MIN_KNOWN = 10
#: A column that so often equals a later value of another one was written down afterwards.
LEAD_SHARE = 0.99
LEAD_HOURS = 6
MIN_LEADS = 100

Values = NDArray[np.float32]


def check_records(records: Records, train: Rows) -> Iterator[QualityIssue]:
    """What is wrong with records as they were read; leaks are looked for in `train` alone.

    An `error` names a column that must not be learnt from, or times that cannot be; rows are those
    of the source's file.
    """
    inputs = records.inputs
    yield from _known_afterwards((*records.fixed, *records.hourly))
    at = inputs.fixed[inputs.subject[train]]
    subjects = records.origin if inputs.hourly is None else None
    yield from _columns(records.fixed, inputs.fixed, subjects)
    yield from _copies(records.fixed, at, records.y[train])
    if inputs.hourly is None or inputs.row is None:
        yield from _duplicated_rows(records)
        return
    values = inputs.hourly.values
    yield from _columns(records.hourly, values, records.origin)
    rows = inputs.row[train]
    yield from _copies(records.hourly, values[rows], records.y[train])
    asked = np.unique(inputs.hourly.start[rows])
    yield from _leads(records.hourly, values, inputs.hourly.start, asked)


def _known_afterwards(variables: Sequence[Variable]) -> Iterator[QualityIssue]:
    """A feature that the dictionary itself says is known only after the decision."""
    for variable in variables:
        if variable.known == "after decision":
            detail = f"{variable.name} is known only after the decision, and cannot be a feature."
            yield issue("after_decision", "error", variable.name, detail)


def _columns(
    variables: Sequence[Variable], values: Values, origin: Rows | None
) -> Iterator[QualityIssue]:
    """Values that cannot be; columns that never vary."""
    for index, variable in enumerate(variables):
        column = values[:, index]
        known = column[~np.isnan(column)]
        wrong = np.flatnonzero(variable.implausible(column))
        if wrong.size:
            many = wrong.size > SLIPS * known.size
            severity: Severity = "error" if many else "warning"
            then = "its unit may be wrong, or its column" if many else "taken as missing"
            detail = (
                f"{wrong.size} of {known.size} values of {variable.name} lie outside "
                f"{variable.range}; {then}."
            )
            rows = wrong if origin is None else origin[wrong]
            yield issue("implausible", severity, variable.name, detail, rows)
        if known.size == 0:
            yield issue("empty_column", "warning", variable.name, f"{variable.name} is empty.")
        elif len(values) > 1 and known.size > 1 and known.min() == known.max():
            detail = f"{variable.name} is {known[0]:g} wherever it is known."
            yield issue("constant_column", "warning", variable.name, detail)


def _copies(variables: Sequence[Variable], values: Values, y: Labels) -> Iterator[QualityIssue]:
    """A column whose value, or whose being there at all, tells a label by itself."""
    for index, variable in enumerate(variables):
        column = values[:, index]
        area, what = max((_ranks(*told), told[0]) for told in _told(variable, column, y))
        if area >= COPY_AUC:
            detail = (
                f"{variable.name}{what} tells the label by itself (AUROC {area:.4f}): it is a copy "
                "of it, or known only afterwards."
            )
            yield issue("copies_label", "error", variable.name, detail)


def _told(
    variable: Variable, column: NDArray[np.float32], y: Labels
) -> Iterator[tuple[str, NDArray[np.floating | np.bool_], NDArray[np.bool_]]]:
    """What of a column may tell a label: in words, how it ranks some examples, and their truth."""
    known = ~np.isnan(column)
    for true in truth(y, len(y.T) if multi_label(y) else int(y.max(initial=1)) + 1).T:
        if variable.type == "category":
            for code, word in enumerate(variable.categories):
                yield f" being {word}", column[known] == code, true[known]
        else:
            yield "", column[known], true[known]
        yield " being known", known, true


def _ranks(_: str, ranked: NDArray[np.floating | np.bool_], true: NDArray[np.bool_]) -> float:
    """How well a column ranks a label, whichever way round; 0 where too few examples say."""
    if min(true.sum(), (~true).sum()) < MIN_KNOWN:
        return 0.0
    area = _auc(ranked.astype(np.float64), true.astype(np.int64))
    return max(area, 1 - area)


def _leads(
    variables: Sequence[Variable], values: Values, start: Rows, asked: Rows
) -> Iterator[QualityIssue]:
    """A column that holds what another one will only show in some hours."""
    inside = np.isin(start, asked)
    values, start = values[inside], start[inside]
    known = ~np.isnan(values)
    for index, variable in enumerate(variables):
        mine = np.flatnonzero(known[:, index])
        if mine.size < MIN_LEADS:
            continue
        for hours in range(1, LEAD_HOURS + 1):
            later = mine + hours
            same = later < len(start)
            same[same] = start[later[same]] == start[mine[same]]
            now, then = mine[same], later[same]
            both = known[then]
            equal = (values[then] == values[now, index][:, None]) & both
            share = equal.sum(axis=0) / np.maximum(both.sum(axis=0), 1)
            at_once = (values[now] == values[now, index][:, None]) & known[now]
            leads = (share >= LEAD_SHARE) & (both.sum(axis=0) >= MIN_LEADS)
            # A column that hardly moves equals its own past and future alike.
            leads &= at_once.sum(axis=0) < LEAD_SHARE * np.maximum(known[now].sum(axis=0), 1)
            leads[index] = False
            for other in np.flatnonzero(leads).tolist():
                detail = (
                    f"{variable.name} holds what {variables[other].name} shows only {hours} h "
                    "later: it is known only after the decision."
                )
                yield issue("after_decision", "error", variable.name, detail)


def _duplicated_rows(records: Records) -> Iterator[QualityIssue]:
    """Rows that stand twice: with the same label they count double, with another one is wrong."""
    fixed = np.ascontiguousarray(records.inputs.fixed + np.float32(0))  # no -0, which is 0
    _, group = np.unique(fixed.view(f"V{fixed.itemsize * fixed.shape[1]}"), return_inverse=True)
    group = group.ravel()
    counts = np.bincount(group)
    _, label = np.unique(records.y, axis=0, return_inverse=True)
    _, of_group = np.unique(np.stack([group, label.ravel()]), axis=1, return_index=True)
    labels = np.bincount(group[of_group])
    for check, severity, those, detail in (
        (
            "conflicting_labels",
            "error",
            (counts > 1) & (labels > 1),
            "rows are alike but have different labels; correct the labels.",
        ),
        (
            "duplicated_rows",
            "warning",
            (counts > 1) & (labels == 1),
            "rows stand there more than once; each counts double.",
        ),
    ):
        rows = np.flatnonzero(those[group])
        if rows.size:
            found = f"{rows.size} {detail}"
            level: Severity = "error" if severity == "error" else "warning"
            yield issue(check, level, "table", found, records.origin[rows])


def _auc(ranked: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    return float(auc(np.column_stack([-ranked, ranked]), y))
