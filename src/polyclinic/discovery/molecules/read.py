"""A file of molecules, streamed: SMILES, SDF, CSV, Parquet, each but the last gzipped or not."""

from collections.abc import Iterator
from pathlib import Path

from polyclinic.core.errors import UnsupportedInput
from polyclinic.discovery.molecules.formats.delimited import read_delimited
from polyclinic.discovery.molecules.formats.parquet import read_parquet
from polyclinic.discovery.molecules.formats.sdf import read_sdf
from polyclinic.discovery.molecules.formats.smiles import read_smiles
from polyclinic.discovery.molecules.formats.table import Columns
from polyclinic.discovery.molecules.molecule import Molecule, Rejected
from polyclinic.discovery.molecules.record import Record
from polyclinic.discovery.molecules.standardise import Standard

_SMILES = frozenset({".smi", ".smiles", ".ism", ".txt"})
_TABLES = frozenset({".csv", ".tsv"})
_SDF = frozenset({".sdf", ".sd", ".mol"})
_DEFAULT = Standard()


def read(
    path: Path,
    standard: Standard = _DEFAULT,
    *,
    smiles: str | None = None,
    name: str | None = None,
) -> Iterator[Molecule | Rejected]:
    """The molecules of a file in its order, each standardised, or rejected with line and reason.

    Memory is constant: one record is held at a time. smiles, name: columns of a table; found by
    their titles where they are not given. Raises as `records` does.
    """
    return (
        record if isinstance(record, Rejected) else record.molecule(standard)
        for record in records(path, smiles=smiles, name=name)
    )


def records(
    path: Path, *, smiles: str | None = None, name: str | None = None
) -> Iterator[Record | Rejected]:
    """What `read` reads, before RDKit sees it and with the columns beside it.

    Raises `InvalidInput` where the file cannot be opened or read on, or a column is not there, and
    `UnsupportedInput` where its name ends in nothing that is read.
    """
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    columns = Columns(smiles, name)
    if suffix in _SMILES:
        return read_smiles(path)
    if suffix in _SDF:
        return read_sdf(path)
    if suffix in _TABLES:
        return read_delimited(path, columns)
    if suffix == ".parquet":
        return read_parquet(path, columns)
    raise UnsupportedInput(
        f"{path.name} is no file of molecules that is read here.",
        where=str(path),
        remedy="Name it .smi, .sdf, .csv or .tsv (.gz too), or .parquet.",
    )
