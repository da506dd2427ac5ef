"""What the model does not know: inverted X-rays, noise, digits, CT and MR, against held-out X-rays.

AUROC of the familiarity p-value, held-out X-rays of the validation part against each; the share of
each that is called unfamiliar; then every CT and MR file that comes with pydicom (among the test
files that it carries itself), which the gate must refuse by its header, or
familiarity by its looks.

    POLYCLINIC_HOME=HOME python benchmarks/familiarity.py DATA [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from polyclinic.core.errors import PolyclinicError
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.readers.picture import Picture
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry


def main(data: Path, name: str) -> None:
    """Print both tables."""
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(name)
    model = ImageClassifier.load(registry, version)
    usual = read_source(data, model.labels).dataset.validation.x
    size = model.spec.size
    rng = np.random.default_rng(0)
    digits = (load_digits().images * 255 / 16).astype(np.uint8)
    others = {
        "inverted X-rays": 255 - usual,
        "uniform noise": rng.integers(0, 256, usual.shape, dtype=np.uint8),
        "scikit-learn's digits": np.stack(
            [Picture(Image.fromarray(digit)).fitted(1, size) for digit in digits]
        ),
    }
    known = model.score(usual).p_values
    alpha = model.spec.familiarity_alpha
    print(f"{version}; of held-out X-rays {np.mean(known <= alpha):.1%} are called unfamiliar\n")
    print("| pictures | n | AUROC | called unfamiliar |\n| --- | --- | --- | --- |")
    for title, pictures in others.items():
        p = model.score(pictures).p_values
        truth = np.repeat([0, 1], [len(known), len(p)])
        auroc = roc_auc_score(truth, -np.concatenate([known, p]))
        print(f"| {title} | {len(p)} | {auroc:.3f} | {np.mean(p <= alpha):.1%} |")

    outcomes: dict[str, list[str]] = {}
    carried = Path(pydicom.__file__).parent / "data" / "test_files"
    for file in sorted(path for path in carried.rglob("*") if path.is_file()):
        try:
            modality = pydicom.dcmread(file, stop_before_pixels=True).get("Modality", "")
        except (OSError, pydicom.errors.InvalidDicomError, UnicodeDecodeError):
            continue
        if modality in ("CT", "MR"):
            outcomes.setdefault(outcome(model, file), []).append(file.name)
    print("\n| CT and MR files of pydicom | n |\n| --- | --- |")
    for what, files in outcomes.items():
        print(f"| {what} | {len(files)} |")
        if what == "answered":
            print("answered:", files)


def outcome(model: ImageClassifier, file: Path) -> str:
    """What the model says to a file."""
    (answer,) = model.predict([file.read_bytes()])
    if isinstance(answer, PolyclinicError):
        return f"refused: {answer.title}"
    return "answered" if answer.familiarity.familiar else "unfamiliar"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:] or ["chest-xray-pneumonia"])
