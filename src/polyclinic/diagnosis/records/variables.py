"""The column dictionary: what each column of a record holds, and what it may hold."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from polyclinic.clinical.ucum import unit
from polyclinic.core.frozen import Frozen

#: What a column is for. `group` names a subgroup that figures are given for, and is no input.
Role = Literal["feature", "label", "patient", "part", "group", "time", "ignore"]

#: The column of a sex and of an age give subgroups of themselves, whatever their role.
SEX, AGE = "sex", "age"

_AGE_BANDS = ((18, "0 to 17"), (40, "18 to 39"), (65, "40 to 64"), (np.inf, "65 and over"))


class Variable(Frozen):
    """One column.

    unit: in UCUM; "" for none. loinc: the code of what is measured, which makes amounts and masses
    of it convertible. medication: the code of one, as `system|code`; its value is 1 where it was
    ordered or given. finding: the code of what an image shows, as `system|code`; its value is the
    probability. low, high: what is plausible, both included; a value outside is an
    error of the record. categories: the words of a category, in their order. known: whether the
    column is known at the decision time or only afterwards, such as a discharge diagnosis.
    measured: the column that says when this one was measured. adds_up: whether values of hours add
    up to a total, as those of urine do. A text is read by the recipe's encoder (`notes`).
    """

    name: str = Field(min_length=1, max_length=128)
    display: str = ""
    type: Literal["number", "category", "text"] = "number"
    unit: str = ""
    loinc: str | None = None
    medication: str | None = None
    finding: str | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    role: Role = "feature"
    known: Literal["at decision", "after decision"] = "at decision"
    measured: str | None = None
    adds_up: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        return self.display or self.name

    def implausible(self, values: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which values (n,) cannot be; one that is missing can; an infinite value never can."""
        # Beyond single precision, in which models see it, a value would become infinite.
        greatest = float(np.finfo(np.float32).max)
        low = -greatest if self.low is None else self.low
        high = greatest if self.high is None else self.high
        outside: NDArray[np.bool_] = (values < low) | (values > high)
        return outside

    @property
    def range(self) -> str:
        """The plausible range in words."""
        if self.low is None and self.high is None:
            return "what single precision holds"
        if self.low is None or self.high is None:
            bound = "no less than" if self.high is None else "no more than"
            return f"{bound} {self.low if self.high is None else self.high:g} {self.unit}".rstrip()
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()

    @model_validator(mode="after")
    def _is_coherent(self) -> "Variable":
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"{self.name}: low must be below high")
        if self.unit and unit(self.unit) is None:
            raise ValueError(f"{self.name}: {self.unit!r} is no unit of UCUM")
        if self.role == "feature" and (self.type == "category") != bool(self.categories):
            raise ValueError(f"{self.name}: a category has its categories, and no other type has")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"{self.name}: a category stands there twice")
        return self


def age_bands(years: NDArray[np.floating]) -> NDArray[np.str_]:
    """The band of each age (n,); `unknown` where it is missing."""
    bands = np.full(len(years), "unknown", dtype="<U11")
    for below, band in reversed(_AGE_BANDS):
        bands[years < below] = band
    return bands
