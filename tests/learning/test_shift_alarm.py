from dataclasses import fields

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.learning.trust.shift_alarm import (
    MAX_ROWS,
    ShiftReference,
    energy_test,
    fit_shift_reference,
)


def test_false_alarms_are_as_rare_as_their_level_says() -> None:
    rng = np.random.default_rng(0)

    def draw(n: int) -> NDArray[np.float64]:  # heavy tails and ties: permutation does not care
        return np.round(rng.standard_t(2, size=(n, 3)), 1)

    p = np.array([energy_test(draw(40), draw(25), permutations=199) for _ in range(400)])
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() < level + 4 * np.sqrt(level * (1 - level) / len(p))
    assert (p <= 0.5).mean() > 0.4


@pytest.mark.parametrize("change", ["place", "spread", "correlation"])
def test_a_change_of_any_kind_alarms(change: str) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    if change == "place":
        second += 0.7
    elif change == "spread":
        second *= 2
    else:
        second[:, 1] = second[:, 0]
    assert energy_test(first, second) <= 0.01


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(2, 12), n=st.integers(2, 12))
def test_a_p_value_is_one_of_its_permutations_ranks(seed: int, m: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p = energy_test(rng.normal(size=(m, 2)), rng.normal(size=(n, 2)), permutations=19)
    assert p * 20 == pytest.approx(round(p * 20))
    assert 1 / 20 <= p <= 1


def test_equal_rows_differ_in_nothing_and_many_rows_are_sampled() -> None:
    assert energy_test(np.ones((5, 2)), np.ones((7, 2)), permutations=19) == 1.0
    rng = np.random.default_rng(0)
    many = rng.normal(size=(30 * MAX_ROWS, 1))
    assert energy_test(many, many + 0.5, permutations=99) == 0.01


def fitted() -> ShiftReference:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(300, 6)) * [1, 1, 1, 100, 1, 0]
    train[:, 4] = train[:, 3]
    p = rng.dirichlet(np.ones(2), size=50)
    return fit_shift_reference(train, train[:50] + 0.0, p, rng.integers(2, size=50))


def test_directions_are_of_unit_variance_and_leave_out_what_says_nothing() -> None:
    reference = fitted()
    assert reference.rows.shape == (50, 4)  # one feature is constant, one repeats another
    assert reference.rows.std(axis=0) == pytest.approx(1.0, abs=0.35)


def test_a_reference_is_stored_as_plain_arrays() -> None:
    reference = fitted()
    arrays = safetensors.numpy.load(safetensors.numpy.save(reference.to_arrays()))
    again = ShiftReference.from_arrays(arrays)
    for field in fields(ShiftReference):
        assert getattr(again, field.name) == pytest.approx(getattr(reference, field.name), abs=1e-5)
    features = np.random.default_rng(1).normal(size=(40, 6)) * [1, 1, 1, 100, 1, 0]
    assert again.p_value(features) == pytest.approx(reference.p_value(features), abs=0.01)
    with pytest.raises(IntegrityError, match="rows"):
        ShiftReference.from_arrays({k: v for k, v in arrays.items() if k != "rows"})
    with pytest.raises(IntegrityError, match="fit"):
        ShiftReference.from_arrays(arrays | {"y": arrays["y"][:-1]})
    with pytest.raises(IntegrityError, match="fit"):
        ShiftReference.from_arrays(arrays | {"y": arrays["y"] + 2})


def test_a_reference_of_several_labels_is_stored_and_alarms() -> None:
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(300, 6)), rng.normal(size=(200, 6))
    y = rng.random((200, 3)) < [0.5, 0.2, 0.0]
    reference = fit_shift_reference(train, held_out, rng.random((200, 3)), y)
    arrays = safetensors.numpy.load(safetensors.numpy.save(reference.to_arrays()))
    again = ShiftReference.from_arrays(arrays)
    assert again.y.dtype == np.bool_
    assert np.array_equal(again.y, y)
    assert again.prevalence == pytest.approx(y.mean(axis=0))
    assert again.p_value(rng.normal(size=(100, 6)) + 1) <= 0.01
    with pytest.raises(IntegrityError, match="fit"):
        ShiftReference.from_arrays(arrays | {"y": np.ascontiguousarray(arrays["y"][:, :2])})


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two of each"):
        energy_test(np.ones((1, 2)), np.ones((7, 2)))
    with pytest.raises(InvalidInput, match="finite"):
        energy_test(np.full((3, 2), np.nan), np.ones((7, 2)))
