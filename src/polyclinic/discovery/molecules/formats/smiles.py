"""A SMILES a line, and its name behind it."""

from collections.abc import Iterator
from pathlib import Path

from polyclinic.discovery.molecules.formats.lines import open_lines
from polyclinic.discovery.molecules.limits import MOST_LINE
from polyclinic.discovery.molecules.molecule import Rejected
from polyclinic.discovery.molecules.record import Record, rejected

_TITLES = frozenset({"smiles", "canonical_smiles", "#smiles"})


def read_smiles(path: Path) -> Iterator[Record | Rejected]:
    """The lines of a file; empty ones, and a first one of titles, are passed over."""
    with open_lines(path) as lines:
        for line in lines:
            if lines.cut:
                yield rejected(lines.place, line, f"The line has over {MOST_LINE:,} bytes.")
                continue
            words = line.split(maxsplit=1)
            if words and not (lines.number == 1 and words[0].lower() in _TITLES):
                yield Record(lines.place, line)
