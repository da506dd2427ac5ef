import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from polyclinic.core.errors import QualityRefused
from polyclinic.core.prediction import Coding
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.label_checks import imbalance, label_shift
from polyclinic.learning.prepare.quality import QualityReport, check_quality
from polyclinic.learning.prepare.repeats import without_leaks

SHARED = Path(
    os.environ.get("POLYCLINIC_SHARED_DATA")
    or Path(__file__).resolve().parents[3] / "shared" / "data"
)
LABELS = tuple(Coding(system="urn:test", code=c, display=c) for c in ("normal", "pneumonia"))


def part(n: int, seed: int, patients: bool = True) -> Part:
    x = np.random.default_rng(seed).normal(size=(n, 1, 4, 4)).astype(np.float32)
    patient = np.array([f"{seed}-{i // 2}" for i in range(n)]) if patients else None
    return Part(x, np.arange(n) % 2, patient)


def dataset(**parts: Part | None) -> Dataset:
    given = {"train": part(100, 0), "validation": part(60, 1), "test": part(60, 2)} | parts
    train, validation = given["train"], given["validation"]
    assert train is not None
    assert validation is not None
    return Dataset("made", LABELS, train, validation, given["test"], "CC0-1.0", "made here")


def labelled(base: Part, y: NDArray[np.int64]) -> Part:
    return replace(base, y=y)


def found(data: Dataset) -> dict[str, str]:
    return {issue.check: issue.severity for issue in check_quality(data).issues}


def test_sound_data_passes_every_check() -> None:
    report = check_quality(dataset())
    assert report.issues == ()
    assert {"well_formed", "repeated_inputs", "label_shift"} <= set(report.checks)
    report.refuse()


def test_labels_out_of_range_are_an_error_naming_rows() -> None:
    y = np.arange(100) % 2
    y[[3, 70]] = 2, -1
    (issue,) = check_quality(dataset(train=labelled(part(100, 0), y))).issues
    assert (issue.check, issue.severity, issue.where) == ("well_formed", "error", "train")
    assert issue.rows == (3, 70)


@pytest.mark.parametrize(
    "bad",
    [
        replace(part(60, 1), x=part(59, 1).x),
        replace(part(60, 1), patient=np.array(["a"])),
        replace(part(60, 1), subgroups={"sex": np.array(["f"])}),
        replace(part(60, 1), y=np.zeros(60)),
        replace(part(60, 1), x=np.array([None] * 60, dtype=object)),
        part(60, 1).take(np.array([], dtype=np.int64)),
    ],
)
def test_malformed_parts_are_named_and_nothing_crashes(bad: Part) -> None:
    report = check_quality(dataset(validation=bad))
    assert [(i.severity, i.where) for i in report.issues] == [("error", "validation")]


def test_an_absent_label_cannot_be_learnt_but_may_lack_in_test() -> None:
    ones = labelled(part(60, 1), np.ones(60, dtype=np.int64))
    assert found(dataset(validation=ones))["label_absent"] == "error"
    assert found(dataset(test=ones))["label_absent"] == "warning"


def test_few_examples_of_a_label_are_a_warning() -> None:
    y = (np.arange(60) < 19).astype(np.int64)
    assert found(dataset(validation=labelled(part(60, 1), y)))["few_examples"] == "warning"


def test_inputs_that_are_not_finite_are_an_error_naming_rows() -> None:
    bad = part(100, 0)
    bad.x[7, 0, 0, 0], bad.x[9, 0, 3, 3] = np.nan, np.inf
    (issue,) = check_quality(dataset(train=bad)).issues
    assert (issue.check, issue.severity, issue.rows) == ("not_finite", "error", (7, 9))


def test_blank_inputs_are_a_warning_naming_rows() -> None:
    bad = part(100, 0)
    bad.x[10:50] = np.arange(40)[:, None, None, None]
    (issue,) = check_quality(dataset(train=bad)).issues
    assert (issue.check, issue.severity) == ("blank", "warning")
    assert issue.rows == tuple(range(10, 50))
    assert "40 inputs" in issue.detail


def test_the_same_input_with_another_label_is_an_error() -> None:
    bad = part(100, 0)
    bad.x[5] = bad.x[8]
    (issue,) = check_quality(dataset(train=bad)).issues
    assert (issue.check, issue.severity, issue.rows) == ("conflicting_labels", "error", (5, 8))


def test_the_same_input_with_the_same_label_is_a_warning() -> None:
    bad = part(100, 0)
    bad.x[6] = bad.x[8]
    (issue,) = check_quality(dataset(train=bad)).issues
    assert (issue.check, issue.severity, issue.rows) == ("repeated_in_part", "warning", (6, 8))


@pytest.mark.parametrize(
    ("other", "check", "severity"),
    [("validation", "leaked_to_validation", "warning"), ("test", "leaked_to_test", "error")],
)
def test_inputs_in_two_parts_are_found_and_can_be_dropped(
    other: str, check: str, severity: str
) -> None:
    leaky = dataset()
    leaky.parts[other].x[4] = leaky.train.x[40]
    (issue,) = check_quality(leaky).issues
    assert (issue.check, issue.severity) == (check, severity)
    assert (issue.where, issue.rows) == (f"train and {other}", (40,))
    clean = without_leaks(leaky)
    assert check_quality(clean).issues == ()
    assert {name: len(p) for name, p in clean.parts.items()} == {
        "train": 99,
        "validation": 60,
        "test": 60,
    }


def test_a_patient_in_two_parts_is_an_error() -> None:
    crossing = part(60, 1)
    assert crossing.patient is not None
    crossing.patient[:2] = "0-3"
    (issue,) = check_quality(dataset(validation=crossing)).issues
    assert (issue.check, issue.severity) == ("patient_in_two_parts", "error")
    assert (issue.where, issue.rows) == ("train and validation", (0, 1))


def test_a_shift_of_labels_is_a_warning_with_the_prevalences() -> None:
    y = (np.arange(60) < 50).astype(np.int64)
    shifted = dataset(test=labelled(part(60, 2), y))
    (issue,) = check_quality(shifted, [label_shift]).issues
    assert (issue.severity, issue.where) == ("warning", "train and test")
    assert "pneumonia: 50.0% and 83.3%" in issue.detail


def test_imbalance_is_a_warning() -> None:
    y = (np.arange(300) % 6 == 0).astype(np.int64)
    small = (np.arange(120) % 6 == 0).astype(np.int64)
    data = Dataset(
        "made",
        LABELS,
        labelled(part(300, 0), y),
        labelled(part(120, 1), small),
        None,
        "CC0-1.0",
        "made here",
    )
    assert found(data) == {"imbalance": "warning"}


def test_an_error_refuses_the_data_saying_what_and_where() -> None:
    bad = part(100, 0)
    bad.x[7] = np.nan
    report = check_quality(dataset(train=bad))
    with pytest.raises(QualityRefused, match="1 inputs hold NaN") as caught:
        report.refuse()
    assert caught.value.where == "train"
    assert QualityReport.model_validate_json(report.model_dump_json()) == report


def test_the_shared_chest_x_rays_pass_with_what_is_known_of_them() -> None:
    file = SHARED / "chest-xray" / "pneumoniamnist-3882.npz"
    if not file.exists():
        pytest.skip(f"the shared data is not at {SHARED}")
    with np.load(file) as arrays:
        parts = [
            Part(arrays[f"{name}_images"], arrays[f"{name}_labels"].ravel().astype(np.int64))
            for name in ("train", "val", "test")
        ]
    data = Dataset("pneumoniamnist", LABELS, *parts, "CC BY 4.0", "Yang et al. 2023")
    report = check_quality(data)
    report.refuse()
    assert found(data) == dict.fromkeys(
        ("repeated_in_part", "leaked_to_validation", "label_shift", "imbalance"), "warning"
    )
    (leak,) = [issue for issue in report.issues if issue.check == "leaked_to_validation"]
    assert leak.detail.startswith("8 inputs")
    assert len(leak.rows) == len(data.train) - len(without_leaks(data).train) == 10


def several(n: int, seed: int, prevalence: tuple[float, float] = (0.5, 0.4)) -> Part:
    """Two labels that have nothing to do with each other."""
    rng = np.random.default_rng(seed + 100)
    return replace(part(n, seed), y=rng.random((n, 2)) < prevalence)


def many(**parts: Part) -> Dataset:
    given = {"train": several(400, 0), "validation": several(300, 1), "test": several(300, 2)}
    return dataset(**(given | parts))


def test_sound_data_with_several_labels_passes_every_check() -> None:
    data = many()
    assert data.multi_label
    assert check_quality(data).issues == ()


@pytest.mark.parametrize(
    "y",
    [
        np.ones((300, 3), dtype=np.bool_),
        np.ones((300, 2), dtype=np.int64),
        np.ones(300, dtype=np.int64),
    ],
)
def test_labels_of_another_writing_than_trainings_are_an_error(y: NDArray[np.int64]) -> None:
    (issue,) = check_quality(many(validation=replace(part(300, 1), y=y))).issues
    assert (issue.check, issue.severity, issue.where) == ("well_formed", "error", "validation")


def test_one_of_several_labels_that_is_never_or_always_true_is_an_error() -> None:
    for value, says in ((False, "No example of pneumonia"), (True, "No example without pneumonia")):
        bad = several(300, 1)
        bad.y[:, 1] = value
        issues = {issue.check: issue for issue in check_quality(many(validation=bad)).issues}
        assert issues["label_absent"].severity == "error"
        assert issues["label_absent"].detail.startswith(says)


def test_a_shift_of_one_of_several_labels_is_found_and_it_alone_named() -> None:
    (issue,) = check_quality(many(test=several(300, 2, (0.5, 0.7)))).issues
    assert (issue.check, issue.where) == ("label_shift", "train and test")
    assert "pneumonia: " in issue.detail
    assert "normal" not in issue.detail


def test_chance_alone_rarely_looks_like_a_shift_of_several_labels() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        drawn = [replace(part(200, 0, False), y=rng.random((200, 2)) < 0.3) for _ in range(2)]
        data = many(train=drawn[0], validation=drawn[1], test=drawn[1])
        alarms += bool(list(label_shift(data)))
    assert alarms <= 8  # of 2 expected at the level of 0.01


def test_a_label_that_is_rare_among_several_is_a_warning() -> None:
    data = many(train=several(400, 0, (0.5, 0.1)))
    (issue,) = check_quality(data, [imbalance]).issues
    assert (issue.severity, issue.where) == ("warning", "train")
    assert "pneumonia in " in issue.detail
    assert "normal in " not in issue.detail


def test_the_same_input_with_another_set_of_labels_is_an_error() -> None:
    bad = several(400, 0)
    bad.x[5], bad.y[5], bad.y[8] = bad.x[8], (True, True), (True, False)
    assert found(many(train=bad)) == {"conflicting_labels": "error"}
    bad.y[8] = True
    assert found(many(train=bad)) == {"repeated_in_part": "warning"}
