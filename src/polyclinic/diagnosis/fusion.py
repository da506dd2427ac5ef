"""What a patient's picture and record say together: late fusion of calibrated log-odds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Finding, Fraction, Prediction

#: A probability further out counts as this: no single answer is certain.
MOST = 1 - 1e-6


class FusedFinding(Frozen):
    """A finding, by all answers about one patient that know it.

    probability: of the lone answer, or of several together, as if each saw the patient anew. That
    holds where their errors are independent given the truth; where pictures and records tell the
    same thing twice it is too sure. answers: indices of the answers it rests on. present: as the
    lone answer calls it; of several None, since no operating point was chosen for them together.
    """

    coding: Coding
    probability: Fraction
    present: bool | None
    answers: tuple[int, ...]


@dataclass(frozen=True)
class Said:
    """An answer, and by code how frequent its findings are where its model was calibrated.

    rests_on: indices of other answers that its model was given, and reads.
    """

    prediction: Prediction
    prevalence: Mapping[str, float]
    rests_on: frozenset[int] = frozenset()


def fuse(answers: Sequence[Said | None]) -> tuple[tuple[FusedFinding, ...], tuple[str, ...]]:
    """The findings of all answers by falling probability, and what a reader must know of them.

    Of a finding that several answers know, log p/(1-p) is that of its prevalence (their mean on
    this scale) plus what each answer moved it from its own model's: Bayes' rule with answers that
    are independent given the truth (Genest and Zidek 1986, section 3.3, with equal weights of one).
    An answer about an input unlike its model's own is no evidence, and left out where another one
    knows the finding; so is one that another rests on, which would count twice. Of None, an input
    that had no answer, nothing is said.
    """
    known: dict[tuple[str, str], list[tuple[int, Finding, float]]] = {}
    strange: list[int] = []
    rests_on: dict[int, frozenset[int]] = {}
    warnings = []
    for index, said in enumerate(answers):
        if said is None:
            continue
        if not said.prediction.familiarity.familiar:
            strange.append(index)
        rests_on[index] = said.rests_on
        for finding in said.prediction.findings:
            key = (finding.coding.system, finding.coding.code)
            prior = said.prevalence[finding.coding.code]
            known.setdefault(key, []).append((index, finding, prior))
    fused = []
    for some in known.values():
        familiar = [each for each in some if each[0] not in strange]
        if len(familiar) < len(some) and familiar:
            left = ", ".join(str(i) for i, *_ in some if i in strange)
            warnings.append(
                f"{some[0][1].coding.display}: answer {left} is about an input unlike those its "
                "model was made from, and left out."
            )
        kept = familiar or some
        told = frozenset().union(*(rests_on[index] for index, *_ in kept))
        twice = [index for index, *_ in kept if index in told]
        if twice:
            warnings.append(
                f"{some[0][1].coding.display}: answer {', '.join(map(str, twice))} is what another "
                "one rests on, and left out."
            )
        fused.append(_together([each for each in kept if each[0] not in told]))
    fused.sort(key=lambda finding: -finding.probability)
    return tuple(fused), tuple(warnings)


def _together(some: Sequence[tuple[int, Finding, float]]) -> FusedFinding:
    indices = tuple(index for index, *_ in some)
    _, first, _ = some[0]
    if len(some) == 1:
        return FusedFinding(
            coding=first.coding,
            probability=first.probability,
            present=first.present,
            answers=indices,
        )
    priors = [_log_odds(prior) for *_, prior in some]
    moved = sum(
        _log_odds(finding.probability) - prior
        for (_, finding, _), prior in zip(some, priors, strict=True)
    )
    total = sum(priors) / len(priors) + moved
    probability = 1 / (1 + math.exp(-total)) if total > -700 else 0.0
    return FusedFinding(coding=first.coding, probability=probability, present=None, answers=indices)


def _log_odds(probability: float) -> float:
    p = min(max(probability, 1 - MOST), MOST)
    return math.log(p / (1 - p))
