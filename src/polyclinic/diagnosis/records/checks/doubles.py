"""What stands there twice: rows of a table, and stays, exactly or almost."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.checks.sheet import Doubles, Sheet
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.learning.labels import Labels
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue

#: So many values are not the same by chance, in a row or almost in a stay.
MIN_VALUES, MIN_STAY_VALUES = 6, 60
#: Rows are alike by more than chance where fewer others than this are expected to be.
CHANCE = 0.01
#: Two stays are one where this share of the full hours of the shorter one is the same.
COPIED = 0.5
#: Almost the same is within this fraction; so are nearly all values of a disturbed copy.
ALMOST, NEARLY_ALL = 0.02, 0.95
#: Equal ones in so large a group are no copies of one row.
MANY = 10


def duplicated_rows(sheet: Sheet, y: Labels) -> Iterator[QualityIssue]:
    """Rows that stand twice: with the same label they count double, with another one is wrong.

    Rows that few columns tell apart are alike by chance, and say nothing of each other.
    """
    _, first, group = np.unique(_bytes(sheet.values), return_index=True, return_inverse=True)
    group = group.ravel()
    told = _alike_by_chance(sheet.values)[first] < CHANCE
    counts = np.bincount(group)
    _, label = np.unique(y, axis=0, return_inverse=True)
    _, of_group = np.unique(np.stack([group, label.ravel()]), axis=1, return_index=True)
    labels = np.bincount(group[of_group])
    kinds: tuple[tuple[str, Severity, NDArray[np.bool_], str], ...] = (
        (
            "conflicting_labels",
            "error",
            (counts > 1) & (labels > 1) & told,
            "rows are alike but have different labels; correct the labels.",
        ),
        (
            "duplicated_rows",
            "warning",
            (counts > 1) & (labels == 1) & told,
            "rows stand there more than once; each counts double.",
        ),
    )
    for check, severity, those, detail in kinds:
        rows = np.flatnonzero(those[group])
        if rows.size:
            yield issue(
                check, severity, sheet.name, f"{rows.size} {detail}", sheet.origin[rows], sheet.name
            )
    almost = _almost_alike(sheet, group)
    if almost.size:
        detail = f"{almost.size} rows are almost those of another: one patient stands there twice."
        yield issue("almost_duplicated", "warning", sheet.name, detail, almost, sheet.name)


def _alike_by_chance(values: NDArray[np.float32]) -> Doubles:
    """How many other rows (n,) a row is like if columns know nothing of each other."""
    expected = np.full(len(values), float(len(values)))
    for column in values.T:
        _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        expected *= counts[which.ravel()] / len(values)
    return expected


def repeated_stays(sheet: Sheet) -> Iterator[QualityIssue]:
    """A stay that stands there twice, or for the most part so, exactly or almost."""
    exact = set(_of_equal_hours(sheet))
    almost = set(_of_equal_masks(sheet)) - exact
    for pairs, how in ((exact, "the same hours"), (almost, "almost the same values")):
        if pairs:
            stays = np.unique(np.array(sorted(pairs)))
            detail = f"{len(pairs)} pairs of stays hold {how}: one patient stands there twice."
            rows = sheet.origin[np.isin(sheet.group, stays)]
            yield issue("repeated_stays", "error", "stay_id", detail, rows, sheet.name)


def _bytes(values: NDArray[np.float32]) -> NDArray[np.void]:
    """Each row (n, v) as one comparable value."""
    rows = np.ascontiguousarray(values + np.float32(0))  # no -0, which is 0
    return rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel()


def _almost_alike(sheet: Sheet, group: Rows) -> Rows:
    """The file's rows that are within a hair of another one, though not the same.

    Rows near each other stay so when seen from any side, so that of each view only neighbours are
    compared.
    """
    values = sheet.values.astype(np.float64)
    known = np.isfinite(values)
    if values.shape[1] < MIN_VALUES or len(values) < 2:
        return np.empty(0, np.int64)
    values = np.where(known, values, 0.0)
    scale = values.std(axis=0)
    z: Doubles = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    found: set[int] = set()
    for view in np.random.default_rng(0).normal(size=(6, z.shape[1])):
        order = np.argsort(z @ view)
        for apart in range(1, 4):
            one, other = order[:-apart], order[apart:]
            near = (np.abs(z[one] - z[other]) <= ALMOST).mean(axis=1) >= NEARLY_ALL
            near &= (known[one] & known[other]).sum(axis=1) >= MIN_VALUES
            near &= group[one] != group[other]
            found.update(one[near].tolist(), other[near].tolist())
    return np.sort(sheet.origin[np.array(sorted(found), np.int64)])


def _of_equal_hours(sheet: Sheet) -> Iterator[tuple[int, int]]:
    """Pairs of stays of whose full hours many are the same."""
    full = np.flatnonzero((~np.isnan(sheet.values)).sum(axis=1) >= MIN_VALUES)
    _, same = np.unique(_bytes(sheet.values[full]), return_inverse=True)
    stay = sheet.group[full]
    hours = np.bincount(stay, minlength=len(sheet.bounds) - 1)
    shared: Counter[tuple[int, int]] = Counter()
    for pair in _pairs(same.ravel(), stay):
        shared[pair] += 1
    for (one, other), count in shared.items():
        if count >= max(3, COPIED * min(hours[one], hours[other])):
            yield one, other


def _of_equal_masks(sheet: Sheet) -> Iterator[tuple[int, int]]:
    """Pairs of stays with values in the same places that are almost the same."""
    known = ~np.isnan(sheet.values)
    sizes = np.add.reduceat(known.sum(axis=1), sheet.bounds[:-1])
    masks: dict[bytes, int] = {}
    chosen = np.flatnonzero(sizes >= MIN_STAY_VALUES)
    places = [slice(sheet.bounds[i], sheet.bounds[i + 1]) for i in chosen]
    same = [masks.setdefault(np.packbits(known[at]).tobytes(), len(masks)) for at in places]
    for one, other in _pairs(np.array(same, np.int64), chosen):
        mine, theirs = (sheet.values[sheet.bounds[i] : sheet.bounds[i + 1]] for i in (one, other))
        if mine.shape != theirs.shape:
            continue
        both = ~np.isnan(mine)
        near = np.abs(mine - theirs)[both] <= ALMOST * np.abs(mine)[both]
        if near.mean() >= NEARLY_ALL:
            yield one, other


def _pairs(same: Rows, stay: Rows) -> Iterator[tuple[int, int]]:
    """Pairs of different stays that have something (k,) the same."""
    order = np.argsort(same, kind="stable")
    starts = np.flatnonzero(np.diff(same[order], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=False):
        if 1 < end - start <= MANY:
            yield from combinations(np.unique(stay[order[start:end]]).tolist(), 2)
