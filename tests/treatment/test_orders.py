"""Models of past orders: trained, stored, and asked."""

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from wards import write_export

from polyclinic.clinical.chart import Chart
from polyclinic.clinical.fhir import read_ndjson
from polyclinic.clinical.timeline import Timeline
from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.learning.evaluate.ranking import average_precision
from polyclinic.registry.card import model_card
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.answer import Recommendation
from polyclinic.treatment.case import Case, parse_case
from polyclinic.treatment.orders.evaluation import evaluate_file
from polyclinic.treatment.orders.models.scorers import load_scorer, save_log_odds
from polyclinic.treatment.orders.models.settings import (
    AlsSettings,
    BprSettings,
    ItemNeighbourSettings,
    LastVisitSettings,
    OneSettings,
    PopularitySettings,
    TransformerSettings,
    TreesSettings,
    TwoTowerSettings,
)
from polyclinic.treatment.orders.recipe import AutoSettings, OrdersRecipe
from polyclinic.treatment.orders.recommender import OrdersRecommender
from polyclinic.treatment.orders.steps.prepare import Prepared
from polyclinic.treatment.orders.steps.run import run
from polyclinic.treatment.orders.steps.train import train, usual
from polyclinic.treatment.orders.steps.weigh import log_odds
from polyclinic.treatment.rules import Rules

QUICK: tuple[OneSettings, ...] = (
    ItemNeighbourSettings(name="item_knn", k=5),
    AlsSettings(name="als", factors=4, iterations=5),
    BprSettings(name="bpr", factors=4, iterations=20),
    TreesSettings(name="trees", rounds=30, min_rows=10),
    TwoTowerSettings(name="two_tower", width=16, depth=1, epochs=20, dropout=0.1),
    TransformerSettings(name="transformer", width=16, heads=2, depth=1, epochs=20, dropout=0.1),
)


class Silent:
    def step(self, name: str) -> None:
        pass

    def trial(self, number: int, loss: float) -> None:
        pass


def recipe(**changes: Any) -> OrdersRecipe:
    content: dict[str, Any] = {
        "name": "ward-orders",
        "kind": "treatment.orders",
        "licence": "Apache-2.0",
        "data": {"name": "wards", "simulated": True},
        "auto": {"candidates": [{"name": "item_knn"}, {"name": "trees", "rounds": 60}]},
        "card": {"title": "Orders of a generated ward"},
    }
    return OrdersRecipe.model_validate(content | changes)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return open_registry()


@pytest.fixture(scope="module")
def version(export: Path, rules: Rules, registry: Registry) -> ModelVersion:
    return run(recipe(), export, export, registry, Silent(), rules)


@pytest.fixture(scope="module")
def recommender(registry: Registry, version: ModelVersion, rules: Rules) -> OrdersRecommender:
    return OrdersRecommender.load(registry, version, rules)


def answer(recommender: OrdersRecommender, **patient: Any) -> Recommendation:
    case = parse_case({"patient": patient})
    (found,) = recommender.predict([case], explain=True)
    assert not isinstance(found, PolyclinicError), found
    return found


@pytest.mark.parametrize("settings", QUICK, ids=lambda each: each.name)
def test_each_model_beats_popularity_and_answers_the_same_from_its_files(
    settings: OneSettings, prepared: Prepared
) -> None:
    start, choose, test = (
        usual(prepared.part("train")),
        prepared.part("choose"),
        prepared.part("test"),
    )
    truth = test.ordered[test.asked]
    popular = train(PopularitySettings(name="popularity"), prepared, 0).scorer
    base = average_precision(log_odds(popular, start, choose).logits(test), truth).mean()
    trained = train(settings, prepared, seed=0)
    model = log_odds(trained.scorer, start, choose)
    logits = model.logits(test)
    assert average_precision(logits, truth).mean() > base
    files = {**trained.files, **save_log_odds(model)}
    loaded = load_scorer(settings, files, prepared.vocabulary)
    assert np.allclose(loaded.logits(test), logits, atol=1e-3)
    # One visit alone is answered as it is among others.
    alone = test.take(np.array([3]))
    assert np.allclose(loaded.logits(alone)[0], logits[3], atol=1e-3)


def test_training_twice_gives_the_same_model(prepared: Prepared) -> None:
    for settings in QUICK[:4]:
        once, again = (train(settings, prepared, seed=3).files for _ in range(2))
        assert once == again


def test_a_new_patient_falls_back_on_popularity_where_a_filter_knows_nothing(
    prepared: Prepared,
) -> None:
    model = log_odds(
        train(AlsSettings(name="als"), prepared, 0).scorer,
        usual(prepared.part("train")),
        prepared.part("choose"),
    )
    first = prepared.visits.before[prepared.rows["test"]] == 0
    cold = prepared.part("test").take(np.flatnonzero(first))
    order = np.argsort(-model.logits(cold), axis=1)
    assert (order == np.argsort(-usual(prepared.part("train")))).all()


def test_the_card_compares_with_every_baseline_and_says_what_was_chosen(
    version: ModelVersion, registry: Registry
) -> None:
    validation = version.manifest.validation
    names = {each.name for each in validation.comparisons}
    assert {"popularity", "last_visit", "nearest_neighbour", "trees", "item_knn"} <= names
    assert {"first visit", "repeat visit"} <= {each.group for each in validation.comparisons}
    assert any("Chosen for" in note for note in validation.notes)
    assert any("simulated" in note for note in validation.notes)
    card = model_card(version, [], [])
    assert "Compared" in card.markdown()
    assert "Compared" in card.html()


def test_no_artefact_holds_a_row_of_a_patient(version: ModelVersion, registry: Registry) -> None:
    for name, data in registry.load(version).items():
        assert b"p0001" not in data, name
    with pytest.raises(ValueError, match="rows of patients"):
        recipe(auto=None, model={"name": "nearest_neighbour"})


def test_evaluating_on_its_own_export_opens_the_test_part_and_logs_it(
    version: ModelVersion, registry: Registry, export: Path, rules: Rules, tmp_path: Path
) -> None:
    found = evaluate_file(registry, version, export, "a tester", rules)
    assert found.part == "test"
    assert registry.test_openings(version.manifest.data.digest)[-1].by == "a tester"
    other = write_export(tmp_path / "other", patients=60, seed=9)
    external = evaluate_file(registry, version, other, "a tester", rules)
    assert external.part == "external"
    assert external.examples > 60


def test_the_reasons_are_the_patients_own_facts_in_its_own_words(
    recommender: OrdersRecommender,
) -> None:
    found = answer(
        recommender,
        age=60,
        sex="female",
        pregnant=False,
        conditions=[{"icd10": "E11.65", "name": "Diabetes with high sugar"}],
    )
    metformin = next(e for e in found.treatments if e.coding.display == "metformin")
    assert metformin.in_set
    assert metformin.reasons[0].fact == "Diabetes with high sugar"
    assert metformin.reasons[0].weight > 0
    assert metformin.alike is not None
    assert metformin.alike.patients >= 5
    assert metformin.alike.ordered is None or not 0 < metformin.alike.ordered < 5


def test_what_a_rule_vetoes_is_never_recommended_and_says_why(
    recommender: OrdersRecommender,
) -> None:
    patient = {
        "age": 60,
        "sex": "male",
        "conditions": [{"icd10": "E11.9"}],
        "values": [{"loinc": "2160-0", "value": 4.5, "unit": "mg/dL"}],
    }
    found = answer(recommender, **patient)
    assert "metformin" not in {each.coding.display for each in found.treatments}
    (vetoed,) = (each for each in found.vetoed if each.coding.display == "metformin")
    assert vetoed.safety[0].action == "veto"
    assert "eGFR" in vetoed.safety[0].because[0]
    assert found.treatment_set is not None
    assert vetoed.coding not in found.treatment_set.treatments


def test_a_warned_treatment_of_the_set_stands_below_those_without(
    recommender: OrdersRecommender,
) -> None:
    found = answer(
        recommender,
        age=70,
        sex="male",
        conditions=[{"icd10": "I10"}, {"icd10": "E78.5"}, {"icd10": "E11.9"}, {"icd10": "J45.909"}],
        medications=[{"name": "spironolactone"}],
    )
    inside = [
        any(one.action == "warning" for one in each.safety)
        for each in found.treatments
        if each.in_set
    ]
    assert inside == sorted(inside)
    assert any(inside)


def test_a_patient_of_whom_nothing_is_known_gets_no_advice(recommender: OrdersRecommender) -> None:
    found = answer(recommender, age=50, sex="male")
    assert found.abstained is not None
    assert "thin" in found.abstained


def test_a_case_without_a_record_fails_alone(recommender: OrdersRecommender) -> None:
    bad = parse_case({"scores": [{"treatment": "metformin", "score": 3}]})
    good = parse_case({"patient": {"age": 50, "conditions": [{"icd10": "I10"}]}})
    first, second = recommender.predict([bad, good])
    assert isinstance(first, InvalidInput)
    assert isinstance(second, Recommendation)


def check_safe(recommender: OrdersRecommender, case: Case, rules: Rules) -> None:
    """Nothing that the rules veto is recommended, nor a pair of the set that they veto together."""
    assert case.chart is not None
    against = rules.against(rules.facts(case.chart))
    (found,) = recommender.predict([case])
    assert isinstance(found, Recommendation), found
    names = {each.coding.display for each in found.treatments}
    assert not names & against.vetoed()
    assert found.treatment_set is not None
    inside = [each.display for each in found.treatment_set.treatments]
    assert not set(inside) & against.vetoed()
    for one, other in itertools.combinations(inside, 2):
        assert all(each.action != "veto" for each in rules.together(one, other))


def test_nothing_vetoed_is_recommended_to_any_patient_of_the_export(
    recommender: OrdersRecommender, export: Path, rules: Rules
) -> None:
    timeline = read_ndjson(export).timeline
    for patient in timeline.patients["patient"].to_list():
        own = pl.col("patient") == patient
        whole = Timeline(timeline.events.filter(own), timeline.patients.filter(own))
        chart = Chart(whole, datetime(2026, 1, 1, tzinfo=UTC), (), "")
        check_safe(recommender, Case(chart, (), {}, ""), rules)


def test_nothing_vetoed_is_recommended_to_patients_in_danger(
    recommender: OrdersRecommender, rules: Rules
) -> None:
    drugs = ["warfarin", "aspirin", "ibuprofen", "metformin"]
    for number in range(40):
        rng = np.random.default_rng(number)
        patient = {
            "age": int(rng.integers(20, 90)),
            "sex": str(rng.choice(["female", "male"])),
            "conditions": [{"icd10": str(c)} for c in rng.choice(["E11.9", "I10", "J45.909"], 2)],
            "medications": [{"name": str(d)} for d in rng.choice(drugs, 2, replace=False)],
            "values": [{"loinc": "2160-0", "value": float(rng.uniform(0.6, 5)), "unit": "mg/dL"}],
        }
        check_safe(recommender, parse_case({"patient": patient}), rules)


def test_auto_leaves_out_what_there_is_no_time_for(
    export: Path, rules: Rules, registry: Registry
) -> None:
    short = recipe(auto=AutoSettings(minutes=1e-6, blend=False).model_dump(), name="hasty-orders")
    version = run(short, export, export, registry, Silent(), rules)
    assert {each.name for each in version.manifest.validation.comparisons} == {
        "popularity",
        "last_visit",
        "nearest_neighbour",
    }
    assert "not tried for want of time" in " ".join(version.manifest.validation.notes)


def test_the_last_visit_is_a_baseline_of_its_own(prepared: Prepared) -> None:
    scorer = train(LastVisitSettings(name="last_visit"), prepared, 0).scorer
    test = prepared.part("test")
    repeat = prepared.visits.before[prepared.rows["test"]] > 0
    before = test.before[repeat, 0]
    assert (scorer.scores(test)[repeat] == test.ordered[before]).all()
