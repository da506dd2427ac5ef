"""Which confidence orders inputs best? The error at 80% coverage, on validation alone.

For choosing the ordering; the test part stays closed. Calls are those of the deciding operating
point, of the first finding.

    POLYCLINIC_HOME=HOME python benchmarks/selective.py DATA [MODEL ...]
"""

import sys
from pathlib import Path

import numpy as np

from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.evaluate.selective import evaluate_selection, surest_label
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry


def main(data: Path, names: list[str]) -> None:
    """Print a row for each model and ordering."""
    registry = open_registry()
    install_starters(registry)
    print("| model | confidence | error | error at 80% coverage | ratio (95% CI) |")
    print("| --- | --- | --- | --- | --- |")
    for name in names:
        version = registry.resolve(name)
        model = ImageClassifier.load(registry, version)
        validation = read_source(data, model.labels).dataset.validation
        scores = model.score(validation.x)
        code = model.spec.findings[0]
        column = next(i for i, label in enumerate(model.labels) if label.code == code)
        p, threshold = scores.probabilities[:, column], model.spec.deciding(code).threshold
        wrong = (p >= threshold) != (validation.y == column)
        distance = np.abs(np.log(p / (1 - p)) - np.log(threshold / (1 - threshold)))
        orderings = {
            "probability of the likeliest label": surest_label(scores.probabilities),
            "distance from the operating point": distance,
            "lower rank of distance and familiarity": np.minimum(
                distance.argsort().argsort(), scores.p_values.argsort().argsort()
            ).astype(np.float64),
            "familiarity": scores.p_values,
        }
        for title, confidence in orderings.items():
            found = evaluate_selection(confidence, wrong)
            ratio = found.ratio
            shown = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else "none"
            print(
                f"| {version.identity.version} | {title} | {found.error.value:.3f} "
                f"| {found.selective_error.value:.3f} | {shown} |"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["chest-xray-pneumonia"])
