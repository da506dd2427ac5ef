"""Models of scores: from a table or from orders, through the registry, to answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyclinic.core.errors import InvalidInput
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.case import parse_case
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.scores.evaluation import (
    WARM,
    Foretold,
    evaluate_file,
    interval_width,
)
from polyclinic.treatment.scores.recipe import ScoresRecipe
from polyclinic.treatment.scores.recommender import ScoresRecommender
from polyclinic.treatment.scores.run import run

DRUGS = ("ibuprofen", "naproxen", "diclofenac", "acetaminophen", "tramadol", "codeine", "morphine")


class Silent:
    def step(self, name: str) -> None:
        pass

    def trial(self, number: int, loss: float) -> None:
        pass


def recipe(**changes: Any) -> ScoresRecipe:
    content: dict[str, Any] = {
        "name": "pain-scores",
        "kind": "treatment.scores",
        "licence": "Apache-2.0",
        "data": {"layout": "table", "name": "pain", "what": "relief", "low": 1, "high": 5},
        "card": {"title": "Relief of pain"},
    }
    return ScoresRecipe.model_validate(content | changes)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients of two kinds: one is helped by the first three drugs, one by the last three."""
    rng = np.random.default_rng(0)
    lines = ["patient,treatment,score"]
    for patient in range(300):
        helped = set(DRUGS[:3]) if rng.random() < 0.5 else set(DRUGS[4:])
        for drug in rng.permutation(DRUGS)[: rng.integers(2, 7)]:
            score = np.clip(rng.normal(4.4 if drug in helped else 1.8, 0.5), 1, 5)
            lines.append(f"p{patient},{drug},{score:.2f}")
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def registry() -> Registry:
    return open_registry()


@pytest.fixture(scope="module")
def version(table: Path, registry: Registry, rules: Rules) -> ModelVersion:
    return run(recipe(), table, table.parent, registry, Silent(), rules)


@pytest.fixture(scope="module")
def recommender(registry: Registry, version: ModelVersion, rules: Rules) -> ScoresRecommender:
    return ScoresRecommender.load(registry, version, rules)


def test_factors_beat_the_mean_and_intervals_cover(version: ModelVersion) -> None:
    validation = version.manifest.validation
    warm = {
        each.name: each.metrics["rmse"].value
        for each in validation.comparisons
        if each.group == WARM
    }
    assert min(warm["svd"], warm["svdpp"]) < 0.9 * warm["mean"]
    assert validation.metrics["coverage"].value == pytest.approx(0.9, abs=0.06)
    assert validation.metrics["rmse"].value < validation.metrics["rmse_cold"].value


def test_what_helped_others_like_the_patient_comes_first(recommender: ScoresRecommender) -> None:
    scores = [{"treatment": "Ibuprofen 400 mg", "score": 5}, {"treatment": "codeine", "score": 1}]
    (found,) = recommender.predict([parse_case({"scores": scores})], explain=True)
    assert isinstance(found, Recommendation)
    first = [each.coding.display for each in found.treatments[:3]]
    assert set(first) == {"ibuprofen", "naproxen", "diclofenac"}
    told = found.treatments[0].expected
    assert told is not None
    assert told.low <= told.value <= told.high
    assert "ibuprofen" in found.treatments[1].reasons[0].fact
    assert any("Safety could not be checked" in each for each in found.warnings)


def test_a_veto_takes_out_the_best(recommender: ScoresRecommender) -> None:
    case = {
        "scores": [{"treatment": "ibuprofen", "score": 5}, {"treatment": "codeine", "score": 1}],
        "patient": {
            "age": 60,
            "sex": "male",
            "values": [{"loinc": "2160-0", "value": 4, "unit": "mg/dL"}],
        },
    }
    (found,) = recommender.predict([parse_case(case)])
    assert isinstance(found, Recommendation)
    assert "naproxen" not in {each.coding.display for each in found.treatments}
    assert "naproxen" in {each.coding.display for each in found.vetoed}


def test_without_a_score_of_its_own_the_model_abstains(recommender: ScoresRecommender) -> None:
    case = parse_case({"patient": {"age": 60}})
    (found,) = recommender.predict([case])
    assert isinstance(found, Recommendation)
    assert "thin" in (found.abstained or "")


def test_what_cannot_be_a_score_is_refused_with_its_place(recommender: ScoresRecommender) -> None:
    off = parse_case({"scores": [{"treatment": "ibuprofen", "score": 9}]})
    twice = parse_case(
        {"scores": [{"treatment": name, "score": 3} for name in ("ibuprofen", "Advil")]}
    )
    unknown = parse_case(
        {"scores": [{"treatment": "moonshine", "score": 3}, {"treatment": "codeine", "score": 3}]}
    )
    first, second, third = recommender.predict([off, twice, unknown])
    assert isinstance(first, InvalidInput)
    assert first.where == "/scores/0/score"
    assert isinstance(second, InvalidInput)
    assert isinstance(third, Recommendation)
    assert any("moonshine" in each for each in third.warnings)


def test_nobodys_row_is_in_the_artefact(version: ModelVersion, registry: Registry) -> None:
    import safetensors.numpy

    (data,) = registry.load(version).values()
    arrays = safetensors.numpy.load(data)
    assert arrays["user_factors"].shape[0] == arrays["user_bias"].shape[0] == 0
    with pytest.raises(ValueError, match="rows of patients"):
        recipe(model={"name": "knn"})


def test_evaluating_on_its_own_data_opens_the_test_part(
    version: ModelVersion, registry: Registry, table: Path, rules: Rules
) -> None:
    found = evaluate_file(registry, version, table, "a tester", rules)
    assert found.part == "test"
    assert len(registry.test_openings(version.manifest.data.digest)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("patient,treatment\n1,2", "column score"),
        ("patient,treatment,score\n1,ibuprofen,7", "line 2"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_place(
    text: str, told: str, tmp_path: Path, registry: Registry, rules: Rules
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text + "\n")
    with pytest.raises(InvalidInput) as refused:
        run(recipe(), path, tmp_path, registry, Silent(), rules)
    assert told in f"{refused.value.detail} {refused.value.where}"


def test_orders_become_scores_of_how_long_a_treatment_is_kept_up(
    export: Path, registry: Registry, rules: Rules
) -> None:
    data = {"layout": "persistence", "name": "wards", "what": "kept up", "least": 5}
    version = run(recipe(name="kept-up", data=data), export, export, registry, Silent(), rules)
    recommender = ScoresRecommender.load(registry, version, rules)
    assert recommender.spec.persistence
    assert recommender.spec.width <= 4


def test_the_interval_is_as_wide_as_residuals_of_patients_ask() -> None:
    residuals = np.linspace(0, 1, 99)
    foretold = Foretold(np.arange(99), residuals, np.zeros(99))
    assert interval_width(foretold, 0.9) == pytest.approx(residuals[89])
    few = Foretold(np.arange(3), residuals[:3], np.zeros(3))
    assert interval_width(few, 0.9) == np.inf
