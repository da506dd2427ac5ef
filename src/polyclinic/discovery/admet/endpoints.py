"""The 41 endpoints: what each is, in which unit and range, and how well the networks tell it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from polyclinic.core.prediction import Coding

#: Below these an endpoint says of itself that it is weak.
LEAST = {"AUROC": 0.7, "R2": 0.3}
_SYSTEM = "https://tdcommons.ai"


@dataclass(frozen=True)
class Endpoint:
    """One property of a molecule.

    name: that of the data set in the Therapeutics Data Commons (Huang et al. 2021), which `source`
    leads to. group: absorption, distribution, metabolism, excretion or toxicity. unit: that of the
    value; of a classification, the probability of what `means` says. species: in which it was
    measured, empty where in none. low, high: what is physically possible, infinite where there is
    no bound. compounds: how many were measured. figure, tested: the networks' own figure on
    held-out compounds, AUROC or R2, and `second` AUPRC or mean absolute error (in `unit`), as the
    package's `resources/data/admet.csv` (admet-ai 2.0.1) tells them.
    """

    name: str
    title: str
    group: str
    task: Literal["classification", "regression"]
    unit: str
    means: str
    species: str
    low: float
    high: float
    compounds: int
    figure: Literal["AUROC", "R2"]
    tested: float
    second: float
    source: str

    @property
    def coding(self) -> Coding:
        """Its name in the Therapeutics Data Commons."""
        return Coding(system=_SYSTEM, code=self.name, display=self.title)

    @property
    def weak(self) -> str | None:
        """Why it is not to be leaned on; None where it is as good as `LEAST` asks."""
        if self.tested >= LEAST[self.figure]:
            return None
        worse = ", worse than the mean of all compounds" if self.tested < 0 else ""
        return f"Weak: the networks' own test {self.figure} is {self.tested:.2f}{worse}."


@cache
def endpoints() -> Mapping[str, Endpoint]:
    """All, by name, classifications first."""
    path = Path(__file__).with_name("endpoints.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        return MappingProxyType({row["name"]: _read(row) for row in csv.DictReader(lines)})


def _read(row: Mapping[str, str]) -> Endpoint:
    task: Literal["classification", "regression"] = (
        "classification" if row["task"] == "classification" else "regression"
    )
    return Endpoint(
        name=row["name"],
        title=row["title"],
        group=row["group"],
        task=task,
        unit=row["unit"],
        means=row["means"],
        species=row["species"],
        low=float(row["low"] or "-inf"),
        high=float(row["high"] or "inf"),
        compounds=int(row["compounds"]),
        figure="AUROC" if task == "classification" else "R2",
        tested=float(row["tested"]),
        second=float(row["mae_or_auprc"]),
        source=row["source"],
    )
