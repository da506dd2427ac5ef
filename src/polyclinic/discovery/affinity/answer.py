"""What the affinity of a drug and a protein is answered with."""

from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Familiarity, Fraction, Provenance
from polyclinic.discovery.affinity.novelty import Novelty


class AffinityRange(Frozen):
    """An affinity and the interval that holds it with `coverage`.

    value, low, high: -log10 of molar, higher being stronger. nanomolar: of `value`. bound: `weaker`
    where `value` is the weakest that could be measured, so that it may be weaker still, and
    `stronger` likewise.
    """

    what: str
    value: float
    low: float
    high: float
    coverage: Fraction
    nanomolar: float
    bound: Literal["weaker", "stronger"] | None = None


class Neighbour(Frozen):
    """A measured pair like the one that was asked: how alike drug and protein are, from 0 to 1.

    affinity: as measured, the mean where there are several, -log10 of molar.
    """

    smiles: str
    protein: str
    drug_similarity: Fraction
    protein_similarity: Fraction
    affinity: float


class AffinityAnswer(Frozen):
    """One pair's whole answer.

    smiles: the drug as it was read; residues: how many the protein has. new: what of the pair was
    in no measurement of training. nearest_drug, nearest_protein: similarity to the most similar
    one in training. neighbours: where they were asked for, the nearest first.
    """

    smiles: str
    residues: int
    affinity: AffinityRange
    new: Novelty
    nearest_drug: Fraction
    nearest_protein: Fraction
    familiarity: Familiarity
    abstained: str | None
    warnings: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    provenance: Provenance
