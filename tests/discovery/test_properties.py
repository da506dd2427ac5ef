"""Properties of molecules: RDKit's own values, the rules, and where drugs stand."""

import gzip
import importlib.util
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from polyclinic.core.errors import IntegrityError, Unavailable
from polyclinic.core.settings import settings as state
from polyclinic.discovery.molecules import Molecule, parse, read
from polyclinic.discovery.properties import (
    NAMES,
    catalogue,
    describe,
    measure,
    properties,
    synthesis,
)
from polyclinic.discovery.properties.approved import DATA_SET, profile, quantiles_of
from polyclinic.learning.prepare.catalogue import catalogue as data_sets
from polyclinic.learning.prepare.fetch import fetch

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
#: Salts, a steroid, a macrocycle, a spiro and a bridged system, a peptide, charges, isotopes.
MOLECULES = (
    ASPIRIN,
    "C",
    "O",
    "[2H]C([2H])([2H])O",
    "C[N+](C)(C)CC(=O)[O-]",
    "CN1C2CCC1CC(OC(=O)C(CO)c1ccccc1)C2",
    "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@@]34C)[C@@H]1CC[C@@H]2O",
    "C1CCC2(CC1)OCCO2",
    "O=C1CCCCCCCCCCCCCCO1",
    "CC(C)C[C@H](NC(=O)[C@H](CO)NC(=O)CN)C(=O)N[C@@H](CC(=O)O)C(=O)O",
    "Oc1ccc(N=Nc2ccc(S(=O)(=O)O)cc2)cc1",
    "O=C1C=CC(=O)c2ccccc12",
    "CCCCCCCCCCCCCCCC(=O)OCC(O)CO",
    "N[Pt](N)(Cl)Cl",
    "FC(F)(F)c1cc(C(F)(F)F)cc(NC(=S)Nc2ccncc2)c1",
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with rdBase.BlockLogs():
        yield


@pytest.fixture(scope="module")
def drug_list() -> Path:
    try:
        (path,) = fetch(data_sets()[DATA_SET], state().home)
    except Unavailable as error:
        pytest.skip(f"the approved drugs cannot be fetched: {error.detail}")
    return path


@pytest.fixture(scope="module")
def drugs(drug_list: Path) -> list[Chem.Mol]:
    found = {each.smiles: each.mol for each in read(drug_list) if isinstance(each, Molecule)}
    return list(found.values())


@cache
def contrib() -> ModuleType:
    """RDKit's own script of synthetic accessibility."""
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("sascorer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def opened(name: str) -> FilterCatalog:
    parameters = FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog(parameters)


def by_rdkit(mol: Chem.Mol) -> dict[str, float]:
    """The properties as RDKit's own functions tell them, one by one."""
    weight, logp = Descriptors.MolWt(mol), Crippen.MolLogP(mol)
    acceptors, donors = rdMolDescriptors.CalcNumHBA(mol), rdMolDescriptors.CalcNumHBD(mol)
    turning, surface = rdMolDescriptors.CalcNumRotatableBonds(mol), rdMolDescriptors.CalcTPSA(mol)
    return {
        "molecular_weight": weight,
        "logp": logp,
        "hydrogen_bond_acceptors": acceptors,
        "hydrogen_bond_donors": donors,
        "rotatable_bonds": turning,
        "tpsa": surface,
        "molar_refractivity": Crippen.MolMR(mol),
        "stereo_centers": rdMolDescriptors.CalcNumAtomStereoCenters(mol),
        "lipinski": sum((weight <= 500, logp <= 5, acceptors <= 10, donors <= 5)),
        "veber": sum((turning <= 10, surface <= 140)),
        "qed": QED.qed(mol),
        "synthesis": contrib().calculateScore(mol),
        "pains": len(opened("PAINS").GetMatches(mol)),
        "brenk": len(opened("BRENK").GetMatches(mol)),
        "nih": len(opened("NIH").GetMatches(mol)),
    }


def same(mols: list[Chem.Mol]) -> None:
    table = measure(mols)
    for mol, row in zip(mols, table.values.tolist(), strict=True):
        ours = dict(zip(table.names, row, strict=True))
        for name, value in by_rdkit(mol).items():
            assert ours[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (
                name,
                Chem.MolToSmiles(mol),
            )


@pytest.mark.parametrize("smiles", MOLECULES)
def test_every_value_is_rdkits_own(smiles: str) -> None:
    same([parse(smiles).mol])


def test_every_value_is_rdkits_own_in_drugs(drugs: list[Chem.Mol]) -> None:
    same(drugs[::10])


def test_drug_likeness_and_synthesis_are_rdkits_own_in_all_drugs(drugs: list[Chem.Mol]) -> None:
    table = measure(drugs)
    ours = table.values[:, [table.names.index(name) for name in ("qed", "synthesis")]]
    theirs = [(QED.qed(mol), contrib().calculateScore(mol)) for mol in drugs]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_aspirin() -> None:
    found = properties(parse(ASPIRIN))
    assert tuple(found.values) == NAMES == tuple(catalogue())
    assert found.values["molecular_weight"] == pytest.approx(180.16, abs=0.01)
    assert found.values["tpsa"] == pytest.approx(63.6, abs=0.01)
    assert found.values["lipinski"] == 4
    assert found.broken == ()
    assert [(each.catalogue, each.name) for each in found.alerts] == [("Brenk", "phenol_ester")]
    assert found.values["brenk"] == 1
    assert 5 < found.percentiles["molecular_weight"] < 15


def test_broken_rules_are_told_in_words() -> None:
    found = properties(parse("CCCCCCCCCCCCCCCCCC(=O)OCC(O)COC(=O)CCCCCCCCCCCCCCCCC"))
    assert found.broken == (
        "Lipinski: molecular weight over 500 g/mol",
        "Lipinski: logP over 5",
        "Veber: more than 10 rotatable bonds",
    )
    assert (found.values["lipinski"], found.values["veber"]) == (2, 1)


def test_the_quick_ones_are_the_same_and_fewer() -> None:
    mols = [parse(smiles).mol for smiles in MOLECULES]
    whole, quick = measure(mols), measure(mols, quick=True)
    assert quick.names == tuple(name for name, each in catalogue().items() if each.quick)
    assert not {"qed", "synthesis", "pains"} & set(quick.names)
    columns = [whole.names.index(name) for name in quick.names]
    np.testing.assert_array_equal(quick.values, whole.values[:, columns])
    assert quick.broken == whole.broken
    assert quick.percentiles().shape == quick.values.shape


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(MOLECULES), max_size=6))
def test_a_batch_tells_of_each_what_it_tells_of_it_alone(chosen: list[str]) -> None:
    molecules = [parse(smiles) for smiles in chosen]
    assert describe(molecules) == [properties(each) for each in molecules]


def test_names_of_salts_do_not_count() -> None:
    assert properties(parse(f"{ASPIRIN}.[Na+]")) == properties(parse(ASPIRIN))


def test_percentiles_are_those_of_the_drugs_themselves(drug_list: Path) -> None:
    made = profile(drug_list)
    assert tuple(made) == NAMES
    np.testing.assert_allclose(np.stack(list(made.values())), quantiles_of(NAMES), rtol=1e-5)


def test_half_of_the_drugs_stand_below_the_median(drugs: list[Chem.Mol]) -> None:
    table = measure(drugs, quick=True)
    standing = table.percentiles()
    continuous = [table.names.index(name) for name in ("molecular_weight", "logp", "tpsa")]
    np.testing.assert_allclose(np.median(standing[:, continuous], axis=0), 50, atol=1)
    assert standing.min() >= 0
    assert standing.max() <= 100


def test_an_unknown_property_has_no_quantiles() -> None:
    with pytest.raises(IntegrityError, match="charm"):
        quantiles_of(["logp", "charm"])


def test_no_code_in_the_table_of_fragments_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "harm",)

    (tmp_path / "SA_Score").mkdir()
    with gzip.open(tmp_path / "SA_Score" / "fpscores.pkl.gz", "wb") as file:
        pickle.dump([Harm()], file)
    monkeypatch.setattr(synthesis.RDConfig, "RDContribDir", str(tmp_path))
    with pytest.raises(IntegrityError):
        synthesis._table.__wrapped__()
    assert not (tmp_path / "harm").exists()


def test_an_rdkit_without_the_table_of_fragments_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis.RDConfig, "RDContribDir", str(tmp_path))
    with pytest.raises(Unavailable, match="synthetic accessibility"):
        synthesis._table.__wrapped__()
