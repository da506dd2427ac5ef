"""Columns that tell the label, or what is only known afterwards."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.evaluate.metrics import auc
from polyclinic.learning.labels import Labels, multi_label, truth
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: A single column that ranks the examples this well is the label in other words.
COPY_AUC = 0.995
#: Below so many examples with it known, of each label, a column may tell the label by chance.
MIN_KNOWN = 10
#: A column that so often equals a later value of another one was written down afterwards.
LEAD_SHARE = 0.99
LEAD_HOURS = 6
MIN_LEADS = 100

Values = NDArray[np.float32]


def leaks(records: Records, train: Rows) -> Iterator[QualityIssue]:
    """Leaks, looked for in the training examples alone."""
    inputs = records.inputs
    at = inputs.fixed[inputs.subject[train]]
    yield from _copies(records.fixed, at, records.y[train])
    if inputs.hourly is None or inputs.row is None:
        return
    values, rows = inputs.hourly.values, inputs.row[train]
    yield from _copies(records.hourly, values[rows], records.y[train])
    yield from _leads(
        records.hourly, values, inputs.hourly.start, np.unique(inputs.hourly.start[rows])
    )


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


def _auc(ranked: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    return float(auc(np.column_stack([-ranked, ranked]), y))
