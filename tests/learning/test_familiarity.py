import time

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.learning.trust.familiarity import FamiliarityModel, fit_familiarity

Floats = NDArray[np.float64]
MIXING = np.random.default_rng(99).normal(size=(20, 20)) * np.logspace(-2, 2, 20)
MEANS = np.random.default_rng(98).normal(size=(3, 20)) * 3


def features(n: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Features of unequal scale that hang together, and their labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    return (MEANS[y] + rng.normal(size=(n, 20))) @ MIXING, y


@pytest.fixture(scope="module")
def model() -> FamiliarityModel:
    return fit_familiarity(*features(1000, 0), features(500, 1)[0])


def test_p_values_of_familiar_inputs_are_uniform(model: FamiliarityModel) -> None:
    p = model.p_values(features(4000, 2)[0])
    for alpha in (0.01, 0.05, 0.2, 0.5, 0.9):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=0.04)


def test_an_input_off_the_usual_correlation_is_unfamiliar(model: FamiliarityModel) -> None:
    x, _ = features(200, 3)
    shuffled = np.random.default_rng(0).permuted(x, axis=0)
    assert np.median(model.p_values(x)) > 0.3
    assert (model.p_values(shuffled) < 0.05).mean() > 0.9


def test_the_distance_is_mahalanobis_to_the_nearest_mean() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50_000, 2)) * [1.0, 10.0], np.zeros(50_000, dtype=np.int64)
    model = fit_familiarity(x, y, x[:100])
    assert model.distance([[2.0, 0.0], [0.0, 20.0]]) == pytest.approx([4.0, 4.0], rel=0.05)


def test_what_is_not_finite_gets_the_least_p_value(model: FamiliarityModel) -> None:
    x, _ = features(4, 4)
    x[0, 3], x[1, 0], x[2, 5] = np.nan, np.inf, 1e300
    p = model.p_values(x)
    assert (p[:3] == 1 / 501).all()
    assert p[3] > 1 / 501


def test_a_feature_that_was_constant_counts_once_it_moves() -> None:
    x, y = features(600, 5)
    dead = np.hstack([x, np.full((600, 1), 0.1)])
    model = fit_familiarity(dead[:400], y[:400], dead[400:])
    assert np.isfinite(model.whitening).all()
    moved = dead[400:].copy()
    moved[:, -1] += 5.0 * np.median(x.std(axis=0))
    assert (model.p_values(moved) < 0.05).all()


def test_all_features_constant_is_no_crash() -> None:
    x = np.ones((10, 3))
    model = fit_familiarity(x, np.zeros(10, dtype=np.int64), x)
    assert model.p_values(x).tolist() == [1.0] * 10
    assert (model.p_values(x + 1) == 1 / 11).all()


def test_fewer_examples_than_features() -> None:
    x, y = features(15, 6)
    model = fit_familiarity(x, y, features(100, 7)[0])
    assert (model.p_values(features(500, 8)[0]) <= 0.1).mean() == pytest.approx(0.1, abs=0.06)


def test_a_stored_model_answers_as_before(model: FamiliarityModel) -> None:
    stored = safetensors.numpy.load(safetensors.numpy.save(model.to_arrays()))
    x, _ = features(100, 9)
    assert np.array_equal(FamiliarityModel.from_arrays(stored).p_values(x), model.p_values(x))


def test_stored_arrays_that_do_not_fit_are_refused(model: FamiliarityModel) -> None:
    arrays = model.to_arrays()
    with pytest.raises(IntegrityError, match="means"):
        FamiliarityModel.from_arrays({k: v for k, v in arrays.items() if k != "means"})
    with pytest.raises(IntegrityError, match="fit together"):
        FamiliarityModel.from_arrays(arrays | {"center": np.zeros(3)})


def test_training_features_that_are_not_finite_are_refused() -> None:
    x, y = features(30, 10)
    x[4, 4] = np.nan
    with pytest.raises(InvalidInput, match="finite"):
        fit_familiarity(x, y, x[:3])
    with pytest.raises(InvalidInput, match="at least one"):
        fit_familiarity(*features(30, 10), np.empty((0, 20)))


def test_serving_a_thousand_rows_takes_milliseconds() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 200))
    model = fit_familiarity(x, rng.integers(2, size=1000), x)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        model.p_values(x)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.1


def test_inputs_with_several_labels_have_one_kind_and_p_values_that_are_uniform() -> None:
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[Floats, NDArray[np.bool_]]:
        y = rng.random((n, 4)) < 0.3
        return np.hstack([y @ MEANS[:2, :4].T, y[:, :2]]) + rng.normal(size=(n, 4)), y

    x, y = draw(1000)
    fitted = fit_familiarity(x, y, draw(500)[0])
    assert fitted.means.shape == (1, 4)
    p = fitted.p_values(draw(4000)[0])
    for alpha in (0.01, 0.1, 0.5):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=0.05)
    assert (fitted.p_values(draw(50)[0] + 100) < 0.01).all()
