"""Step 1: scores of patients for treatments, in parts by patient."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.core.prediction import Coding
from polyclinic.learning.recommend.ratings.scores import Ratings
from polyclinic.treatment.drugs import Formulary
from polyclinic.treatment.orders.recipe import OrdersData
from polyclinic.treatment.orders.steps.prepare import read_export
from polyclinic.treatment.orders.visits import Visits
from polyclinic.treatment.scores.recipe import PersistenceData, TableData

Rows = NDArray[np.int64]

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


@dataclass(frozen=True)
class Treatment:
    """What is scored: its key (the formulary's name, where it knows it), and its coding."""

    drug: str
    coding: Coding


@dataclass(frozen=True)
class Scored:
    """p patients and m treatments: patient and treatment (n,), rows of these, and values (n,)."""

    treatments: tuple[Treatment, ...]
    patients: int
    patient: Rows
    treatment: Rows
    values: NDArray[np.float32]
    scale: tuple[float, float]
    notes: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256 over treatments, patients and values."""
        names = "\n".join(each.drug for each in self.treatments).encode()
        arrays = (self.patient, self.treatment, self.values)
        return sha256(names + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))

    def parts(self, seed: int) -> dict[str, Rows]:
        """The patients of each part."""
        return _parts(self.patients, seed)

    def ratings(self, patients: Rows) -> Ratings:
        """The scores of some patients, numbered anew. Raises `InvalidInput` where there is none."""
        number = np.full(self.patients, -1)
        number[patients] = np.arange(len(patients))
        own = number[self.patient]
        rows = own >= 0
        return Ratings(
            own[rows].astype(np.int32),
            self.treatment[rows].astype(np.int32),
            self.values[rows],
            len(patients),
            len(self.treatments),
            self.scale,
        )

    def of(self, patient: int) -> tuple[Rows, NDArray[np.float32]]:
        """The treatments of one patient, and their scores."""
        rows = self.patient == patient
        return self.treatment[rows], self.values[rows]


def read_scores(
    path: Path, data: TableData | PersistenceData, formulary: Formulary, seed: int
) -> Scored:
    """The scores of treatments that at least `least` patients of the training part have.

    Raises `NotFound`, or `InvalidInput` naming the place.
    """
    if isinstance(data, PersistenceData):
        orders = OrdersData(name=data.name, export=data.export)
        visits, notes = read_export(path, orders, formulary)
        frame = persistence(visits)
        named = visits.drugs.rename({"drug": "treatment"})
    else:
        frame, named, notes = _table(path, data, formulary)
    patients = frame["patient"].unique().sort()
    train = patients.gather(_parts(len(patients), seed)["train"]).alias("patient").to_frame()
    scored = frame.join(train, on="patient", how="semi")
    counts = scored["treatment"].value_counts().filter(pl.col("count") >= data.least)
    kept = named.join(counts, on="treatment", how="semi").sort("treatment")
    if kept.is_empty():
        raise InvalidInput(
            f"No treatment has {data.least} scores in the training part.",
            where=str(path),
            remedy="Lower `least`.",
        )
    places = kept.select("treatment").with_row_index("place")
    rows = frame.join(places, on="treatment").sort("patient", "place")
    # A patient whose treatments are all too rare keeps a place, so that the parts stay as they are.
    patient = patients.search_sorted(rows["patient"]).to_numpy().astype(np.int64)
    return Scored(
        tuple(
            Treatment(key, Coding(system=system, code=code, display=display))
            for key, system, code, display in kept.select(
                "treatment", "system", "code", "display"
            ).iter_rows()
        ),
        len(patients),
        patient,
        rows["place"].to_numpy().astype(np.int64),
        rows["score"].to_numpy().astype(np.float32),
        (data.low, data.high),
        tuple(notes),
    )


def _parts(patients: int, seed: int) -> dict[str, Rows]:
    order = np.random.default_rng(seed).permutation(patients)
    ends = np.cumsum([round(share * patients) for share in FRACTIONS.values()])[:-1]
    parts = np.split(order, ends)
    return {name: np.sort(part) for name, part in zip(FRACTIONS, parts, strict=True)}


def persistence(visits: Visits) -> pl.DataFrame:
    """Columns patient, treatment, score, of every treatment with a later visit."""
    place = pl.DataFrame(
        {
            "row": np.arange(len(visits), dtype=np.uint32),
            "patient": visits.person,
            "at": visits.before,
        }
    )
    last = place.group_by("patient").agg(last=pl.col("at").max())
    orders = visits.orders.with_columns(pl.col("row").cast(pl.UInt32)).join(place, on="row")
    return (
        orders.group_by("patient", "drug")
        .agg(first=pl.col("at").min(), times=pl.col("at").n_unique())
        .join(last, on="patient")
        .filter(pl.col("last") > pl.col("first"))
        .select(
            "patient",
            treatment="drug",
            score=1 + 4 * (pl.col("times") - 1) / (pl.col("last") - pl.col("first")),
        )
    )


def _table(
    path: Path, data: TableData, formulary: Formulary
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    if not path.is_file():
        raise NotFound("There is no such table.", where=str(path))
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"The table cannot be read: {error}", where=str(path)) from None
    wanted = (data.patient, data.treatment, data.score, data.time)
    for column in wanted:
        if column is not None and column not in frame.columns:
            raise InvalidInput(f"There is no column {column}.", where=str(path))
    rows = frame.select(
        patient=pl.col(data.patient).cast(pl.String),
        written=pl.col(data.treatment).cast(pl.String).str.strip_chars(),
        score=pl.col(data.score).cast(pl.Float64, strict=False),
        time=pl.col(data.time) if data.time else pl.int_range(pl.len()),
    ).with_row_index("line", offset=2)
    whole = rows.drop_nulls(("patient", "written", "score"))
    wrong = whole.filter(~pl.col("score").is_between(data.low, data.high))
    if len(wrong):
        line, score = wrong["line"][0], wrong["score"][0]
        raise InvalidInput(
            f"{score:g} is not on the scale from {data.low:g} to {data.high:g}.",
            where=f"{path}, line {line}",
        )
    notes = []
    if len(whole) < len(rows):
        notes.append(f"{len(rows) - len(whole):,} rows lack something; left out.")
    names = {name: _named(name, formulary) for name in whole["written"].unique().sort().to_list()}
    unknown = [name for name, (key, _) in names.items() if key not in formulary.drugs]
    if unknown:
        notes.append(
            f"{len(unknown)} treatments are not in the formulary, such as {unknown[0]}; they are "
            "kept under their names, and no safety rule knows them."
        )
    keys = [names[name][0] for name in whole["written"].to_list()]
    last = (
        whole.with_columns(treatment=pl.Series(keys, dtype=pl.String))
        .sort("time", maintain_order=True)
        .unique(("patient", "treatment"), keep="last", maintain_order=True)
        .select("patient", "treatment", "score")
    )
    codings = dict(names.values())
    named = pl.DataFrame(
        [(key, coding.system, coding.code, coding.display) for key, coding in codings.items()],
        ["treatment", "system", "code", "display"],
        orient="row",
    )
    return last, named, notes


def _named(name: str, formulary: Formulary) -> tuple[str, Coding]:
    found = formulary.named(name)
    if len(found) == 1:
        return found[0].name, found[0].coding
    key = f"text|{name.lower()}"
    return key, Coding(system="", code=name, display=name)
