"""How the model card says figures and codes."""

from urllib.parse import urlsplit

from polyclinic.core.evaluation import BREAKS, Estimate, Evaluation, Robustness
from polyclinic.core.prediction import Coding

#: What people call the measures.
MEASURES = {
    "auc": "AUC",
    "auprc": "Area under precision-recall",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "log_loss": "Log loss",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "exact_match": "All labels right",
    "hamming_accuracy": "Share of labels right",
    "quadratic_kappa": "Quadratic weighted kappa",
    "mean_absolute_error": "Mean error, in grades",
    "alarms_per_patient_day": "Alarms a patient-day, before onset",
    "alarm_hours_per_patient_day": "Hours above the threshold a patient-day, before onset",
    "deletion_of_evidence": "Log-odds lost without the top evidence",
    "deletion_at_random": "Log-odds lost without as many inputs at random",
    "evidence_over_random": "Top evidence less random, log-odds",
}
#: Of which hours a figure is, where records have an onset: the ends of its name.
HOURS = {"_before_onset": ", before onset", "_after_onset": ", after onset"}
PARTS = {"validation": "Validation part", "test": "Test part", "external": "External data"}
SYSTEMS = {
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://snomed.info/sct": "SNOMED CT",
    "http://loinc.org": "LOINC",
}


def measure(name: str) -> str:
    """What people call the measure `name`."""
    for ending, hours in HOURS.items():
        if name.endswith(ending):
            return measure(name.removesuffix(ending)) + hours
    return MEASURES.get(name, name.replace("_", " "))


def interval(estimate: Estimate) -> str:
    """The value, and its 95% confidence interval."""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def breaks(robustness: Robustness) -> str:
    """Which corruptions a model bears, and from which strength on others break it."""
    broken = [f"{kind} from strength {s}" for kind, s in robustness.breaks.items() if s]
    if not broken:
        return f"None of them passes {BREAKS:g} times."
    return f"The error passes {BREAKS:g} times under {', '.join(broken)}."


def code_system(uri: str) -> str:
    """The short name of a code system, or the URI itself where it has none."""
    return SYSTEMS.get(uri, uri)


def coded(coding: Coding) -> str:
    """The display name with its code."""
    return f"{coding.display} ({code_system(coding.system)} {coding.code})"


def is_link(text: str) -> bool:
    """Whether `text` is a web address that a page may link to."""
    try:
        return urlsplit(text).scheme in ("http", "https") and " " not in text
    except ValueError:
        return False


def figures(evaluation: Evaluation) -> str:
    """The measures of an evaluation in one line."""
    said = ", ".join(f"{measure(n)} {interval(e)}" for n, e in evaluation.metrics.items())
    return f"{evaluation.dataset}, {evaluation.examples:,} examples: {said}"


def subgroup_figures(evaluation: Evaluation) -> str:
    """The measures of each subgroup in one line."""
    groups = (
        f"{group.attribute} {group.value} ({group.examples:,} examples): "
        + ", ".join(f"{measure(name)} {interval(e)}" for name, e in group.metrics.items())
        for group in evaluation.subgroups
    )
    return f"{evaluation.dataset}: " + "; ".join(groups)
