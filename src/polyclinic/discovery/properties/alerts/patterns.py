"""The patterns that alert: those of RDKit's filter catalogues, and those that QED counts."""

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from rdkit import Chem
from rdkit.Chem import QED
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

#: By RDKit's names of the catalogues: PAINS (Baell and Holloway 2010, J. Med. Chem. 53:2719), Brenk
#: (Brenk et al. 2008, ChemMedChem 3:435) and NIH (Jadhav et al. 2010, J. Med. Chem. 53:37).
CATALOGUES = {"PAINS": "PAINS", "Brenk": "BRENK", "NIH": "NIH"}
#: The alerts of QED (Bickerton et al. 2012, Nature Chemistry 4:90) stand beside the catalogues.
QED_ALERTS = "QED"

#: How RDKit's bytes of a molecule begin.
_MAGIC = b"\xef\xbe\xad\xde"


@dataclass(frozen=True)
class Pattern:
    """A pattern of a catalogue.

    query: the pattern itself; None where it could not be had, and nothing is known of it before it
    is tried. entry: the catalogue's own; None for QED's, which are tried by `query`.
    """

    catalogue: str
    name: str
    query: Chem.Mol | None
    entry: Any = None

    def matches(self, mol: Chem.Mol) -> bool:
        """Whether the molecule has it, as RDKit says."""
        if self.entry is not None:
            return bool(self.entry.HasFilterMatch(mol))
        return self.query is not None and mol.HasSubstructMatch(self.query)

    def atoms(self, mol: Chem.Mol) -> tuple[int, ...]:
        """Atoms of the molecule in any of its matches, by number."""
        if self.entry is not None:
            matches = self.entry.GetFilterMatches(mol)
            return tuple(sorted({pair.target for match in matches for pair in match.atomPairs}))
        places = mol.GetSubstructMatches(self.query) if self.query is not None else ()
        return tuple(sorted({atom for place in places for atom in place}))


@cache
def patterns() -> tuple[Pattern, ...]:
    """All patterns, catalogue by catalogue, in RDKit's order."""
    found = [
        Pattern(catalogue, entry.GetDescription(), _query(entry), entry)
        for catalogue, name in CATALOGUES.items()
        for entry in _entries(name)
    ]
    found += [
        Pattern(QED_ALERTS, smarts, query)
        for smarts, query in zip(QED.StructuralAlertSmarts, QED.StructuralAlerts, strict=True)
    ]
    return tuple(found)


def _entries(name: str) -> list[Any]:
    parameters = FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    catalogue = FilterCatalog(parameters)
    return [catalogue.GetEntry(row) for row in range(catalogue.GetNumEntries())]


def _query(entry: Any) -> Chem.Mol | None:
    """The pattern inside an entry, which has no other way out than its bytes.

    They tell the length of the pattern's, then the pattern's, then how often it must match at
    least (once, in all of RDKit's).
    """
    packed = bytes(entry.Serialize())
    start = packed.find(_MAGIC)
    try:
        length = int(packed[:start].split()[-1])
        # RDKit's stubs know its bytes as `str` only.
        query = Chem.Mol(cast(str, packed[start : start + length]))
        return query if packed[start + length :].split()[0] == b"1" else None
    except (IndexError, RuntimeError, ValueError):
        return None
