"""The ADMET networks: converted, told as the original tells, whatever the batch."""

import io
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rdkit import Chem
from scipy.stats import percentileofscore, spearmanr

from polyclinic.core.errors import IntegrityError, InvalidInput, PolyclinicError, Unavailable
from polyclinic.core.settings import Settings
from polyclinic.discovery.admet.answer import AdmetAnswer
from polyclinic.discovery.admet.approved import percentiles, quantiles
from polyclinic.discovery.admet.endpoints import endpoints
from polyclinic.discovery.admet.networks.classes import _distinct, classify
from polyclinic.discovery.admet.networks.ensemble import Ensemble
from polyclinic.discovery.admet.networks.featurise import (
    ATOM_FEATURES,
    BOND_FEATURES,
    Graphs,
    featurise,
)
from polyclinic.discovery.admet.networks.network import Network
from polyclinic.discovery.admet.profiler import AdmetProfiler
from polyclinic.discovery.admet.recipe import AdmetRecipe
from polyclinic.discovery.admet.steps.checkpoint import read_checkpoint
from polyclinic.discovery.admet.steps.convert import convert
from polyclinic.discovery.admet.steps.reference import reference
from polyclinic.discovery.admet.steps.run import run
from polyclinic.discovery.molecules import Molecule, parse
from polyclinic.learning.recipe import parse_recipe, read_yaml
from polyclinic.registry.bundle import import_bundle
from polyclinic.registry.starters import STARTERS
from polyclinic.registry.store import open_registry

RECIPE = Path(__file__).parents[2] / "recipes" / "admet.yaml"
ORIGINAL = reference()
MOLS = ORIGINAL.mols
WIDE, DEEP, TOLD = 7, 5, 3


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> AdmetProfiler:
    """The model of the recipe, from the package's own files."""
    home = tmp_path_factory.mktemp("admet-home")
    registry = open_registry(Settings(home=home))
    recipe = parse_recipe(read_yaml(RECIPE), AdmetRecipe, str(RECIPE))
    try:
        version = run(recipe, home, registry, lambda _: None)
    except Unavailable as error:
        pytest.skip(f"the package's files cannot be fetched here: {error}")
    return AdmetProfiler.load(registry, version)


@pytest.fixture(scope="session")
def model(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AdmetProfiler:
    """The starter; without it the model that the recipe makes."""
    bundles = sorted(STARTERS.glob("admet-*.polyclinic"))
    if not bundles:
        found: AdmetProfiler = request.getfixturevalue("converted")
        return found
    registry = open_registry(Settings(home=tmp_path_factory.mktemp("starter-home")))
    return AdmetProfiler.load(registry, import_bundle(registry, bundles[-1]))


def network(seed: int, *, logistic: bool = False) -> Network:
    rng = np.random.default_rng(seed)
    shapes = {
        "start": (ATOM_FEATURES + BOND_FEATURES, WIDE),
        "onward": (WIDE, WIDE),
        "atom": (ATOM_FEATURES + WIDE, WIDE),
        "atom_bias": (WIDE,),
        "hidden": (WIDE, DEEP),
        "hidden_bias": (DEEP,),
        "out": (DEEP, TOLD),
        "out_bias": (TOLD,),
        "scale": (TOLD,),
        "shift": (TOLD,),
    }
    return Network.of(
        {name: rng.normal(size=shape) for name, shape in shapes.items()}, logistic=logistic
    )


def told_bond_by_bond(net: Network, graphs: Graphs, depth: int) -> NDArray[np.floating]:
    """The same by the equations: every directed bond's message for itself."""
    atoms = graphs.atom_kinds[graphs.atoms]
    source = np.concatenate((graphs.ends[:, 0], graphs.ends[:, 1]))
    target = np.concatenate((graphs.ends[:, 1], graphs.ends[:, 0]))
    bonds = graphs.bond_kinds[np.concatenate((graphs.bonds, graphs.bonds))]
    start = np.hstack((atoms[source], bonds)) @ net.start
    message = np.maximum(start, 0)
    for _ in range(depth - 1):
        new = start.copy()
        for bond, (a, b) in enumerate(zip(source, target, strict=True)):
            for other in np.flatnonzero((target == a) & (source != b)):
                new[bond] += message[other] @ net.onward
        message = np.maximum(new, 0)
    arriving = np.zeros((len(atoms), WIDE))
    np.add.at(arriving, target, message)
    known = np.maximum(np.hstack((atoms, arriving)) @ net.atom + net.atom_bias, 0)
    molecules = np.stack(
        [known[a:b].sum(axis=0) for a, b in zip(graphs.first, graphs.first[1:], strict=False)]
    )
    hidden = np.maximum(molecules / 100 @ net.hidden + net.hidden_bias, 0)
    told: NDArray[np.floating] = (hidden @ net.out + net.out_bias) * net.scale + net.shift
    return told


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_messages_computed_once_a_class_are_those_of_every_bond(depth: int) -> None:
    graphs = featurise(MOLS)
    net = network(depth)
    shared = net.tell(net.represent(graphs, classify(graphs, depth)))
    assert shared == pytest.approx(told_bond_by_bond(net, graphs, depth), rel=1e-4, abs=1e-4)


def test_equal_messages_are_computed_once() -> None:
    graphs = featurise([Chem.MolFromSmiles("c1ccccc1")] * 300)
    classes = classify(graphs, 3)
    assert len(classes.start) == 1
    assert [adding.shape[0] for adding in classes.depths] == [1, 1]
    assert {part.atoms.shape[0] for part in classes.parts} == {1}


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 12),
    st.sampled_from([2, 1_000, 2**40]),
    st.integers(0, 2**32 - 1),
)
def test_columns_are_told_apart_however_large_their_numbers(
    rows: int, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    few = rng.integers(0, size, (rows, 5))
    columns = few[:, rng.integers(0, 5, 40)]
    which, label = _distinct(columns)
    np.testing.assert_array_equal(columns[:, which][:, label], columns)
    assert len(which) == len(np.unique(columns, axis=1).T)


def test_one_crowded_atom_makes_a_batch_no_larger() -> None:
    star = Chem.MolFromSmiles("*" + "(C)" * 120)
    graphs = featurise([Chem.MolFromSmiles("CCO" * 8)] * 1_000 + [star])
    tracemalloc.start()
    classes = classify(graphs, 3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40e6
    # Each arm of the star hears of the other 119.
    assert classes.depths[0].sum(axis=1).max() == 120


def test_answers_are_those_of_the_original(model: AdmetProfiler) -> None:
    profiles = model.profile(MOLS)
    assert not profiles.rejected
    assert set(profiles.names) == set(ORIGINAL.answers) == set(endpoints())
    told = dict(zip(profiles.names, profiles.told.T, strict=True))
    assert ORIGINAL.difference(told) <= 1e-3


def test_the_recipe_converts_the_packages_files(converted: AdmetProfiler) -> None:
    assert converted.spec.agreement <= 1e-3
    assert converted.spec.drugs > 1_500
    said = converted.profile(MOLS)
    told = dict(zip(said.names, said.told.T, strict=True))
    assert ORIGINAL.difference(told) == pytest.approx(converted.spec.agreement)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(MOLS) - 1), min_size=1, max_size=30))
def test_neither_order_nor_company_changes_a_molecules_answer(rows: list[int]) -> None:
    ensemble = Ensemble([[network(1, logistic=True), network(2)], [network(3), network(4)]], 3)
    everyone, some = ensemble.tell(MOLS), ensemble.tell([MOLS[row] for row in rows])
    for part in ("mean", "spread", "seen"):
        alone, together = getattr(some, part), getattr(everyone, part)[rows]
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(MOLS) - 1), st.randoms(use_true_random=False))
def test_the_order_of_atoms_changes_nothing(which: int, chance: Any) -> None:
    mol = MOLS[which]
    order = list(range(mol.GetNumAtoms()))
    chance.shuffle(order)
    # Chiral tags are relative to the order of neighbours, so only what has none is compared.
    flat = Chem.Mol(mol)
    Chem.RemoveStereochemistry(flat)
    ensemble = Ensemble([[network(1), network(2)]], 3)
    a, b = (ensemble.tell([each]).mean for each in (flat, Chem.RenumberAtoms(flat, order)))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_batch_of_thousands_is_told_as_its_parts_are(
    model: AdmetProfiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.profile(MOLS)
    monkeypatch.setattr("polyclinic.discovery.admet.networks.ensemble.BATCH", 7)
    monkeypatch.setattr("polyclinic.discovery.admet.networks.classes._PART", 3)
    parts = model.profile(MOLS)
    np.testing.assert_allclose(parts.told, whole.told, rtol=1e-4, atol=1e-3)


def test_a_molecule_that_fails_fails_alone_and_in_its_place(model: AdmetProfiler) -> None:
    unread = InvalidInput("It is not a molecule.", where="library.smi:2")
    empty = Molecule(Chem.Mol(), "", "", (), ())
    items: list[Molecule | PolyclinicError] = [
        parse(ORIGINAL.smiles[0]),
        unread,
        empty,
        parse(ORIGINAL.smiles[1]),
    ]
    profiles = model.profile([MOLS[0], unread, Chem.Mol(), MOLS[1]])
    answers = model.predict(items)
    assert answers[1] is unread
    assert isinstance(answers[2], InvalidInput)
    assert answers[2].where == "molecules[2]"
    assert sorted(profiles.rejected) == [1, 2]
    assert np.isnan(profiles.values[[1, 2]]).all()
    assert np.isnan(profiles.familiarity[[1, 2]]).all()
    assert not profiles.bounded[[1, 2]].any()
    alone = model.profile([MOLS[1]])
    np.testing.assert_allclose(profiles.told[3], alone.told[0], rtol=1e-4, atol=1e-4)
    last = answers[3]
    assert isinstance(last, AdmetAnswer)
    assert [each.value for each in last.endpoints] == pytest.approx(profiles.values[3])


def test_no_molecule_is_no_answer(model: AdmetProfiler) -> None:
    assert model.predict([]) == []
    assert model.profile([]).values.shape == (0, 41)


def test_an_answer_says_what_standardising_did(model: AdmetProfiler) -> None:
    (answer,) = model.predict([parse("CN(C)CCOC(c1ccccc1)c1ccccc1.Cl")])
    assert isinstance(answer, AdmetAnswer)
    assert answer.warnings == ("taken away: Cl",)


def test_the_quick_mode_ranks_as_all_networks_do(model: AdmetProfiler) -> None:
    drugs = [parse(each).mol for each in ORIGINAL.smiles]
    all_networks, some = model.profile(drugs), model.profile(drugs, quick=True)
    served = [
        place
        for place, name in enumerate(some.names)
        if model.spec.quick_agreement[name] >= model.spec.quick_least
    ]
    assert len(served) >= 30
    assert np.isnan(np.delete(some.values, served, axis=1)).all()
    assert np.isnan(np.delete(some.percentile, served, axis=1)).all()
    for place in served:
        rho = spearmanr(all_networks.told[:, place], some.told[:, place]).statistic
        assert rho > 0.9, some.names[place]
    np.testing.assert_allclose(some.familiarity, all_networks.familiarity, atol=2e-3)
    assert len(model.spec.quick) < model.spec.size


def test_what_is_not_physically_possible_is_bounded_and_said(model: AdmetProfiler) -> None:
    profiles = model.profile(MOLS)
    half_life = profiles.names.index("Half_Life_Obach")
    below = profiles.told[:, half_life] < 0
    assert below.any()
    assert (profiles.values[below, half_life] == 0).all()
    assert (profiles.bounded[:, half_life] == below).all()
    for place, name in enumerate(profiles.names):
        assert profiles.values[:, place].min() >= endpoints()[name].low
        assert profiles.values[:, place].max() <= endpoints()[name].high
    answer = model.predict([parse(ORIGINAL.smiles[int(np.flatnonzero(below)[0])])])[0]
    assert isinstance(answer, AdmetAnswer)
    told = answer.endpoints[half_life]
    assert told.value == 0
    assert told.unbounded is not None
    assert told.unbounded < 0
    assert all(each.unbounded is None for each in answer.endpoints if each.unit == "probability")


def test_weak_endpoints_say_so() -> None:
    weak = {name for name, each in endpoints().items() if each.weak}
    assert weak == {
        "CYP2C9_Substrate_CarbonMangels",
        "Clearance_Hepatocyte_AZ",
        "Clearance_Microsome_AZ",
        "Half_Life_Obach",
        "VDss_Lombardo",
    }
    assert "-2.39, worse than the mean" in str(endpoints()["Half_Life_Obach"].weak)


def test_every_endpoint_has_a_unit_a_figure_and_a_source() -> None:
    assert len(endpoints()) == 41
    for each in endpoints().values():
        assert each.unit
        assert each.source.startswith("https://tdcommons.ai/")
        assert each.tested <= 1
        assert each.compounds > 200
        if each.task == "classification":
            assert (each.low, each.high, each.unit) == (0, 1, "probability")
            assert each.means


def test_networks_of_an_ensemble_that_agree_have_no_spread() -> None:
    one, other = network(1), network(2)
    assert Ensemble([[one, one]], 3).tell(MOLS).spread.max() == 0
    apart = Ensemble([[one, other]], 3).tell(MOLS)
    answers = [Ensemble([[each, each]], 3).tell(MOLS).mean for each in (one, other)]
    np.testing.assert_allclose(
        apart.spread, np.abs(answers[0] - answers[1]) / np.sqrt(2), rtol=1e-3, atol=1e-5
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2]))
def test_percentiles_are_those_of_the_drugs_themselves(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    drugs = np.round(rng.exponential(size=(2_001, 1)), digits).astype(np.float32)
    values = np.concatenate((drugs[:50], [[-1.0], [99.0]])).astype(np.float32)
    told = percentiles(quantiles(drugs), values)[:, 0]
    counted = [percentileofscore(drugs[:, 0], each, kind="mean") for each in values[:, 0]]
    assert told == pytest.approx(counted, abs=0.16)
    assert told[-2:].tolist() == [0, 100]
    order = np.argsort(values[:, 0], kind="stable")
    assert (np.diff(told[order]) >= 0).all()


def test_a_table_of_other_properties_is_refused() -> None:
    with pytest.raises(IntegrityError):
        percentiles(quantiles(np.zeros((5, 3))), np.zeros((1, 2)))


def test_what_no_drug_is_like_is_unfamiliar(model: AdmetProfiler) -> None:
    strange = (
        "C#CC#CC#CC#CC#C",
        "OCC" * 20,
        "Ic1c(I)c(I)c(I)c(I)c1I",
        "C[Si](C)(C)[Si](C)(C)[Si](C)(C)C",
        "N(=[N+]=[N-])C(N=[N+]=[N-])(N=[N+]=[N-])N=[N+]=[N-]",
    )
    usual = ("CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CN1CCC[C@H]1c1cccnc1")
    answers = model.predict([parse(each) for each in (*strange, *usual)])
    familiar = [each.familiarity.familiar for each in answers if isinstance(each, AdmetAnswer)]
    assert familiar == [False] * len(strange) + [True] * len(usual)
    abstained = [each.abstained for each in answers if isinstance(each, AdmetAnswer)]
    assert [each is None for each in abstained] == familiar


def test_serving_needs_neither_torch_nor_chemprop_nor_pandas() -> None:
    code = (
        "import sys; import polyclinic.discovery.admet.profiler; "
        "print([each for each in ('torch', 'chemprop', 'lightning', 'pandas') "
        "if each in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class Harmful:
    """Unpickled as usual it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "done")


def archived(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/data.pkl", content)
    return stream.getvalue()


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    target = tmp_path / "harm"
    read_checkpoint(archived(pickle.dumps({"state_dict": Harmful(target)})))
    assert not target.exists()


@pytest.mark.parametrize(
    "content", [b"no archive", archived(b"no pickle"), archived(pickle.dumps([1]))]
)
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_checkpoint(content)


def checkpoint(monkeypatch: pytest.MonkeyPatch, **messages: object) -> bytes:
    """A checkpoint as chemprop would write it, of the classes' names only."""
    torch = pytest.importorskip("torch")

    def of(full: str) -> type:
        module, _, name = full.rpartition(".")
        made = type(name, (), {"__module__": module})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            place = ".".join(parts[:end])
            monkeypatch.setitem(sys.modules, place, ModuleType(place))
        setattr(sys.modules[module], name, made)
        return made

    wide, told = 4, 2
    relu = torch.nn.ReLU()
    shapes = {
        "message_passing.W_i.weight": (wide, ATOM_FEATURES + BOND_FEATURES),
        "message_passing.W_h.weight": (wide, wide),
        "message_passing.W_o.weight": (wide, ATOM_FEATURES + wide),
        "message_passing.W_o.bias": (wide,),
        "predictor.ffn.0.0.weight": (wide, wide),
        "predictor.ffn.0.0.bias": (wide,),
        "predictor.ffn.1.2.weight": (told, wide),
        "predictor.ffn.1.2.bias": (told,),
    }
    generator = torch.Generator().manual_seed(0)
    content = {
        "hyper_parameters": {
            "batch_norm": False,
            "message_passing": {
                "cls": of("chemprop.nn.message_passing.base.BondMessagePassing"),
                "activation": relu,
                "bias": False,
                "undirected": False,
                "depth": 3,
            }
            | messages,
            "agg": {"cls": of("chemprop.nn.agg.NormAggregation"), "norm": 100},
            "predictor": {
                "cls": of("chemprop.nn.predictors.RegressionFFN"),
                "activation": relu,
                "n_layers": 1,
            },
        },
        "state_dict": {
            name: torch.randn(shape, generator=generator) for name, shape in shapes.items()
        },
        "output_columns": ["a", "b"],
    }
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def test_a_checkpoint_gives_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    content = checkpoint(monkeypatch)
    told, arrays = convert(content, "regression")
    assert told == ("a", "b")
    whole = torch.load(io.BytesIO(content), weights_only=False)["state_dict"]
    np.testing.assert_array_equal(arrays["atom"].T, whole["message_passing.W_o.weight"].numpy())
    Network.of(arrays, logistic=False)


@pytest.mark.parametrize("other", [{"depth": 4}, {"undirected": True}, {"bias": True}])
def test_a_network_of_another_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, object]
) -> None:
    with pytest.raises(IntegrityError, match="not of a known kind"):
        convert(checkpoint(monkeypatch, **other), "regression")
    with pytest.raises(IntegrityError, match="not of a known kind"):
        convert(checkpoint(monkeypatch), "classification")


def test_weights_that_do_not_fit_are_refused() -> None:
    good = network(1)
    arrays = {
        name: getattr(good, name)
        for name in ("start", "onward", "atom", "atom_bias", "hidden", "hidden_bias", "out")
    } | {name: np.zeros(TOLD) for name in ("out_bias", "scale", "shift")}
    Network.of(arrays, logistic=False)
    with pytest.raises(IntegrityError):
        Network.of(arrays | {"onward": np.zeros((WIDE, WIDE + 1))}, logistic=False)
    with pytest.raises(IntegrityError):
        Ensemble.of({}, ("regression",), 2, 3)
