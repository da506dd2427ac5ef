"""The approved drugs that a model is compared with, from ChEMBL's list."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules import parse


def read_drugs(path: Path) -> list[Chem.Mol]:
    """The drugs of a Parquet file with a column `smiles`, standardised, each once.

    Raises `InvalidInput` where there is no such column.
    """
    import polars as pl

    table = pl.read_parquet(path)
    if "smiles" not in table.columns:
        raise InvalidInput("The list of drugs has no column smiles.", where=str(path))
    found = {}
    for smiles in table["smiles"].drop_nulls():
        try:
            molecule = parse(smiles)
        except InvalidInput:
            continue
        found[molecule.smiles] = molecule.mol
    return [found[smiles] for smiles in sorted(found)]


def halves(number: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of one half and of the other, by chance."""
    order = np.random.default_rng(seed).permutation(number)
    return order[: number // 2], order[number // 2 :]
