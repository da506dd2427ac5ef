"""Between steps 1 and 2: which model, and with which settings, where a recipe leaves it open."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.settings import settings
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.models import load_model
from polyclinic.diagnosis.records.models.settings import (
    LogisticSettings,
    ModelSettings,
    NetworkSettings,
    PrevalenceSettings,
)
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.prepare import Checked, make_features
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trained import weights
from polyclinic.learning.evaluate.metrics import classification_metrics, multi_label_metrics
from polyclinic.learning.labels import multi_label
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.prepare.splits import split
from polyclinic.learning.trust.calibration import choose_calibration

if TYPE_CHECKING:
    from polyclinic.learning.train.checkpoint import Epoch

#: Told how many trials are done, and the lowest loss so far.
OnTrial = Callable[[int, float], None]

#: Of what an outer fold leaves, for training and to stop and calibrate by.
INNER = {"train": 0.85, "validation": 0.15}
BASELINES: tuple[ModelSettings, ...] = (
    PrevalenceSettings(name="prevalence"),
    LogisticSettings(name="logistic"),
)


@dataclass
class Tried:
    """A candidate: its loss on each fold's inner validation, and log loss and AUROC outside."""

    recipe: RecordRecipe
    inner: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The model in a few words, with its figures."""
        content = self.recipe.chosen.model_dump(exclude_defaults=True)
        name = content.pop("name")
        said = " ".join([name, *(f"{key}={value}" for key, value in content.items())])
        return f"{said}: log loss {np.mean(self.losses):.4f}, AUROC {np.mean(self.areas):.3f}"


def choose(recipe: RecordRecipe, checked: Checked, on_trial: OnTrial) -> tuple[RecordRecipe, str]:
    """The recipe with the model that does best in nested cross-validation, and why it was chosen.

    Patients of training and validation are dealt into `auto.folds` outer folds. On the others each
    candidate is trained, stopped and calibrated by a part of them, and scored on the fold, until
    the minutes are over; one that has not seen every fold by then is out. The lowest mean log loss
    is chosen. How good choosing itself is, is told by the folds on which the model with the lowest
    inner loss is scored (Varma and Simon 2006). The dull baselines stand in the table always.
    """
    if recipe.auto is None:
        return recipe, ""
    end = monotonic() + 60 * recipe.auto.minutes
    folds = list(_folds(recipe, checked))
    tried: list[Tried] = []
    late = []
    for candidate in _candidates(recipe, checked):
        one = Tried(recipe.changed({"model": candidate.model_dump(), "auto": None}))
        for fold in folds:
            if tried and monotonic() > end:
                late.append(candidate.name)
                break
            _try(one, checked, fold)
        else:
            tried.append(one)
            on_trial(len(tried), min(float(np.mean(each.losses)) for each in tried))
    best = min(tried, key=lambda one: float(np.mean(one.losses)))
    inner = np.array([one.inner for one in tried])
    in_fold = (inner.argmin(axis=0), np.arange(len(folds)))
    loss, area = (
        float(np.array([getattr(one, name) for one in tried])[in_fold].mean())
        for name in ("losses", "areas")
    )
    why = (
        f"{best.words.partition(':')[0]} was chosen of {len(tried)} models by the lowest log loss "
        f"in {len(folds)}-fold cross-validation by patient ({'; '.join(o.words for o in tried)}). "
        f"Choosing so is itself worth log loss {loss:.4f}, AUROC {area:.3f} on patients that had "
        "no part in it."
    )
    if late:
        why += f" Not done within {recipe.auto.minutes:g} minutes: {', '.join(late)}."
    return best.recipe, why


def check_space(recipe: RecordRecipe) -> None:
    """Raise `InvalidInput` where the `tune:` space has a path or a value that no recipe has."""
    for path, part in recipe.tune.space.items() if recipe.tune else ():
        for value in part.ends:
            recipe.changed({path: value})


def search(recipe: RecordRecipe, checked: Checked, on_trial: OnTrial) -> RecordRecipe:
    """The recipe with the best settings of its `tune:` space, by validation loss."""
    if recipe.tune is None:
        return recipe
    from polyclinic.learning.train.tuning import tune

    def trial(changes: dict[str, Any], on_epoch: "Callable[[Epoch], None]") -> float:
        changed = recipe.changed(changes)
        return train(
            changed, make_features(changed, checked.records, checked.parts), on_epoch
        ).validation_loss

    digests = [checked.records.digest(rows) for rows in checked.parts.values()]
    study = sha256("\n".join([recipe.model_dump_json(exclude={"card"}), *digests]).encode())[:16]
    best = tune(
        recipe.tune,
        trial,
        study=study,
        database=settings().home / "runs" / "tuning.db",
        seed=recipe.seed,
        on_trial=on_trial,
    )
    return recipe.changed({**best, "tune": None})


def _candidates(recipe: RecordRecipe, checked: Checked) -> list[ModelSettings]:
    """The baselines and the recipe's candidates, networks only where there are series."""
    stated = recipe.auto.candidates if recipe.auto else ()
    possible = [
        each for each in stated if checked.records.hourly or not isinstance(each, NetworkSettings)
    ]
    names = {each.name for each in possible}
    return [*(each for each in BASELINES if each.name not in names), *possible]


def _folds(recipe: RecordRecipe, checked: Checked) -> Iterator[Mapping[str, Rows]]:
    """The rows of each outer fold as `test`, and of those it leaves the inner parts."""
    records, folds = checked.records, recipe.auto.folds if recipe.auto else 2
    rows = np.sort(np.concatenate([checked.parts[name] for name in ("train", "validation")]))
    names = [f"fold {i}" for i in range(folds)]
    outer = dict.fromkeys(names, 1 / folds)
    dealt = split(records.y[rows], outer, records.patient[rows], recipe.seed)
    for name in names:
        rest = rows[np.setdiff1d(np.arange(len(rows)), dealt[name])]
        inner = split(records.y[rest], INNER, records.patient[rest], recipe.seed)
        yield {part: rest[some] for part, some in inner.items()} | {"test": rows[dealt[name]]}


def _try(one: Tried, checked: Checked, fold: Mapping[str, Rows]) -> None:
    recipe = one.recipe
    prepared = make_features(recipe, checked.records, fold)
    trained = train(recipe, prepared)
    dataset = prepared.dataset
    model = load_model(
        trained.files,
        len(prepared.encoding.features),
        len(dataset.labels),
        exclusive=not dataset.multi_label,
    )
    held_out = dataset.validation
    calibration, _ = choose_calibration(
        model.logits(held_out.x), held_out.y, recipe.trust.calibration, seed=recipe.seed
    )
    test = dataset.parts["test"]
    figures = _figures(calibration.apply(model.logits(test.x)), test, weights(recipe, test))
    one.inner.append(trained.validation_loss)
    one.losses.append(float(figures["log_loss"]))
    one.areas.append(float(figures["auc"]))


def _figures(
    probabilities: NDArray[np.float64], part: Part, weight: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    if multi_label(part.y):
        return multi_label_metrics(probabilities, part.y.astype(np.bool_), weight)
    return classification_metrics(probabilities, part.y, weight)
