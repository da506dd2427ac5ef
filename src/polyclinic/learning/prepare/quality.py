"""The quality gate: what is wrong with a data set, before a model learns it.

A check is a function from a data set to the issues it finds; to add one, add it to `CHECKS`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import QualityRefused
from polyclinic.core.frozen import Frozen
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue
from polyclinic.learning.prepare.label_checks import (
    few_examples,
    imbalance,
    label_absent,
    label_shift,
)
from polyclinic.learning.prepare.repeats import Repeat, repeats


class QualityReport(Frozen):
    """The issues found, and the names of the checks that were made."""

    issues: tuple[QualityIssue, ...]
    checks: tuple[str, ...]

    @property
    def errors(self) -> tuple[QualityIssue, ...]:
        """The issues that refuse the data."""
        return tuple(issue for issue in self.issues if issue.severity == "error")

    def refuse(self) -> None:
        """Raise `QualityRefused` where there is an error."""
        if self.errors:
            raise QualityRefused(
                " ".join(f"{issue.where}: {issue.detail}" for issue in self.errors),
                where=self.errors[0].where,
                remedy="Correct the data; `polyclinic data check` lists every issue.",
            )


Check = Callable[[Dataset], Iterable[QualityIssue]]


def check_quality(dataset: Dataset, checks: Sequence[Check] | None = None) -> QualityReport:
    """Every issue that the checks find, `CHECKS` unless given.

    Where parts are not well formed the other checks would be meaningless, and are not made.
    """
    malformed = tuple(well_formed(dataset))
    if malformed:
        return QualityReport(issues=malformed, checks=(well_formed.__name__,))
    made = CHECKS if checks is None else checks
    return QualityReport(
        issues=tuple(issue for check in made for issue in check(dataset)),
        checks=(well_formed.__name__, *(check.__name__ for check in made)),
    )


def well_formed(dataset: Dataset) -> Iterator[QualityIssue]:
    """Each part has examples of plain values, and labels, patient and subgroup of every example."""

    def error(where: str, detail: str, rows: NDArray[np.int64] | None = None) -> QualityIssue:
        return issue("well_formed", "error", where, detail, rows)

    for name, part in dataset.parts.items():
        columns = {"x": part.x, "patient": part.patient, **part.subgroups}
        lengths = {key: len(values) for key, values in columns.items() if values is not None}
        if any(length != len(part) for length in lengths.values()):
            yield error(name, f"There are {len(part)} labels, but {lengths}.")
        elif len(part) == 0:
            yield error(name, "There is no example.")
        elif part.x.dtype.hasobject:
            yield error(name, "The inputs are not an array of plain values.")
        elif dataset.multi_label:
            expected = (len(part), len(dataset.labels))
            if part.y.shape != expected or part.y.dtype != np.bool_:
                yield error(name, _not_labels(part, f"bool of shape {expected}"))
        elif part.y.ndim != 1 or part.y.dtype.kind not in "iu":
            yield error(name, _not_labels(part, "integers of shape (n,)"))
        else:
            outside = np.flatnonzero((part.y < 0) | (part.y >= len(dataset.labels)))
            if outside.size:
                yield error(
                    name,
                    f"{outside.size} labels are not within 0 to {len(dataset.labels) - 1}.",
                    outside,
                )


def not_finite(dataset: Dataset) -> Iterator[QualityIssue]:
    """An input with NaN or infinity."""
    for name, part in dataset.parts.items():
        if part.x.dtype.kind in "fc":
            finite = np.isfinite(part.x.reshape(len(part), -1)).all(axis=1)
            rows = np.flatnonzero(~finite)
            if rows.size:
                yield issue(
                    "not_finite", "error", name, f"{rows.size} inputs hold NaN or infinity.", rows
                )


def blank(dataset: Dataset) -> Iterator[QualityIssue]:
    """An input of one value throughout, such as an empty picture."""
    for name, part in dataset.parts.items():
        flat = part.x.reshape(len(part), -1)
        rows = np.flatnonzero((flat == flat[:, :1]).all(axis=1))
        if flat.shape[1] > 1 and rows.size:
            yield issue(
                "blank", "warning", name, f"{rows.size} inputs are of one value throughout.", rows
            )


def repeated_inputs(dataset: Dataset) -> Iterator[QualityIssue]:
    """The same input twice.

    With different labels one of them is wrong: an error. With the same label inside a part it only
    counts double: a warning. Between training and validation it flatters the validation figures a
    little: a warning, since published sets have it (8 pictures of PneumoniaMNIST). In test and
    another part it makes untrue the figures that others will trust: an error. `without_leaks` drops
    such inputs.
    """
    found = repeats(dataset)
    yield from _repeat_issues(
        "conflicting_labels",
        "error",
        [repeat for repeat in found if len(repeat.labels) > 1],
        "inputs stand with different labels; correct the labels.",
    )
    agreeing = [repeat for repeat in found if len(repeat.labels) == 1]
    yield from _repeat_issues(
        "repeated_in_part",
        "warning",
        [repeat for repeat in agreeing if len(repeat.parts) == 1],
        "inputs stand there more than once; each counts double.",
    )
    yield from _repeat_issues(
        "leaked_to_validation",
        "warning",
        [repeat for repeat in agreeing if repeat.parts == ("train", "validation")],
        "inputs stand in both; drop them from train.",
    )
    yield from _repeat_issues(
        "leaked_to_test",
        "error",
        [repeat for repeat in agreeing if len(repeat.parts) > 1 and "test" in repeat.parts],
        "inputs stand in the test part and elsewhere; drop them elsewhere.",
    )


def patient_in_two_parts(dataset: Dataset) -> Iterator[QualityIssue]:
    """A patient whose examples stand in more than one part: a model is judged on what it knows."""
    known = {name: part.patient for name, part in dataset.parts.items() if part.patient is not None}
    names = list(known)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            crossing = np.isin(known[second], known[first])
            if crossing.any():
                patients = len(np.unique(known[second][crossing]))
                yield issue(
                    "patient_in_two_parts",
                    "error",
                    f"{first} and {second}",
                    f"{patients} patients stand in both; split by patient.",
                    np.flatnonzero(crossing),
                    second,
                )


CHECKS: tuple[Check, ...] = (
    label_absent,
    few_examples,
    not_finite,
    blank,
    repeated_inputs,
    patient_in_two_parts,
    label_shift,
    imbalance,
)


def _not_labels(part: Part, expected: str) -> str:
    return f"Labels must be {expected}, not {part.y.dtype} of shape {part.y.shape}."


def _repeat_issues(
    check: str, severity: Severity, found: Sequence[Repeat], detail: str
) -> Iterator[QualityIssue]:
    """One issue for each set of parts, with the rows of its first part."""
    for parts in sorted({repeat.parts for repeat in found}):
        those = [repeat for repeat in found if repeat.parts == parts]
        rows = sorted(row for repeat in those for name, row in repeat.places if name == parts[0])
        where, first = " and ".join(parts), parts[0]
        yield issue(check, severity, where, f"{len(those)} {detail}", rows, first)
