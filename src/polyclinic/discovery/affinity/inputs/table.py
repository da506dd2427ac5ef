"""Step 1: measured pairs, each checked, shared out into folds and a test part."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput, NotFound, PolyclinicError
from polyclinic.discovery.affinity.inputs.drugs import read_drug
from polyclinic.discovery.affinity.inputs.proteins import read_protein
from polyclinic.discovery.affinity.recipe import AffinityData

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

#: Fewer pairs, drugs or proteins are not learnt from.
FEWEST_PAIRS, FEWEST = 100, 5
#: The range of -log10 of molar affinities that can be.
LOWEST, HIGHEST = 0.0, 15.0
#: The fold of pairs of the test part.
TEST = -1

#: The files of a folder as DeepDTA lays it out (Ozturk et al. 2018), each may end in .gz.
LIGANDS, PROTEINS, AFFINITIES = "ligands_can.txt", "proteins.txt", "kd_nM.txt"
TRAINING_FOLDS, TEST_FOLD = "train_fold_setting1.txt", "test_fold_setting1.txt"


@dataclass(frozen=True)
class Pairs:
    """n measured pairs of drugs and proteins.

    smiles, sequences: each drug and protein once. drug, protein: (n,) places among them.
    affinity: (n,) -log10 of the molar affinity. fold: (n,) of training from 0, or `TEST`.
    notes: what was left out.
    """

    smiles: tuple[str, ...]
    sequences: tuple[str, ...]
    drug: Rows
    protein: Rows
    affinity: Floats
    fold: Rows
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.affinity)

    @property
    def training(self) -> Rows:
        """The rows that are not of the test part."""
        return np.flatnonzero(self.fold != TEST)

    @property
    def test(self) -> Rows:
        """The rows of the test part."""
        return np.flatnonzero(self.fold == TEST)

    @property
    def digest(self) -> str:
        """Of all that was measured; not of how it was shared out."""
        head = json.dumps([self.smiles, self.sequences]).encode()
        arrays = (self.drug, self.protein, self.affinity)
        return sha256(head + b"".join(np.ascontiguousarray(each).tobytes() for each in arrays))


def read_pairs(path: Path, data: AffinityData, seed: int) -> Pairs:
    """The pairs of a table, CSV or Parquet, or of a folder as DeepDTA lays it out.

    Raises `NotFound`, or `InvalidInput` naming the column, or why too little is left.
    """
    pairs = _of_folder(path) if path.is_dir() else _of_table(path, data)
    for count, least, what in (
        (len(pairs), FEWEST_PAIRS, "pairs"),
        (len(pairs.smiles), FEWEST, "drugs"),
        (len(pairs.sequences), FEWEST, "proteins"),
    ):
        if count < least:
            first = f" The first that cannot be used: {pairs.notes[-1]}" if pairs.notes else ""
            raise InvalidInput(
                f"There are {count} {what}; at least {least} are needed.{first}", where=str(path)
            )
    if path.is_dir():
        return pairs
    fold = share_out(pairs, data.test_share, data.folds, data.test_of, seed)
    return Pairs(**{**vars(pairs), "fold": fold})


def share_out(pairs: Pairs, test_share: float, folds: int, test_of: str, seed: int) -> Rows:
    """Folds (n,): a test part of whole pairs, drugs or proteins, and training folds of pairs."""
    rng = np.random.default_rng(seed)
    whole = {"pairs": np.arange(len(pairs)), "drugs": pairs.drug, "proteins": pairs.protein}
    kinds, which = np.unique(whole[test_of], return_inverse=True)
    held = np.zeros(len(kinds), np.bool_)
    held[rng.permutation(len(kinds))[: max(1, round(test_share * len(kinds)))]] = True
    fold = np.full(len(pairs), TEST, np.int64)
    training = np.flatnonzero(~held[which])
    fold[training] = rng.permutation(len(training)) % folds
    return fold


@dataclass
class _Seen:
    """Texts, each read once; what cannot be read keeps its reason."""

    read: Callable[[str], str]
    places: dict[str, int] = field(default_factory=dict)
    known: dict[str, int | str] = field(default_factory=dict)

    def place(self, text: str) -> int | str:
        """The place of what the text says among all, or why it cannot be read."""
        if text not in self.known:
            try:
                said = self.read(text)
                self.known[text] = self.places.setdefault(said, len(self.places))
            except PolyclinicError as error:
                self.known[text] = error.detail
        return self.known[text]


def _of_table(path: Path, data: AffinityData) -> Pairs:
    frame = _frame(path)
    for column in (data.smiles, data.sequence, data.affinity):
        if column not in frame.columns:
            raise InvalidInput(
                f"There is no column {column}.",
                where=str(path),
                remedy=f"It has {', '.join(frame.columns[:20])}.",
            )
    values = frame[data.affinity].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    affinity = in_pkd(np.array(values, np.float64), data.unit)
    drugs, proteins = _Seen(lambda text: read_drug(text).smiles), _Seen(read_protein)
    kept: list[tuple[int, int, float]] = []
    wrong: list[str] = []
    texts = zip(
        frame[data.smiles].cast(pl.String).fill_null("").to_list(),
        frame[data.sequence].cast(pl.String).fill_null("").to_list(),
        affinity.tolist(),
        strict=True,
    )
    for number, (smiles, sequence, value) in enumerate(texts):
        line = number + 2
        if not LOWEST <= value <= HIGHEST:
            wrong.append(f"line {line}: the affinity is missing, or cannot be.")
            continue
        drug, protein = drugs.place(smiles), proteins.place(sequence)
        if isinstance(drug, str) or isinstance(protein, str):
            wrong.append(f"line {line}: {drug if isinstance(drug, str) else protein}")
            continue
        kept.append((drug, protein, value))
    return _packed(drugs, proteins, kept, _notes(wrong, len(frame)))


def _notes(wrong: list[str], rows: int) -> tuple[str, ...]:
    if not wrong:
        return ()
    return (f"{len(wrong)} of {rows} rows cannot be used, and were left out. {wrong[0]}",)


def _packed(
    drugs: _Seen, proteins: _Seen, kept: list[tuple[int, int, float]], notes: tuple[str, ...]
) -> Pairs:
    return Pairs(
        smiles=tuple(drugs.places),
        sequences=tuple(proteins.places),
        drug=np.array([drug for drug, _, _ in kept], np.int64),
        protein=np.array([protein for _, protein, _ in kept], np.int64),
        affinity=np.array([value for _, _, value in kept], np.float64),
        fold=np.zeros(len(kept), np.int64),
        notes=notes,
    )


def _of_folder(path: Path) -> Pairs:
    """Folds are as given; pairs that stand in none are left out."""
    ligands, sequences = _json(path, LIGANDS), _json(path, PROTEINS)
    try:
        table = np.array([line.split() for line in _text(path, AFFINITIES).split("\n") if line])
        affinity = in_pkd(table.astype(np.float64), "nM")
        training, test = _json(path, TRAINING_FOLDS), _json(path, TEST_FOLD)
    except ValueError as error:
        raise InvalidInput(f"The table cannot be read: {error}", where=AFFINITIES) from None
    if affinity.shape != (len(ligands), len(sequences)):
        raise InvalidInput(
            f"The table is of {affinity.shape}, not of {len(ligands)} ligands and "
            f"{len(sequences)} proteins.",
            where=AFFINITIES,
        )
    fold = np.full(affinity.size, TEST - 1, np.int64)
    for number, places in [*enumerate(training), (TEST, test)]:
        fold[np.array(places, np.int64)] = number
    drugs, proteins = _Seen(lambda text: read_drug(text).smiles), _Seen(read_protein)
    rows = [drugs.place(str(text)) for text in ligands.values()]
    columns = [proteins.place(str(text)) for text in sequences.values()]
    kept, folds, wrong = [], [], []
    for place in np.flatnonzero(fold > TEST - 1).tolist():
        row, column = divmod(place, affinity.shape[1])
        drug, protein = rows[row], columns[column]
        if isinstance(drug, str) or isinstance(protein, str):
            wrong.append(f"pair {place}: {drug if isinstance(drug, str) else protein}")
            continue
        kept.append((drug, protein, float(affinity[row, column])))
        folds.append(int(fold[place]))
    pairs = _packed(drugs, proteins, kept, _notes(wrong, affinity.size))
    return Pairs(**{**vars(pairs), "fold": np.array(folds, np.int64)})


def in_pkd(affinity: Floats, unit: str) -> Floats:
    """-log10 of molar affinities, from that or from nanomolar; NaN of what is not above 0 nM."""
    if unit == "pKd":
        return affinity
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(affinity > 0, 9.0 - np.log10(affinity), np.nan))


def _json(path: Path, name: str) -> Any:
    try:
        return json.loads(_text(path, name))
    except ValueError:
        raise InvalidInput("The file is not JSON.", where=name) from None


def _text(path: Path, name: str) -> str:
    for file in (path / name, path / f"{name}.gz"):
        if file.is_file():
            data = file.read_bytes()
            return (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    raise NotFound(f"There is no {name} in the folder.", where=str(path))


def _frame(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise NotFound("There is no such table.", where=str(path))
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, null_values=["NA", ""], infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"The table cannot be read: {error}", where=str(path)) from None
