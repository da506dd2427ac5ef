"""Answers about one patient, fused: Bayes' rule with answers independent given the truth."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.prediction import (
    Coding,
    ConformalSet,
    Familiarity,
    Finding,
    ModelIdentity,
    Prediction,
    Provenance,
)
from polyclinic.diagnosis.fusion import Said, fuse

PNEUMONIA = Coding(system="urn:test", code="J18.9", display="Pneumonia")
INJURY = Coding(system="urn:test", code="N17.9", display="Kidney injury")
probabilities = st.floats(0.001, 0.999)


def said(coding: Coding, probability: float, prior: float, p_value: float = 0.5) -> Said:
    finding = Finding(
        coding=coding,
        probability=probability,
        present=probability > 0.5,
        operating_point="argmax",
        threshold=0.5,
    )
    prediction = Prediction(
        findings=(finding,),
        conformal_set=ConformalSet(method="marginal", coverage=0.9, labels=()),
        familiarity=Familiarity(p_value=p_value, alpha=0.01),
        abstained=None,
        provenance=Provenance(
            model=ModelIdentity(name="m", version="v", digest="d"),
            input_digest="i",
            time=datetime.now(UTC),
        ),
    )
    return Said(prediction, {coding.code: prior})


def test_what_another_answer_rests_on_counts_once() -> None:
    picture = said(PNEUMONIA, 0.8, 0.3)
    record = replace(said(PNEUMONIA, 0.9, 0.3), rests_on=frozenset({0}))
    (finding,), (warning,) = fuse([picture, record])
    assert (finding.answers, finding.probability) == ((1,), 0.9)
    assert "answer 0 is what another one rests on" in warning
    # Where the record's answer is no evidence, the picture's own stands.
    strange = replace(said(PNEUMONIA, 0.9, 0.3, p_value=0.0), rests_on=frozenset({0}))
    (finding,), _ = fuse([picture, strange])
    assert finding.answers == (0,)


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


@given(probabilities, probabilities)
def test_a_lone_answer_stays_as_it_is(probability: float, prior: float) -> None:
    (finding,), warnings = fuse([None, said(PNEUMONIA, probability, prior)])
    assert finding.probability == probability
    assert finding.present == (probability > 0.5)
    assert finding.answers == (1,)
    assert warnings == ()


@given(probabilities, probabilities, probabilities)
def test_likelihood_ratios_multiply(first: float, second: float, prior: float) -> None:
    (finding,), _ = fuse([said(PNEUMONIA, first, prior), said(PNEUMONIA, second, prior)])
    wanted = log_odds(first) + log_odds(second) - log_odds(prior)
    assert log_odds(finding.probability) == pytest.approx(wanted, abs=1e-6)
    assert finding.present is None
    assert finding.answers == (0, 1)


@given(probabilities, probabilities)
def test_an_answer_that_knows_no_more_than_its_prevalence_changes_nothing(
    probability: float, prior: float
) -> None:
    (finding,), _ = fuse([said(PNEUMONIA, probability, prior), said(PNEUMONIA, prior, prior)])
    assert finding.probability == pytest.approx(probability)


@given(st.lists(st.tuples(probabilities, probabilities), min_size=2, max_size=4))
def test_the_order_of_answers_is_nothing(pairs: list[tuple[float, float]]) -> None:
    answers = [said(PNEUMONIA, p, prior) for p, prior in pairs]
    forwards, _ = fuse(answers)
    backwards, _ = fuse(answers[::-1])
    assert forwards[0].probability == pytest.approx(backwards[0].probability)


def test_an_answer_about_a_strange_input_is_left_out_where_another_knows() -> None:
    strange = said(PNEUMONIA, 0.99, 0.5, p_value=0.001)
    (finding,), (warning,) = fuse([strange, said(PNEUMONIA, 0.2, 0.5)])
    assert finding.probability == 0.2
    assert finding.answers == (1,)
    assert "Pneumonia: answer 0" in warning
    (alone,), warnings = fuse([strange])
    assert alone.probability == 0.99
    assert warnings == ()


def test_findings_are_ranked_whoever_knows_them() -> None:
    found, _ = fuse([said(INJURY, 0.2, 0.1), said(PNEUMONIA, 0.7, 0.5), said(INJURY, 0.9, 0.1)])
    assert [finding.coding.code for finding in found] == ["N17.9", "J18.9"]
    assert found[0].answers == (0, 2)
