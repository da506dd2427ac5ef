"""Text to molecule: limits first, then RDKit, then the standard form."""

from rdkit import Chem, rdBase

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.limits import (
    MOST_BLOCK,
    MOST_CHARACTERS,
    check_counts,
    check_size,
    check_smiles,
)
from polyclinic.discovery.molecules.molecule import Molecule
from polyclinic.discovery.molecules.standardise import Standard, standardise
from polyclinic.discovery.molecules.syntax import fault

_DEFAULT = Standard()
_NUMBERS = "atom numbers taken away"
_REST = "what stands behind the SMILES was not read"


def parse(text: str, name: str = "", standard: Standard = _DEFAULT) -> Molecule:
    """The molecule of a SMILES. What follows it after a space is its name, where none is given.

    Raises `InputTooLarge` where it passes a limit, before anything else is done, and `InvalidInput`
    that says what is wrong with it.
    """
    check_size("characters", len(text), 2 * MOST_CHARACTERS)
    smiles, rest = (*text.split(maxsplit=1), "", "")[:2]
    if not smiles:
        raise InvalidInput("There is no SMILES.")
    check_smiles(smiles)
    extended = rest.startswith("|")
    name = name or ("" if extended else rest.strip())
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromSmiles(smiles, _PARAMETERS)
            if mol is None:
                raise InvalidInput(fault(smiles) or _unsound(Chem.MolFromSmiles(smiles, _RAW)))
            return _made(mol, name, standard, extended)
        except (RuntimeError, ValueError) as error:
            raise InvalidInput(f"It cannot be read: {_first_line(error)}") from None


def parse_block(block: str, name: str = "", standard: Standard = _DEFAULT) -> Molecule:
    """The molecule of an MDL mol block (V2000 or V3000). Its first line is its name, else `name`.

    Raises `InputTooLarge` where it passes a limit, and `InvalidInput` that says what is wrong.
    Source: BIOVIA, CTfile formats (2020), chapters 2 and 3.
    """
    check_size("characters", len(block), MOST_BLOCK)
    lines = block.split("\n")
    if not any(line.startswith("M  END") for line in lines):
        raise InvalidInput("It ends before `M  END`.")
    check_counts(*_counts(lines))
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromMolBlock(block)
            if mol is None:
                raise InvalidInput(_unsound(Chem.MolFromMolBlock(block, sanitize=False)))
            return _made(mol, name or lines[0].strip(), standard, extended=False)
        except (RuntimeError, ValueError) as error:
            raise InvalidInput(f"It cannot be read: {_first_line(error)}") from None


def _smiles_parameters(*, sanitize: bool) -> Chem.SmilesParserParams:
    parameters = Chem.SmilesParserParams()
    options = {
        "allowCXSMILES": False,
        "parseName": False,
        "sanitize": sanitize,
        "removeHs": sanitize,
    }
    for option, value in options.items():
        setattr(parameters, option, value)
    return parameters


_PARAMETERS, _RAW = (_smiles_parameters(sanitize=sanitize) for sanitize in (True, False))


def _made(mol: Chem.Mol, name: str, standard: Standard, extended: bool) -> Molecule:
    if mol.GetNumAtoms() == 0:
        raise InvalidInput("It has no atoms.")
    check_counts(mol.GetNumAtoms(), mol.GetNumBonds())
    done = standardise(mol, standard)
    if ":" in done.smiles and any(atom.GetAtomMapNum() for atom in mol.GetAtoms()):
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        done = standardise(mol, standard)
        done.changed += (_NUMBERS,)
    if "*" in done.smiles:
        raise InvalidInput(
            "It has an atom of no element (*).", remedy="Give a whole molecule, no pattern."
        )
    changed = (*done.changed, _REST) if extended else done.changed
    return Molecule(done.mol, done.smiles, name, done.removed, changed)


def _counts(lines: list[str]) -> tuple[int, int]:
    """Atoms and bonds, as the block says them."""
    try:
        if "V3000" not in lines[3]:
            return int(lines[3][:3]), int(lines[3][3:6])
        atoms, bonds = next(line for line in lines if "M  V30 COUNTS" in line).split()[3:5]
        return int(atoms), int(bonds)
    except (IndexError, ValueError, StopIteration):
        raise InvalidInput("Its counts line, the fourth, cannot be read.") from None


def _unsound(mol: Chem.Mol | None) -> str:
    """What is wrong with a molecule whose text could be understood."""
    problems = Chem.DetectChemistryProblems(mol) if mol is not None else ()
    if not problems:
        return "RDKit cannot read it: an atom, a bond or a direction has no meaning."
    return f"No such molecule: {problems[0].Message()}."


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
