"""What a recommendation may rest on: only what was known when the visit began."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from polyclinic.clinical.codes import ICD_10_CM, RXNORM
from polyclinic.clinical.mimic import read_mimic
from polyclinic.clinical.timeline import Event, Timeline, event_frame, instant, patient_frame
from polyclinic.treatment.orders.encoding import learn_vocabulary
from polyclinic.treatment.orders.steps.prepare import Prepared
from polyclinic.treatment.orders.visits import read_visits
from polyclinic.treatment.rules import Rules


def at(day: int, hour: int = 0) -> int:
    return instant(datetime(2025, 1, day, hour, tzinfo=UTC))


def encounter(name: str, day: int) -> Event:
    start = at(day, 9)
    return Event("p", "encounter", start, start, at(day, 17), start, encounter=name)


def ordered(name: str, day: int, code: str, display: str) -> Event:
    when = at(day, 10)
    return Event(
        *("p", "medication", when, when, None, when, RXNORM, code, display),
        encounter=name,
        source="MedicationRequest/1",
    )


def condition(name: str | None, known: int, code: str) -> Event:
    start = at(1)
    return Event(
        *("p", "condition", start, start, None, known, ICD_10_CM, code, code), encounter=name
    )


def timeline(*events: Event) -> Timeline:
    return Timeline.of(event_frame(events), patient_frame([]))


@pytest.fixture
def two_visits() -> Timeline:
    return timeline(
        encounter("first", 2),
        ordered("first", 2, "6809", "Metformin"),
        condition("first", at(2, 17), "E11.9"),  # coded when the patient left
        encounter("second", 9),
        ordered("second", 9, "83367", "Atorvastatin"),
        condition("second", at(9, 17), "J18.9"),
    )


def test_a_diagnosis_coded_at_discharge_is_no_input_to_its_own_visit(
    two_visits: Timeline, rules: Rules
) -> None:
    visits = read_visits(two_visits, rules.formulary)
    known = {(row, fact) for row, fact, _ in visits.conditions.iter_rows()}
    assert known == {(1, f"{ICD_10_CM}|E11")}


def test_orders_of_the_visit_itself_are_the_answer_and_no_history(
    two_visits: Timeline, rules: Rules
) -> None:
    visits = read_visits(two_visits, rules.formulary)
    assert set(visits.orders.iter_rows()) == {(0, "metformin"), (1, "atorvastatin")}
    assert set(visits.history.iter_rows()) == {(1, "metformin", True)}


def test_asked_in_between_nothing_of_what_came_later_is_seen(
    two_visits: Timeline, rules: Rules
) -> None:
    visits = read_visits(two_visits, rules.formulary, datetime(2025, 1, 5, tzinfo=UTC))
    assert len(visits) == 2
    now = visits.history.filter(pl.col("row") == 1)
    assert now["drug"].to_list() == ["metformin"]
    assert "J18" not in "".join(visits.conditions["fact"])
    assert visits.orders["row"].to_list() == [0]


def test_what_was_given_or_told_is_history_and_never_the_answer(rules: Rules) -> None:
    given = ordered("first", 2, "4337", "Fentanyl")._replace(source="MedicationAdministration/2")
    visits = read_visits(
        timeline(
            encounter("first", 2),
            ordered("first", 2, "6809", "Metformin"),
            given,
            encounter("second", 9),
            ordered("second", 9, "6809", "Metformin"),
        ),
        rules.formulary,
    )
    assert "fentanyl" not in visits.orders["drug"].to_list()
    assert "fentanyl" in visits.history["drug"].to_list()


def test_a_drug_that_nobody_knows_is_kept_under_its_own_name(rules: Rules) -> None:
    unknown = ordered("first", 2, "6809", "Metformin")._replace(
        system=None, code=None, display="Broad spectrum antibiotic"
    )
    visits = read_visits(timeline(encounter("first", 2), unknown), rules.formulary)
    assert visits.orders["drug"].to_list() == ["text|broad spectrum antibiotic"]
    assert visits.drugs["display"].to_list() == ["Broad spectrum antibiotic"]


def test_a_drug_unseen_in_training_is_no_crash(prepared: Prepared, rules: Rules) -> None:
    visits = read_visits(
        timeline(encounter("first", 2), ordered("first", 2, "8134", "Phenobarbital")),
        rules.formulary,
    )
    encoded = prepared.vocabulary.encode(visits)
    assert not encoded.ordered.any()


def test_no_person_is_in_two_parts_and_the_vocabulary_is_of_training_alone(
    prepared: Prepared,
) -> None:
    persons = {
        name: set(prepared.person(name)) for name in ("train", "choose", "calibrate", "test")
    }
    assert sum(map(len, persons.values())) == len(set().union(*persons.values()))
    own = np.isin(prepared.visits.person, list(persons["train"]))
    rows = set(np.flatnonzero(own).tolist())
    seen = prepared.visits.orders.filter(pl.col("row").is_in(rows))["drug"].unique()
    assert {each.drug for each in prepared.vocabulary.treatments} <= set(seen)


def test_rare_treatments_are_left_out_of_the_vocabulary(prepared: Prepared) -> None:
    everything = learn_vocabulary(prepared.visits, {}, least=10**6)
    assert everything.m == 0


def test_earlier_visits_of_a_sequence_show_what_was_ordered_at_them(
    two_visits: Timeline, rules: Rules
) -> None:
    visits = read_visits(two_visits, rules.formulary)
    vocabulary = learn_vocabulary(visits, {}, least=1, memory=3)
    encoded = vocabulary.encode(visits)
    sequence = vocabulary.sequences(encoded)[1]
    drugs = [each.drug for each in vocabulary.treatments]
    assert sequence[:, -1].tolist() == [0, 0, 1, 1]
    earlier = sequence[2, vocabulary.of_last]
    assert earlier[drugs.index("metformin")] == 1
    # Of the visit that is asked about, what was ordered at the one before; its own orders nowhere.
    assert sequence[3, vocabulary.of_last][drugs.index("metformin")] == 1
    assert not sequence[3, vocabulary.of_last][drugs.index("atorvastatin")]


def test_mimic_admissions_become_visits_without_their_own_diagnoses(
    shared_data: Path, rules: Rules
) -> None:
    folder = shared_data / "mimic3-demo"
    visits = read_visits(read_mimic(folder).timeline, rules.formulary)
    assert len(visits) == 122
    left = pl.read_csv(folder / "ADMISSIONS.csv.gz").rename(str.lower)
    coded = pl.read_csv(folder / "DIAGNOSES_ICD.csv.gz").rename(str.lower)
    coded = coded.join(left.select("hadm_id", "dischtime"), on="hadm_id").select(
        patient=pl.col("subject_id").cast(pl.String),
        left=pl.col("dischtime").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"),
        category=pl.col("icd9_code").cast(pl.String),
    )
    begun = pl.DataFrame(
        {"patient": visits.patient, "time": pl.Series(visits.time).cast(pl.Datetime("us"))}
    ).with_row_index("row")
    earlier = begun.join(coded, on="patient").filter(pl.col("left") <= pl.col("time"))
    known = {(row, code) for row, code in earlier.select("row", "category").iter_rows()}
    facts = visits.conditions.select("row", pl.col("fact").str.split("|").list.last())
    assert facts.height
    for row, fact in facts.iter_rows():
        assert any(row == each and code.startswith(fact) for each, code in known)
