"""The structures of drugs, as SMILES, from ChEMBL's approved drugs."""

from pathlib import Path

import polars as pl

from polyclinic.core.errors import InvalidInput
from polyclinic.treatment.drugs.formulary import Formulary

_COLUMNS = ("pref_name", "smiles")


def read_structures(path: Path, formulary: Formulary) -> dict[str, str]:
    """SMILES by drug name, for the drugs of the formulary that the file has.

    `path` is `chembl_approved_drugs.parquet`, which `polyclinic data get chembl-approved-drugs`
    fetches: ChEMBL's preferred name and SMILES of each. A drug is looked up by its name and its
    synonyms, exactly; a salt or a mixture is another substance, and is not taken for it.
    """
    try:
        table = pl.read_parquet(path, columns=list(_COLUMNS))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(
            f"{path.name} holds no structures: {error}",
            where=str(path),
            remedy="Fetch it: polyclinic data get chembl-approved-drugs",
        ) from None
    smiles = {
        name.lower(): structure
        for name, structure in table.drop_nulls().sort("pref_name").iter_rows()
        if structure
    }
    found: dict[str, str] = {}
    for drug in formulary.drugs.values():
        structure = next((smiles[n] for n in (drug.name, *drug.synonyms) if n in smiles), None)
        if structure is not None:
            found[drug.name] = structure
    return found
