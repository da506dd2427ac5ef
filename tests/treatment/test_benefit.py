"""Models of benefit: from a table of a trial, through the registry, to answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.effect.features import fit_basis
from polyclinic.registry.card import model_card
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.benefit.evaluation import evaluate_file
from polyclinic.treatment.benefit.recipe import BenefitRecipe
from polyclinic.treatment.benefit.recommender import OBSERVED, BenefitRecommender
from polyclinic.treatment.benefit.run import run
from polyclinic.treatment.benefit.table import Table
from polyclinic.treatment.benefit.train import train
from polyclinic.treatment.case import parse_case
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.safety import load_knowledge
from polyclinic.treatment.safety.knowledge import COLUMNS


class Silent:
    def step(self, name: str) -> None:
        pass


def recipe(**changes: Any) -> BenefitRecipe:
    yes_no = {"0": "no", "1": "yes"}
    content: dict[str, Any] = {
        "name": "pressure",
        "kind": "treatment.benefit",
        "licence": "Apache-2.0",
        "data": {
            "name": "a generated trial",
            "arm": "arm",
            "arms": [
                {"value": "a", "display": "amlodipine", "drugs": ["amlodipine"]},
                {"value": "l", "display": "lisinopril", "drugs": ["lisinopril"]},
            ],
            "outcome": "fall",
            "what": "fall of systolic pressure",
            "unit": "mm[Hg]",
            "covariates": [
                {"name": "age", "display": "Age", "unit": "a", "low": 18, "high": 100},
                {"name": "salt", "display": "Salty food", "low": 0, "high": 1, "values": yes_no},
            ],
            "subgroups": ["salt"],
            "randomised": True,
        },
        "replicates": 60,
        "card": {"title": "Blood pressure"},
    }
    return BenefitRecipe.model_validate(content | changes)


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, arms, and falls: amlodipine is 10 better with salt, 6 worse without."""
    rng = np.random.default_rng(seed)
    age, salt = rng.uniform(30, 80, n).round(), rng.integers(2, size=n)
    arm = rng.integers(2, size=n)
    fall = 12 + 0.05 * (age - 55) + np.where(arm == 0, 16 * salt - 6, 0) + rng.normal(0, 8, n)
    return np.column_stack([age, salt]), arm, fall


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, arm, fall = rows(800, seed=0)
    lines = ["age,salt,arm,fall"]
    lines += [
        f"{age:g},{salt:g},{'al'[a]},{f:.2f}"
        for (age, salt), a, f in zip(x.tolist(), arm.tolist(), fall.tolist(), strict=True)
    ]
    path = tmp_path_factory.mktemp("trial") / "trial.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def registry() -> Registry:
    return open_registry()


@pytest.fixture(scope="module")
def version(table: Path, registry: Registry, rules: Rules) -> ModelVersion:
    return run(recipe(), table, table.parent, registry, Silent(), rules)


@pytest.fixture(scope="module")
def recommender(registry: Registry, version: ModelVersion, rules: Rules) -> BenefitRecommender:
    return BenefitRecommender.load(registry, version, rules)


def ask(recommender: BenefitRecommender, content: Any) -> Recommendation:
    (found,) = recommender.predict([parse_case(content)], explain=True)
    assert isinstance(found, Recommendation), found
    return found


def test_the_choice_is_worth_more_than_either_arm_for_all(version: ModelVersion) -> None:
    validation = version.manifest.validation
    values = {each.name: each.metrics["value"].value for each in validation.comparisons}
    assert values["the model's choice"] > max(
        values["amlodipine for all"], values["lisinopril for all"]
    )
    assert any("doubly robust" in note for note in validation.notes)
    assert {each.attribute for each in validation.subgroups} == {"Salty food"}


def test_each_patient_gets_the_arm_that_helps_and_the_reason(
    recommender: BenefitRecommender,
) -> None:
    salty = ask(recommender, {"covariates": {"age": 60, "salt": "yes"}})
    assert salty.treatments[0].coding.display == "amlodipine"
    assert salty.abstained is None
    assert salty.treatments[0].reasons[0].fact == "Salty food: yes"
    assert any("Salty food: no" in each for each in salty.treatments[0].would_change)
    plain = ask(recommender, {"covariates": {"age": 60, "salt": 0}})
    assert plain.treatments[0].coding.display == "lisinopril"
    assert plain.familiarity is not None


def test_an_arm_whose_drug_is_vetoed_is_not_recommended(recommender: BenefitRecommender) -> None:
    patient = {"age": 30, "sex": "female", "pregnant": True}
    found = ask(recommender, {"covariates": {"age": 30, "salt": 0}, "patient": patient})
    assert [each.coding.display for each in found.treatments] == ["amlodipine"]
    assert found.vetoed[0].safety[0].kind == "pregnancy"
    assert found.treatment_set is not None
    assert [each.display for each in found.treatment_set.treatments] == ["amlodipine"]


def test_what_is_expected_of_survival_is_within_the_horizon(
    tmp_path: Path, registry: Registry, rules: Rules
) -> None:
    x, arm, _ = rows(400, seed=3)
    days = np.random.default_rng(3).exponential(np.where(x[:, 1] == 1, 4000, 400)).round() + 1
    lines = ["age,salt,arm,days,event"]
    lines += [
        f"{age:g},{salt:g},{'al'[a]},{min(day, 1200):g},{int(day <= 1200)}"
        for (age, salt), a, day in zip(x.tolist(), arm.tolist(), days.tolist(), strict=True)
    ]
    path = tmp_path / "survival.csv"
    path.write_text("\n".join(lines) + "\n")
    changed = {"outcome": None, "time": "days", "event": "event", "horizon": 1000.0}
    data = recipe().data.model_dump() | changed
    version = run(recipe(data=data, name="lived"), path, tmp_path, registry, Silent(), rules)
    recommender = BenefitRecommender.load(registry, version, rules)
    for age in (30, 50, 80):
        for each in ask(recommender, {"covariates": {"age": age, "salt": "yes"}}).treatments:
            assert each.expected is not None
            assert 0 <= each.expected.low <= each.expected.value <= each.expected.high <= 1000


def test_the_best_arm_for_all_is_not_the_one_that_healthier_patients_were_given(
    tmp_path: Path, registry: Registry, rules: Rules
) -> None:
    """Older patients, who do worse on either, are mostly given amlodipine, which is 2 better."""
    rng = np.random.default_rng(0)
    age = rng.uniform(30, 80, 1500)
    arm = (rng.random(1500) > 1 / (1 + np.exp(-(age - 55) / 6))).astype(int)
    fall = 30 - 0.4 * age + np.where(arm == 0, 2, 0) + rng.normal(0, 4, 1500)
    lines = [f"{a:.0f},0,{'al'[k]},{f:.2f}" for a, k, f in zip(age, arm, fall, strict=True)]
    path = tmp_path / "seen.csv"
    path.write_text("\n".join(["age,salt,arm,fall", *lines]) + "\n")
    data = recipe().data.model_dump() | {"randomised": False}
    version = run(recipe(data=data, name="chosen"), path, tmp_path, registry, Silent(), rules)
    spec = BenefitRecommender.load(registry, version, rules).spec
    assert spec.arms[spec.best].coding.display == "amlodipine"


def test_a_rule_that_is_edited_shows_in_the_card(
    tmp_path: Path, table: Path, registry: Registry, version: ModelVersion, rules: Rules
) -> None:
    header = ",".join(COLUMNS["age"])
    (tmp_path / "age.csv").write_text(
        f"{header}\nown,drug:amlodipine,90,,warning,A site's own,Watch,https://site\n"
    )
    edited = Rules(rules.formulary, load_knowledge(rules.formulary, tmp_path))
    assert edited.version != rules.version
    told = version.manifest.validation.notes
    assert f"Safety knowledge {rules.version}." in told
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("".join(table.read_text().splitlines(keepends=True)[:400]))
    evaluate_file(registry, version, elsewhere, "a tester", edited)
    card = model_card(version, registry.evaluations(version), ()).markdown()
    assert f"Safety knowledge {edited.version}." in card


def test_what_was_not_told_counts_as_the_median_and_is_said(
    recommender: BenefitRecommender,
) -> None:
    found = ask(recommender, {"covariates": {"salt": "yes"}})
    assert any("Age" in each for each in found.warnings)


@pytest.mark.parametrize(
    ("covariates", "where"),
    [
        ({"age": 60, "shoe": 43}, "/covariates/shoe"),
        ({"age": 600}, "/covariates/age"),
        ({"salt": "perhaps"}, "/covariates/salt"),
        ({"age": None}, "/covariates"),
    ],
)
def test_what_is_no_covariate_is_refused_with_its_place(
    covariates: dict[str, Any], where: str, recommender: BenefitRecommender
) -> None:
    (found,) = recommender.predict([parse_case({"covariates": covariates})])
    assert isinstance(found, InvalidInput)
    assert found.where == where


def test_what_rests_on_observation_says_so_everywhere(
    table: Path, registry: Registry, rules: Rules
) -> None:
    data = recipe().data.model_dump() | {"randomised": False}
    version = run(recipe(data=data, name="seen"), table, table.parent, registry, Silent(), rules)
    assert OBSERVED in version.manifest.validation.notes
    found = ask(BenefitRecommender.load(registry, version, rules), {"covariates": {"age": 50}})
    assert found.basis == OBSERVED


def test_evaluating_on_its_own_table_opens_the_test_part(
    version: ModelVersion, registry: Registry, table: Path, rules: Rules
) -> None:
    found = evaluate_file(registry, version, table, "a tester", rules)
    assert found.part == "test"
    assert len(registry.test_openings(version.manifest.data.digest)) == 1


def test_intervals_cover_what_is_expected_of_patients_alike() -> None:
    """Of 40 trials, how often the interval holds the true mean of the arm."""
    grid = np.array([[40.0, 0], [40, 1], [70, 0], [70, 1]])
    true = 12 + 0.05 * (grid[:, 0] - 55) + 16 * grid[:, 1] - 6
    held = []
    for seed in range(40):
        x, arm, fall = rows(300, seed + 100)
        table = Table(x, arm, fall, "", ())
        model, _, _ = train(recipe(model="t", replicates=60), table, np.arange(300))
        for told, mean in zip(model.tell(grid, 0.9), true.tolist(), strict=True):
            held.append(told.low[0] <= mean <= told.high[0])
    assert 0.82 <= np.mean(held) <= 0.99


def test_a_table_without_an_arms_patients_is_refused(
    tmp_path: Path, registry: Registry, rules: Rules
) -> None:
    path = tmp_path / "few.csv"
    path.write_text("age,salt,arm,fall\n" + "50,1,a,3\n" * 50)
    with pytest.raises(InvalidInput, match="Fewer than 30 patients had lisinopril"):
        run(recipe(), path, tmp_path, registry, Silent(), rules)


def test_a_stored_model_tells_the_same(recommender: BenefitRecommender) -> None:
    x = np.array([[50.0, 1], [33, 0]])
    again = type(recommender.model).from_arrays(recommender.model.arrays())
    assert np.allclose(
        again.line.predict(again.basis.columns(x)),
        recommender.model.line.predict(recommender.model.basis.columns(x)),
    )
    assert fit_basis(x).whose.max() == 1
