"""What the rules are told of a patient, and what of the input could not be used."""

from typing import Any

import pytest

from polyclinic.core.errors import InvalidInput
from polyclinic.treatment.case import parse_case
from polyclinic.treatment.patient import PatientFacts
from polyclinic.treatment.rules import Rules

AT = "2026-11-01T12:00:00Z"
SUBJECT = {"reference": "Patient/p"}
UCUM = "http://unitsofmeasure.org"


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1960-01-01"}
    entries = [{"resource": each} for each in (patient, *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def facts(rules: Rules, content: dict[str, Any], at: str | None = AT) -> PatientFacts:
    asked = {"bundle": content, "at": at} if at else content
    chart = parse_case(asked).chart
    assert chart is not None
    return rules.facts(chart)


def plain(rules: Rules, **patient: Any) -> PatientFacts:
    chart = parse_case({"patient": patient, "at": AT}).chart
    assert chart is not None
    return rules.facts(chart)


def order(name: str, status: str = "active", authored: str = "2026-10-01", **more: Any) -> Any:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": status,
        "intent": "order",
        "subject": SUBJECT,
        "authoredOn": authored,
        "medicationCodeableConcept": {"text": name},
        **more,
    }


def test_plain_facts_are_read_as_a_bundle_is(rules: Rules) -> None:
    found = plain(
        rules,
        age=71,
        sex="female",
        weight_kg=70,
        conditions=[{"icd10": "I10"}],
        medications=[{"name": "metformin", "dose": 850, "per_day": 2, "route": "oral"}],
        allergies=[{"name": "Penicillin"}],
        values=[{"loinc": "2160-0", "value": 2.4, "unit": "mg/dL"}],
    )
    assert found.age == pytest.approx(71, abs=0.05)
    assert found.weight_kg == 70
    assert found.egfr == pytest.approx(21, abs=1)
    taken = found.medications[0]
    assert (taken.dose, taken.unit, taken.per_day) == (850, "mg", 2)
    assert found.conditions[0].code == "I10"
    assert found.problems == ()


def test_a_value_that_cannot_be_is_not_used_and_told(rules: Rules) -> None:
    found = plain(
        rules, age=60, sex="male", values=[{"loinc": "2160-0", "value": -1, "unit": "mg/dL"}]
    )
    assert found.egfr is None
    assert any("creatinine of -1" in each for each in found.problems)


def test_a_value_in_another_unit_is_converted(rules: Rules) -> None:
    values = [{"loinc": "2160-0", "value": 212, "unit": "umol/L"}]
    found = plain(rules, age=71, sex="female", values=values)
    assert found.egfr == pytest.approx(21, abs=1)


def test_what_is_dated_later_is_not_used_and_told(rules: Rules) -> None:
    later = order("warfarin", authored="2027-03-01")
    found = facts(rules, bundle(order("metformin"), later))
    assert [each.display for each in found.medications] == ["metformin"]
    assert any("after the decision" in each for each in found.problems)


def test_a_stopped_order_and_a_resolved_condition_are_over(rules: Rules) -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": SUBJECT,
        "recordedDate": "2020-01-01",
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "resolved",
                }
            ]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45.909"}]},
    }
    content = bundle(order("warfarin", status="stopped"), order("metformin"), condition)
    found = facts(rules, content, at=None)
    assert [each.display for each in found.medications] == ["metformin"]
    assert found.conditions == ()


def test_an_order_of_long_ago_without_an_end_is_not_current(rules: Rules) -> None:
    old = order("warfarin", authored="2019-01-01")
    found = facts(rules, bundle(old, order("metformin")))
    assert [each.display for each in found.medications] == ["metformin"]


def test_a_new_order_replaces_an_earlier_one_that_has_no_end(rules: Rules) -> None:
    earlier = order("lisinopril 10 MG Oral Tablet", authored="2026-09-01")
    later = order("lisinopril 20 MG Oral Tablet", authored="2026-10-01")
    found = facts(rules, bundle(earlier, later))
    assert [each.display for each in found.medications] == ["lisinopril 20 MG Oral Tablet"]


def test_a_cream_does_not_replace_what_is_swallowed(rules: Rules) -> None:
    topical = {"dosageInstruction": [{"route": {"text": "Topical"}}]}
    swallowed = order("ketoconazole", authored="2026-10-20")
    rubbed = order("ketoconazole", authored="2026-10-25", **topical)
    found = facts(rules, bundle(swallowed, {**rubbed, "id": "cream"}))
    assert {each.route for each in found.medications} == {None, "Topical"}


def test_a_value_of_years_ago_is_not_used_and_told(rules: Rules) -> None:
    old = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": SUBJECT,
        "effectiveDateTime": "2019-01-01T00:00:00Z",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "valueQuantity": {"value": 0.9, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
    }
    found = facts(rules, bundle(old))
    assert found.egfr is None
    assert any("creatinine is of 2019-01-01" in each for each in found.problems)


def test_pregnant_and_not_pregnant_at_once_is_pregnant_and_told(rules: Rules) -> None:
    found = plain(
        rules, age=30, sex="female", pregnant=False, conditions=[{"icd10": "O09.90", "name": "x"}]
    )
    assert found.pregnant is True
    assert any("Not pregnant" in each for each in found.problems)


def test_a_childs_filtration_rate_is_that_of_height(rules: Rules) -> None:
    values = [{"loinc": "2160-0", "value": 0.5, "unit": "mg/dL"}]
    child = plain(rules, age=8, height_cm=130, values=values)
    assert child.egfr == pytest.approx(0.413 * 130 / 0.5)
    assert plain(rules, age=8, values=values).egfr is None


def test_where_the_sex_is_not_known_the_higher_filtration_rate_counts(rules: Rules) -> None:
    values = [{"loinc": "2160-0", "value": 8, "unit": "mg/dL"}]
    found = plain(rules, age=60, values=values)
    assert found.egfr == plain(rules, age=60, sex="male", values=values).egfr


def test_conditions_that_no_rule_knows_by_their_words_are_told(rules: Rules) -> None:
    found = plain(rules, conditions=[{"name": "Ache of the soul"}, {"name": "Asthma"}])
    assert [each for each in found.problems if "Ache of the soul" in each and "Asthma" not in each]


def test_orders_of_one_day_are_all_taken(rules: Rules) -> None:
    found = facts(rules, bundle(order("acetaminophen 500 MG"), order("Tylenol")))
    assert {each.display for each in found.medications} == {"acetaminophen 500 MG", "Tylenol"}


def test_what_was_given_through_a_day_is_one_medication_with_the_whole_dose(rules: Rules) -> None:
    given = [
        {
            "resourceType": "MedicationAdministration",
            "id": f"m{hour}",
            "status": "completed",
            "subject": SUBJECT,
            "effectiveDateTime": f"2026-11-01T{hour:02}:00:00Z",
            "medicationCodeableConcept": {"text": "acetaminophen"},
            "dosage": {"dose": {"value": 1000, "unit": "mg", "system": UCUM, "code": "mg"}},
        }
        for hour in (1, 5, 9)
    ]
    (medication,) = facts(rules, bundle(*given)).medications
    assert (medication.dose, medication.per_day) == (3000, 1)


def test_conditions_in_icd_9_are_said_to_be_read_by_few_rules(rules: Rules) -> None:
    old = {
        "resourceType": "Condition",
        "id": "c",
        "subject": SUBJECT,
        "recordedDate": "2020-01-01",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-9-cm", "code": "428.0"}]},
    }
    assert any("ICD-9" in each for each in facts(rules, bundle(old)).problems)


def test_an_allergy_that_no_rule_knows_is_told(rules: Rules) -> None:
    found = plain(rules, allergies=[{"name": "Stardust"}, {"name": "Penicillin"}])
    assert [each for each in found.problems if "Stardust" in each]
    assert not [each for each in found.problems if "Penicillin" in each]


def test_pregnancy_is_read_from_conditions_and_answers_and_ends(rules: Rules) -> None:
    def pregnant(recorded: str) -> dict[str, Any]:
        return {
            "resourceType": "Condition",
            "id": "c",
            "subject": SUBJECT,
            "onsetDateTime": recorded,
            "recordedDate": recorded,
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z34.90"}]},
        }

    assert facts(rules, bundle(pregnant("2026-08-01"))).pregnant is True
    assert facts(rules, bundle(pregnant("2024-08-01"))).pregnant is None
    assert plain(rules, age=30, sex="female", pregnant=False).pregnant is False
    assert plain(rules, age=30, sex="female", breastfeeding=True).breastfeeding is True


def test_a_pregnant_man_is_a_slip_that_is_told(rules: Rules) -> None:
    found = plain(rules, age=30, sex="male", pregnant=True)
    assert found.pregnant is None
    assert any("man" in each for each in found.problems)


def test_no_known_allergy_beside_an_allergy_does_not_hide_it(rules: Rules) -> None:
    found = plain(rules, allergies=[{"name": "No known allergies"}, {"name": "Penicillin"}])
    assert [each.display for each in found.allergies] == ["Penicillin"]
    assert any("No known allergy" in each for each in found.problems)


def test_a_medication_that_nobody_knows_is_told(rules: Rules) -> None:
    found = plain(rules, medications=[{"name": "Unobtainium forte"}])
    assert any("Unobtainium forte" in each for each in found.problems)


def test_a_wrong_code_beside_a_name_is_told(rules: Rules) -> None:
    found = plain(rules, medications=[{"name": "Alendronate", "rxnorm": "3002"}])
    assert found.medications[0].drugs[0].name == "alendronate"


def test_a_record_of_the_first_year_of_all_is_read(rules: Rules) -> None:
    found = facts(rules, bundle(order("metformin", authored="0001-01-01")))
    assert found.at.year == 2026


def test_five_hundred_medications_are_read(rules: Rules) -> None:
    names = list(rules.formulary.drugs)[:500]
    found = plain(rules, medications=[{"name": name} for name in names])
    assert len(found.medications) > 450


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"patient": {"age": -4}}, "/patient/age"),
        ({"patient": {"age": 60, "shoe": 43}}, "/patient/shoe"),
        ({"patient": {}, "bundle": {}}, "/patient"),
        ({"patient": {}, "at": "yesterday"}, "/at"),
        ({"bundle": {"resourceType": "Bundle"}, "at": "2026-01-01"}, "/at"),
        ({"patient": {"age": 30}, "at": "0020-01-01T00:00:00Z"}, "/at"),
        ({"bundle": bundle(), "at": "0001-01-02T00:00:00Z"}, "/at"),
        ({"patient": {"medications": [{}]}}, "/patient/medications/0"),
        ({"patient": {"medications": [{"name": "aspirin", "dose": -8}]}}, "/patient/medications/0"),
        ({"covariates": {"age": True}}, "/covariates/age"),
        ({}, None),
        ([], None),
    ],
)
def test_what_is_no_case_is_refused_with_its_place(content: Any, where: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_case(content)
    if where is not None:
        assert (refused.value.where or "").startswith(where.rsplit("/", 1)[0])
