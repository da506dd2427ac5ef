from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hostile import dicom
from pictures import encode, spots
from polyclinic.core.errors import InvalidInput, NotFound, UnsupportedInput
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.sources.assembly import MAX_UNREADABLE
from polyclinic.learning.prepare.quality import check_quality

LABELS = (
    Coding(system="urn:test", code="N0", display="normal"),
    Coding(system="urn:test", code="S1", display="spot"),
)
WORDS = ("normal", "spot")


def pictures(n: int, seed: int = 0) -> list[tuple[bytes, int]]:
    """Encoded pictures of 16 × 16 with their labels."""
    pixels, y = spots(n, seed)
    return [(encode(each), int(label)) for each, label in zip(pixels, y, strict=True)]


def write_folders(root: Path, n: int = 60, seed: int = 0, prefix: str = "") -> Path:
    for number, (data, label) in enumerate(pictures(n, seed)):
        folder = root / WORDS[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{prefix}{number:03}.png").write_bytes(data)
    return root


def write_manifest(path: Path, columns: str, lines: list[str]) -> Path:
    path.write_text("\n".join([columns, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_manifest_names_none_one_or_several_labels_of_a_picture(tmp_path: Path) -> None:
    cells = ["", "effusion", "Mass | effusion", "mass"]
    lines = []
    for number, (data, _) in enumerate(pictures(80)):
        (tmp_path / f"{number}.png").write_bytes(data)
        lines.append(f"{number}.png,{cells[number % 4]}")
    path = write_manifest(tmp_path / "labels.csv", "path,label", lines)
    labels = tuple(Coding(system="urn:test", code=c, display=c) for c in ("mass", "effusion"))
    source = read_source(tmp_path, labels, size=16, multi_label=True)
    truths = {0: (False, False), 1: (False, True), 2: (True, True), 3: (True, False)}
    for name, part in source.dataset.parts.items():
        for file, y in zip(source.files[name], part.y, strict=True):
            assert tuple(y) == truths[int(file.removesuffix(".png")) % 4]
        assert part.y.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.1)
    with pytest.raises(InvalidInput, match="There is no label") as caught:
        read_source(path, labels, size=16)
    assert "multi_label" in (caught.value.remedy or "")


def test_no_file_no_npz_and_no_source_are_refused(tmp_path: Path) -> None:
    for name in ("none.npz", "none.csv", "none"):
        with pytest.raises(NotFound):
            read_source(tmp_path / name)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InvalidInput):
        read_source(tmp_path / "text.npz")
    (tmp_path / "text.xml").write_text("hello")
    with pytest.raises(UnsupportedInput):
        read_source(tmp_path / "text.xml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="two folders"):
        read_source(tmp_path / "empty")


def test_a_folder_per_class_is_split_and_its_names_are_the_labels(tmp_path: Path) -> None:
    source = read_source(write_folders(tmp_path / "set", 60), size=16)
    dataset = source.dataset
    assert [(label.code, label.display) for label in dataset.labels] == [
        ("normal", "normal"),
        ("spot", "spot"),
    ]
    assert {name: len(part) for name, part in dataset.parts.items()} == {
        "train": 40,
        "validation": 10,
        "test": 10,
    }
    assert source.issues == ()
    for name, part in dataset.parts.items():
        for x, y, file in zip(part.x, part.y, source.files[name], strict=True):
            assert file.startswith(WORDS[y])
            assert encode(x[0]) == (tmp_path / "set" / file).read_bytes()


def test_neither_names_nor_order_have_a_say_in_split_or_digest(tmp_path: Path) -> None:
    first = read_source(write_folders(tmp_path / "a"), size=16, seed=4).dataset
    again = tmp_path / "b"
    for number, (data, label) in enumerate(reversed(pictures(60))):
        folder = again / WORDS[label] / str(number % 7)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"x{number}").write_bytes(data)
    assert read_source(again, size=16, seed=4).dataset.digest() == first.digest()
    assert read_source(again, size=16, seed=5).dataset.digest() != first.digest()
    other = write_folders(tmp_path / "c")
    (other / "spot" / "001.png").write_bytes(encode(spots(1, 99)[0][0]))
    assert read_source(other, size=16, seed=4).dataset.digest() != first.digest()


def test_folders_of_parts_are_kept_and_validation_comes_of_training(tmp_path: Path) -> None:
    write_folders(tmp_path / "Train", 40, 0)
    write_folders(tmp_path / "test", 20, 1)
    dataset = read_source(tmp_path, LABELS, size=16).dataset
    assert dataset.labels == LABELS
    assert (len(dataset.train), len(dataset.validation)) == (34, 6)
    assert dataset.test is not None
    assert sorted(map(bytes, dataset.test.x)) == sorted(map(bytes, spots(20, 1)[0]))
    write_folders(tmp_path / "val", 10, 2)
    assert len(read_source(tmp_path, LABELS, size=16).dataset.train) == 40


def test_colour_and_size_follow_the_pictures_or_the_wish(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "set")
    assert read_source(root).dataset.train.x.shape[1:] == (1, 64, 64)
    colour = np.repeat(spots(1, 5)[0][0][:, :, None], 3, axis=2)
    (root / "spot" / "colour.png").write_bytes(encode(colour))
    assert read_source(root, size=16).dataset.train.x.shape[1:] == (3, 16, 16)
    assert read_source(root, size=20, channels=1).dataset.train.x.shape[1:] == (1, 20, 20)


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "set")
    (root / "spot" / "cut.png").write_bytes(encode(spots(1, 7)[0][0])[:80])
    (root / "normal" / "notes.txt").write_text("not a picture")
    (root / "normal" / ".hidden").write_text("nor this")
    source = read_source(root, size=16)
    (issue,) = source.issues
    assert (issue.check, issue.severity) == ("unreadable", "warning")
    assert "2 of 62" in issue.detail
    assert "spot/cut.png" in issue.detail
    assert "normal/notes.txt" in issue.detail
    assert sum(map(len, source.dataset.parts.values())) == 60
    for number in range(int(60 * MAX_UNREADABLE) + 1):
        (root / "spot" / f"empty{number}.png").write_bytes(b"")
    (issue,) = read_source(root, size=16).issues
    assert issue.severity == "error"


def test_planted_faults_are_all_found_and_none_invented(tmp_path: Path) -> None:
    parts = {"train": (60, 0), "val": (40, 1), "test": (40, 2)}
    for part, (n, seed) in parts.items():
        write_folders(tmp_path / part, n, seed)
    clean = read_source(tmp_path, size=16)
    found = {issue.check for issue in check_quality(clean.dataset).issues}
    assert clean.issues == ()
    assert found.isdisjoint({"blank", "leaked_to_test", "leaked_to_validation", "repeated_in_part"})
    copies = sorted((tmp_path / "train" / "spot").iterdir())[:3]
    for copy in copies:
        (tmp_path / "test" / "spot" / f"copy-{copy.name}").write_bytes(copy.read_bytes())
    (tmp_path / "val" / "spot" / f"copy-{copies[0].name}").write_bytes(copies[0].read_bytes())
    blank = encode(np.full((16, 16), 9, np.uint8))
    (tmp_path / "train" / "normal" / "blank.png").write_bytes(blank)
    planted = read_source(tmp_path, size=16)
    issues = {issue.check: issue for issue in check_quality(planted.dataset).issues}
    (row,) = issues["blank"].rows
    assert planted.files["train"][row] == "train/normal/blank.png"
    leaked = [
        planted.files[issue.where.split(" and ")[0]][row]
        for issue in check_quality(planted.dataset).issues
        if issue.check == "leaked_to_test"
        for row in issue.rows
    ]
    assert sorted(leaked) == [f"train/spot/{copy.name}" for copy in copies]


def test_copies_of_one_picture_are_never_split_apart(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "set", 40)
    write_folders(root, 40, prefix="copy-")
    dataset = read_source(root, size=16).dataset
    checks = {issue.check for issue in check_quality(dataset).issues}
    assert checks.isdisjoint({"leaked_to_test", "leaked_to_validation"})


def write_listed(root: Path, columns: str, extra: list[str]) -> Path:
    root.mkdir(exist_ok=True)
    lines = []
    for number, (data, label) in enumerate(pictures(len(extra))):
        (root / f"{number}.png").write_bytes(data)
        lines.append(f"{number}.png,{WORDS[label]}{extra[number]}")
    return write_manifest(root / "list.csv", f"Path,label{columns}", lines)


def test_a_manifest_gives_patients_who_are_never_split_and_stay_nameless(tmp_path: Path) -> None:
    extra = [f",P{number // 4},{'AB'[number % 2]},{20 + number}" for number in range(80)]
    listed = write_listed(tmp_path / "set", ",patient,scanner,age", extra)
    dataset = read_source(listed, LABELS, size=16, subgroups=("age", "scanner")).dataset
    patients = {
        name: set(part.patient) for name, part in dataset.parts.items() if part.patient is not None
    }
    assert sum(map(len, patients.values())) == 20
    assert len(set.union(*patients.values())) == 20
    assert not any(patient.startswith("P") for patient in patients["train"])
    assert set(dataset.train.subgroups) == {"scanner", "age"}
    assert set(dataset.train.subgroups["scanner"]) == {"A", "B"}
    assert set(dataset.train.subgroups["age"]) == {"18 to 39", "40 to 64", "65 and over"}


def test_a_column_that_tells_pictures_apart_is_no_subgroup_and_that_is_said(tmp_path: Path) -> None:
    extra = [f",note {number}" for number in range(60)]
    listed = write_listed(tmp_path / "set", ",remark", extra)
    source = read_source(listed, size=16, subgroups=("remark",))
    assert source.dataset.train.subgroups == {}
    assert [issue.check for issue in source.issues] == ["ungrouped"]


def test_a_column_that_nobody_named_a_subgroup_is_left_out_as_it_may_name_people(
    tmp_path: Path,
) -> None:
    extra = [f",{'Anna Muster' if number % 2 else 'Bert Muster'},F" for number in range(60)]
    source = read_source(write_listed(tmp_path / "set", ",patient_name,sex", extra), size=16)
    assert set(source.dataset.train.subgroups) == {"sex"}
    (issue,) = source.issues
    assert issue.check == "unnamed_attributes"
    assert "patient_name" in issue.detail
    assert "Muster" not in issue.detail


def test_several_labels_where_one_is_due_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    names = []
    for number, (data, label) in enumerate(pictures(6)):
        (root / f"{number}.png").write_bytes(data)
        names.append(f"{number}.png,{WORDS[label]}{'|other' if number == 3 else ''}")
    with pytest.raises(InvalidInput, match="several labels") as caught:
        read_source(write_manifest(root / "list.csv", "path,label", names), size=16)
    assert "multi_label" in str(caught.value.remedy)


def test_a_manifests_split_is_kept(tmp_path: Path) -> None:
    extra = [f",{('train', 'valid', 'TEST')[number // 20]}" for number in range(60)]
    source = read_source(write_listed(tmp_path / "set", ",split", extra), size=16)
    assert {name: len(part) for name, part in source.dataset.parts.items()} == {
        "train": 20,
        "validation": 20,
        "test": 20,
    }
    assert set(source.files["validation"]) == {f"{number}.png" for number in range(20, 40)}


@pytest.mark.parametrize(
    ("columns", "lines", "says"),
    [
        ("file,label", ["a.png,x"], "line 1"),
        ("path,label", ["a.png,"], "line 2"),
        ("path,label,split", ["0.png,a,train", "1.png,b,exam"], "line 3"),
        ("path,label,split", ["0.png,a,train", "1.png,b,"], "state no part"),
        ("path,label,split", ["0.png,a,test", "1.png,b,test"], "for training"),
        ("path,label", ["0.png,a", "1.png,a"], "two distinct labels"),
        ("path,label", ["x.png,a", "y.png,b"], "No picture can be read"),
        ("path,label", [], "no picture"),
    ],
)
def test_a_wrong_manifest_is_refused_at_its_place(
    tmp_path: Path, columns: str, lines: list[str], says: str
) -> None:
    for number, (data, _) in enumerate(pictures(2)):
        (tmp_path / f"{number}.png").write_bytes(data)
    with pytest.raises(InvalidInput) as refused:
        read_source(write_manifest(tmp_path / "list.csv", columns, lines), size=16)
    assert says in f"{refused.value.where} {refused.value.detail}"


def test_labels_are_matched_by_code_or_display_and_strangers_named(tmp_path: Path) -> None:
    extra = [""] * 60
    path = write_listed(tmp_path / "set", "", extra)
    text = path.read_text()
    path.write_text(text.replace("normal", "N0").replace("spot", "Spot"))
    dataset = read_source(path, LABELS, size=16).dataset
    assert np.bincount(dataset.train.y).tolist() == [20, 20]
    path.write_text(text.replace("0.png,normal", "0.png,abnormal", 1))
    with pytest.raises(InvalidInput, match="abnormal"):
        read_source(path, LABELS, size=16)


def test_numbers_are_labels_in_their_order(tmp_path: Path) -> None:
    lines = []
    for number, (data, _) in enumerate(pictures(60)):
        (tmp_path / f"{number}.png").write_bytes(data)
        lines.append(f"{number}.png,{(10, 9, 2)[number % 3]}")
    dataset = read_source(
        write_manifest(tmp_path / "list.csv", "path,label", lines), size=16
    ).dataset
    assert [label.code for label in dataset.labels] == ["2", "9", "10"]


def pixels(seed: int) -> NDArray[np.uint8]:
    return spots(1, seed, size=64)[0][0]


def test_a_folder_of_dicom_takes_patient_sex_and_age_from_the_headers(tmp_path: Path) -> None:
    lines = []
    for number in range(60):
        header: dict[str, Any] = {
            "PatientID": f"ID-{number // 2}",
            "PatientSex": "MF"[number // 2 % 2],
        }
        if number >= 10:
            header["PatientAge"] = f"{number:03}Y"
        (tmp_path / f"{number}.dcm").write_bytes(dicom(pixels=pixels(number).tobytes(), **header))
        lines.append(f"{number}.dcm,{WORDS[number // 2 % 3 == 0]}")
    write_manifest(tmp_path / "labels.csv", "path,label", lines)
    dataset = read_source(tmp_path, size=32).dataset
    assert dataset.train.x.shape[1:] == (1, 32, 32)
    seen: set[str] = set()
    for part in dataset.parts.values():
        assert part.patient is not None
        assert seen.isdisjoint(part.patient)
        assert not any("ID" in patient for patient in part.patient)
        seen |= set(part.patient)
    assert len(seen) == 30
    assert set(dataset.train.subgroups["sex"]) == {"female", "male"}
    assert "18 to 39" in dataset.train.subgroups["age"]
    assert {"unknown", "0 to 17", "18 to 39", "40 to 64"} >= set(dataset.train.subgroups["age"])
