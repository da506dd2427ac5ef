"""SDF: mol blocks with fields behind them, each ended by `$$$$`.

Source: BIOVIA, CTfile formats (2020), chapter 5.
"""

from collections.abc import Iterator
from pathlib import Path

from polyclinic.discovery.molecules.formats.lines import Lines, open_lines
from polyclinic.discovery.molecules.limits import MOST_BLOCK
from polyclinic.discovery.molecules.molecule import Rejected
from polyclinic.discovery.molecules.record import Record, rejected

_END = "$$$$"


def read_sdf(path: Path) -> Iterator[Record | Rejected]:
    """The records of a file, at the place of their first line; fields are columns, as text."""
    with open_lines(path) as lines:
        while record := _record(lines):
            yield record


def _record(lines: Lines) -> Record | Rejected | None:
    """The next record; of one that is too long the rest is passed over."""
    kept: list[str] = []
    start, size, line = lines.number + 1, 0, ""
    for line in lines:
        if line.startswith(_END):
            break
        size += len(line) + 1
        if size <= MOST_BLOCK:
            kept.append(line)
    place = f"{lines.path.name}:{start}"
    if size > MOST_BLOCK:
        reason = f"The record has over {MOST_BLOCK:,} characters before `{_END}`."
        return rejected(place, " ".join(kept[:4]), reason)
    if not any(kept) and not line.startswith(_END):
        return None
    end = next((at for at, text in enumerate(kept) if text.startswith("M  END")), len(kept))
    return Record(place, "\n".join(kept[: end + 1]), "", dict(_fields(kept[end + 1 :])), block=True)


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Fields as `> <name>`, their lines, and an empty line."""
    name, text = "", list[str]()
    for line in [*lines, ""]:
        if line.startswith(">") and "<" in line:
            name = line[line.index("<") + 1 : line.rindex(">")]
        elif line:
            text.append(line)
        else:
            if name:
                yield name, "\n".join(text)
            name, text = "", []
