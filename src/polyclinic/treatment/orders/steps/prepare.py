"""Step 1: read the export, make visits of it, split by person, and learn the vocabulary."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.clinical.eicu import read_eicu
from polyclinic.clinical.fhir import read_ndjson
from polyclinic.clinical.mimic import read_mimic
from polyclinic.clinical.report import Reading
from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.learning.prepare.splits import split
from polyclinic.treatment.drugs import Formulary, read_structures
from polyclinic.treatment.orders.encoding import Encoded, Rows, Vocabulary, learn_vocabulary
from polyclinic.treatment.orders.recipe import OrdersData
from polyclinic.treatment.orders.visits import Visits, read_visits

_READERS: dict[str, Callable[[Path], Reading]] = {
    "fhir": read_ndjson,
    "mimic": read_mimic,
    "eicu": read_eicu,
}
#: `choose` and `calibrate` are the halves of the validation part.
FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}
#: A treatment that fewer visits have is not balanced over the parts.
BALANCED = 30


@dataclass(frozen=True)
class Prepared:
    """Visits, their encoding in the training part's vocabulary, and the visits of each part.

    rows: train, choose, calibrate, validation (the two before), test. notes: what a reader of the
    card must know of the data. structures: SMILES by drug, where known.
    """

    visits: Visits
    vocabulary: Vocabulary
    encoded: Encoded
    rows: dict[str, Rows]
    digest: str
    notes: tuple[str, ...]
    structures: dict[str, str]

    def part(self, name: str) -> Encoded:
        """The visits of a part."""
        return self.encoded.take(self.rows[name])

    def person(self, name: str) -> NDArray[np.str_]:
        """Whose visits those of a part are."""
        return self.visits.person[self.rows[name]]


def read_export(folder: Path, data: OrdersData, formulary: Formulary) -> tuple[Visits, list[str]]:
    """The visits of an export, and remarks. Raises `InvalidInput` where there is none."""
    reading = _READERS[data.export](folder)
    visits = read_visits(reading.timeline, formulary)
    if not len(visits):
        raise InvalidInput(
            "The export has no encounter at which something was ordered.",
            where=str(folder),
            remedy="Add encounters, and orders that refer to them (`MedicationRequest.encounter`).",
        )
    return visits, list(_unknown(visits, formulary))


def prepare(
    data: OrdersData, folder: Path, formulary: Formulary, seed: int, memory: int
) -> Prepared:
    """Visits in parts of 60, 20 and 20 in a hundred persons, balanced over common treatments."""
    visits, notes = read_export(folder, data, formulary)
    rows = split_visits(visits, seed)
    atc = {name: drug.atc for name, drug in formulary.drugs.items()}
    vocabulary = learn_vocabulary(_of(visits, rows["train"]), atc, data.least, memory)
    if not vocabulary.m:
        raise InvalidInput(
            f"No treatment was ordered for {data.least} persons of the training part.",
            where="data.least",
            remedy="Give more data, or a smaller `least`.",
        )
    encoded = vocabulary.encode(visits)
    kept = np.asarray(encoded.ordered.any(axis=1))
    lost = int((~kept).sum())
    if lost:
        notes.append(f"At {lost:,} visits nothing of the vocabulary was ordered; left out.")
    rows = {name: own[kept[own]] for name, own in rows.items()}
    structures = read_structures(Path(data.structures), formulary) if data.structures else {}
    return Prepared(visits, vocabulary, encoded, rows, digest(visits), tuple(notes), structures)


def split_visits(visits: Visits, seed: int) -> dict[str, Rows]:
    """The rows of each part; all visits of a person are in one."""
    counts = visits.orders["drug"].value_counts().filter(pl.col("count") >= BALANCED)
    common = pl.DataFrame({"drug": counts["drug"].sort()}).with_row_index("place")
    found = visits.orders.join(common, on="drug")
    y = np.zeros((len(visits), max(len(common), 1)), np.bool_)
    y[found["row"].to_numpy(), found["place"].to_numpy()] = True
    rows = split(y, FRACTIONS, visits.person, seed)
    persons = np.unique(visits.person[rows["validation"]])
    chosen = np.random.default_rng(seed).permutation(persons)[: len(persons) // 2]
    choosing = np.isin(visits.person[rows["validation"]], chosen)
    return {
        **rows,
        "choose": rows["validation"][choosing],
        "calibrate": rows["validation"][~choosing],
    }


def digest(visits: Visits) -> str:
    """SHA-256 over whose visits they are, when, and what was ordered."""
    orders = visits.orders.sort("row", "drug")
    told = (visits.person, visits.time, orders["row"].to_numpy(), orders["drug"].to_list())
    return sha256("\n".join("|".join(map(str, each)) for each in told).encode())


def _of(visits: Visits, rows: Rows) -> Visits:
    """Some of the visits, under numbers of their own."""
    places = pl.DataFrame(
        {"row": rows, "new": np.arange(len(rows))}, {"row": pl.UInt32, "new": pl.UInt32}
    )

    def of(frame: pl.DataFrame) -> pl.DataFrame:
        numbered = frame.with_columns(pl.col("row").cast(pl.UInt32)).join(places, on="row")
        return numbered.drop("row").rename({"new": "row"})

    return Visits(
        visits.patient[rows],
        visits.person[rows],
        visits.sex[rows],
        visits.age[rows],
        visits.time[rows],
        of(visits.conditions),
        of(visits.history),
        of(visits.values),
        of(visits.orders),
        visits.drugs,
    )


def _unknown(visits: Visits, formulary: Formulary) -> Iterator[str]:
    """Drugs that the formulary does not know: kept, and told."""
    unknown = visits.drugs.filter(~pl.col("drug").is_in(list(formulary.drugs)))
    if unknown.is_empty():
        return
    rows = visits.orders.join(unknown, on="drug", how="semi")
    names = visits.orders.join(unknown, on="drug")["display"].value_counts(sort=True)
    most = ", ".join(names["display"].head(5).to_list())
    yield (
        f"{len(unknown):,} of {len(visits.drugs):,} drugs are not in the formulary, "
        f"{len(rows):,} of {len(visits.orders):,} orders; they are kept under their own code or "
        f"name, and no safety rule knows them. Most often: {most}."
    )
