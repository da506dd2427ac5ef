"""One form for one molecule: its parent without salts, its groups and charges in their usual form.

Salts and charges follow the ChEMBL structure pipeline in aim (Bento et al. 2020, J. Cheminform.
12:51), with RDKit's MolStandardize; sulfoxides stay S=O, as the models of properties know them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

_CHARGED = re.compile(r"[+-]\d*\]")
_SALT_METAL = re.compile(r"\[\d*(?:Li|Na|K|Rb|Cs|Mg|Ca|Sr|Ba)(?![a-z])")
#: In complexes of these, as in cisplatin, the metal is no salt's.
_OTHER_METAL = re.compile(
    r"\[\d*(?:Sc|Ti|V|Cr|Mn|Fe|Co|Ni|Cu|Zn|Y|Zr|Nb|Mo|Tc|Ru|Rh|Pd|Ag|Cd|La|Gd|Hf|Ta|W|Re|Os|Ir|Pt"
    r"|Au|Hg|Al|Ga|In|Sn|Tl|Pb|Bi)(?![a-z])"
)
#: Forms that are only drawn with charges: sulfoxide, phosphorus oxide, azide, diazo.
_FORMS = (
    ("Sulfoxide", "[S+;X3:1][O-;X1:2]>>[S+0:1]=[O+0:2]"),
    ("Phosphorus oxide", "[P+;X4:1][O-;X1:2]>>[P+0:1]=[O+0:2]"),
    ("Azide", "[N-;X2:1][N+;X2:2]#[N;X1:3]>>[N+0:1]=[N+:2]=[N-:3]"),
    ("Diazo", "[C-;X3:1][N+;X2:2]#[N;X1:3]>>[C+0:1]=[N+:2]=[N-:3]"),
)

#: Tautomers of larger molecules, or of RDKit's own 1,000 steps, can take seconds.
MOST_TAUTOMER_ATOMS = 100
MOST_TAUTOMER_STEPS = 200


@dataclass(frozen=True)
class Standard:
    """How molecules are standardised.

    strip_salts: of several parts keep the largest organic one that is no usual counter-ion or
    solvent. neutralise: groups in their usual form, and charges taken away where hydrogen can
    balance them. tautomer: RDKit's canonical tautomer, of molecules of up to MOST_TAUTOMER_ATOMS;
    it costs milliseconds, and what is drawn may be less usual than what was given.
    """

    strip_salts: bool = True
    neutralise: bool = True
    tautomer: bool = False


@dataclass
class Standardised:
    """A molecule on its way, its canonical SMILES, and what was done to it."""

    mol: Chem.Mol
    smiles: str
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def change(self, words: str, step: Callable[[Chem.Mol], Chem.Mol]) -> None:
        """Take a step, and note it where it changed the molecule."""
        mol = step(self.mol)
        smiles = Chem.MolToSmiles(mol)
        if smiles != self.smiles:
            self.mol, self.smiles = mol, smiles
            self.changed += (words,)


def standardise(mol: Chem.Mol, standard: Standard) -> Standardised:
    """The molecule in its one form. Steps that its SMILES shows to be needless are not taken."""
    done = Standardised(mol, Chem.MolToSmiles(mol))
    if standard.strip_salts:
        _strip(done)
    if standard.neutralise and _CHARGED.search(done.smiles):
        done.change("groups in their usual form", _normaliser().normalize)
        done.change("charges neutralised", _uncharger().uncharge)
    if standard.tautomer and done.mol.GetNumAtoms() <= MOST_TAUTOMER_ATOMS:
        # From the canonical SMILES: where there are more steps than are taken, order would matter.
        done.mol = Chem.MolFromSmiles(done.smiles)
        done.change("canonical tautomer", _tautomers().Canonicalize)
    return done


def _strip(done: Standardised) -> None:
    if _SALT_METAL.search(done.smiles) and not _OTHER_METAL.search(done.smiles):
        done.change("metals separated from the molecule", _metals().Disconnect)
    if "." not in done.smiles:
        return
    parts = done.smiles.split(".")
    mol = _parents().choose(_usual_salts().remove(done.mol))
    done.mol, done.smiles = mol, Chem.MolToSmiles(mol)
    if (copies := parts.count(done.smiles)) > 1:
        done.changed += (f"one of {copies} equal parts kept",)
    done.removed = tuple(sorted({part for part in parts if part != done.smiles}))


@cache
def _normaliser() -> rdMolStandardize.Normalizer:
    rules = "".join(f"{name}\t{rule}\n" for name, rule in _FORMS)
    return rdMolStandardize.NormalizerFromData(rules, rdMolStandardize.CleanupParameters())


@cache
def _uncharger() -> rdMolStandardize.Uncharger:
    return rdMolStandardize.Uncharger()


@cache
def _usual_salts() -> rdMolStandardize.FragmentRemover:
    return rdMolStandardize.FragmentRemover()


@cache
def _parents() -> rdMolStandardize.LargestFragmentChooser:
    return rdMolStandardize.LargestFragmentChooser(preferOrganic=True)


@cache
def _metals() -> rdMolStandardize.MetalDisconnector:
    return rdMolStandardize.MetalDisconnector()


@cache
def _tautomers() -> rdMolStandardize.TautomerEnumerator:
    tautomers = rdMolStandardize.TautomerEnumerator()
    tautomers.SetMaxTransforms(MOST_TAUTOMER_STEPS)
    return tautomers
