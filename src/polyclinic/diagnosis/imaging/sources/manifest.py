"""A CSV manifest: the columns path and label, if known patient and split, and any attribute."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.diagnosis.imaging.sources.listing import Entry
from polyclinic.diagnosis.imaging.sources.parting import PARTS

#: The manifest of a folder, which makes of it a source.
MANIFEST = "labels.csv"

_NO_LABEL = "Where a picture can have none, one or several labels, say `multi_label: true`."

_OWN = ("path", "label", "patient", "split")


def list_manifest(path: Path, multi_label: bool = False) -> list[Entry]:
    """An entry a line, in the file's order; paths are relative to the file's own folder.

    Every column but those four is an attribute, by whose values results may be given apart. Of
    multi-label data a label may be empty: none is true.
    Raises `NotFound`, or `InvalidInput` naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound("There is no such data file.", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The file is not UTF-8 text: {error}", where=str(path)) from None
    return list(_entries(path, text, ("path",) if multi_label else ("path", "label")))


def _entries(path: Path, text: str, needed: Sequence[str]) -> Iterator[Entry]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
    missing = [name for name in ("path", "label") if name not in columns]
    if missing:
        raise InvalidInput(
            f"There is no column {' or '.join(missing)}.",
            where=f"{path}, line 1",
            remedy="The columns are path, label, and if known patient, split and attributes.",
        )
    try:
        for row in reader:
            values = {column: (row[name] or "").strip() for column, name in columns.items()}
            where = f"{path}, line {reader.line_num}"
            empty = [name for name in needed if not values[name]]
            if empty:
                raise InvalidInput(
                    f"There is no {' or '.join(empty)}.",
                    where=where,
                    remedy=_NO_LABEL if "label" in empty else None,
                )
            stated = values.get("split", "")
            if stated and stated.lower() not in PARTS:
                raise InvalidInput(
                    f"{stated} is no part of a data set.",
                    where=where,
                    remedy="A split is train, validation or test.",
                )
            yield Entry(
                path=path.parent / values["path"],
                name=values["path"],
                label=values["label"],
                part=PARTS.get(stated.lower(), ""),
                patient=values.get("patient", ""),
                groups={name: value for name, value in values.items() if name not in _OWN},
            )
    except csv.Error as error:
        raise InvalidInput(str(error), where=f"{path}, line {reader.line_num}") from None
