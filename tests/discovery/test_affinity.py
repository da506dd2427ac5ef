"""Affinity: from measured pairs, through the registry, to answers with intervals."""

import contextlib
import csv
import math
import os
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError
from polyclinic.discovery.affinity.answer import AffinityAnswer
from polyclinic.discovery.affinity.inputs.drugs import Fingerprints, read_drug
from polyclinic.discovery.affinity.inputs.pair import PairText
from polyclinic.discovery.affinity.inputs.proteins import RESIDUES, Words, read_protein
from polyclinic.discovery.affinity.inputs.table import TEST, Pairs, in_pkd, read_pairs
from polyclinic.discovery.affinity.intervals import covered, fit_interval, re_split_coverage
from polyclinic.discovery.affinity.metrics import concordance, figures
from polyclinic.discovery.affinity.models.features import features
from polyclinic.discovery.affinity.models.kernel import fit_kernel
from polyclinic.discovery.affinity.models.kinds import fit, load, stored
from polyclinic.discovery.affinity.models.known import Known, ask
from polyclinic.discovery.affinity.models.means import fit_means
from polyclinic.discovery.affinity.novelty import NOVELTIES, held_out, novelty
from polyclinic.discovery.affinity.predictor import AffinityPredictor
from polyclinic.discovery.affinity.recipe import AffinityData, AffinityRecipe, KernelSettings
from polyclinic.discovery.affinity.steps.evaluation import evaluate_file
from polyclinic.discovery.affinity.steps.run import run
from polyclinic.registry.card import model_card
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion

Floats = NDArray[np.float64]

CORES = ("c1ccc2[nH]ccc2c1", "c1ccc2ncncc2c1", "N1C(=O)Cc2ccccc21", "c1ccc(-c2ccncc2)cc1")
TAILS = ("C", "CC", "CCO", "CN", "FC(F)(F)", "OC", "N", "CC(C)C", "C(=O)N", "Cl")


class Silent:
    def step(self, name: str) -> None:
        pass

    def trial(self, number: int, loss: float) -> None:
        pass


def molecules() -> list[str]:
    return [read_drug(tail + core).smiles for core in CORES for tail in TAILS]


def proteins(families: int = 4, each: int = 6, seed: int = 0) -> list[str]:
    """Families of sequences, in each a tenth of the residues differ."""
    rng = np.random.default_rng(seed)
    letters = np.array(list(RESIDUES))
    found = []
    for _ in range(families):
        ancestor = rng.choice(letters, 220)
        for _ in range(each):
            own = ancestor.copy()
            places = rng.choice(220, 22, replace=False)
            own[places] = rng.choice(letters, 22)
            found.append("".join(own))
    return found


def binding(seed: int = 0) -> tuple[list[str], list[str], Floats]:
    """Each core likes each family in its own way; tails and single proteins matter a little."""
    rng = np.random.default_rng(seed)
    drugs, targets = molecules(), proteins()
    core, family = np.arange(len(drugs)) // len(TAILS), np.arange(len(targets)) // 6
    likes = rng.normal(7, 1.2, (len(CORES), 4))
    table = likes[core][:, family]
    table = table + rng.normal(0, 0.4, (len(drugs), 1)) + rng.normal(0, 0.3, (1, len(targets)))
    return drugs, targets, np.clip(table + rng.normal(0, 0.1, table.shape), 5, 11)


def known_of(share: float = 1.0, seed: int = 0) -> tuple[Known, NDArray[np.int64]]:
    """All pairs in numbers, and the rows of a share of them."""
    drugs, targets, table = binding()
    drug, protein = np.divmod(np.arange(table.size), table.shape[1])
    known = Known.of(drugs, targets, drug, protein, table.ravel())
    rows = np.random.default_rng(seed).permutation(table.size)[: int(share * table.size)]
    return known, np.sort(rows)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in nanomolar, with rows that cannot be used."""
    drugs, targets, values = binding()
    path = tmp_path_factory.mktemp("affinity") / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["compound", "target", "Kd"])
        for drug, row in zip(drugs, values, strict=True):
            writer.writerows(
                [drug, target, f"{10 ** (9 - value):.6g}"]
                for target, value in zip(targets, row, strict=True)
            )
        writer.writerows(
            [
                ["not a molecule", targets[0], "10"],
                [drugs[0], "MKV1", "10"],
                [drugs[0], targets[0], "-3"],
                [drugs[0], targets[0], ""],
            ]
        )
    return path


def recipe(**changes: Any) -> AffinityRecipe:
    content: dict[str, Any] = {
        "name": "binding",
        "kind": "discovery.affinity",
        "licence": "Apache-2.0",
        "data": {
            "name": "generated pairs",
            "smiles": "compound",
            "sequence": "target",
            "affinity": "Kd",
            "unit": "nM",
        },
        "candidates": ["means", "kernel", "stacked"],
        "trees": {"rounds": 60},
        "correction": {"rounds": 40},
        "card": {"title": "Binding, generated"},
    }
    return AffinityRecipe.model_validate(content | changes)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return open_registry()


@pytest.fixture(scope="module")
def trained(table: Path, registry: Registry) -> ModelVersion:
    return run(recipe(), table, table.parent, registry, Silent())


@pytest.fixture(scope="module")
def predictor(registry: Registry, trained: ModelVersion) -> AffinityPredictor:
    return AffinityPredictor.load(registry, trained)


def answered(answer: AffinityAnswer | PolyclinicError) -> AffinityAnswer:
    assert isinstance(answer, AffinityAnswer), answer
    return answer


# What is read


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("", "0 residues"),
        ("   \n ", "0 residues"),
        ("MKV", "3 residues"),
        ("MKVL" * 10 + "1", "no residue"),
        ("MKVL" * 10 + "Ж", "no residue"),
        ("X" * 50, "not known"),
        (">one\nMKVLMKVLMKVLMKVLMKVLMKVL\n>two\nMKVL", "more than one"),
        ("M" * 100_000, "100,000"),
        ("MKV" * 5000, "15,000"),
    ],
)
def test_a_sequence_that_is_no_protein_is_refused_at_once(sequence: str, words: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidInput, match=words) as refused:
        read_protein(sequence, "/sequence")
    assert time.perf_counter() - start < 1
    assert refused.value.where == "/sequence"


def test_a_fasta_record_is_read_as_its_residues() -> None:
    plain = "MKVLAAGIVGLLLAQWERTY"
    fasta = f">sp|P1 a protein\n{plain[:10].lower()}\n{plain[10:]}*\n"
    assert read_protein(fasta) == plain


@pytest.mark.parametrize(
    ("smiles", "error"),
    [
        ("", InvalidInput),
        ("C1CC", InvalidInput),
        ("C(((", InvalidInput),
        ("C(C)(C)(C)(C)C", InvalidInput),
        ("C" * 100_000, InputTooLarge),
        ("C" * 1_900, InputTooLarge),
        ("\0", InvalidInput),
    ],
)
def test_a_text_that_is_no_small_molecule_is_refused_at_once(
    smiles: str, error: type[InvalidInput]
) -> None:
    start = time.perf_counter()
    with pytest.raises(error):
        read_drug(smiles)
    assert time.perf_counter() - start < 1


@settings(deadline=None)
@given(st.text(alphabet=string.printable + "µЖ", max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_drug, read_protein):
        with contextlib.suppress(InvalidInput):
            assert read(text)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(alphabet=RESIDUES + "X", min_size=20, max_size=60), min_size=1, max_size=14)
)
def test_a_protein_is_most_like_itself(sequences: list[str]) -> None:
    words = Words.of(sequences)
    like = words.similarity(words)
    assert np.allclose(like, like.T, atol=1e-5)
    assert (like <= 1).all()
    for place, sequence in enumerate(sequences):
        alone = Words.of([sequence])
        # One at a time and many at a time are worked out in two ways.
        assert np.allclose(alone.similarity(words)[0], like[place], atol=1e-5)
        if len(alone.words):
            assert like[place, place] == pytest.approx(1, abs=1e-5)


def test_a_molecule_is_most_like_itself_and_its_analogues() -> None:
    own = Fingerprints(tuple(molecules()))
    like = own.similarity(own)
    assert np.allclose(np.diag(like), 1)
    core = np.arange(len(like)) // len(TAILS)
    alike = core[:, None] == core
    assert like[alike].mean() > 2 * like[~alike].mean()


def test_nanomolar_becomes_pkd() -> None:
    assert in_pkd(np.array([1.0, 1000.0, 0.0, -1.0]), "nM")[:2].tolist() == [9.0, 6.0]
    assert np.isnan(in_pkd(np.array([0.0, -1.0]), "nM")).all()


def test_rows_that_cannot_be_used_are_told(table: Path) -> None:
    pairs = read_pairs(table, recipe().data, 0)
    drugs, targets, values = binding()
    assert len(pairs) == values.size
    assert set(pairs.smiles) == set(drugs)
    assert set(pairs.sequences) == set(targets)
    assert np.allclose(np.sort(pairs.affinity), np.sort(values.ravel()), atol=1e-5)
    assert "4 of 964 rows" in pairs.notes[0]
    assert "line 962" in pairs.notes[0]
    assert len(pairs.test) == round(len(pairs) / 6)


def test_a_wrong_column_is_named(table: Path) -> None:
    with pytest.raises(InvalidInput, match="no column pKd"):
        read_pairs(table, recipe().data.model_copy(update={"affinity": "pKd"}), 0)


def test_a_test_part_of_drugs_shares_none_with_training(table: Path) -> None:
    pairs = read_pairs(table, recipe().data.model_copy(update={"test_of": "drugs"}), 0)
    assert not set(pairs.drug[pairs.test]) & set(pairs.drug[pairs.training])
    assert (pairs.fold[pairs.training] != TEST).all()


# Splits


@pytest.mark.parametrize("kind", NOVELTIES)
def test_held_out_pairs_are_new_in_the_way_that_was_asked(kind: Any) -> None:
    known, rows = known_of(0.7)
    part = known.part(rows)
    folds = list(held_out(kind, part.drug, part.protein, 4, 0))
    assert folds
    for fold in folds:
        asked = part.asked(fold.held, fold.learnt)
        assert set(novelty(asked.new_drug, asked.new_protein)) == {kind}
        assert not set(fold.learnt) & set(fold.held)
    if kind != "both":
        held = np.sort(np.concatenate([fold.held for fold in folds]))
        assert (held == np.arange(len(rows))).all()


# Models


@pytest.mark.parametrize("name", ["kernel", "trees", "stacked"])
def test_models_beat_means_where_drugs_and_proteins_interact(name: Any) -> None:
    known, rows = known_of(0.6)
    others = np.setdiff1d(np.arange(len(known.affinity)), rows)
    asked, actual = known.asked(others, rows), known.affinity[others]
    dull = float(np.mean((fit_means(known.part(rows)).predict(asked) - actual) ** 2))
    own = fit(name, recipe(), known.part(rows)).predict(asked)
    assert float(np.mean((own - actual) ** 2)) < 0.4 * dull


@pytest.mark.parametrize("name", ["means", "kernel", "trees", "stacked"])
def test_a_stored_model_answers_as_the_fitted_one(name: Any) -> None:
    known, rows = known_of(0.6)
    part = known.part(rows)
    asked = known.asked(np.arange(100), rows)
    model = fit(name, recipe(), part)
    again = load(name, recipe().kernel, stored(model), part)
    assert np.allclose(model.predict(asked), again.predict(asked), atol=2e-3)


def test_the_kernel_solves_what_a_plain_solver_solves() -> None:
    known, rows = known_of(0.2)
    part = known.part(rows)
    settings = KernelSettings(passes=0)
    model = fit_kernel(settings, part)
    drugs = settings.drug_all + part.drug_like**settings.drug
    drugs = drugs + settings.drug_own * np.eye(len(drugs))
    targets = settings.protein_all + part.protein_like**settings.protein
    targets = targets + settings.protein_own * np.eye(len(targets))
    kernel = drugs[np.ix_(part.drug, part.drug)] * targets[np.ix_(part.protein, part.protein)]
    away = part.affinity - part.affinity.mean()
    plain = part.affinity.mean() + kernel @ np.linalg.solve(
        kernel + settings.noise * np.eye(len(away)), away
    )
    assert np.allclose(model.predict(part.itself()), plain, atol=1e-3)


def test_what_is_known_of_a_pair_is_not_among_its_own_features() -> None:
    known, rows = known_of(0.5)
    part = known.part(rows)
    nothing = np.zeros(len(rows), np.bool_)
    before = features(part, part.itself(), nothing, nothing, trained=True)
    changed = part.affinity.copy()
    changed[7] += 100
    other = Known(part.library, part.drug, part.protein, changed, part.drug_like, part.protein_like)
    after = features(other, other.itself(), nothing, nothing, trained=True)
    assert np.array_equal(before[7], after[7], equal_nan=True)
    assert not np.array_equal(before, after, equal_nan=True)


def test_held_out_pairs_cannot_change_what_is_foretold() -> None:
    known, rows = known_of(0.5)
    others = np.setdiff1d(np.arange(len(known.affinity)), rows)
    changed = known.affinity.copy()
    changed[others] = 99
    spoilt = Known(
        known.library, known.drug, known.protein, changed, known.drug_like, known.protein_like
    )
    for name in ("kernel", "trees", "stacked"):
        told = [
            fit(name, recipe(), whole.part(rows)).predict(whole.asked(others[:50], rows))
            for whole in (known, spoilt)
        ]
        assert np.array_equal(told[0], told[1])


def test_a_known_pair_is_answered_alike_from_the_table_and_from_text() -> None:
    known, rows = known_of(0.5)
    part = known.part(rows)
    model = fit_kernel(KernelSettings(), part)
    texts = [
        (known.library.smiles[drug], known.library.sequences[protein])
        for drug, protein in zip(known.drug[:60].tolist(), known.protein[:60].tolist(), strict=True)
    ]
    of_table = model.predict(known.asked(np.arange(60), rows))
    assert np.allclose(of_table, model.predict(ask(part, texts)), atol=1e-4)


def test_the_network_learns_and_is_served_without_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    known, rows = known_of(0.6)
    part = known.part(rows)
    others = np.setdiff1d(np.arange(len(known.affinity)), rows)
    small = {
        "length": 250,
        "channels": 8,
        "width": 32,
        "train": {"epochs": 14, "batch_size": 48, "learning_rate": 0.005, "averaging": 0.9},
    }
    model = fit("network", recipe(network=small), part)
    asked, actual = known.asked(others, rows), known.affinity[others]
    error = float(np.mean((model.predict(asked) - actual) ** 2))
    assert error < 0.6 * float(actual.var())
    again = load("network", KernelSettings(), stored(model), part)
    assert np.allclose(again.predict(asked), model.predict(asked))


# Figures


def test_concordance_counts_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 5, 60).astype(float), rng.integers(0, 7, 60).astype(float)
    right = total = 0.0
    for i in range(60):
        for j in range(60):
            if y[i] > y[j]:
                total += 1
                right += 1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0
    found = concordance(y, p, np.arange(60), np.zeros(60, np.int64))
    assert found is not None
    assert found.value == pytest.approx(right / total)
    assert found.low < found.value < found.high


def test_the_interval_of_concordance_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)

    def drawn(n: int) -> tuple[Floats, Floats]:
        y = rng.normal(size=n)
        return y, y + rng.normal(size=n)

    truth = concordance(*drawn(4000), np.arange(4000), np.zeros(4000, np.int64))
    assert truth is not None
    held = 0
    for _ in range(200):
        found = concordance(*drawn(80), np.arange(80), np.zeros(80, np.int64))
        assert found is not None
        held += found.low <= truth.value <= found.high
    assert 180 <= held <= 199


def test_figures_are_those_of_a_plain_reading() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(7, 1, 300)
    p = 0.8 * y + rng.normal(1.4, 0.5, 300)
    found = figures(y, p, np.arange(300))
    assert found["mse"].value == pytest.approx(np.mean((y - p) ** 2))
    assert found["pearson"].value == pytest.approx(np.corrcoef(y, p)[0, 1])
    r = np.corrcoef(y, p)[0, 1] ** 2
    slope = (y * p).sum() / (p * p).sum()
    origin = 1 - ((y - slope * p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert found["r_m2"].value == pytest.approx(r * (1 - math.sqrt(abs(r - origin))))


def test_intervals_cover_as_promised_and_are_wider_where_residuals_are() -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(5, 9, 4000)
    y = p + rng.normal(0, 1, 4000) * (p - 4.5) / 3
    interval = fit_interval(p[:2000], y[:2000], 0.9)
    assert covered(interval, p[2000:], y[2000:]).mean() == pytest.approx(0.9, abs=0.025)
    narrow, wide = interval.half_width(np.array([5.2, 8.8]))
    assert wide > 3 * narrow
    re_split = re_split_coverage(p, y, np.arange(4000), 0.9, 0)
    assert re_split.value == pytest.approx(0.9, abs=0.02)


# The five steps


def test_the_model_is_chosen_on_validation_and_says_why(trained: ModelVersion) -> None:
    validation = trained.manifest.validation
    errors = {each.name: each.metrics["mse"].value for each in validation.comparisons}
    assert set(errors) == {"means", "kernel", "stacked"}
    chosen = min(errors, key=errors.__getitem__)
    assert chosen != "means"
    assert validation.notes[0].startswith(chosen)
    assert trained.manifest.spec["model"] == chosen
    assert validation.metrics["coverage"].value == pytest.approx(0.9, abs=0.03)
    assert len(validation.subgroups) == 4


def test_new_pairs_are_harder_and_their_intervals_wider(trained: ModelVersion) -> None:
    by_way = {
        each.value: each.metrics["mse"].value for each in trained.manifest.validation.subgroups
    }
    easy, *_, hardest = by_way.values()
    assert hardest > easy
    intervals = trained.manifest.spec["intervals"]
    reach = {kind: np.mean(each["sizes"]) * each["reach"] for kind, each in intervals.items()}
    assert reach["both"] > reach["neither"]


def test_salts_are_taken_away_and_told(predictor: AffinityPredictor) -> None:
    drugs, targets, _ = binding()
    plain, salt = predictor.predict(
        [PairText(smiles=each, sequence=targets[0]) for each in (drugs[1], f"{drugs[1]}.Cl")]
    )
    assert answered(salt).affinity == answered(plain).affinity
    assert answered(salt).new == "neither"
    assert any("Cl" in warning for warning in answered(salt).warnings)


def test_a_measured_pair_is_answered_near_its_measurement(predictor: AffinityPredictor) -> None:
    drugs, targets, values = binding()
    asked = [PairText(smiles=drug, sequence=targets[3]) for drug in drugs]
    told = [answered(each) for each in predictor.predict(asked)]
    off = np.array([each.affinity.value for each in told]) - values[:, 3]
    assert np.abs(off).mean() < 0.3
    for each in told:
        assert each.affinity.low <= each.affinity.value <= each.affinity.high
        assert each.affinity.nanomolar == pytest.approx(10 ** (9 - each.affinity.value))
        assert each.new == "neither"
        assert each.familiarity.familiar
        assert each.abstained is None


def test_an_analogue_is_familiar_and_a_stranger_is_not(predictor: AffinityPredictor) -> None:
    drugs, targets, _ = binding()
    analogue, stranger, lone = predictor.predict(
        [
            PairText(smiles="CCCc1ccc2[nH]ccc2c1", sequence=targets[0]),
            PairText(smiles="[Na+].[Cl-]", sequence=targets[0]),
            PairText(smiles=drugs[0], sequence="W" * 60),
        ]
    )
    assert answered(analogue).familiarity.familiar
    assert answered(analogue).new == "drug"
    assert answered(analogue).warnings
    assert answered(stranger).abstained is not None
    assert answered(lone).abstained is not None
    assert answered(lone).new == "protein"


def test_an_explanation_is_the_measured_pairs_most_alike(predictor: AffinityPredictor) -> None:
    known = predictor.known
    drug, protein = int(known.drug[0]), int(known.protein[0])
    sent = PairText(smiles=known.library.smiles[drug], sequence=known.library.sequences[protein])
    (plain,), (told,) = predictor.predict([sent]), predictor.predict([sent], explain=True)
    assert answered(plain).neighbours == ()
    first = answered(told).neighbours[0]
    assert first.smiles == sent.smiles
    assert first.drug_similarity * first.protein_similarity == pytest.approx(1, abs=1e-4)
    assert first.affinity == pytest.approx(float(known.affinity[0]), abs=1e-4)


def test_a_bad_pair_fails_alone_and_at_once(predictor: AffinityPredictor) -> None:
    drugs, targets, _ = binding()
    start = time.perf_counter()
    good, *bad = predictor.predict(
        [
            PairText(smiles=drugs[0], sequence=targets[0]),
            PairText(smiles="C" * 100_000, sequence=targets[0]),
            PairText(smiles=drugs[0], sequence="M" * 100_000),
            PairText(smiles=drugs[0], sequence="MKV?" * 20),
            PairText(smiles="", sequence=targets[0]),
        ]
    )
    assert time.perf_counter() - start < 1
    answered(good)
    wheres = [each.where for each in bad if isinstance(each, InvalidInput)]
    assert wheres == [
        "/pairs/1/smiles",
        "/pairs/2/sequence",
        "/pairs/3/sequence",
        "/pairs/4/smiles",
    ]


def test_the_test_part_is_opened_by_one_logged_command(
    table: Path, registry: Registry, trained: ModelVersion
) -> None:
    digest = trained.manifest.data.digest
    assert registry.test_openings(digest) == []
    evaluation = evaluate_file(registry, trained, table, "tester")
    assert evaluation.part == "test"
    assert evaluation.examples == 160
    assert evaluation.metrics["mse"].value < 0.2
    assert evaluation.metrics["coverage"].value == pytest.approx(0.9, abs=0.07)
    assert len(registry.test_openings(digest)) == 1
    card = model_card(trained, registry.evaluations(trained), registry.test_openings(digest))
    assert card.best.part == "test"
    assert "Binding, generated" in card.markdown()
    assert card.html()


def test_other_data_are_measured_whole_and_open_nothing(
    table: Path, tmp_path: Path, registry: Registry, trained: ModelVersion
) -> None:
    lines = table.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join(lines[:400]))
    before = len(registry.test_openings(trained.manifest.data.digest))
    evaluation = evaluate_file(registry, trained, other, "tester")
    assert evaluation.part == "external"
    assert evaluation.examples == 399
    assert len(registry.test_openings(trained.manifest.data.digest)) == before


def test_the_same_recipe_gives_the_same_model(
    table: Path, registry: Registry, trained: ModelVersion
) -> None:
    again = run(recipe(), table, table.parent, registry, Silent())
    assert again.manifest.artefacts == trained.manifest.artefacts
    assert again.manifest.spec == trained.manifest.spec


def test_serving_needs_no_torch(trained: ModelVersion) -> None:
    code = (
        "import sys\n"
        "from polyclinic.discovery.affinity.predictor import AffinityPredictor\n"
        "from polyclinic.registry.store import open_registry\n"
        "r = open_registry()\n"
        f"m = AffinityPredictor.load(r, r.resolve('{trained}'))\n"
        "assert not {'torch', 'sklearn', 'scipy', 'pandas'} & set(sys.modules), sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr


def test_davis_is_read_with_the_folds_that_it_brings(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "affinity" / "davis", AffinityData(name="davis"), 0)
    assert isinstance(pairs, Pairs)
    assert (len(pairs.smiles), len(pairs.sequences), len(pairs)) == (68, 379, 30_056)
    assert len(pairs.test) == 5_010
    assert np.bincount(pairs.fold[pairs.training]).tolist() == [5010, 5009, 5009, 5009, 5009]
    assert pairs.affinity.min() == 5.0


def test_on_davis_the_kernel_beats_what_was_published(shared_data: Path) -> None:
    """On a fold of the training part: the test fold is not looked at here."""
    pairs = read_pairs(shared_data / "affinity" / "davis", AffinityData(name="davis"), 0)
    rows = pairs.training
    known = Known.of(
        pairs.smiles, pairs.sequences, pairs.drug[rows], pairs.protein[rows], pairs.affinity[rows]
    )
    fold = pairs.fold[rows]
    learnt, held = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    model = fit_kernel(KernelSettings(), known.part(learnt))
    told = np.clip(model.predict(known.asked(held, learnt)), 5, 11)
    found = figures(known.affinity[held], told, held)
    assert found["concordance"].value > 0.895
    assert found["mse"].value < 0.22
