"""Duplicates across parts, blanks and truncated files, planted: all found, none invented.

scikit-learn's digits as PNG files in folders, in parts, without duplicates among themselves; then
copies of training pictures among the test pictures, blank pictures, and files cut short, at random.

    python benchmarks/planted_faults.py
"""

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.prepare.quality import check_quality

EACH = 25
SEEDS = 5


def main() -> None:
    """Print a row for each fault."""
    print("| fault | planted | found | invented |\n| --- | --- | --- | --- |")
    counts = {name: np.zeros(3, dtype=int) for name in ("duplicate", "blank", "truncated")}
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            planted = plant(Path(folder), np.random.default_rng(seed))
            found = find(Path(folder))
        for name, files in planted.items():
            hits = len(files & found[name])
            counts[name] += (len(files), hits, len(found[name] - files))
    for name, values in counts.items():
        print(f"| {name} | {' | '.join(map(str, values))} |")


def plant(folder: Path, rng: np.random.Generator) -> dict[str, set[str]]:
    """Write the pictures; the names of the faulty files, by fault."""
    digits = load_digits()
    pictures = (digits.images * 255 / 16).astype(np.uint8)
    _, first = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)
    rows = rng.permutation(first)
    parts = dict(zip(("train", "val", "test"), np.split(rows, [1000, 1300]), strict=True))
    for part, chosen in parts.items():
        for row in chosen:
            write(folder, part, int(digits.target[row]), f"{row}.png", pictures[row])
    planted: dict[str, set[str]] = {"duplicate": set(), "blank": set(), "truncated": set()}
    for row in rng.choice(parts["train"], EACH, replace=False):
        label = int(digits.target[row])
        write(folder, "test", label, f"copy-{row}.png", pictures[row])
        planted["duplicate"].add(f"train/{label}/{row}.png")
    for number in range(EACH):
        part = str(rng.choice(["train", "val", "test"]))
        # Each blank has a level of its own, so that it is no duplicate too.
        level = np.full((8, 8), 10 * number, dtype=np.uint8)
        planted["blank"].add(write(folder, part, int(rng.integers(10)), f"b{number}.png", level))
    for row in rng.choice(parts["val"], EACH, replace=False):
        path = folder / "val" / str(digits.target[row]) / f"{row}.png"
        data = path.read_bytes()
        path.write_bytes(data[: int(rng.integers(1, len(data) - 12))])
        planted["truncated"].add(str(path.relative_to(folder)))
    return planted


def write(folder: Path, part: str, label: int, name: str, pixels: np.ndarray) -> str:
    """One picture; its path within the folder."""
    path = folder / part / str(label) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return str(path.relative_to(folder))


def find(folder: Path) -> dict[str, set[str]]:
    """The files that the source and the quality gate name, by fault."""
    source = read_source(folder, size=8)
    found: dict[str, set[str]] = {"duplicate": set(), "blank": set(), "truncated": set()}
    faults = {"unreadable": "truncated", "leaked_to_test": "duplicate", "blank": "blank"}
    for issue in (*source.issues, *check_quality(source.dataset).issues):
        if fault := faults.get(issue.check):
            found[fault] |= set(issue.files)
            found[fault] |= {str(source.files[issue.part][row]) for row in issue.rows}
    return found


if __name__ == "__main__":
    main()
