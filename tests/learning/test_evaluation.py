import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Evaluation, OperatingPoint
from polyclinic.core.prediction import Coding
from polyclinic.learning.evaluate import metrics
from polyclinic.learning.evaluate.classification import Answers, evaluate_classification
from polyclinic.learning.trust.conformal import fit_conformal


def coding(code: str) -> Coding:
    return Coding(system="urn:test", code=code, display=f"Label {code}")


def answers(n: int = 300, k: int = 2, seed: int = 0, **changes: Any) -> Answers:
    rng = np.random.default_rng(seed)
    y = rng.integers(k, size=n)
    z = 1.5 * np.eye(k)[y] + rng.normal(size=(n, k))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    given = {
        "probabilities": p,
        "y": y,
        "labels": tuple(coding(f"L{i}") for i in range(k)),
        "p_values": rng.random(n),
        "abstained": rng.random(n) < 0.1,
        "patients": rng.integers(n // 3, size=n).astype(str),
        "subgroups": {"sex": rng.choice(["female", "male"], size=n)},
    }
    return Answers(**(given | changes))


def evaluate(a: Answers, **changes: Any) -> Evaluation:
    findings = [label.code for label in a.labels[1:]]
    given: dict[str, Any] = {
        "findings": findings,
        "operating_points": [
            OperatingPoint(name=name, label=code, threshold=threshold)
            for name, threshold in (("argmax", 0.5), ("youden", 0.3))
            for code in findings
        ],
        "chosen": "youden",
        "conformal": fit_conformal(
            "marginal" if a.y.ndim == 1 else "class-conditional", 0.9, a.probabilities, a.y
        ),
        "alpha": 0.05,
        "dataset": "made",
        "dataset_digest": "0" * 64,
        "part": "test",
        "time": datetime(2025, 1, 1, tzinfo=UTC),
        "notes": ("Drawn from a known law.",),
        "resamples": 200,
    }
    return evaluate_classification(a, **(given | changes))


def test_every_figure_is_the_plain_metric_within_its_interval() -> None:
    a = answers()
    found = evaluate(a)
    assert set(found.metrics) == {"auc", "auprc", "accuracy", "brier", "ece", "log_loss"}
    for name, value in metrics.classification_metrics(a.probabilities, a.y).items():
        assert found.metrics[name].value == pytest.approx(float(value))
        if name != "ece":  # which is biased upwards in resamples
            assert found.metrics[name].low < value < found.metrics[name].high
    argmax, youden = found.operating_points
    assert (argmax.chosen, youden.chosen) == (False, True)
    called = a.probabilities[:, 1] >= 0.3
    assert youden.metrics["sensitivity"].value == pytest.approx(called[a.y == 1].mean())
    assert youden.metrics["specificity"].value == pytest.approx((~called)[a.y == 0].mean())
    assert found.examples == 300
    assert found.patients == len(np.unique(np.asarray(a.patients)))
    assert found.label_counts == {"L0": int((a.y == 0).sum()), "L1": int((a.y == 1).sum())}
    assert found.abstained.value == pytest.approx(a.abstained.mean())
    assert found.unfamiliar.value == pytest.approx((a.p_values < 0.05).mean())


def test_conformal_figures_are_of_the_sets() -> None:
    a = answers(k=3)
    rule = fit_conformal("marginal", 0.9, a.probabilities, a.y)
    sets = rule.sets(a.probabilities)
    found = evaluate(a, conformal=rule).conformal
    hits = sets[np.arange(len(a.y)), a.y]
    assert (found.method, found.promised) == ("marginal", 0.9)
    assert found.coverage.value == pytest.approx(hits.mean())
    assert found.mean_size.value == pytest.approx(sets.sum(axis=1).mean())
    assert found.single_label.value == pytest.approx((sets.sum(axis=1) == 1).mean())
    assert found.coverage_by_label["L2"].value == pytest.approx(hits[a.y == 2].mean())


def test_subgroups_are_measured_where_large_enough_and_counted_where_not() -> None:
    site = np.array(["a"] * 281 + ["b"] * 19)
    a = answers(subgroups={"site": site})
    large, small = evaluate(a).subgroups
    assert (large.attribute, large.value, large.examples) == ("site", "a", 281)
    rows = site == "a"
    expected = metrics.auc(a.probabilities[rows], a.y[rows])
    assert large.metrics["auc"].value == pytest.approx(float(expected))
    called = a.probabilities[rows, 1] >= 0.3
    assert large.metrics["sensitivity"].value == pytest.approx(called[a.y[rows] == 1].mean())
    assert (small.examples, small.metrics) == (19, {})


def test_more_than_one_finding_is_named_in_subgroups() -> None:
    found = evaluate(answers(k=3)).subgroups[0].metrics
    assert {"sensitivity of L1", "sensitivity of L2"} <= set(found)
    assert "sensitivity" not in found


def test_the_finding_is_the_positive_label_wherever_it_stands() -> None:
    a = answers()
    turned = answers(probabilities=a.probabilities[:, ::-1], y=1 - a.y, labels=a.labels[::-1])
    points = [OperatingPoint(name="youden", label="L1", threshold=0.3)]
    one = evaluate(a, operating_points=points)
    two = evaluate(turned, operating_points=points, findings=["L1"])
    assert two.metrics == one.metrics
    assert two.reliability == one.reliability
    assert two.operating_points == one.operating_points


def test_one_label_only_leaves_out_what_is_undefined() -> None:
    a = answers()
    found = evaluate(answers(y=np.ones_like(a.y)))
    assert set(found.metrics) == {"accuracy", "brier", "ece", "log_loss"}
    assert "specificity" not in found.operating_points[0].metrics
    assert "sensitivity" in found.operating_points[0].metrics
    assert set(found.conformal.coverage_by_label) == {"L1"}
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_an_evaluation_survives_json_and_repeats() -> None:
    found = evaluate(answers(k=4))
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
    assert evaluate(answers(k=4)) == found


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"p_values": np.zeros(3)}, "p_values"),
        ({"patients": np.array(["a"])}, "patients"),
        ({"subgroups": {"sex": np.array(["f"])}}, "subgroup sex"),
        ({"probabilities": np.zeros((300, 5))}, "probabilities"),
        ({"probabilities": np.full((300, 2), np.nan)}, "probabilities"),
        ({"y": np.full(300, 2)}, "y"),
    ],
)
def test_columns_that_do_not_fit_are_named(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        answers(**changes)
    assert caught.value.where == where


def test_operating_points_must_be_of_findings_and_one_chosen() -> None:
    a = answers()
    with pytest.raises(InvalidInput, match="not a finding"):
        evaluate(a, operating_points=[OperatingPoint(name="youden", label="L0", threshold=0.5)])
    with pytest.raises(InvalidInput, match="not among"):
        evaluate(a, chosen="specificity@0.9")


def test_a_thousand_examples_take_seconds() -> None:
    a = answers(n=1000)
    start = time.perf_counter()
    evaluate(a, resamples=2000)
    assert time.perf_counter() - start < 10


def several(n: int = 300, k: int = 3, seed: int = 0, **changes: Any) -> Answers:
    """Answers where none, one or several labels are true."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, k)) < np.linspace(0.5, 0.2, k)
    p = 1 / (1 + np.exp(-(2 * y - 1 + rng.normal(size=(n, k)))))
    return answers(n, k, seed, **({"probabilities": p, "y": y} | changes))


def evaluate_several(a: Answers) -> Evaluation:
    codes = [label.code for label in a.labels]
    points = [OperatingPoint(name="youden", label=code, threshold=0.4) for code in codes]
    return evaluate(a, findings=codes, operating_points=points)


def test_several_labels_have_every_figure_by_label_or_as_their_mean() -> None:
    a = several()
    found = evaluate_several(a)
    expected = metrics.multi_label_metrics(a.probabilities, a.truth)
    assert set(found.metrics) == set(expected)
    assert "accuracy" not in found.metrics
    for name, value in expected.items():
        assert found.metrics[name].value == pytest.approx(float(value))
        if name != "ece":
            assert found.metrics[name].low < value < found.metrics[name].high
    sets = fit_conformal("class-conditional", 0.9, a.probabilities, a.y).sets(a.probabilities)
    for label, point in enumerate(found.operating_points):
        true = a.truth[:, label]
        called = a.probabilities[:, label] >= 0.4
        assert point.metrics["sensitivity"].value == pytest.approx(called[true].mean())
        assert point.metrics["specificity"].value == pytest.approx((~called)[~true].mean())
        code = a.labels[label].code
        assert found.label_counts[code] == true.sum()
        by_label = found.conformal.coverage_by_label[code].value
        assert by_label == pytest.approx(sets[true, label].mean())
        assert by_label >= 0.9
        assert f"ppv of {code}" in found.subgroups[0].metrics
    assert found.conformal.coverage.value == pytest.approx(sets[a.truth].mean())
    assert sum(each.count for each in found.reliability) == 900
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_exclusive_labels_give_the_same_figures_in_either_writing(seed: int) -> None:
    one = answers(seed=seed)
    two = answers(seed=seed, y=np.eye(2, dtype=np.bool_)[one.y])
    rule = fit_conformal("class-conditional", 0.9, one.probabilities, one.y)
    first, second = evaluate(one, conformal=rule), evaluate(two, conformal=rule)
    assert second.operating_points == first.operating_points
    assert second.conformal == first.conformal
    assert second.label_counts == first.label_counts
    for name in ("auc", "brier", "log_loss"):
        ends = [(e.value, e.low, e.high) for e in (first.metrics[name], second.metrics[name])]
        assert ends[0] == pytest.approx(ends[1])


def test_grades_are_measured_as_grades_with_intervals() -> None:
    a = answers(k=4, ordinal=True)
    found = evaluate(a)
    assert {"accuracy", "mean_absolute_error", "quadratic_kappa"} <= set(found.metrics)
    for name, value in metrics.ordinal_metrics(a.probabilities, a.y).items():
        estimate = found.metrics[name]
        assert estimate.value == pytest.approx(float(value))
        assert estimate.low < value < estimate.high
        assert name in found.subgroups[0].metrics
    plain = evaluate(answers(k=4))
    assert {name: found.metrics[name] for name in plain.metrics} == plain.metrics


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ordinal": True}, "grades"),
        ({"y": np.ones((300, 2), dtype=np.bool_)}, "3 labels"),
        ({"y": np.ones((300, 3), dtype=np.int64)}, "true or false"),
        ({"y": np.zeros((300, 3), dtype=np.bool_)}, "No label is true"),
    ],
)
def test_labels_that_are_not_several_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        several(**changes)
    assert caught.value.where == "y"
