"""What is known and what is asked, in numbers, as every model of affinity sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.inputs.drugs import Fingerprints, features
from polyclinic.discovery.affinity.inputs.proteins import Words, composition, one_letter_numbers

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Rows = NDArray[np.int64]


class Library:
    """Drugs by canonical SMILES and proteins by sequence, in numbers, each worked out when asked.

    Of a part of another library the numbers are taken from it.
    """

    def __init__(self, smiles: Sequence[str], sequences: Sequence[str]) -> None:
        self.smiles = tuple(smiles)
        self.sequences = tuple(sequences)
        self._whole: tuple[Library, Rows, Rows] | None = None
        self._residues: dict[int, NDArray[np.uint8]] = {}

    def part(self, drugs: Rows, proteins: Rows) -> "Library":
        """These drugs and proteins alone."""
        own = Library(
            [self.smiles[place] for place in drugs.tolist()],
            [self.sequences[place] for place in proteins.tolist()],
        )
        own._whole = (self, drugs, proteins)
        return own

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """To compare drugs by."""
        return Fingerprints(self.smiles)

    @cached_property
    def words(self) -> Words:
        """To compare proteins by."""
        return Words.of(self.sequences)

    @cached_property
    def drug_x(self) -> Singles:
        """Descriptors and substructures of drugs (a, f)."""
        if self._whole is not None:
            return self._whole[0].drug_x[self._whole[1]]
        return features(self.smiles)

    @cached_property
    def protein_x(self) -> Singles:
        """Compositions of proteins (b, g)."""
        if self._whole is not None:
            return self._whole[0].protein_x[self._whole[2]]
        return np.stack([composition(each) for each in self.sequences])

    def residues(self, length: int) -> NDArray[np.uint8]:
        """The first residues of proteins (b, length), in numbers."""
        if self._whole is not None:
            return self._whole[0].residues(length)[self._whole[2]]
        if length not in self._residues:
            rows = [one_letter_numbers(each, length) for each in self.sequences]
            self._residues[length] = np.stack(rows)
        return self._residues[length]


@dataclass(frozen=True)
class Known:
    """n measured pairs of p drugs and q proteins. drug, protein, affinity: (n,).

    drug_like: (p, p) and protein_like: (q, q) similarities from 0 to 1.
    """

    library: Library
    drug: Rows
    protein: Rows
    affinity: Floats
    drug_like: Floats
    protein_like: Floats

    @classmethod
    def of(
        cls,
        smiles: Sequence[str],
        sequences: Sequence[str],
        drug: Rows,
        protein: Rows,
        affinity: Floats,
    ) -> "Known":
        """Of canonical SMILES and sequences, as `read_drug` and `read_protein` give them."""
        library = Library(smiles, sequences)
        drug_like = library.fingerprints.similarity(library.fingerprints)
        protein_like = library.words.similarity(library.words)
        return cls(library, drug, protein, affinity, drug_like, protein_like)

    @cached_property
    def sums(self) -> Floats:
        """Of each drug with each protein the sum of what was measured (p, q)."""
        return self._table(self.affinity)

    @cached_property
    def counts(self) -> Floats:
        """Of each drug with each protein how often it was measured (p, q)."""
        return self._table(np.ones(len(self.affinity)))

    def itself(self) -> "Asked":
        """The known pairs as if they were asked."""
        p, q = self.counts.shape
        everyone = (np.arange(p), np.arange(q))
        return Asked(
            self.library, self.drug, self.protein, self.drug_like, self.protein_like, *everyone
        )

    def part(self, rows: Rows) -> "Known":
        """These rows, and their drugs and proteins alone."""
        drugs, drug = np.unique(self.drug[rows], return_inverse=True)
        proteins, protein = np.unique(self.protein[rows], return_inverse=True)
        return Known(
            self.library.part(drugs, proteins),
            drug,
            protein,
            self.affinity[rows],
            self.drug_like[np.ix_(drugs, drugs)],
            self.protein_like[np.ix_(proteins, proteins)],
        )

    def asked(self, rows: Rows, known_rows: Rows) -> "Asked":
        """These rows as they are asked of a model of other rows."""
        known_drugs = np.unique(self.drug[known_rows])
        known_proteins = np.unique(self.protein[known_rows])
        drugs, drug = np.unique(self.drug[rows], return_inverse=True)
        proteins, protein = np.unique(self.protein[rows], return_inverse=True)
        return Asked(
            self.library.part(drugs, proteins),
            drug,
            protein,
            self.drug_like[np.ix_(drugs, known_drugs)],
            self.protein_like[np.ix_(proteins, known_proteins)],
            _places(drugs, known_drugs),
            _places(proteins, known_proteins),
        )

    def _table(self, values: Floats) -> Floats:
        p, q = len(self.library.smiles), len(self.library.sequences)
        found = np.zeros((p, q))
        np.add.at(found, (self.drug, self.protein), values)
        return found


@dataclass(frozen=True)
class Asked:
    """n pairs of a drugs and b proteins. drug, protein: (n,).

    drug_like: (a, p) similarities to the known drugs; protein_like: (b, q) to the known proteins.
    known_drug: (a,), known_protein: (b,) their places among the known ones, or -1.
    """

    library: Library
    drug: Rows
    protein: Rows
    drug_like: Floats
    protein_like: Floats
    known_drug: Rows
    known_protein: Rows

    @property
    def new_drug(self) -> NDArray[np.bool_]:
        """Of each pair (n,), whether nothing was measured of its drug."""
        return self.known_drug[self.drug] < 0

    @property
    def new_protein(self) -> NDArray[np.bool_]:
        """Of each pair (n,), whether nothing was measured of its protein."""
        return self.known_protein[self.protein] < 0


def ask(known: Known, pairs: Sequence[tuple[str, str]]) -> Asked:
    """Pairs of canonical SMILES and sequence, as `read_drug` and `read_protein` give them."""
    smiles = _numbered(drug for drug, _ in pairs)
    sequences = _numbered(protein for _, protein in pairs)
    library = Library(tuple(smiles), tuple(sequences))
    own = known.library
    drugs, proteins = _numbered(own.smiles), _numbered(own.sequences)
    return Asked(
        library,
        np.array([smiles[drug] for drug, _ in pairs], np.int64),
        np.array([sequences[protein] for _, protein in pairs], np.int64),
        library.fingerprints.similarity(own.fingerprints),
        library.words.similarity(own.words),
        np.array([drugs.get(each, -1) for each in smiles], np.int64),
        np.array([proteins.get(each, -1) for each in sequences], np.int64),
    )


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Each text once, and its place."""
    found: dict[str, int] = {}
    for text in texts:
        found.setdefault(text, len(found))
    return found


def _places(wanted: Rows, among: Rows) -> Rows:
    found = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[found] == wanted, found, -1)
