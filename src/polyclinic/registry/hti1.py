"""The 31 source attributes of a predictive decision support intervention.

Source: 45 CFR 170.315(b)(11)(iv)(B)(1) to (9), of the HTI-1 final rule (89 FR 1192, 9 January
2024); the questions are in our own words. Each is answered by what was measured, by what the
model's makers stated, or by a named gap that says what would fill it: never by silence.
"""

from collections.abc import Sequence
from typing import Literal

from polyclinic.core.evaluation import Evaluation
from polyclinic.core.frozen import Frozen
from polyclinic.registry.manifest import Manifest
from polyclinic.registry.wording import coded, figures, subgroup_figures

GROUPS = {
    "1": "Details and output",
    "2": "Purpose",
    "3": "Cautioned out-of-scope use",
    "4": "Development and input features",
    "5": "Fairness in development",
    "6": "External validation",
    "7": "Quantitative measures of performance",
    "8": "Ongoing maintenance",
    "9": "Updates and continued validation",
}


Origin = Literal["measured", "derived", "stated", "gap"]


class SourceAttribute(Frozen):
    """One source attribute: its paragraph, such as `(4)(ii)`, what it asks, and the answer.

    `origin` says where the answer is from: `measured` on data, `derived` from what the model is,
    or `stated` by its makers. In a `gap`, `text` says what is missing and what would fill it.
    """

    paragraph: str
    group: str
    question: str
    origin: Origin
    text: str


def source_attributes(
    manifest: Manifest, evaluations: Sequence[Evaluation]
) -> tuple[SourceAttribute, ...]:
    """All 31 attributes, in the regulation's order.

    `evaluations` are those made after training; the manifest's own validation is not among them.
    """
    card = manifest.card
    test = [evaluation for evaluation in evaluations if evaluation.part == "test"]
    external = [evaluation for evaluation in evaluations if evaluation.part == "external"]
    no_test = "Running polyclinic evaluate on the test part measures it, and logs the opening."
    no_external = "Running polyclinic evaluate on a data set of another source measures it."
    no_groups = "The data names no subgroups (such as sex or age band)"
    local = "No evaluation is marked as this site's own data; compare the external ones above."
    return (
        _stated("(1)(i)", "Who developed it, and how to reach them", card.developer, "developer"),
        _stated("(1)(ii)", "Who paid for its development", card.funding, "funding"),
        _derived("(1)(iii)", "What value it puts out", _output(manifest)),
        _derived("(1)(iv)", "What type of output that is", _output_type(manifest)),
        _stated("(2)(i)", "What it is meant for", card.intended_use, "intended_use"),
        _stated(
            "(2)(ii)",
            "Which patients it is meant for",
            card.intended_population,
            "intended_population",
        ),
        _stated("(2)(iii)", "Who is meant to use it", card.intended_users, "intended_users"),
        _stated(
            "(2)(iv)",
            "What part it plays in a decision (inform, augment, replace)",
            card.decision_role,
            "decision_role",
        ),
        _stated(
            "(3)(i)",
            "Tasks, situations and populations it should not be used for",
            card.out_of_scope,
            "out_of_scope",
        ),
        _stated("(3)(ii)", "Known risks and limitations", card.known_risks, "known_risks"),
        _stated(
            "(4)(i)",
            "What was taken into the training data, and what was left out",
            card.inclusion_criteria,
            "inclusion_criteria",
        ),
        _stated(
            "(4)(ii)",
            "Whether race, ethnicity, language, sexual orientation, gender identity,"
            " sex, birth date, social determinants or health assessments are inputs",
            card.demographic_inputs,
            "demographic_inputs",
        ),
        _stated(
            "(4)(iii)",
            "How well the training data represent people of each demographic group",
            card.demographics,
            "demographics",
        ),
        _stated(
            "(4)(iv)",
            "How the training data relate to where it is to be used",
            card.relevance,
            "relevance",
        ),
        _stated(
            "(5)(i)",
            "What was done so that its output is fair",
            card.fairness_approach,
            "fairness_approach",
        ),
        _stated(
            "(5)(ii)",
            "What was done to find and reduce bias",
            card.bias_management,
            "bias_management",
        ),
        _measured(
            "(6)(i)",
            "Which external data and settings it was tested on",
            [f"{e.dataset}: {e.examples:,} examples, {e.time:%d %B %Y}" for e in external],
            f"No external evaluation. {no_external}",
        ),
        _stated("(6)(ii)", "Who did the external test", card.external_party, "external_party"),
        _measured(
            "(6)(iii)",
            "Which demographic groups the external data represent",
            [f"{e.dataset}: {_groups(e)}" for e in external if e.subgroups],
            f"{no_groups}, so none is counted."
            if external
            else f"No external evaluation. {no_external}",
        ),
        _measured(
            "(6)(iv)",
            "How the external test was done",
            [_PROCESS] if external else [],
            f"No external evaluation. {no_external}",
        ),
        _measured(
            "(7)(i)",
            "Validity on test data of the training data's source",
            [figures(e) for e in test],
            no_test,
        ),
        _measured(
            "(7)(ii)",
            "Fairness on test data of the training data's source",
            [subgroup_figures(e) for e in test if e.subgroups],
            f"{no_groups}, so fairness was not measured." if test else no_test,
        ),
        _measured(
            "(7)(iii)",
            "Validity on data of another source",
            [figures(e) for e in external],
            no_external,
        ),
        _measured(
            "(7)(iv)",
            "Fairness on data of another source",
            [subgroup_figures(e) for e in external if e.subgroups],
            f"{no_groups}, so fairness was not measured." if external else no_external,
        ),
        _stated(
            "(7)(v)",
            "Studies of whether its use improves outcomes",
            card.outcome_evaluations,
            "outcome_evaluations",
        ),
        _stated("(8)(i)", "How and how often validity is watched", card.monitoring, "monitoring"),
        _measured("(8)(ii)", "Validity on local data", [], local),
        _stated(
            "(8)(iii)",
            "How and how often fairness is watched",
            card.fairness_monitoring,
            "fairness_monitoring",
        ),
        _measured("(8)(iv)", "Fairness on local data", [], local),
        _stated(
            "(9)(i)", "How and how often it is updated", card.update_schedule, "update_schedule"
        ),
        _stated(
            "(9)(ii)",
            "How soon it is corrected when a risk to validity or fairness is found",
            card.correction_schedule,
            "correction_schedule",
        ),
    )


_RANKING = (
    "Treatments in order, each with a calibrated probability or an expected benefit with its"
    " interval, what the safety rules say against it and the facts that weighed most; with them a"
    " set of treatments of stated coverage, and, where it applies, that the model abstains."
)
_PROCESS = (
    "The registered version, with its calibration and thresholds as they were chosen on its own"
    " validation part, was run on the external data; figures have 95% bootstrap intervals."
)


def _output_type(manifest: Manifest) -> str:
    if manifest.findings:
        return "A classification: coded findings, each with a probability."
    return "A ranking of coded treatments."


def _output(manifest: Manifest) -> str:
    findings = ", ".join(coded(label) for label in manifest.findings)
    labels = "; ".join(label.display for label in manifest.labels)
    conformal = manifest.validation.conformal
    if not manifest.findings or conformal is None:
        return _RANKING
    promised = conformal.promised
    return (
        f"For each of {findings}: a calibrated probability from 0 to 1, and whether it passes the"
        f" operating point. With them a set of labels ({labels}) meant to hold the truth in"
        f" {promised:.0%} of"
        " inputs like those of the validation part (elsewhere see the coverage measured), how"
        " familiar the input is (a p-value), and, where it applies, that the model abstains."
    )


def _groups(evaluation: Evaluation) -> str:
    return ", ".join(f"{g.attribute} {g.value}: {g.examples:,}" for g in evaluation.subgroups)


def _stated(paragraph: str, question: str, text: str, field: str) -> SourceAttribute:
    gap = f"Not stated. The makers fill it as card.{field} in the model's recipe."
    return _attribute(paragraph, question, "stated" if text else "gap", text or gap)


def _derived(paragraph: str, question: str, text: str) -> SourceAttribute:
    return _attribute(paragraph, question, "derived", text)


def _measured(paragraph: str, question: str, measured: Sequence[str], gap: str) -> SourceAttribute:
    text = "\n".join(measured) or f"Not measured. {gap}"
    return _attribute(paragraph, question, "measured" if measured else "gap", text)


def _attribute(paragraph: str, question: str, origin: Origin, text: str) -> SourceAttribute:
    return SourceAttribute(
        paragraph=paragraph,
        group=GROUPS[paragraph[1]],
        question=question,
        origin=origin,
        text=text.strip(),
    )
