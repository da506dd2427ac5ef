"""Structural alerts: exactly RDKit's, found without trying every pattern."""

import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase
from rdkit.Chem import QED
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from polyclinic.core.errors import Unavailable
from polyclinic.core.settings import settings as state
from polyclinic.discovery.properties.alerts import alerts, alerts_of, qed_alerts
from polyclinic.discovery.properties.alerts.classes import Kinds
from polyclinic.discovery.properties.alerts.expression import Expression
from polyclinic.discovery.properties.alerts.needs import AtomKind
from polyclinic.discovery.properties.alerts.patterns import CATALOGUES, patterns
from polyclinic.discovery.properties.alerts.prescreen import Prescreen, prescreen
from polyclinic.learning.prepare.catalogue import catalogue
from polyclinic.learning.prepare.fetch import fetch

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
#: Parts that the catalogues' patterns are made of, to be put together at random.
PARTS = (
    *("C", "CC", "N", "O", "S", "F", "Cl", "Br", "I", "C(=O)", "C(=S)", "C=C", "C#N", "C#C", "N=N"),
    *("C=N", "N=O", "[N+](=O)[O-]", "S(=O)(=O)", "S(=O)", "P(=O)(O)O", "C(F)(F)F", "N=[N+]=[N-]"),
    *("c1ccccc1", "c1ccncc1", "c1ccoc1", "c1ccsc1", "c1cc[nH]c1", "c1ccc2ccccc2c1", "C1CO1"),
    *("C1CN1", "C1CCC(=O)O1", "C1CCCCC1", "O=C1C=CC(=O)C=C1", "C1=CC(=O)NC1=O", "N1C(=O)CSC1=S"),
    *("B(O)O", "[Si](C)(C)C", "[Se]", "OO", "SS", "NN", "NO", "N=C=S", "C=C=C", "[13CH2]", "[2H]"),
    *("C(=O)OC(=O)", "C(=O)Cl", "[N+](C)(C)C", "[O-]", "[Na+]", "[S-]", "c1c(O)c(O)ccc1", "[Pt]"),
)


def as_rdkit(mol: Chem.Mol) -> list[tuple[str, str]]:
    """Catalogue and name of every alert, by the catalogues themselves."""
    return [
        (catalogue, entry.GetDescription())
        for catalogue, filters in CATALOGS.items()
        for entry in filters.GetMatches(mol)
    ]


def opened(name: str) -> FilterCatalog:
    parameters = FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog(parameters)


CATALOGS = {catalogue: opened(name) for catalogue, name in CATALOGUES.items()}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with rdBase.BlockLogs():
        yield


@pytest.fixture(scope="module")
def drugs() -> list[Chem.Mol]:
    """Approved drugs as ChEMBL writes them, salts, metals and peptides among them."""
    import polars as pl

    quiet = rdBase.BlockLogs()
    entry = catalogue()["chembl-approved-drugs"]
    try:
        (path,) = fetch(entry, state().home)
    except Unavailable as error:
        pytest.skip(f"the approved drugs cannot be fetched: {error.detail}")
    mols = map(Chem.MolFromSmiles, pl.read_parquet(path)["smiles"].drop_nulls())
    found = [mol for mol in mols if mol is not None and mol.GetNumAtoms()]
    del quiet
    return found


def same(mols: list[Chem.Mol]) -> None:
    for mol, own in zip(mols, alerts_of(mols), strict=True):
        smiles = Chem.MolToSmiles(mol)
        assert [(each.catalogue, each.name) for each in own.found] == as_rdkit(mol), smiles
        assert own.of_qed == sum(map(mol.HasSubstructMatch, QED.StructuralAlerts)), smiles


def test_approved_drugs_have_the_alerts_that_rdkit_finds(drugs: list[Chem.Mol]) -> None:
    assert len(drugs) > 2_500
    same(drugs)
    assert sum(len(own.found) for own in alerts_of(drugs)) > 2_500


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=9))
def test_whatever_is_put_together_has_the_alerts_that_rdkit_finds(parts: list[str]) -> None:
    mol = Chem.MolFromSmiles("".join(parts)) or Chem.MolFromSmiles(".".join(parts))
    if mol is not None:
        same([mol])


def test_every_pattern_lets_its_own_molecule_through() -> None:
    """A pattern's own atoms and bonds, as a molecule, pass its needs wherever they match it."""
    tried = 0
    for row, pattern in enumerate(patterns()):
        mol = Chem.MolFromSmiles(Chem.MolToSmiles(pattern.query)) if pattern.query else None
        if mol is not None and pattern.matches(mol):
            tried += 1
            assert row in prescreen().candidates([mol])[0], pattern.name
    assert tried > 250


def test_the_prescreen_holds_back_nearly_everything(drugs: list[Chem.Mol]) -> None:
    rows = prescreen().candidates(drugs)
    assert len(patterns()) == 765 + len(QED.StructuralAlerts)
    assert sum(map(len, rows)) / len(rows) < 0.04 * len(patterns())


def test_all_patterns_of_rdkit_can_be_looked_into() -> None:
    assert all(each.query is not None for each in patterns())


def test_a_pattern_that_is_not_known_is_always_tried() -> None:
    sieve = Prescreen([None, Chem.MolFromSmarts("[Br]"), Chem.MolFromSmarts("c1ccccc1")])
    assert sieve.candidates([Chem.MolFromSmiles(ASPIRIN)])[0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("pattern", "passes", "fails"),
    [
        ("C(F)(F)F", "CC(F)(F)F", "FCC(F)CF"),  # three bonds, at one atom of three neighbours
        ("*1[O,S,N]*1", "C1OC1C", "C1OCC1C"),  # a small ring
        ("[$(C=O),$(S=O)]-N", "CC(=O)N", "CC(=N)N"),  # what stands around
        ("[#6;!$(C=O)]-Cl", "CC(=O)Cl", "CC(=O)Br"),  # what must not stand around is not asked
        ("[OH]-[CX3]=O", "CC(=O)O", "CC(=O)OC"),
        ("N.N.N", "NCCN.N", "NCCN"),
    ],
)
def test_needs_are_counted_and_looked_into(pattern: str, passes: str, fails: str) -> None:
    sieve = Prescreen([Chem.MolFromSmarts(pattern)])
    kept = sieve.candidates([Chem.MolFromSmiles(passes), Chem.MolFromSmiles(fails)])
    assert [len(each) for each in kept] == [1, 0]


def test_classes_may_be_forgotten_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyclinic.discovery.properties.alerts.classes._MOST", 3)
    sieve = Prescreen([each.query for each in patterns()])
    mols = [Chem.MolFromSmiles(each) for each in (ASPIRIN, "CCO", "Oc1ccc(N=Nc2ccccc2)cc1", "C")]
    for mol in mols * 2:
        expected = prescreen().candidates([mol])[0].tolist()
        assert sieve.candidates([mol])[0].tolist() == expected


def test_threads_find_what_one_finds(drugs: list[Chem.Mol]) -> None:
    sieve, some = Prescreen([each.query for each in patterns()]), drugs[:300]
    found: dict[int, list[list[int]]] = {}

    def look(number: int) -> None:
        found[number] = [sieve.candidates([mol])[0].tolist() for mol in some]

    threads = [Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [each.tolist() for each in prescreen().candidates(some)]
    assert all(found[number] == expected for number in range(4))


def test_an_alert_names_its_catalogue_and_its_atoms() -> None:
    found = {each.name: each for each in alerts(Chem.MolFromSmiles(ASPIRIN))}
    assert found["phenol_ester"].catalogue == "Brenk"
    mol = Chem.MolFromSmiles("CCCC(=O)Cl")
    (halide,) = (each for each in alerts(mol) if each.name == "acid_halide")
    assert {mol.GetAtomWithIdx(place).GetSymbol() for place in halide.atoms} == {"C", "O", "Cl"}


def test_a_batch_and_none_at_all() -> None:
    assert alerts_of([]) == []
    mols = [Chem.MolFromSmiles(each) for each in (ASPIRIN, "C", "CC(=O)Cl")]
    assert [each.found for each in alerts_of(mols)] == [alerts(mol) for mol in mols]
    assert [each.of_qed for each in alerts_of(mols)] == [qed_alerts(mol) for mol in mols]


def test_an_expression_never_says_no_wrongly() -> None:
    """Inner patterns that must not match are not asked; unknown primitives count as a yes."""
    atom = Expression.of("[C;!$(C=O);$(CN),$(CO)]")
    assert atom.admits(lambda primitive: primitive == "C")
    assert not atom.admits(lambda primitive: primitive != "C")
    assert list(atom.around()) == [[["CN"], ["CO"]]]


def test_a_kind_that_cannot_be_answered_matches_everything() -> None:
    kinds = Kinds([AtomKind("[C&^3]", 0)], [])  # hybridisation is not among the facts
    assert kinds.count([Chem.MolFromSmiles("C=C")]).tolist() == [[2]]


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, polyclinic.discovery.properties.alerts as a; print(sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"'torch'", "'pandas'", "'scipy'"} & set(told.stdout.strip("[]\n").split(", "))
