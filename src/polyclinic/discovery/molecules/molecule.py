"""A molecule that was read, and what stands in the place of one that was not."""

from dataclasses import dataclass, field
from functools import cached_property

from rdkit import Chem, rdBase

#: So much is shown of a text that was rejected.
SHOWN = 80


@dataclass(frozen=True)
class Molecule:
    """A standardised molecule; two of the same SMILES, name and history are equal.

    mol: sanitised, without explicit hydrogens. smiles: canonical and isomeric. name: the identifier
    that came with it, or "". removed: salts and solvents taken away, as SMILES. changed: what else
    standardising changed, in words.
    """

    mol: Chem.Mol = field(compare=False, repr=False)
    smiles: str
    name: str
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @cached_property
    def inchikey(self) -> str:
        """The standard InChIKey, which is who the molecule is; "" where InChI cannot describe it.

        Source: Heller et al. 2015, InChI, the IUPAC International Chemical Identifier, J.
        Cheminform. 7:23.
        """
        with rdBase.BlockLogs():
            return str(Chem.MolToInchiKey(self.mol))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Rejected:
    """Why a molecule was not read.

    place: as `library.smi:17`, file and line, or `molecules[3]`. text: how it begins.
    """

    place: str
    text: str
    reason: str
