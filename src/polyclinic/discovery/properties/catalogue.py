"""The properties: what each is, and in which unit."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Property:
    """One property of a molecule.

    unit: UCUM. means: how to read the value, "" where the title says it. quick: whether it is cheap
    enough for millions of molecules. source: the paper that it comes from.
    """

    name: str
    title: str
    group: str
    unit: str
    means: str
    quick: bool
    source: str


@cache
def catalogue() -> Mapping[str, Property]:
    """All properties by name; the quick ones come first."""
    path = Path(__file__).with_name("properties.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        return MappingProxyType({row["name"]: _read(row) for row in csv.DictReader(lines)})


def _read(row: Mapping[str, str]) -> Property:
    return Property(
        name=row["name"],
        title=row["title"],
        group=row["group"],
        unit=row["unit"],
        means=row["means"],
        quick=row["quick"] == "yes",
        source=row["source"],
    )


NAMES = tuple(catalogue())
QUICK = tuple(name for name, each in catalogue().items() if each.quick)
