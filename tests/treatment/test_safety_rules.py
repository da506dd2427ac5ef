"""The engine behind the rules."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.clinical.kidney import ckd_epi_2021
from polyclinic.core.errors import InvalidInput
from polyclinic.treatment.patient import Allergy, Coded, Medication, PatientFacts
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.safety import Knowledge, check, load_knowledge, screen
from polyclinic.treatment.safety.knowledge import COLUMNS

AT = datetime(2026, 11, 1, tzinfo=UTC)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
HEADER = ",".join(COLUMNS["interactions"])
ROW = "site-1,drug:metformin,drug:amlodipine,major,veto,A site's own,Do not,https://site"


def taking(rules: Rules, *names: str) -> tuple[Medication, ...]:
    return tuple(Medication(rules.formulary.named(name), name) for name in names)


def kinds(rules: Rules, facts: PatientFacts, drug: str) -> set[tuple[str, str]]:
    against = screen(rules.knowledge, facts)
    return {(each.kind, each.action) for each in against.get(drug, ())}


@pytest.mark.parametrize(
    ("creatinine", "age", "female", "expected"),
    # Computed by hand from table 2 of Inker et al. 2021.
    [(1.0, 50, False, 92), (1.0, 50, True, 69), (0.6, 30, True, 124), (4.0, 70, False, 15)],
)
def test_kidney_function_is_that_of_the_published_equation(
    creatinine: float, age: float, female: bool, expected: float
) -> None:
    assert ckd_epi_2021(creatinine, age, female=female) == pytest.approx(expected, abs=1)


@given(st.floats(0.2, 15), st.floats(18, 100), st.booleans())
def test_more_creatinine_and_more_years_are_less_function(
    creatinine: float, age: float, female: bool
) -> None:
    rate = ckd_epi_2021(creatinine, age, female=female)
    assert ckd_epi_2021(creatinine * 1.2, age, female=female) < rate
    assert ckd_epi_2021(creatinine, age + 5, female=female) < rate


def test_an_interaction_is_told_from_either_side(rules: Rules) -> None:
    for taken, given_now in (("warfarin", "aspirin"), ("aspirin", "warfarin")):
        facts = PatientFacts(AT, medications=taking(rules, taken))
        assert any(kind == "interaction" for kind, _ in kinds(rules, facts, given_now))


def test_the_parts_of_one_mixture_do_not_interact_with_each_other(rules: Rules) -> None:
    mixture = taking(rules, "Sulfamethoxazole/Trimethoprim")
    assert len(mixture[0].drugs) == 2
    assert not [
        e for e in check(rules.knowledge, PatientFacts(AT), mixture) if e.kind == "duplicate"
    ]


def test_what_is_taken_already_is_no_duplicate_of_itself(rules: Rules) -> None:
    facts = PatientFacts(AT, medications=taking(rules, "atorvastatin"))
    assert kinds(rules, facts, "atorvastatin") == set()
    assert ("duplicate", "warning") in kinds(rules, facts, "simvastatin")


def test_an_allergy_vetoes_the_drug_its_class_and_its_like(rules: Rules) -> None:
    named = PatientFacts(
        AT, allergies=(Allergy(rules.formulary.named("amoxicillin"), "amoxicillin"),)
    )
    classed = PatientFacts(AT, allergies=(Allergy((), "Substance with penicillin structure"),))
    for facts in (named, classed):
        assert ("allergy", "veto") in kinds(rules, facts, "amoxicillin")
        assert ("allergy", "veto") in kinds(rules, facts, "piperacillin")
        assert not kinds(rules, facts, "azithromycin")


def test_an_unknown_that_a_veto_hangs_on_is_told_once_a_kind(rules: Rules) -> None:
    facts = PatientFacts(AT, age=30, sex="female")
    told = screen(rules.knowledge, facts)["metformin"]
    assert [each.because for each in told if each.kind == "kidney"] == [
        ("kidney function is not known",)
    ]
    assert ("pregnancy", "unknown") in kinds(rules, facts, "warfarin")
    known = replace(facts, pregnant=False, egfr=90.0)
    assert not any(kind == "pregnancy" for kind, _ in kinds(rules, known, "warfarin"))
    assert not kinds(rules, known, "metformin")


def test_a_pregnancy_vetoes(rules: Rules) -> None:
    facts = PatientFacts(AT, age=30, sex="female", pregnant=True)
    assert ("pregnancy", "veto") in kinds(rules, facts, "lisinopril")


def test_a_code_below_that_of_the_rule_counts(rules: Rules) -> None:
    asthma = PatientFacts(AT, conditions=(Coded(ICD, "J45.40", "Moderate asthma", None),))
    assert any(kind == "condition" for kind, _ in kinds(rules, asthma, "propranolol"))
    other = PatientFacts(AT, conditions=(Coded(ICD, "J4", "Something else", None),))
    assert not kinds(rules, other, "propranolol")


def test_potassium_that_is_too_high_is_a_condition(rules: Rules) -> None:
    facts = PatientFacts(AT, potassium=6.1)
    told = screen(rules.knowledge, facts).get("spironolactone", ())
    assert any("potassium 6.1" in each.because[0] for each in told)


def test_a_dose_above_the_maximum_is_told_and_one_below_is_not(rules: Rules) -> None:
    (drug,) = rules.formulary.named("acetaminophen")
    facts = PatientFacts(AT, age=40, sex="male", egfr=90.0)
    for daily, wrong in ((8000.0, True), (3000.0, False)):
        medication = Medication((drug,), "acetaminophen", daily / 4, "mg", 4.0, "oral")
        told = check(rules.knowledge, facts, [medication])
        assert any(each.kind == "dose" for each in told) is wrong


def test_doses_of_one_ingredient_add_up(rules: Rules) -> None:
    (drug,) = rules.formulary.named("acetaminophen")
    three_grams = Medication((drug,), "acetaminophen", 1000, "mg", 3)
    facts = PatientFacts(AT, age=40, medications=(three_grams,))
    assert not any(each.kind == "dose" for each in check(rules.knowledge, facts, []))
    again = replace(three_grams, display="Tylenol")
    found = [each for each in check(rules.knowledge, facts, [again]) if each.kind == "dose"]
    assert any("3000 + 3000 mg a day" in each.because[0] for each in found)


def test_a_dose_that_cannot_be_checked_is_told(rules: Rules) -> None:
    (drug,) = rules.formulary.named("acetaminophen")
    six_grams = Medication((drug,), "acetaminophen", 2000, "mg", 3)
    found = check(rules.knowledge, PatientFacts(AT), [six_grams])
    assert any(each.kind == "dose" and "not known" in each.because[0] for each in found)


@pytest.mark.parametrize(
    ("system", "code", "display"),
    [
        (ICD, "N18.6", "End stage renal disease"),
        ("http://hl7.org/fhir/sid/icd-9-cm", "585.6", "End stage renal disease"),
        ("http://snomed.info/sct", "46177005", "End-stage renal disease"),
        (None, None, "Chronic kidney disease, stage 5"),
        (ICD, "Z99.2", "Dependence on renal dialysis"),
    ],
)
def test_kidneys_that_failed_by_diagnosis_veto_what_failed_kidneys_do(
    rules: Rules, system: str | None, code: str | None, display: str
) -> None:
    failed = (Coded(system, code, display, None),)
    assert ("kidney", "veto") in kinds(rules, PatientFacts(AT, conditions=failed), "metformin")
    dialysed = PatientFacts(AT, conditions=failed, egfr=55, egfr_from="after dialysis")
    assert ("kidney", "veto") in kinds(rules, dialysed, "metformin")


def test_a_measured_filtration_rate_counts_before_a_stage(rules: Rules) -> None:
    staged = (Coded(ICD, "N18.4", "Chronic kidney disease, stage 4", None),)
    recovered = PatientFacts(AT, conditions=staged, egfr=70, egfr_from="reported")
    assert not any(kind == "kidney" for kind, _ in kinds(rules, recovered, "metformin"))


@pytest.mark.parametrize(
    "words",
    [
        "Penicillin, unspecified",
        "Penicillin-class antibiotic",
        "Allergy to penicillin.",
        "PCN",
        "Beta-lactam antibiotics",
    ],
)
def test_an_allergy_is_read_however_it_is_written(rules: Rules, words: str) -> None:
    facts = PatientFacts(AT, allergies=(Allergy(rules.formulary.named(words), words),))
    assert ("allergy", "veto") in kinds(rules, facts, "amoxicillin")


def test_the_order_of_a_list_does_not_matter(rules: Rules) -> None:
    rubbed = Medication(
        rules.formulary.named("ketoconazole"), "ketoconazole cream", route="topical"
    )
    (swallowed,) = taking(rules, "simvastatin")
    facts = PatientFacts(AT, age=50, sex="male", egfr=90.0)
    one, other = (
        {(each.kind, each.action) for each in check(rules.knowledge, facts, listed)}
        for listed in ([rubbed, swallowed], [swallowed, rubbed])
    )
    assert one == other
    assert ("interaction", "veto") not in one


def test_a_later_diagnosis_outweighs_an_old_filtration_rate(rules: Rules) -> None:
    diagnosis = Coded(
        ICD, "N18.4", "Chronic kidney disease, stage 4", datetime(2026, 10, 1, tzinfo=UTC)
    )
    old = datetime(2026, 1, 1, tzinfo=UTC)
    facts = PatientFacts(AT, conditions=(diagnosis,), egfr=95, egfr_from="reported", egfr_time=old)
    assert ("kidney", "veto") in kinds(rules, facts, "metformin")
    newer = replace(facts, egfr_time=datetime(2026, 10, 20, tzinfo=UTC))
    assert not any(kind == "kidney" for kind, _ in kinds(rules, newer, "metformin"))


@pytest.mark.parametrize(
    ("words", "drug"),
    [("asthma, severe", "propranolol"), ("Parkinson disease (early)", "metoclopramide")],
)
def test_a_condition_in_words_alone_is_read(rules: Rules, words: str, drug: str) -> None:
    facts = PatientFacts(AT, conditions=(Coded(None, None, words, None),))
    assert ("condition", "veto") in kinds(rules, facts, drug)


@pytest.mark.parametrize("words", ["no asthma", "Family history of asthma", "suspected asthma"])
def test_a_condition_that_is_denied_is_none(rules: Rules, words: str) -> None:
    facts = PatientFacts(AT, conditions=(Coded(None, None, words, None),))
    assert not any(kind == "condition" for kind, _ in kinds(rules, facts, "propranolol"))


@pytest.mark.parametrize(
    ("dose", "unit"),
    [(9000, "MG"), (9, "gram"), (9, "g"), (9e6, "µg"), (9e6, "mcg"), (9000, "milligrams")],
)
def test_a_dose_is_read_in_any_spelling_of_its_unit(rules: Rules, dose: float, unit: str) -> None:
    (drug,) = rules.formulary.named("acetaminophen")
    facts = PatientFacts(AT, age=40)
    found = check(rules.knowledge, facts, [Medication((drug,), "acetaminophen", dose, unit, 1)])
    assert ("dose", "veto") in {(each.kind, each.action) for each in found}


def test_a_dose_in_what_is_no_unit_of_mass_is_said_not_to_be_checked(rules: Rules) -> None:
    (drug,) = rules.formulary.named("acetaminophen")
    odd = Medication((drug,), "acetaminophen", 30, "banana", 1)
    found = check(rules.knowledge, PatientFacts(AT, age=40), [odd])
    assert any(each.kind == "dose" and "30 banana" in each.because[0] for each in found)


def test_of_two_rules_of_a_pair_the_veto_is_told(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(
        f"{HEADER}\na,drug:metformin,drug:amlodipine,contraindicated,warning,W,M,https://site\n"
        "b,drug:amlodipine,drug:metformin,moderate,veto,W,M,https://site\n"
    )
    own = load_knowledge(rules.formulary, tmp_path)
    facts = PatientFacts(AT, age=40, egfr=90.0, medications=taking(rules, "amlodipine"))
    (found,) = (each for each in screen(own, facts)["metformin"] if each.kind == "interaction")
    assert found.action == "veto"


def test_the_same_pair_is_told_once_and_not_as_alike_too(rules: Rules) -> None:
    listed = taking(rules, "naproxen", "ibuprofen")
    facts = PatientFacts(AT, age=40, sex="male", egfr=90.0)
    found = [each for each in check(rules.knowledge, facts, listed) if "takes" in each.because[0]]
    assert [each.kind for each in found] == ["interaction"]


def test_hundreds_of_orders_of_one_drug_are_one_finding(rules: Rules) -> None:
    (drug,) = rules.formulary.named("ibuprofen")
    listed = [Medication((drug,), "ibuprofen", 400, "mg", 3) for _ in range(500)]
    found = check(rules.knowledge, PatientFacts(AT, age=40, sex="male", egfr=90.0), listed)
    assert [each.because for each in found if each.kind == "duplicate"] == [
        ("takes ibuprofen, in 500 orders",)
    ]
    assert len(found) < 10


def test_what_is_put_on_the_skin_warns_of_an_interaction_and_vetoes_none(rules: Rules) -> None:
    (swallowed,) = taking(rules, "ketoconazole")
    rubbed = replace(swallowed, route="Topical")
    for taken, action in ((swallowed, "veto"), (rubbed, "warning")):
        against = screen(rules.knowledge, PatientFacts(AT, age=50, medications=(taken,)))
        pair = {each.action for each in against["simvastatin"] if each.kind == "interaction"}
        assert pair == {action}


@pytest.mark.parametrize(
    "conditions",
    [
        (Coded("http://snomed.info/sct", "59927004", "Hepatic failure", None),),
        (Coded(ICD, "K74.60", "Cirrhosis", None), Coded(ICD, "R18.8", "Ascites", None)),
    ],
)
def test_a_liver_that_fails_is_read_from_any_code(
    rules: Rules, conditions: tuple[Coded, ...]
) -> None:
    assert ("liver", "veto") in kinds(rules, PatientFacts(AT, conditions=conditions), "dronedarone")


def test_where_neither_sex_nor_age_is_known_a_pregnancy_is_not_ruled_out(rules: Rules) -> None:
    told = kinds(rules, PatientFacts(AT), "isotretinoin")
    assert ("pregnancy", "unknown") in told
    assert ("pregnancy", "warning") not in kinds(
        rules, PatientFacts(AT, sex="male"), "isotretinoin"
    )


def test_vetoes_come_first_in_a_list(rules: Rules) -> None:
    facts = PatientFacts(AT, age=80, sex="male", egfr=20.0)
    told = check(rules.knowledge, facts, taking(rules, "warfarin", "aspirin", "metformin"))
    actions = [each.action for each in told]
    assert actions == sorted(actions, reverse=False, key=lambda action: action != "veto")
    assert {"veto", "warning"} <= set(actions)


def test_every_row_resolves_to_drugs_and_names_a_web_address(rules: Rules) -> None:
    assert rules.knowledge.unresolved == ()
    for rows in rules.knowledge.rules.values():
        for rule in rows:
            assert rule.source.startswith("http"), rule.id
            assert rule.mechanism, rule.id


def test_a_sites_own_row_counts_and_changes_the_version(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(f"{HEADER}\n{ROW}\n")
    own = load_knowledge(rules.formulary, tmp_path)
    facts = PatientFacts(AT, medications=taking(rules, "amlodipine"))
    assert any(each.rule == "site-1" for each in screen(own, facts)["metformin"])
    assert own.version != rules.version
    (tmp_path / "interactions.csv").write_text(f"{HEADER}\n{ROW.replace('veto', 'warning')}\n")
    assert load_knowledge(rules.formulary, tmp_path).version not in (own.version, rules.version)


def test_a_sites_row_with_our_id_replaces_ours(rules: Rules, tmp_path: Path) -> None:
    ours = "interaction-warfarin-aspirin"
    (tmp_path / "interactions.csv").write_text(
        f"{HEADER}\n{ours},drug:warfarin,drug:aspirin,major,warning,Ours here,Watch,https://site\n"
    )
    own = load_knowledge(rules.formulary, tmp_path)
    (rule,) = (each for each in own.rules["interactions"] if each.id == ours)
    assert rule.mechanism == "Ours here"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEADER}\n{ROW.replace('veto', 'perhaps')}", "perhaps"),
        (f"{HEADER}\n{ROW}\n{ROW}", "twice"),
        ("id,a\nx,y", "lacks the column"),
        (f"{HEADER}\n{ROW.replace('https://site', '')}", "source"),
        (f"{HEADER}\n{ROW.replace('drug:metformin', 'metformin')}", "metformin"),
    ],
)
def test_a_row_that_cannot_be_a_rule_is_refused_with_its_place(
    text: str, told: str, rules: Rules, tmp_path: Path
) -> None:
    (tmp_path / "interactions.csv").write_text(text + "\n")
    with pytest.raises(InvalidInput, match=told):
        load_knowledge(rules.formulary, tmp_path)


def test_a_state_of_the_liver_that_no_patient_can_have_is_refused(
    rules: Rules, tmp_path: Path
) -> None:
    header = ",".join(COLUMNS["liver"])
    (tmp_path / "liver.csv").write_text(
        f"{header}\nown,drug:metformin,tired liver,veto,Why,What,https://site\n"
    )
    with pytest.raises(InvalidInput, match="tired liver"):
        load_knowledge(rules.formulary, tmp_path)


def test_a_drug_of_a_sites_row_that_is_not_known_is_kept_and_told(
    rules: Rules, tmp_path: Path
) -> None:
    (tmp_path / "interactions.csv").write_text(
        f"{HEADER}\n{ROW.replace('drug:metformin', 'drug:unobtainium')}\n"
    )
    assert load_knowledge(rules.formulary, tmp_path).unresolved == ("site-1: drug:unobtainium",)


def test_an_export_of_ddinter_is_read(rules: Rules, tmp_path: Path) -> None:
    (tmp_path / "ddinter_downloads_code_A.csv").write_text(
        "DDInterID_A,Drug_A,DDInterID_B,Drug_B,Level\n"
        "DDInter1,Metformin,DDInter2,Amlodipine,Major\n"
        "DDInter1,Metformin,DDInter3,Lisinopril,Unknown\n"
    )
    own = load_knowledge(rules.formulary, tmp_path)
    facts = PatientFacts(AT, egfr=90.0, medications=taking(rules, "amlodipine", "lisinopril"))
    told = screen(own, facts)["metformin"]
    assert [(each.rule, each.severity) for each in told if each.rule.startswith("ddinter")] == [
        ("ddinter-metformin-amlodipine", "major")
    ]


def test_contraindications_in_fhir_are_read(rules: Rules, tmp_path: Path) -> None:
    definition = {
        "resourceType": "ClinicalUseDefinition",
        "id": "c1",
        "type": "contraindication",
        "subject": [{"display": "Loratadine"}],
        "contraindication": {
            "diseaseSymptomProcedure": {
                "concept": {"text": "Hiccup", "coding": [{"system": ICD, "code": "R06.6"}]}
            }
        },
    }
    (tmp_path / "own.json").write_text(json.dumps({"entry": [{"resource": definition}]}))
    own = load_knowledge(rules.formulary, tmp_path)
    facts = PatientFacts(AT, conditions=(Coded(ICD, "R06.6", "Hiccup", None),))
    assert screen(own, facts)["loratadine"][0].action == "veto"
    referring = {**definition, "subject": [{"reference": "Medication/m1"}]}
    product = {"resourceType": "Medication", "id": "m1", "code": {"text": "Cetirizine"}}
    (tmp_path / "own.json").write_text(
        json.dumps({"entry": [{"resource": referring}, {"resource": product}]})
    )
    own = load_knowledge(rules.formulary, tmp_path)
    assert screen(own, facts)["cetirizine"][0].action == "veto"
    (tmp_path / "own.json").write_text(
        json.dumps({"entry": [{"resource": {**definition, "subject": []}}]})
    )
    with pytest.raises(InvalidInput, match="lacks what a rule needs"):
        load_knowledge(rules.formulary, tmp_path)


def test_every_high_priority_pair_is_known(rules: Rules) -> None:
    """A member of each class of Phansalkar et al. 2012, table 2, JAMIA 19:735-743."""
    pairs = [
        ("atazanavir", "omeprazole"),
        ("selegiline", "meperidine"),
        ("amitriptyline", "phenelzine"),
        ("dextroamphetamine", "phenelzine"),
        ("febuxostat", "azathioprine"),
        ("simvastatin", "clarithromycin"),
        ("simvastatin", "ritonavir"),
        ("irinotecan", "ketoconazole"),
        ("ergotamine", "ritonavir"),
        ("fluoxetine", "phenelzine"),
        ("amiodarone", "thioridazine"),
        ("ramelteon", "fluvoxamine"),
        ("tizanidine", "ciprofloxacin"),
        ("tranylcypromine", "procarbazine"),
        ("sumatriptan", "phenelzine"),
        ("sotalol", "amiodarone"),
    ]
    known = [pair for pair in pairs if all(name in rules.formulary.drugs for name in pair)]
    assert len(known) >= 14
    for drug, other in known:
        told = rules.together(drug, other)
        assert any(each.action == "veto" for each in told), (drug, other)


def test_knowledge_is_loaded_alike_each_time(rules: Rules) -> None:
    again: Knowledge = load_knowledge(rules.formulary)
    assert again.version == rules.version
