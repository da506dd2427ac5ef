"""Data of which none, one or several labels are true, through the steps of learning."""

from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor, nn

from polyclinic.core.prediction import Coding
from polyclinic.learning.evaluate.classification import Answers, evaluate_classification
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.quality import check_quality
from polyclinic.learning.prepare.splits import split
from polyclinic.learning.train.classification import Classification, logits
from polyclinic.learning.train.settings import TrainSettings
from polyclinic.learning.train.trainer import train
from polyclinic.learning.trust.calibration import choose_calibration
from polyclinic.learning.trust.conformal import fit_conformal
from polyclinic.learning.trust.familiarity import fit_familiarity
from polyclinic.learning.trust.operating_points import choose_operating_point

LABELS = tuple(Coding(system="urn:test", code=c, display=c) for c in ("mass", "nodule", "hernia"))


def examples(n: int, seed: int) -> Part:
    """Pictures (n, 1, 8, 8), each finding a spot at its own place."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, 3)) < [0.4, 0.25, 0.08]
    y[:, 1] |= y[:, 0] & (rng.random(n) < 0.3)
    x = rng.normal(size=(n, 1, 8, 8)).astype(np.float32)
    for label in range(3):
        x[y[:, label], 0, 1 + 2 * label : 3 + 2 * label, 2:5] += 1.2
    return Part(x, y)


def dataset() -> Dataset:
    whole = examples(2400, 0)
    rows = split(whole.y, {"train": 0.5, "validation": 0.25, "test": 0.25})
    parts = [whole.take(rows[name]) for name in ("train", "validation", "test")]
    return Dataset("made", LABELS, *parts, "CC0-1.0", "made here")


def test_several_labels_go_through_every_step() -> None:
    data = dataset()
    report = check_quality(data)
    report.refuse()
    assert {issue.check for issue in report.issues} == {"imbalance"}

    settings = TrainSettings(epochs=12, batch_size=64, learning_rate=0.02, class_weights="balanced")
    objective = Classification(data.train, data.validation, 3, settings, Tensor.float)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    trained = train(network, objective, settings, seed=0, run="run").network
    assert data.test is not None
    held_out = logits(trained, data.validation.x, Tensor.float).numpy()
    unseen = logits(trained, data.test.x, Tensor.float).numpy()

    y = data.validation.y
    calibration, _ = choose_calibration(held_out, y, ("none", "temperature", "platt"))
    assert calibration.method == "platt"  # balanced weights made rare labels too likely
    p = calibration.apply(held_out)
    truth = data.validation.truth(3)
    points = [
        choose_operating_point("sensitivity@0.9", label.code, p[:, i], truth[:, i])
        for i, label in enumerate(LABELS)
    ]
    conformal = fit_conformal("class-conditional", 0.9, p, y)
    flat = [part.x.reshape(len(part), -1) for part in data.parts.values()]
    p_values = fit_familiarity(flat[0], data.train.y, flat[1]).p_values(flat[2])

    found = evaluate_classification(
        Answers(calibration.apply(unseen), data.test.y, LABELS, p_values, p_values <= 0.01),
        findings=[label.code for label in LABELS],
        operating_points=points,
        chosen="sensitivity@0.9",
        conformal=conformal,
        alpha=0.01,
        dataset=data.name,
        dataset_digest=data.digest(),
        part="test",
        time=datetime(2025, 1, 1, tzinfo=UTC),
        resamples=200,
    )
    assert found.metrics["auc"].value > 0.95
    assert found.metrics["ece"].value < 0.05
    assert found.metrics["hamming_accuracy"].value > found.metrics["exact_match"].value > 0.6
    assert found.unfamiliar.value < 0.05
    for point in found.operating_points:
        assert point.metrics["sensitivity"].high > 0.9
    for estimate in found.conformal.coverage_by_label.values():
        assert estimate.high > 0.9
    assert found.conformal.mean_size.value < 2.0


def test_the_digest_of_single_labels_is_what_it_was_and_several_labels_have_their_own() -> None:
    y = np.array([0, 1, 1], dtype=np.int64)
    x = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    one = Part(x, y)
    assert one.digest() == "ba8a3e534eb955ba3bc0f75e8f09be582c760d61539dc894881e0c703b17bbff"
    several = Part(x, one.truth(2))
    assert several.digest() != one.digest()
    assert np.array_equal(several.truth(2), one.truth(2))
