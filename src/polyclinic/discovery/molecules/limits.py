"""Limits that a text must keep before any of it is understood.

They are far above drugs (vancomycin: 101 heavy atoms, 10 rings; insulin, a protein, 400 atoms) and
keep every later step, fingerprints and substructures too, well under a second.
"""

import re

from polyclinic.core.errors import InputTooLarge

#: A SMILES.
MOST_CHARACTERS = 5_000
#: Without the hydrogens that a SMILES leaves out.
MOST_ATOMS = 500
#: Independent rings: bonds that could be cut before the molecule falls apart.
MOST_RINGS = 60
#: An MDL mol block, and all the fields that follow it in an SDF.
MOST_BLOCK = 200_000
#: A line of a file, or a row of a table.
MOST_LINE = 100_000

_BRACKET = re.compile(r"\[[^\[\]]*\]")
_ATOM = re.compile(r"[BCNOPSFIbcnops*]")
_CLOSURE = re.compile(r"%\(\d{1,5}\)|%\d\d|\d")


def check_smiles(text: str) -> None:
    """Raise `InputTooLarge` where a SMILES passes a limit; its atoms and rings are only counted."""
    check_size("characters", len(text), MOST_CHARACTERS)
    bare = _BRACKET.sub("*", text)
    check_size("atoms", len(_ATOM.findall(bare)), MOST_ATOMS)
    check_size("rings", len(_CLOSURE.findall(bare)) // 2, MOST_RINGS)


def check_counts(atoms: int, bonds: int) -> None:
    """Raise `InputTooLarge` where so many atoms and bonds pass a limit."""
    check_size("atoms", atoms, MOST_ATOMS)
    check_size("rings", max(bonds - atoms + 1, 0), MOST_RINGS)


def check_size(what: str, size: int, most: int) -> None:
    """Raise `InputTooLarge` where there is more of something than the most that is read."""
    if size > most:
        raise InputTooLarge(
            f"The molecule has {size:,} {what}; up to {most:,} are read.",
            remedy="Only small molecules are read here.",
        )
