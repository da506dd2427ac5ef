"""From a listing to a data set: every file read, every row in a place that its content gives it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.imaging.sources.labelling import label_indices
from polyclinic.diagnosis.imaging.sources.listing import Entry, Source, Wanted
from polyclinic.diagnosis.imaging.sources.parting import parted
from polyclinic.diagnosis.imaging.sources.people import (
    MAX_GROUPS,
    attributes,
    groups_of,
    patient_of,
)
from polyclinic.learning.labels import Labels
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.issues import QualityIssue

#: With a larger share of files that cannot be read, something is wrong with the source as a whole.
MAX_UNREADABLE = 0.1
#: So many of those files are named, with the reason.
NAMED = 20
#: The side of the pictures where nobody says one: small enough for a processor alone.
DEFAULT_SIZE = 64

#: Told how many files of how many were read.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Row:
    """A picture (1 or 3, size, size), with the digest of its content."""

    x: NDArray[np.uint8]
    y: tuple[int, ...]
    part: str
    patient: str
    groups: dict[str, str]
    file: str
    content: str


def assemble(
    entries: Sequence[Entry], wanted: Wanted, where: str, progress: Progress = lambda *_: None
) -> Source:
    """The data set of a listing. Files that cannot be read are left out, and an issue names them.

    Rows stand in an order that follows from their content, so that neither the files' names nor the
    order of the listing have a say in split or digest. A picture without a patient is its own, and
    equal pictures are one. Raises `InvalidInput` where no data set can be made of the listing.
    """
    if not entries:
        raise InvalidInput("There is no picture.", where=where)
    named = [_named(entry, wanted.multi_label) for entry in entries]
    labels, indices = label_indices(named, wanted.labels, where)
    rows: list[_Row] = []
    unreadable: dict[str, str] = {}
    for number, (entry, index) in enumerate(zip(entries, indices, strict=True), start=1):
        try:
            rows.append(_read(entry, index, wanted))
        except PolyclinicError as error:
            unreadable[entry.name] = error.detail
        progress(number, len(entries))
    if not rows:
        name, why = next(iter(unreadable.items()))
        raise InvalidInput(f"No picture can be read: {name} ({why}).", where=where)
    rows.sort(key=lambda row: (row.content, row.y))
    y = _labels(rows, len(labels), wanted.multi_label)
    patient = np.array([row.patient or row.content for row in rows])
    x = _stacked(rows, wanted.channels)
    found = dict(attributes([row.groups for row in rows]))
    groups = {name: values for name, values in found.items() if _groups(values)}
    files = np.array([row.file for row in rows])
    chosen = parted([row.part for row in rows], y, patient, wanted.seed, where)
    known = any(row.patient for row in rows)
    parts = {
        name: Part(
            x[at],
            y[at],
            patient[at] if known else None,
            {group: values[at] for group, values in groups.items()},
        )
        for name, at in chosen.items()
    }
    dataset = Dataset(
        name=wanted.name,
        labels=labels,
        train=parts["train"],
        validation=parts["validation"],
        test=parts.get("test"),
        licence=wanted.licence,
        source=wanted.source,
    )
    issues = (
        *_unreadable_issue(unreadable, len(entries), where),
        *(_ungrouped_issue(name, where) for name in found if name not in groups),
        *_unnamed_issue(entries, wanted.subgroups, where),
    )
    return Source(dataset, issues, {name: files[at] for name, at in chosen.items()})


def _named(entry: Entry, several: bool) -> list[str]:
    """The words that name the picture's labels."""
    if not several:
        return [entry.label]
    return [word.strip() for word in entry.label.split("|") if word.strip()]


def _labels(rows: Sequence[_Row], k: int, several: bool) -> Labels:
    """The labels of the rows (n,), or whether each of the k is true (n, k)."""
    if not several:
        return np.array([row.y[0] for row in rows], dtype=np.int64)
    return np.array([np.isin(np.arange(k), row.y) for row in rows])


def _read(entry: Entry, y: tuple[int, ...], wanted: Wanted) -> _Row:
    try:
        data = entry.path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"The file cannot be read: {error.strerror}.") from None
    picture = open_picture(data, settings().max_pixels)
    channels = wanted.channels or (3 if picture.image.mode == "RGB" else 1)
    x = picture.fitted(channels, wanted.size or DEFAULT_SIZE)
    return _Row(
        x=x,
        y=y,
        part=entry.part,
        patient=patient_of(entry, picture.header),
        groups=groups_of(entry, picture.header, wanted.subgroups),
        file=entry.name,
        content=hashlib.blake2b(x.tobytes(), digest_size=16).hexdigest(),
    )


def _stacked(rows: Sequence[_Row], channels: int | None) -> NDArray[np.uint8]:
    """The pictures (n, channels, size, size); grey ones are made colour where others are."""
    most = channels or max(len(row.x) for row in rows)
    shape = (most, *rows[0].x.shape[1:])
    return np.stack([np.broadcast_to(row.x, shape) for row in rows])


def _groups(values: NDArray[np.str_]) -> bool:
    return len(np.unique(values)) <= MAX_GROUPS


def _unreadable_issue(
    unreadable: Mapping[str, str], files: int, where: str
) -> Iterator[QualityIssue]:
    """The files that cannot be read, each with its reason."""
    if unreadable:
        named = "; ".join(f"{name} ({why})" for name, why in islice(unreadable.items(), NAMED))
        more = f"; and {len(unreadable) - NAMED} more" if len(unreadable) > NAMED else ""
        yield QualityIssue(
            check="unreadable",
            severity="error" if len(unreadable) > MAX_UNREADABLE * files else "warning",
            where=where,
            detail=f"{len(unreadable)} of {files} files were left out: {named}{more}",
            files=tuple(unreadable),
        )


def _ungrouped_issue(name: str, where: str) -> QualityIssue:
    return QualityIssue(
        check="ungrouped",
        severity="warning",
        where=where,
        detail=f"{name} has more than {MAX_GROUPS} values, and is no subgroup.",
    )


def _unnamed_issue(
    entries: Sequence[Entry], named: tuple[str, ...], where: str
) -> Iterator[QualityIssue]:
    """The attributes that nobody named a subgroup."""
    others = sorted({name for entry in entries for name in entry.groups} - set(named))
    if others:
        yield QualityIssue(
            check="unnamed_attributes",
            severity="warning",
            where=where,
            detail=f"{', '.join(others)} were left out: results are given apart by "
            f"{', '.join(named) or 'nothing'} alone, and by what data.subgroups names.",
        )
