"""Step 1: read the data, and let no model learn from what is wrong with it."""

from dataclasses import dataclass
from pathlib import Path

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.sources.assembly import Progress
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.prepare.quality import check_quality
from polyclinic.learning.prepare.repeats import without_leaks


@dataclass(frozen=True)
class Prepared:
    """Data that passed the gate, the digest of its file, and what a reader must know of it."""

    dataset: Dataset
    digest: str
    notes: tuple[str, ...]


def prepare(
    recipe: ImageRecipe, data: Path | None, folder: Path, progress: Progress = lambda *_: None
) -> Prepared:
    """Read the data, take out leaks between parts, and pass it through the quality gate.

    The recipe's `path` is relative to its own `folder`.
    Raises `QualityRefused` naming what is wrong with the data, and `InvalidInput` where the recipe
    does not fit its labels.
    """
    if data is None:
        if recipe.data.path is None:
            raise InvalidInput(
                "The recipe names no data file.", where="data.path", remedy="Give --data PATH."
            )
        data = folder / recipe.data.path
    found = read_source(
        data,
        recipe.data.codings,
        size=recipe.data.size,
        channels=recipe.data.channels,
        seed=recipe.seed,
        name=recipe.data.name,
        licence=recipe.data.licence,
        source=recipe.data.source,
        multi_label=recipe.data.multi_label,
        subgroups=recipe.data.subgroups,
        progress=progress,
    )
    whole = found.dataset
    if whole.multi_label != recipe.data.multi_label:
        several, says = ("several labels", "true") if whole.multi_label else ("one label", "false")
        raise InvalidInput(
            f"The data has {several} a picture.",
            where="data.multi_label",
            remedy=f"Say `multi_label: {says}`.",
        )
    recipe.check_labels(whole.labels)
    dataset = without_leaks(whole)
    report = check_quality(dataset)
    report = report.model_copy(update={"issues": (*found.issues, *report.issues)})
    report.refuse()
    notes = tuple(f"{issue.where}: {issue.detail}" for issue in report.issues)
    for name, part in dataset.parts.items():
        if dropped := len(whole.parts[name]) - len(part):
            notes += (f"{name}: {dropped} pictures left out that stand in a later part too.",)
    return Prepared(dataset, whole.digest(), notes)
