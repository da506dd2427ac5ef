"""Molecules from text and files: standardised, or rejected with place and reason."""

import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from polyclinic.core.errors import InputTooLarge, InvalidInput, UnsupportedInput
from polyclinic.discovery.molecules import (
    Molecule,
    Record,
    Rejected,
    Standard,
    parse,
    parse_block,
    read,
    records,
)
from polyclinic.discovery.molecules.limits import MOST_ATOMS, MOST_RINGS

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
AS_IT_IS = Standard(strip_salts=False, neutralise=False)


def block(smiles: str, name: str = "") -> str:
    mol = Chem.MolFromSmiles(smiles)
    mol.SetProp("_Name", name)
    return str(Chem.MolToMolBlock(mol))


def test_a_molecule_is_known_by_its_inchikey_however_it_is_written() -> None:
    one, other = parse("OC(=O)c1ccccc1OC(C)=O"), parse(ASPIRIN)
    assert one == other
    assert one.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"


@pytest.mark.parametrize(
    ("given", "smiles", "removed"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O", ("[Na+]",)),
        ("CC(=O)O[Na]", "CC(=O)O", ("[Na+]",)),
        ("C[NH+](C)CCc1ccccc1.[Cl-].O", "CN(C)CCc1ccccc1", ("O", "[Cl-]")),
        ("CCCN.OC(=O)/C=C/C(=O)O", "CCCN", ("O=C(O)/C=C/C(=O)O",)),
        ("C[N+](C)(C)C.[I-]", "C[N+](C)(C)C", ("[I-]",)),
        ("NCCc1ccccc1.NCCc1ccccc1", "NCCc1ccccc1", ()),
        ("[NH3+]CC(=O)[O-]", "NCC(=O)O", ()),
        ("C[S+]([O-])C", "CS(C)=O", ()),
        ("CS(C)=O", "CS(C)=O", ()),
        ("C[N-][N+]#N", "CN=[N+]=[N-]", ()),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", ()),
        ("C[C@H](N)C(=O)O", "C[C@H](N)C(=O)O", ()),
        ("[CH3:1][OH:2]", "CO", ()),
    ],
)
def test_salts_leave_and_are_told_and_charges_balance(
    given: str, smiles: str, removed: tuple[str, ...]
) -> None:
    molecule = parse(given)
    assert molecule.smiles == Chem.CanonSmiles(smiles)
    assert molecule.smiles == Chem.MolToSmiles(molecule.mol)
    assert molecule.removed == tuple(sorted(Chem.CanonSmiles(part) for part in removed))


def test_what_standardising_changed_is_said() -> None:
    assert parse(ASPIRIN).changed == ()
    assert parse("CC(=O)[O-]").changed == ("charges neutralised",)
    assert parse("NCC.NCC").changed == ("one of 2 equal parts kept",)
    assert "atom numbers taken away" in parse("[CH3:1][OH:2]").changed


def test_nothing_is_standardised_that_was_not_asked_for() -> None:
    text = "CC(=O)[O-].[Na+]"
    assert parse(text, standard=AS_IT_IS).smiles == Chem.CanonSmiles(text)
    assert parse("Oc1ccccn1").smiles == "Oc1ccccn1"
    assert parse("Oc1ccccn1", standard=Standard(tautomer=True)).smiles == "O=c1cccc[nH]1"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["C", "N", "O", "[O-]", "[NH3+]", "S(=O)", "C(=O)", "c1ccccc1", "[S+]([O-])", "[Na+]"]
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["", "."]),
)
def test_standardising_twice_changes_nothing(parts: list[str], glue: str) -> None:
    try:
        once = parse(glue.join(parts))
    except InvalidInput:
        return
    again = parse(once.smiles)
    assert again.smiles == once.smiles
    assert again.removed == again.changed == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no SMILES"),
        ("C1CC", "Ring 1, opened at character 2"),
        ("C(C", "parenthesis at character 2 is never closed"),
        ("CC)C", "parenthesis at character 3 was never opened"),
        ("[CH3", "bracket at character 1 is never closed"),
        ("CH3]", "'H', character 2"),
        ("CC]", "bracket at character 3 was never opened"),
        ("CXC", "'X', character 2"),
        ("CC(C)(C)(C)C", "valence for atom # 1 C"),
        ("c1cccc1", "kekulize"),
        ("C*C", "no element"),
        ("[Xx]", "cannot read"),
    ],
)
def test_what_is_no_molecule_is_told_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(text)
    assert reason in error.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "C" * 100_000,
        "C" * (MOST_ATOMS + 1),
        "C12" * MOST_RINGS + "C12" * (MOST_RINGS + 2),
        "(" * 10_000_000,
        "[C]" * (MOST_ATOMS + 1),
    ],
)
def test_a_limit_is_kept_before_rdkit_sees_anything(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Chem, "MolFromSmiles")
    with pytest.raises(InputTooLarge):
        parse(text)


def test_the_counts_of_a_block_are_limited_before_rdkit_sees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = block("C").split("\n")
    lines[3] = "999998" + lines[3][6:]
    monkeypatch.delattr(Chem, "MolFromMolBlock")
    with pytest.raises(InputTooLarge):
        parse_block("\n".join(lines))


def test_a_name_may_follow_a_smiles_and_an_extension_is_passed_over() -> None:
    assert parse("CCO ethyl alcohol").name == "ethyl alcohol"
    assert parse("CCO\tethanol").name == "ethanol"
    assert parse("CCO ethanol", name="mine").name == "mine"
    assert parse("C[C@H](N)O |o1:1|").changed == ("what stands behind the SMILES was not read",)


# Files


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def sdf(smiles: list[str]) -> str:
    return "".join(
        f"{block(text, f'M{number}')}> <logP>\n{number}.5\n\n$$$$\n"
        for number, text in enumerate(smiles)
    )


GIVEN = ["CCO", ASPIRIN, "CC(=O)[O-].[Na+]"]
ROWS = [f"{text},M{number},{number}.5" for number, text in enumerate(GIVEN)]
FILES = {
    "a.smi": "\n".join(f"{text} M{number}" for number, text in enumerate(GIVEN)),
    "a.smi.gz": "\n".join(f"{text} M{number}" for number, text in enumerate(GIVEN)),
    "a.csv": "SMILES,name,logP\n" + "\n".join(ROWS),
    "b.csv": "\ufeffcanonical_smiles;id;logP\r\n" + "\r\n".join(ROWS).replace(",", ";"),
    "a.tsv.gz": "smiles\tname\tlogP\n" + "\n".join(ROWS).replace(",", "\t"),
    "a.sdf": sdf(GIVEN),
    "a.sdf.gz": sdf(GIVEN).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_molecules(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, FILES[name])
    assert list(read(path)) == [parse(text, f"M{number}") for number, text in enumerate(GIVEN)]
    if ".smi" not in name:
        found = [record for record in records(path) if isinstance(record, Record)]
        assert [record.columns for record in found] == [{"logP": f"{n}.5"} for n in range(3)]


def test_parquet_gives_the_same_molecules_and_keeps_the_types_of_its_columns(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.parquet"
    table = {"smiles": [*GIVEN, None], "name": ["M0", "M1", "M2", "M3"], "logP": [0.5, 1.5, 2.5, 0]}
    pl.DataFrame(table).write_parquet(path)
    *molecules, last = read(path)
    assert molecules == [parse(text, f"M{number}") for number, text in enumerate(GIVEN)]
    assert last == Rejected("a.parquet:4", "", "There is no SMILES.")
    first = next(records(path))
    assert isinstance(first, Record)
    assert first.columns == {"logP": 0.5}


def test_a_v3000_block_is_read() -> None:
    mol = Chem.MolFromSmiles(ASPIRIN)
    assert parse_block(Chem.MolToV3KMolBlock(mol)).smiles == ASPIRIN


def test_stereochemistry_drawn_in_a_block_is_read() -> None:
    mol = Chem.MolFromSmiles("C[C@H](N)C(=O)O")
    assert parse_block(Chem.MolToMolBlock(mol)).smiles == "C[C@H](N)C(=O)O"


def test_a_bad_line_fails_alone_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a.smi", "CCO a\n\nC1CC b\nCCN c\n")
    first, bad, last = read(path)
    assert isinstance(first, Molecule)
    assert isinstance(last, Molecule)
    assert bad == Rejected("a.smi:3", "C1CC b", "Ring 1, opened at character 2, is never closed.")
    assert last.name == "c"


def test_a_bad_row_fails_alone_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'smiles,name\nCCO,"a, b"\nCC,x,y\nC(C,d\n"CCN",e\n')
    rows = list(read(path))
    assert [type(row) for row in rows] == [Molecule, Rejected, Rejected, Molecule]
    assert [row.place for row in rows if isinstance(row, Rejected)] == ["a.csv:3", "a.csv:4"]
    assert rows[0] == parse("CCO", "a, b")


@pytest.mark.parametrize("name", ["a.smi", "a.smi.gz", "a.csv"])
def test_ten_megabytes_of_one_line_are_one_rejection(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, "smiles\n" + "C" * 10_000_000 + "\nCCO\n")
    long, last = read(path)
    assert isinstance(long, Rejected)
    assert long.place == f"{name}:2"
    assert long.text == "C" * 80
    assert "100,000 bytes" in long.reason
    assert isinstance(last, Molecule)


def test_an_sdf_that_never_ends_is_one_rejection(tmp_path: Path) -> None:
    good, endless = sdf(["CCO"]), block("CC").replace("M  END\n", "")
    first, cut = read(write(tmp_path, "a.sdf", good + endless))
    assert isinstance(first, Molecule)
    assert isinstance(cut, Rejected)
    assert cut.place == f"a.sdf:{good.count(chr(10)) + 1}"
    assert "M  END" in cut.reason
    first, long = read(write(tmp_path, "b.sdf", good + endless * 5000))
    assert isinstance(first, Molecule)
    assert isinstance(long, Rejected)
    assert "$$$$" in long.reason


def test_a_last_record_without_its_dollars_is_whole_all_the_same(tmp_path: Path) -> None:
    text = sdf(["CCO", "CCN"]).removesuffix("$$$$\n")
    assert [type(row) for row in read(write(tmp_path, "a.sdf", text))] == [Molecule, Molecule]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "structure,name\nCCO,a\n", "Which column holds the SMILES"),
        ("a.csv", "smiles_a,smiles_b\nCCO,a\n", "Which column holds the SMILES"),
        ("a.csv", "", "Which column"),
        ("a.csv", "a" * 200_000, "titles"),
        ("a.parquet", b"PAR1 no more", "cannot be read"),
        ("a.smi", b"\x1f\x8b rubbish", "cannot be read on"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    name: str, text: str | bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as error:
        list(read(write(tmp_path, name, text)))
    assert reason in error.value.detail
    assert name in str(error.value.where)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "structure,name\nCCO,a\n")
    assert next(read(path, smiles="structure")) == parse("CCO", "a")
    with pytest.raises(InvalidInput) as error:
        next(read(path, smiles="smile"))
    assert "structure, name" in str(error.value.remedy)
    numbers = tmp_path / "a.parquet"
    pl.DataFrame({"smiles": [1.0]}).write_parquet(numbers)
    with pytest.raises(InvalidInput, match="no text"):
        next(read(numbers))


def test_a_gzip_file_that_is_cut_off_is_told_after_what_could_be_read(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{'C' * (n % 40 + 1)} M{n}\n" for n in range(20_000)).encode())
    path = write(tmp_path, "a.smi", whole[: len(whole) // 2])
    rows: Iterator[Molecule | Rejected] = read(path)
    assert isinstance(next(rows), Molecule)
    with pytest.raises(InvalidInput, match="cannot be read on after line"):
        list(rows)


def test_an_open_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    rows = "".join(f"{'C' * 30},M{n}\n" for n in range(20_000))
    found = list(records(write(tmp_path, "a.csv", f'smiles,name\n"CC,a\n{rows}')))
    bad = [row for row in found if isinstance(row, Rejected)]
    assert bad
    assert all(row.place.startswith("a.csv:") for row in bad)
    assert len(found) > 10_000


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput):
        read(tmp_path / "a.docx")
    with pytest.raises(InvalidInput, match="cannot be opened"):
        list(read(tmp_path / "none.smi"))


@pytest.mark.parametrize("name", ["a.smi", "a.sdf", "a.csv"])
def test_memory_does_not_grow_with_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    unit = {"a.smi": "CCO a\n", "a.sdf": sdf(["CCO"]), "a.csv": "CCO,a,1\n"}[name]
    path.write_text("smiles,name,x\n" * (name == "a.csv") + unit * (3_000_000 // len(unit)))
    tracemalloc.start()
    for _ in records(path):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000
