"""A drug and a protein that are asked about."""

from dataclasses import dataclass

from pydantic import Field

from polyclinic.core.digest import sha256
from polyclinic.core.frozen import Frozen
from polyclinic.discovery.affinity.inputs.drugs import read_drug
from polyclinic.discovery.affinity.inputs.proteins import AMBIGUOUS, read_protein


class PairText(Frozen):
    """As it is sent: SMILES, and residues in one-letter code or one FASTA record."""

    smiles: str = Field(description="The drug, as SMILES.")
    sequence: str = Field(description="The protein, in one-letter code, or one FASTA record.")


@dataclass(frozen=True)
class Pair:
    """smiles: canonical. digest: SHA-256 of what was sent."""

    smiles: str
    sequence: str
    digest: str
    warnings: tuple[str, ...] = ()


def read_pair(sent: PairText, where: str = "") -> Pair:
    """The pair, read; raises `InvalidInput` naming the field after `where`, a JSON pointer."""
    drug = read_drug(sent.smiles, f"{where}/smiles")
    protein = read_protein(sent.sequence, f"{where}/sequence")
    warnings = [f"Taken away from the drug: {each}." for each in drug.removed]
    warnings += [f"The drug was standardised: {each}." for each in drug.changed]
    if unknown := sum(protein.count(letter) for letter in AMBIGUOUS):
        warnings.append(f"{unknown} residues are not known, and were not read.")
    digest = sha256(sent.model_dump_json().encode())
    return Pair(drug.smiles, protein, digest, tuple(warnings))
