"""Drugs by code and by name, on names as hospitals write them."""

import csv
import gzip
import string
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.clinical.codes import ATC, RXNORM, SNOMED, known
from polyclinic.core.errors import InvalidInput
from polyclinic.learning.prepare.catalogue import find
from polyclinic.treatment.drugs import Formulary, load_formulary, read_structures
from polyclinic.treatment.drugs.formulary import Drug

SHARED = Path(__file__).parents[3] / "shared" / "data"
FORMULARY = load_formulary()


def names(text: str) -> set[str]:
    return {drug.name for drug in FORMULARY.named(text)}


@pytest.mark.parametrize(
    ("text", "drugs"),
    [
        ("Metoprolol Tartrate 25mg", {"metoprolol"}),
        ("METOPROLOL SUCCINATE XL", {"metoprolol"}),
        ("HYDROmorphone (Dilaudid)", {"hydromorphone"}),
        ("Fluticasone/Salmeterol", {"fluticasone", "salmeterol"}),
        ("HYDROCODONE/APAP 5MG/325MG", {"hydrocodone", "acetaminophen"}),
        ("PERCOCET 5/325 TAB", {"oxycodone", "acetaminophen"}),
        ("Albuterol 0.083% Neb Soln", {"albuterol"}),
        ("ALBUTEROL 2.5 MG/3 ML UD INH SOLN", {"albuterol"}),
        ("5-FU", {"fluorouracil"}),
        ("St. John's wort", {"st john's wort"}),
        ("Salbutamol", {"albuterol"}),
        ("Buscopan", {"butylscopolamine"}),
        ("Sulfameth/Trimethoprim DS", {"sulfamethoxazole", "trimethoprim"}),
        ("*NF* Rasburicase", {"rasburicase"}),
        ("INSULIN (REGULAR) 100 UNITS in 1", {"insulin regular human"}),
        ("Humalog Insulin", {"insulin lispro"}),
        ("Sliding scale insulin", {"insulin"}),
    ],
)
def test_an_order_names_its_ingredients(text: str, drugs: set[str]) -> None:
    assert names(text) == drugs


@pytest.mark.parametrize(
    ("text", "drugs"),
    [
        ("Atorvastatin calcium 40 mg", {"atorvastatin"}),
        ("Penicillin G Potassium", {"penicillin g"}),
        ("Dexamethasone Sodium Phosphate", {"dexamethasone"}),
        ("hydrocortisone (as sodium phosphate)", {"hydrocortisone"}),
        ("Sodium Bicarbonate", {"sodium bicarbonate"}),
        ("sodium bicar", {"sodium bicarbonate"}),
        ("Omeprazole-Sodium Bicarbonate", {"omeprazole", "sodium bicarbonate"}),
    ],
)
def test_a_salt_is_a_drug_only_where_it_is_not_the_salt_of_one(text: str, drugs: set[str]) -> None:
    assert names(text) == drugs


@pytest.mark.parametrize(
    ("text", "drugs"),
    [
        ("NS", {"sodium chloride"}),
        ("D5W", {"glucose"}),
        ("SW", {"water"}),
        ("D5 1/2NS", {"glucose", "sodium chloride"}),
        ("LR 1,000 mL", {"lactated ringer's"}),
        ("AMIODARONE 150 MG in 100 mL D5W", {"amiodarone"}),
        ("Potassium Chl 20 mEq / 1000 mL D5 1/2 NS", {"potassium chloride"}),
        ("DEXTROSE 5% IN WATER (D5W) IV : 1000 ML BAG", {"glucose"}),
    ],
)
def test_a_fluid_is_a_drug_only_where_nothing_is_dissolved_in_it(
    text: str, drugs: set[str]
) -> None:
    assert names(text) == drugs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Vial",
        "Syringe (Chemo)",
        "Bag",
        "Broad spectrum antibiotic",
        "Sterile Diluent for Flolan",
        "donepezil 5 mg or placebo",
        "VANCOMYCIN CONSULT TO PHARMACY",
        "Aspirin-free",
        "Rho(D) immune globulin",
        "metoprolool",
        "inhaler",
        "🙂 \x00 ½ 10 mg",
    ],
)
def test_what_is_no_known_drug_is_not_guessed(text: str) -> None:
    assert names(text) == set()


def test_a_name_that_denies_a_drug_is_not_that_drug() -> None:
    assert names("Non-Aspirin 500 mg") == {"acetaminophen"}


@given(
    drug=st.sampled_from(sorted(FORMULARY.drugs)),
    strength=st.integers(1, 999),
    form=st.sampled_from(["MG PO TABS", "mg tablet", "% Cream", "mg/mL IV soln", "XL"]),
)
def test_every_drug_is_found_by_its_name_with_any_strength_and_form(
    drug: str, strength: int, form: str
) -> None:
    assert drug in names(f"{drug.upper()} {strength} {form}")


@given(st.text(alphabet=string.printable + "äßé½²🙂", max_size=60))
def test_any_text_is_answered_with_known_drugs_each_once(text: str) -> None:
    found = FORMULARY.named(text)
    assert len(set(found)) == len(found)
    assert all(FORMULARY.drugs[drug.name] is drug for drug in found)


def test_a_code_stands_for_an_ingredient_or_a_listed_product() -> None:
    (statin,) = FORMULARY.coded(RXNORM, "36567")
    assert statin.name == "simvastatin"
    assert statin.coding.code == "36567"
    assert FORMULARY.coded("urn:oid:2.16.840.1.113883.6.88", "36567") == (statin,)
    assert FORMULARY.coded(ATC, "C10AA01") == (statin,)
    assert {d.name for d in FORMULARY.coded(RXNORM, "10831")} == {
        "sulfamethoxazole",
        "trimethoprim",
    }
    assert {d.name for d in FORMULARY.coded(RXNORM, "313002")} == {"sodium chloride"}


def test_an_unknown_code_or_system_stands_for_nothing() -> None:
    for system, code in [(RXNORM, "999999999"), (None, "36567"), (SNOMED, "36567"), (ATC, "C10AA")]:
        assert FORMULARY.coded(system, code) == ()


def test_codes_come_before_words_and_other_codes_before_nothing() -> None:
    assert [d.name for d in FORMULARY.of(RXNORM, "36567", (), None)] == ["simvastatin"]
    assert [d.name for d in FORMULARY.of("x", "1", (f"{ATC}|C10AA01",), "?")] == ["simvastatin"]
    assert [d.name for d in FORMULARY.of(None, None, (), "Zocor")] == ["simvastatin"]
    assert FORMULARY.of(None, None, (), None) == ()


def test_words_count_where_the_code_is_of_another_drug_and_that_is_told() -> None:
    # 3002 is cyclophosphamide; the simulated cohort orders alendronate with it.
    alendronate = FORMULARY.of(RXNORM, "3002", (), "Alendronate")
    assert [drug.name for drug in alendronate] == ["alendronate"]
    told = FORMULARY.conflict(RXNORM, "3002", (), "Alendronate")
    assert told == "Alendronate is coded as cyclophosphamide; taken as alendronate."
    assert FORMULARY.conflict(RXNORM, "36567", (), "Zocor 20 mg") is None
    assert FORMULARY.conflict(RXNORM, "36567", (), "one tablet") is None


def test_a_mixture_coded_as_one_of_its_drugs_is_the_mixture() -> None:
    levodopa = FORMULARY.drugs["levodopa"].rxnorm
    found = FORMULARY.of(RXNORM, levodopa, (), "Carbidopa-Levodopa CR (25-100)")
    assert {drug.name for drug in found} == {"carbidopa", "levodopa"}


def test_a_reference_is_a_drug_or_a_class() -> None:
    assert [d.name for d in FORMULARY.described("drug:simvastatin")] == ["simvastatin"]
    assert [d.name for d in FORMULARY.described("drug:paracetamol")] == ["acetaminophen"]
    assert FORMULARY.described("drug:nothing") == ()
    statins = {drug.name for drug in FORMULARY.described("atc:C10AA")}
    assert {"simvastatin", "atorvastatin", "pitavastatin"} <= statins
    assert "ezetimibe" not in statins
    for wrong in ("simvastatin", "drug:", "atc:", "atc:nonsense", "class:statins"):
        with pytest.raises(InvalidInput):
            FORMULARY.described(wrong)


def test_an_atc_code_has_its_ancestors() -> None:
    assert Formulary.atc_ancestors("C10AA05") == ("C", "C10", "C10A", "C10AA", "C10AA05")
    assert Formulary.atc_ancestors("C10A") == ("C", "C10", "C10A")


def test_the_table_is_sound() -> None:
    drugs = FORMULARY.drugs.values()
    assert len(drugs) > 900
    codes = Counter(drug.rxnorm for drug in drugs if drug.rxnorm)
    assert max(codes.values()) == 1
    for drug in drugs:
        assert drug.name == drug.name.lower().strip()
        assert drug.source
        assert drug.rxnorm is None or known(RXNORM, drug.rxnorm)
        assert all(len(code) == 7 and known(ATC, code) for code in drug.atc)
        assert all(FORMULARY.coded(ATC, code) for code in drug.atc)
        for synonym in drug.synonyms:
            assert drug in FORMULARY.named(synonym)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("name,rxnorm,atc,synonyms,source", *lines)), encoding="utf-8")
    return path


def test_a_users_own_table_adds_drugs_and_names(tmp_path: Path) -> None:
    own = write(
        tmp_path / "own.csv",
        "Flupirtine,32972,N02BG07,katadolon;Trancopal Dolo,local list",
        "simvastatin,,,simvahexal,local list",
    )
    formulary = load_formulary(own)
    assert [drug.name for drug in formulary.named("Katadolon 100 mg")] == ["flupirtine"]
    assert [drug.name for drug in formulary.coded(ATC, "N02BG07")] == ["flupirtine"]
    simvastatin = formulary.drugs["simvastatin"]
    assert formulary.named("SimvaHEXAL 20") == (simvastatin,)
    assert simvastatin.rxnorm == "36567"
    assert simvastatin.source.endswith("local list")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,abc,,,", "abc is no code of x."),
        ("x,,C10AA,,", "C10AA is no code of x."),
        (",1,,,", "A drug has no name."),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        load_formulary(write(tmp_path / "own.csv", "warfarin,11289,B01AA03,,list", line))
    assert caught.value.where is not None
    assert caught.value.where.endswith("own.csv:3")


def test_a_table_without_its_columns_or_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("name,rxnorm\nwarfarin,11289\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "short.csv", tmp_path / "binary.csv", tmp_path / "absent.csv"):
        with pytest.raises(InvalidInput) as caught:
            load_formulary(path)
        assert caught.value.remedy


def test_two_drugs_of_one_name_are_refused() -> None:
    drug = Drug("warfarin", "11289", ("B01AA03",), (), "list")
    with pytest.raises(InvalidInput, match="two drugs named warfarin"):
        Formulary([drug, drug])


def resolved(table: Path, column: str) -> tuple[float, float]:
    """The share of rows, and of distinct strings, that name a drug; empty cells do not count."""
    if not table.exists():
        pytest.skip(f"{table} is not at hand")
    with gzip.open(table, "rt") as stream:
        counts = Counter(row[column] for row in csv.DictReader(stream) if row[column])
    hits = [text for text in counts if FORMULARY.named(text)]
    return sum(counts[text] for text in hits) / counts.total(), len(hits) / len(counts)


def test_most_orders_of_two_hospitals_are_understood() -> None:
    rows, strings = resolved(SHARED / "mimic3-demo" / "PRESCRIPTIONS.csv.gz", "drug")
    assert rows > 0.97
    assert strings > 0.94
    rows, strings = resolved(SHARED / "eicu-demo" / "medication.csv.gz", "drugname")
    assert rows > 0.99
    assert strings > 0.99


def test_structures_are_matched_by_name_alone(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "pref_name": ["PARACETAMOL", "SIMVASTATIN SODIUM", "ASPIRIN", None],
            "smiles": ["CC(=O)Nc1ccc(O)cc1", "[Na+]", None, "C"],
        }
    )
    table.write_parquet(tmp_path / "approved.parquet")
    found = read_structures(tmp_path / "approved.parquet", FORMULARY)
    assert found == {"acetaminophen": "CC(=O)Nc1ccc(O)cc1"}


def test_what_holds_no_structures_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"smiles": ["C"]}).write_parquet(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("smiles")
    for name in ("other.parquet", "text.parquet", "absent.parquet"):
        with pytest.raises(InvalidInput, match="holds no structures"):
            read_structures(tmp_path / name, FORMULARY)


def test_the_catalogue_has_the_structures() -> None:
    entry = find("chembl-approved-drugs")
    assert [file.name for file in entry.files] == ["chembl_approved_drugs.parquet"]
