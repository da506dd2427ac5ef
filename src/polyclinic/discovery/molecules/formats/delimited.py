"""Comma-, semicolon- or tab-separated tables with a line of titles (RFC 4180)."""

import csv
from collections.abc import Iterator
from pathlib import Path

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.formats.lines import Lines, open_lines
from polyclinic.discovery.molecules.formats.table import Columns
from polyclinic.discovery.molecules.limits import MOST_LINE
from polyclinic.discovery.molecules.molecule import Rejected
from polyclinic.discovery.molecules.record import Record, rejected


def read_delimited(path: Path, columns: Columns) -> Iterator[Record | Rejected]:
    """The rows of a table; a row that spans lines has the place of its last."""
    with open_lines(path) as lines:
        first = next(lines, "")
        where = f"{path.name}:1"
        if lines.cut:
            raise InvalidInput(f"The line of titles has over {MOST_LINE:,} bytes.", where=where)
        delimiter = max(",;\t", key=first.count)
        titles = next(csv.reader([first], delimiter=delimiter), [])
        smiles, name = columns.found(titles, where)
        others = [place for place in range(len(titles)) if place not in (smiles, name)]
        for row in _rows(lines, delimiter):
            if isinstance(row, Rejected):
                yield row
            elif len(row) != len(titles):
                reason = f"The row has {len(row)} cells, the line of titles {len(titles)}."
                yield rejected(lines.place, delimiter.join(row), reason)
            else:
                yield Record(
                    lines.place,
                    row[smiles],
                    "" if name is None else row[name].strip(),
                    {titles[place]: row[place] for place in others},
                )


def _rows(lines: Lines, delimiter: str) -> Iterator[list[str] | Rejected]:
    """Rows as the csv module reads them, without empty ones; what it cannot read is rejected."""
    long: list[Rejected] = []

    def whole() -> Iterator[str]:
        for line in lines:
            if lines.cut:
                long.append(rejected(lines.place, line, f"The line has over {MOST_LINE:,} bytes."))
            else:
                yield f"{line}\n"

    rows = csv.reader(whole(), delimiter=delimiter)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield rejected(lines.place, "", f"The row cannot be read: {error}.")
            continue
        yield from long
        long.clear()
        if row is None:
            return
        if row:
            yield row
