"""Scores learned by matrix factorisation and nearest neighbours."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from polyclinic.core.errors import InputTooLarge, InvalidInput
from polyclinic.learning.recommend.ratings import knn, svd, svdpp
from polyclinic.learning.recommend.ratings.factors import Factors
from polyclinic.learning.recommend.ratings.knn import KnnSettings
from polyclinic.learning.recommend.ratings.neighbours import Neighbours
from polyclinic.learning.recommend.ratings.scores import Ratings
from polyclinic.learning.recommend.ratings.svd import SvdSettings
from polyclinic.learning.recommend.ratings.svdpp import SvdppSettings

SCALE = (1.0, 5.0)
USERS, ITEMS = 120, 60
EVERY = [
    (svd, SvdSettings(factors=8)),
    (svdpp, SvdppSettings(factors=8)),
    (knn, KnnSettings(by="items", shrinkage=5)),
    (knn, KnnSettings(by="users", shrinkage=5)),
]
Fitted = Factors | Neighbours


def planted(share: float, seed: int = 0) -> tuple[Ratings, Ratings]:
    """A share of scores of which two factors decide, with a little noise; and the other scores."""
    rng = np.random.default_rng(seed)
    exact = 3 + 0.8 * rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS))
    scores = np.clip(exact + rng.normal(0, 0.05, exact.shape), *SCALE).astype(np.float32)
    users, items = np.indices(scores.shape, dtype=np.int32).reshape(2, -1)
    order = rng.permutation(len(users))
    whole = Ratings(users, items, scores.ravel(), USERS, ITEMS, SCALE)
    cut = int(share * len(order))
    return whole.of(order[:cut]), whole.of(order[cut:])


def rmse(model: Fitted, ratings: Ratings) -> float:
    return float(
        np.sqrt(np.mean((model.predict(ratings.users, ratings.items) - ratings.values) ** 2))
    )


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


@pytest.fixture(scope="module")
def data() -> tuple[Ratings, Ratings]:
    return planted(0.5)


@pytest.fixture(scope="module", params=EVERY, ids=["svd", "svdpp", "knn-items", "knn-users"])
def fitted(request: pytest.FixtureRequest, data: tuple[Ratings, Ratings]) -> Fitted:
    module, chosen = request.param
    return module.fit(data[0], chosen)


def test_held_out_scores_are_foretold_better_than_by_biases(
    fitted: Fitted, data: tuple[Ratings, Ratings]
) -> None:
    trained, held_out = data
    biases = knn.fit(trained, KnnSettings(neighbours=1, shrinkage=1e9))
    by_biases = biases.mean + biases.user_bias[held_out.users] + biases.item_bias[held_out.items]
    assert rmse(fitted, held_out) < 0.8 * np.sqrt(np.mean((by_biases - held_out.values) ** 2))


@pytest.mark.parametrize(("module", "settings_"), [(svd, SvdSettings), (svdpp, SvdppSettings)])
def test_a_planted_matrix_of_low_rank_is_found_again(
    module: ModuleType, settings_: type[SvdSettings], data: tuple[Ratings, Ratings]
) -> None:
    trained, held_out = data
    chosen = settings_(factors=4, epochs=150, rate=0.02, regularisation=0.01)
    assert rmse(module.fit(trained, chosen), held_out) < 0.15


@pytest.mark.parametrize(("module", "settings_"), [(svd, SvdSettings), (svdpp, SvdppSettings)])
def test_the_training_error_falls_epoch_by_epoch(
    module: ModuleType, settings_: type[SvdSettings], data: tuple[Ratings, Ratings]
) -> None:
    errors = [
        rmse(module.fit(data[0], settings_(factors=8, epochs=n)), data[0]) for n in range(1, 9)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


@pytest.mark.parametrize(("module", "settings_"), [(svd, SvdSettings), (svdpp, SvdppSettings)])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    module: ModuleType, settings_: type[SvdSettings], data: tuple[Ratings, Ratings]
) -> None:
    first, again, other = (
        save(module.fit(data[0], settings_(factors=8, seed=seed)).arrays()) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_svdpp_moves_implicit_factors_as_the_formula_does_score_by_score() -> None:
    """The descent of Koren 2008, equation 15, written out, against the one that defers a user's."""
    trained, _ = planted(0.2)
    chosen = SvdppSettings(factors=3, epochs=2, rate=0.01, regularisation=0.05)
    rng = np.random.default_rng(chosen.seed)
    begin = svd.start(trained, chosen, rng)
    y = svd.drawn(trained.items, ITEMS, chosen, rng).astype(np.float64)
    p, q = begin.user_factors.astype(np.float64), begin.item_factors.astype(np.float64)
    bu, bi = np.zeros(USERS), np.zeros(ITEMS)
    rate, pull = chosen.rate, chosen.regularisation
    for _ in range(chosen.epochs):
        for u in rng.permutation(USERS):
            rows = np.flatnonzero(trained.users == u)
            rows = rows[np.argsort(trained.items[rows])]
            own = trained.items[rows]
            for row in rows:
                i, norm = trained.items[row], len(own) ** -0.5
                implicit = norm * y[own].sum(axis=0)
                error = (
                    trained.values[row] - trained.mean - bu[u] - bi[i] - q[i] @ (p[u] + implicit)
                )
                bu[u] += rate * (error - pull * bu[u])
                bi[i] += rate * (error - pull * bi[i])
                p_old, q_old = p[u].copy(), q[i].copy()
                p[u] += rate * (error * q_old - pull * p_old)
                q[i] += rate * (error * (p_old + implicit) - pull * q_old)
                y[own] += rate * (error * norm * q_old - pull * y[own])
    model = svdpp.fit(trained, chosen)
    np.testing.assert_allclose(model.implicit_factors, y, atol=1e-5)
    np.testing.assert_allclose(model.item_factors, q, atol=1e-5)
    np.testing.assert_allclose(model.user_bias, bu, atol=1e-5)
    user = int(trained.users[0])
    own = trained.items[trained.users == user]
    whole = p[user] + y[own].sum(axis=0) / np.sqrt(len(own))
    np.testing.assert_allclose(model.user_factors[user], whole, atol=1e-5)


@pytest.mark.parametrize("by", ["items", "users"])
def test_similarities_are_the_shrunk_correlations_beyond_the_baselines(by: str) -> None:
    trained, _ = planted(0.3)
    model = knn.fit(trained, KnnSettings(by=by, shrinkage=7))
    table = np.full((USERS, ITEMS), np.nan)
    baselines = model.mean + model.user_bias[trained.users] + model.item_bias[trained.items]
    table[trained.users, trained.items] = trained.values - baselines
    rows = table if by == "users" else table.T
    for a, b in [(0, 1), (5, 40), (59, 2)]:
        both = np.isfinite(rows[a]) & np.isfinite(rows[b])
        x, y = rows[a, both], rows[b, both]
        degrees = both.sum() - 1
        expected = degrees / (degrees + 7) * (x @ y) / np.sqrt((x @ x) * (y @ y))
        assert model.similar[a, b] == pytest.approx(expected, abs=1e-5)
        assert model.similar[b, a] == model.similar[a, b]
    assert not model.similar.diagonal().any()


@pytest.mark.parametrize("by", ["items", "users"])
def test_a_score_is_the_mean_of_the_nearest_that_are_alike(by: str) -> None:
    trained, held_out = planted(0.3)
    model = knn.fit(trained, KnnSettings(by=by, neighbours=3, shrinkage=7))
    for user, item in zip(held_out.users[:40], held_out.items[:40], strict=True):
        if by == "items":
            rows = np.flatnonzero(trained.users == user)
            weights = model.similar[item, trained.items[rows]]
        else:
            rows = np.flatnonzero(trained.items == item)
            weights = model.similar[user, trained.users[rows]]
        u, i = trained.users[rows], trained.items[rows]
        beyond = trained.values[rows] - (model.mean + model.user_bias[u] + model.item_bias[i])
        nearest = [k for k in np.argsort(-weights)[:3] if weights[k] > 0]
        expected = model.mean + model.user_bias[user] + model.item_bias[item]
        if nearest:
            expected += np.average(beyond[nearest], weights=weights[nearest])
        found = model.predict([user], [item])[0]
        assert found == pytest.approx(np.clip(expected, *SCALE), abs=1e-5)
        assert model.on_scale(model.scores([user]))[0, item] == pytest.approx(found, abs=1e-5)


def test_scores_of_all_items_agree_with_predictions_of_pairs(fitted: Fitted) -> None:
    table = fitted.on_scale(fitted.scores([3, USERS + 9, 7]))
    every = np.arange(ITEMS)
    for row, user in enumerate([3, USERS + 9, 7]):
        np.testing.assert_allclose(table[row], fitted.predict(user, every), atol=1e-5)


def test_unknown_users_and_items_are_answered_by_what_is_known(fitted: Fitted) -> None:
    found = fitted.predict([-1, USERS, 5, 2**31], [4, ITEMS, ITEMS, -7])
    biases = [fitted.item_bias[4], 0, fitted.user_bias[5], 0]
    np.testing.assert_allclose(found, np.clip(fitted.mean + biases, *SCALE), atol=1e-6)


def test_users_and_items_without_a_score_are_answered_by_biases(
    data: tuple[Ratings, Ratings],
) -> None:
    t = data[0]
    wider = Ratings(t.users, t.items, t.values, USERS + 1, ITEMS + 1, SCALE)
    for module, chosen in EVERY:
        model = module.fit(wider, chosen)
        np.testing.assert_allclose(model.predict(USERS, ITEMS), model.mean, atol=1e-6)
        expected = np.clip(model.mean + model.user_bias[2], *SCALE)
        np.testing.assert_allclose(model.predict(2, ITEMS), expected, atol=1e-6)


def test_a_new_user_without_scores_gets_the_items_biases(fitted: Fitted) -> None:
    np.testing.assert_allclose(fitted.fold_in([], []), fitted.mean + fitted.item_bias, atol=1e-6)
    np.testing.assert_allclose(fitted.fold_in([], []), fitted.scores(-1)[0], atol=1e-6)


def test_a_training_user_folded_in_is_ranked_as_trained(
    fitted: Fitted, data: tuple[Ratings, Ratings]
) -> None:
    trained = data[0]
    found = []
    for user in range(40):
        own = trained.users == user
        folded = fitted.fold_in(trained.items[own], trained.values[own])
        found.append(rank_correlation(folded, fitted.scores(user)[0]))
    assert np.mean(found) > 0.9


def test_by_items_a_user_folded_in_gets_the_very_scores_of_training(
    data: tuple[Ratings, Ratings],
) -> None:
    trained = data[0]
    model = knn.fit(trained, KnnSettings())
    own = trained.users == 11
    folded = model.fold_in(trained.items[own], trained.values[own])
    np.testing.assert_allclose(folded, model.scores(11)[0], atol=1e-5)


@pytest.mark.parametrize(("module", "chosen"), EVERY)
def test_own_scores_of_a_new_user_tell_more_than_biases(
    module: ModuleType, chosen: SvdSettings | KnnSettings, data: tuple[Ratings, Ratings]
) -> None:
    trained = data[0]
    model = module.fit(trained.of(np.flatnonzero(trained.users >= 30)), chosen)
    items, values = trained.items, trained.values
    informed, uninformed = [], []
    for user in range(30):
        rows = np.flatnonzero(trained.users == user)
        told, hidden = rows[::2], rows[1::2]
        for errors, own in ((informed, told), (uninformed, told[:0])):
            found = model.fold_in(items[own], values[own])[items[hidden]]
            errors.append(np.mean((found - values[hidden]) ** 2))
    assert np.mean(informed) < 0.8 * np.mean(uninformed)


def test_scores_of_unknown_items_are_left_out_when_folding_in(fitted: Fitted) -> None:
    known = fitted.fold_in([3, 8], [5, 1])
    np.testing.assert_array_equal(fitted.fold_in([-1, 3, -1, 8, ITEMS], [9, 5, 2, 1, 4]), known)


@pytest.mark.parametrize(
    ("items", "values", "told"),
    [
        ([1], [5.5], "scale"),
        ([1], [np.nan], "scale"),
        ([1, 1], [2, 3], "repeats"),
        ([1], [], "many"),
    ],
)
def test_wrong_scores_of_a_new_user_are_refused(
    fitted: Fitted, items: list[int], values: list[float], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        fitted.fold_in(items, values)


def test_models_rest_as_safetensors(fitted: Fitted, data: tuple[Ratings, Ratings]) -> None:
    again = type(fitted).from_arrays(load(save(fitted.arrays())))
    held_out = data[1]
    np.testing.assert_array_equal(
        again.predict(held_out.users, held_out.items),
        fitted.predict(held_out.users, held_out.items),
    )
    np.testing.assert_array_equal(again.fold_in([2], [4]), fitted.fold_in([2], [4]))


def test_a_stored_model_that_lacks_an_array_or_does_not_fit_is_refused(fitted: Fitted) -> None:
    arrays = fitted.arrays()
    with pytest.raises(InvalidInput, match="lacks item_bias"):
        type(fitted).from_arrays({k: v for k, v in arrays.items() if k != "item_bias"})
    with pytest.raises(InvalidInput, match="do not fit"):
        type(fitted).from_arrays(arrays | {"scale": np.zeros(3)})


RATINGS = st.integers(2, 9).flatmap(
    lambda n: st.lists(
        st.tuples(st.integers(0, n - 1), st.integers(0, 6), st.sampled_from([1, 2, 3.5, 5])),
        min_size=1,
        max_size=50,
        unique_by=lambda row: row[:2],
    ).map(
        lambda rows: Ratings(
            np.array([r[0] for r in rows], dtype=np.int32),
            np.array([r[1] for r in rows], dtype=np.int32),
            np.array([r[2] for r in rows], dtype=np.float32),
            n,
            7,
            SCALE,
        )
    )
)


@given(ratings=RATINGS, which=st.sampled_from(EVERY))
@settings(max_examples=60, deadline=None)
def test_every_answer_is_a_number_and_predictions_lie_on_the_scale(
    ratings: Ratings, which: tuple[ModuleType, SvdSettings | KnnSettings]
) -> None:
    module, chosen = which
    model = module.fit(ratings, chosen)
    users, items = np.indices((ratings.n_users + 1, 8)).reshape(2, -1)
    found = model.predict(users, items)
    assert np.all((found >= 1) & (found <= 5))
    assert np.isfinite(model.scores(np.arange(ratings.n_users + 1))).all()
    assert np.isfinite(model.fold_in([0, 5], [1, 5])).all()


@given(ratings=RATINGS, by=st.sampled_from(["items", "users"]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_other_numbers_for_the_users_change_no_neighbours(
    ratings: Ratings, by: str, data: st.DataObject
) -> None:
    renamed = np.array(data.draw(st.permutations(range(ratings.n_users))), dtype=np.int32)
    chosen = KnnSettings(by=by, shrinkage=2)
    other = Ratings(
        renamed[ratings.users], ratings.items, ratings.values, ratings.n_users, 7, SCALE
    )
    users, items = np.indices((ratings.n_users, 7)).reshape(2, -1)
    np.testing.assert_allclose(
        knn.fit(other, chosen).predict(renamed[users], items),
        knn.fit(ratings, chosen).predict(users, items),
        atol=1e-3,
    )


def some(**changed: object) -> dict[str, object]:
    sound: dict[str, object] = {
        "users": np.array([0, 1], dtype=np.int32),
        "items": np.array([0, 1], dtype=np.int32),
        "values": np.array([1, 5], dtype=np.float32),
        "n_users": 2,
        "n_items": 2,
        "scale": SCALE,
    }
    return sound | changed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"users": np.array([0, 2], dtype=np.int32)}, "Row 1 is no known user"),
        ({"items": np.array([-1, 1], dtype=np.int32)}, "Row 0 is no known item"),
        ({"values": np.array([1, np.nan], dtype=np.float32)}, "Row 1 is not on the scale"),
        ({"values": np.array([0, 1], dtype=np.float32)}, "Row 0 is not on the scale from 1 to 5"),
        ({"values": np.zeros(3, dtype=np.float32)}, "as many"),
        ({"scale": (5.0, 1.0)}, "must rise"),
        (
            {"users": np.zeros(2, dtype=np.int32), "items": np.ones(2, dtype=np.int32)},
            "Row 1 repeats",
        ),
        (
            {name: np.zeros(0, dtype=np.int32) for name in ("users", "items", "values")},
            "no score",
        ),
    ],
)
def test_wrong_ratings_are_refused_with_their_row(changed: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Ratings(**some(**changed))  # type: ignore[arg-type]


def test_a_descent_that_runs_away_is_refused(data: tuple[Ratings, Ratings]) -> None:
    for module, chosen in [(svd, SvdSettings(rate=50)), (svdpp, SvdppSettings(rate=50))]:
        with pytest.raises(InvalidInput, match="ran away"):
            module.fit(data[0], chosen)


def test_too_many_to_compare_are_refused_before_memory_is_taken(
    data: tuple[Ratings, Ratings],
) -> None:
    t = data[0]
    many = Ratings(t.users, t.items, t.values, 1_000_000, ITEMS, SCALE)
    with pytest.raises(InputTooLarge, match="among at most") as refused:
        knn.fit(many, KnnSettings(by="users"))
    assert refused.value.remedy
    assert "items" in refused.value.remedy


def test_models_answer_without_what_training_needs() -> None:
    program = (
        "import sys, polyclinic.learning.recommend.ratings.factors,"
        " polyclinic.learning.recommend.ratings.neighbours;"
        "print(sorted({'numba', 'scipy', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
