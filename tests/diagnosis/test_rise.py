import numpy as np
import pytest
from numpy.typing import NDArray
from trained_spots import Trained

from polyclinic.diagnosis.imaging.rise import evidence, usual_without
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE
from polyclinic.learning.evaluate.faithfulness import faithfulness
from polyclinic.learning.serve.onnx_network import OnnxNetwork

SIDE = 28


def patch(top: int, left: int) -> NDArray[np.bool_]:
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[top : top + 8, left : left + 8] = True
    return inside


FOR, AGAINST = patch(2, 3), patch(16, 15)


def score(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A model for which one patch speaks for the finding, and another against it."""
    light = pictures.mean(axis=1) / 255
    return np.asarray(light[:, FOR].mean(axis=1) - light[:, AGAINST].mean(axis=1))


@pytest.mark.parametrize("channels", [1, 3])
def test_evidence_lies_where_the_model_looks_with_its_sign(channels: int) -> None:
    picture = np.full((channels, SIDE, SIDE), 200, dtype=np.uint8)
    heat = evidence(score, picture, np.zeros_like(picture))
    rest = ~(FOR | AGAINST)
    assert heat.shape == (SIDE, SIDE)
    assert heat[FOR].mean() > 5 * abs(heat[rest].mean())
    assert heat[AGAINST].mean() < -5 * abs(heat[rest].mean())
    assert FOR.ravel()[heat.argmax()]
    assert AGAINST.ravel()[heat.argmin()]


def test_a_picture_that_is_usual_has_no_evidence_and_maps_are_repeatable() -> None:
    rng = np.random.default_rng(0)
    picture, usual = rng.integers(256, size=(2, 1, SIDE, SIDE), dtype=np.uint8)
    assert evidence(score, picture, picture) == pytest.approx(np.zeros((SIDE, SIDE)), abs=1e-6)
    first, second = (evidence(score, picture, usual) for _ in range(2))
    assert (first == second).all()


def test_exchanging_picture_and_baseline_turns_the_evidence_round() -> None:
    rng = np.random.default_rng(0)
    picture, usual = rng.integers(256, size=(2, 1, SIDE, SIDE), dtype=np.uint8)
    there = evidence(score, picture, usual, masks=2000)
    back = evidence(score, usual, picture, masks=2000)
    assert np.corrcoef(there.ravel(), back.ravel())[0, 1] < -0.95


def test_any_size_of_picture_has_a_map_of_its_size() -> None:
    def light(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(pictures[..., 5, 6].mean(axis=1))

    for size in (8, 30, 64):
        picture = np.full((1, size, size), 255, dtype=np.uint8)
        heat = evidence(light, picture, np.zeros_like(picture))
        assert heat.shape == (size, size)
        assert heat[5, 6] == pytest.approx(255, rel=0.02)


def test_the_usual_picture_without_a_label_is_the_mean_of_those_that_lack_it() -> None:
    x = np.array([10, 20, 100, 200], dtype=np.uint8).reshape(4, 1, 1, 1)
    truth = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=bool)
    assert usual_without(x, truth).ravel().tolist() == [150, 77, 82]


def test_the_evidence_of_a_trained_model_is_far_above_chance(trained: Trained) -> None:
    network = OnnxNetwork(trained.registry.load(trained.version)[NETWORK_FILE], threads=1)
    data = read_source(trained.data).dataset

    def log_odds(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        logits = network.run_all(pictures)["logits"].astype(np.float64)
        return np.asarray(logits[:, 1] - logits[:, 0])

    def probability(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-log_odds(pictures))))

    spots = data.validation.x[data.validation.y == 1][:20]
    baseline = usual_without(data.train.x, data.train.truth(2))[1]
    maps = np.stack([evidence(log_odds, spot, baseline) for spot in spots])
    baselines = np.broadcast_to(baseline, spots.shape)
    found = faithfulness(probability, spots, maps, baselines, steps=8, resamples=200)
    assert found.over_random.low > 0.1
