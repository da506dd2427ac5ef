"""Step 4, first half: fit on validation what makes the model's scores answers."""

from dataclasses import dataclass

from polyclinic.diagnosis.records.models import load_model
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.spec import RecordSpec
from polyclinic.diagnosis.records.steps.prepare import Prepared
from polyclinic.diagnosis.records.steps.trained import Trained
from polyclinic.diagnosis.records.usual import USUAL_FILE, fit_usual_space
from polyclinic.diagnosis.trust import fit_answers, fit_usual


@dataclass(frozen=True)
class Model:
    """A trained model as it will be stored: its files by name, and what serving needs beside."""

    files: dict[str, bytes]
    spec: RecordSpec


def fit_trust(recipe: RecordRecipe, prepared: Prepared, trained: Trained) -> Model:
    """Calibration, operating points, conformal sets and what is usual, from the validation part.

    The stored model is what is calibrated, so that what is measured is what is served. What is
    usual is learnt from one hour of each stay: hours of one stay are not independent.
    """
    dataset, encoding = prepared.dataset, prepared.encoding
    model = load_model(
        trained.files,
        len(encoding.features),
        len(dataset.labels),
        exclusive=not dataset.multi_label,
    )
    held_out = dataset.validation
    answers = fit_answers(
        recipe.trust,
        dataset.labels,
        recipe.data.findings,
        held_out,
        model.logits(held_out.x),
        ordinal=False,
        seed=recipe.seed,
    )
    spec = RecordSpec(**answers, encoding=encoding)
    space = fit_usual_space(encoding.features, dataset.train.x)
    train, each = one_each(dataset.train), one_each(held_out)
    probabilities = spec.calibration.apply(model.logits(each.x))
    files = {
        **trained.files,
        USUAL_FILE: space.to_file(),
        **fit_usual(train, each, space.place(train.x), space.place(each.x), probabilities),
    }
    return Model(files, spec)
