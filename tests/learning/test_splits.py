import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.prepare.splits import split

THREE = {"train": 0.7, "validation": 0.15, "test": 0.15}
fractions = st.sampled_from([THREE, {"train": 0.8, "test": 0.2}, dict.fromkeys("abcde", 0.2)])


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(5, 60), min_size=1, max_size=5),
    shares=fractions,
    seed=st.integers(0, 1000),
)
def test_rows_are_shared_out_label_by_label(
    counts: list[int], shares: dict[str, float], seed: int
) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = split(y, shares, seed=seed)
    assert list(parts) == list(shares)
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(y)))
    for name, rows in parts.items():
        assert (np.diff(rows) > 0).all()
        for label, count in enumerate(counts):
            # Each part gets its first before any gets a second, so shares are met within the
            # number of parts.
            assert abs((y[rows] == label).sum() - shares[name] * count) <= len(shares)


@settings(max_examples=60, deadline=None)
@given(
    patients=st.lists(
        st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=12, max_size=60
    ),
    shares=fractions,
    seed=st.integers(0, 1000),
)
def test_patients_never_cross(
    patients: list[list[int]], shares: dict[str, float], seed: int
) -> None:
    y = np.array([label for labels in patients for label in labels])
    patient = np.array([f"p{i}" for i, labels in enumerate(patients) for _ in labels])
    try:
        parts = split(y, shares, patient, seed)
    except InvalidInput:
        assume(False)
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(y)))
    owners = [set(patient[rows]) for rows in parts.values()]
    assert sum(map(len, owners)) == len(set(patient))
    assert all(set(y[rows]) == set(y) for rows in parts.values())


def test_shares_are_met_closely_by_patient() -> None:
    rng = np.random.default_rng(0)
    patient = np.sort(rng.integers(400, size=3000)).astype(str)
    y = (rng.random(3000) < 0.1).astype(np.int64)
    for name, rows in split(y, THREE, patient).items():
        assert len(rows) / 3000 == pytest.approx(THREE[name], abs=0.01)
        assert y[rows].mean() == pytest.approx(y.mean(), abs=0.01)


def test_the_same_seed_gives_the_same_parts_and_another_others() -> None:
    y = np.arange(200) % 3
    first = split(y, THREE, seed=1)
    assert all(np.array_equal(first[name], rows) for name, rows in split(y, THREE, seed=1).items())
    assert not np.array_equal(first["train"], split(y, THREE, seed=2)["train"])


def test_a_label_with_too_few_patients_is_named() -> None:
    y = np.array([0] * 20 + [7] * 10)
    patient = np.array([str(i) for i in range(20)] + ["x", "y"] * 5)
    with pytest.raises(InvalidInput, match="Label 7 is carried by 2 patients"):
        split(y, THREE, patient)


@pytest.mark.parametrize("shares", [{}, {"train": 0.5}, {"train": 1.2, "test": -0.2}])
def test_fractions_must_be_shares_of_one(shares: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="sum to 1"):
        split(np.array([0, 1]), shares)


@settings(max_examples=30, deadline=None)
@given(
    shares=fractions,
    seed=st.integers(0, 1000),
    prevalence=st.lists(st.floats(0.05, 0.6), min_size=2, max_size=6),
)
def test_several_labels_are_shared_out_and_patients_never_cross(
    shares: dict[str, float], seed: int, prevalence: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random((1200, len(prevalence))) < prevalence
    patient = rng.integers(500, size=1200)
    parts = split(y, shares, patient, seed)
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(1200))
    assert sum(len(set(patient[rows])) for rows in parts.values()) == len(set(patient))
    nothing = ~y.any(axis=1)
    for name, rows in parts.items():
        for column in (*y.T, nothing):
            # Dealing patients out greedily promises no bound; this is far from chance.
            assert abs(column[rows].sum() - shares[name] * column.sum()) <= 0.04 * len(y)


def test_exclusive_labels_are_split_the_same_in_either_writing() -> None:
    y = np.random.default_rng(0).integers(4, size=300)
    one, two = split(y, THREE, seed=5), split(np.eye(4, dtype=np.bool_)[y], THREE, seed=5)
    assert all(np.array_equal(one[name], two[name]) for name in THREE)


def test_one_of_several_labels_with_too_few_rows_is_named_and_an_absent_one_is_not() -> None:
    y = np.zeros((60, 3), dtype=np.bool_)
    y[:30, 0] = True
    assert set(split(y, THREE)) == set(THREE)
    y[:2, 2] = True
    with pytest.raises(InvalidInput, match="Label 2 is carried by 2"):
        split(y, THREE)
